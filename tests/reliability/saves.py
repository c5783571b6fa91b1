"""Everything that writes something worth keeping, as a table: how it is saved, and read again."""

from __future__ import annotations

import importlib.util
import io
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

import minigpt as mg
from minigpt.checkpoints import load_checkpoint, save_checkpoint
from minigpt.checkpoints.adapters import load_lora, save_lora
from minigpt.datasets import open_tokens, write_tokens
from minigpt.nn import add_lora
from minigpt.tokenizers import BPETokenizer, CharTokenizer, load_tokenizer
from minigpt.training import History

ROOT = Path(__file__).parents[2]
TEXT = "to be or not to be, that is the question — é漢😀 "
GENERATIONS = (1, 2, 3)  # of what is saved: the old, the new, and the one after that


@dataclass(frozen=True)
class Save:
    """One thing that is saved.

    Attributes:
        save: writes the generation of that number into a folder.
        load: the number of the generation that a folder holds; raises an OSError or a ValueError
            where it holds none.
        names: what is in the folder after a save.
    """

    save: Callable[[Path, int], object]
    load: Callable[[Path], int]
    names: frozenset[str]


@cache
def model(generation: int) -> mg.GPT:
    config = mg.GPTConfig(vocab_size=280, block_size=8, n_layer=1, n_head=1, n_embd=4)
    return mg.GPT(config, seed=generation)


@cache
def tokenizer(generation: int) -> BPETokenizer:
    return BPETokenizer.train(TEXT * 9, 256 + 3 * generation, progress=False)


def _generation_of(found: Any, of: Callable[[int], Any]) -> int:
    """Which generation it is; one that is none of them is a failure of the test."""
    return next(n for n in GENERATIONS if of(n) == found)


def _weights(of: Any) -> bytes:
    return b"".join(p.data.tobytes() for _, p in of.named_parameters())


def _arrays(generation: int) -> dict[str, Any]:
    rng = np.random.default_rng(generation)
    return {"w": rng.random((40, 50)), "b": rng.random(3), "none": np.zeros((0, 2))}


def _load_checkpoint(folder: Path) -> int:
    stored = load_checkpoint(folder / "a.npz")
    generation: int = stored.metadata["generation"]
    assert all((stored.arrays[n] == x).all() for n, x in _arrays(generation).items())
    return generation


def _save_lora(folder: Path, generation: int) -> None:
    adapted = mg.GPT(model(1).config, seed=1)
    add_lora(adapted, rank=2, seed=generation)
    save_lora(folder / "adapters.npz", adapted)


def _load_lora(folder: Path) -> int:
    def adapted(generation: int) -> bytes:
        again = mg.GPT(model(1).config, seed=1)
        add_lora(again, rank=2, seed=generation)
        return _weights(again)

    found = mg.GPT(model(1).config, seed=1)
    load_lora(folder / "adapters.npz", found)
    return _generation_of(_weights(found), adapted)


def _load_pretrained(folder: Path) -> int:
    found = mg.GPT.from_pretrained(folder, memory_map=False, progress=False)
    generation = _generation_of(_weights(found), lambda n: _weights(model(n)))
    assert load_tokenizer(folder) == tokenizer(generation)
    return generation


def _tokens(generation: int) -> Any:
    return np.arange(30_000, dtype=np.uint16) % (10 * generation)


def _history(generation: int) -> History:
    history = History({"step": n + 1, "loss": float(generation)} for n in range(300))
    history.evaluations.append({"step": 300, "val_loss": 1.0})
    return history


@cache
def _script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "data" / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _prepare(folder: Path, generation: int) -> None:
    source = folder.parent / f"text-{generation}.txt"
    if not source.exists():
        source.write_text(TEXT * 20 * generation, encoding="utf-8")
    script = _script("prepare")
    arguments = [str(source), "--output", str(folder), "--quiet", "--overwrite"]
    script.prepare(script.parse_arguments(arguments))


def _load_prepared(folder: Path) -> int:
    missing = [n for n in ("train.npy", "val.npy", "tokenizer.json") if not (folder / n).exists()]
    if missing:  # as examples/train.py has it
        raise FileNotFoundError(f"{folder} lacks {', '.join(missing)}: run data/prepare.py again")
    count = len(open_tokens(folder / "train.npy")) + len(open_tokens(folder / "val.npy"))
    assert load_tokenizer(folder / "tokenizer.json") == CharTokenizer.train(TEXT)
    return _generation_of(count, lambda n: len(TEXT) * 20 * n)


def _cases(folder: Path, generation: int) -> None:
    parts = _script("place_stories").make_cases(3 * generation, 1, 2, seed=0)
    _script("case_files").write_parts(folder, parts)


def _load_cases(folder: Path) -> int:
    names = ("train", "validation", "test")
    lines = [(folder / f"{name}.jsonl").read_text("utf-8").count("\n") for name in names]
    return _generation_of(lines, lambda n: [3 * n, 1, 2])


def _figure(kind: str) -> Save:
    @cache
    def drawn(generation: int) -> Any:
        from minigpt.drawing import new_figure

        figure = new_figure(1, 1)
        figure.subplots().set_title("x" * generation)
        return figure

    @cache
    def expected(generation: int) -> bytes:
        written = io.BytesIO()
        drawn(generation).savefig(written, format=kind, dpi=40)
        return written.getvalue()

    def load(folder: Path) -> int:
        return _generation_of((folder / f"picture.{kind}").read_bytes(), expected)

    return Save(
        lambda folder, n: drawn(n).savefig(folder / f"picture.{kind}", dpi=40),
        load,
        frozenset({f"picture.{kind}"}),
    )


SAVES = {
    "save_checkpoint": Save(
        lambda folder, n: save_checkpoint(folder / "a.npz", _arrays(n), {"generation": n}),
        _load_checkpoint,
        frozenset({"a.npz"}),
    ),
    "save_lora": Save(_save_lora, _load_lora, frozenset({"adapters.npz"})),
    "History.write": Save(
        lambda folder, n: _history(n).write(folder / "history.jsonl"),
        lambda folder: int(History.read(folder).column("loss")[-1]),
        frozenset({"history.jsonl"}),
    ),
    "Tokenizer.save": Save(
        lambda folder, n: tokenizer(n).save(folder / "tokenizer.json"),
        lambda folder: _generation_of(load_tokenizer(folder / "tokenizer.json"), tokenizer),
        frozenset({"tokenizer.json"}),
    ),
    "BPETokenizer.to_gpt2": Save(
        lambda folder, n: tokenizer(n).to_gpt2(folder),
        lambda folder: _generation_of(load_tokenizer(folder), tokenizer),
        frozenset({"vocab.json", "merges.txt", "tokenizer_config.json"}),
    ),
    "GPT.save_pretrained": Save(
        lambda folder, n: model(n).save_pretrained(folder, tokenizer(n)),
        _load_pretrained,
        frozenset({
            "config.json", "model.safetensors", "vocab.json", "merges.txt", "tokenizer_config.json",
        }),
    ),
    "write_tokens": Save(
        lambda folder, n: write_tokens(folder / "tokens.npy", _tokens(n), 10 * n),
        lambda folder: (int(open_tokens(folder / "tokens.npy").max()) + 1) // 10,
        frozenset({"tokens.npy"}),
    ),
    "data/prepare.py": Save(
        _prepare, _load_prepared, frozenset({"train.npy", "val.npy", "tokenizer.json"})
    ),
    "data/place_stories.py": Save(
        _cases, _load_cases, frozenset({"train.jsonl", "validation.jsonl", "test.jsonl"})
    ),
    "a figure": _figure("svg"),
}  # fmt: skip
