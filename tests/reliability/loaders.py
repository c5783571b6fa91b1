"""Every loader of a file that may come from anywhere: small sound files, and how they are loaded.

A new loader is one more line of :data:`LOADERS`.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

import minigpt as mg
from minigpt.checkpoints import CheckpointError, load_lora, save_lora
from minigpt.datasets import TokenFileError, open_tokens, write_tokens
from minigpt.interop import PretrainedError
from minigpt.tokenizers import TokenizerFileError
from tests.interop.gguf_models import gpt2, llama, model_file
from tests.tokenizers.files.written import tokenizer_json

RUN_TOKENS = np.arange(99)
Folder = dict[str, bytes]  # the files of a folder by their names


@dataclass(frozen=True)
class Loader:
    """How something is loaded out of a folder, and what may come of it.

    Attributes:
        sound: writes files into a new folder, one folder after the other.
        load: loads what is there, and uses it a little.
        errors: the documented ones.
        damage: names of files that are damaged; all where empty.
    """

    sound: tuple[Callable[[Path], Any], ...]
    load: Callable[[Path], Any]
    errors: tuple[type[Exception], ...]
    damage: tuple[str, ...] = ()


# ── sound files ───────────────────────────────────────────────────────────────────────────────


@lru_cache
def byte_pairs() -> mg.BPETokenizer:
    return mg.BPETokenizer.train("the cat's hat " * 3, 262, ["<|end|>"], progress=False)


def tiny(vocab_size: int = 9, bias: bool = True) -> mg.GPT:
    return mg.GPT(mg.GPTConfig(vocab_size, 8, n_layer=1, n_head=2, n_embd=8, bias=bias), seed=0)


def a_run(folder: Path, **settings: Any) -> None:
    tokenizer = mg.CharTokenizer.train("to be or not", special_tokens=["<|end|>"])
    tokens = RUN_TOKENS % tokenizer.vocab_size
    config = mg.TrainerConfig(
        4, batch_size=2, checkpoint_dir=folder, checkpoint_interval=2, eval_interval=2,
        progress=False, workers=1, **settings,
    )  # fmt: skip
    model = tiny(tokenizer.vocab_size, bias=False)
    mg.Trainer(model, tokens, tokens, config, tokenizer=tokenizer).fit()
    (folder / "run.lock").unlink(missing_ok=True)


def a_run_of_small_files(folder: Path) -> None:
    """Three checkpoints of few arrays: they are read a hundred thousand times."""
    a_run(folder, optimizer="sgd", momentum=0.0, log_interval=9)


def its_last_checkpoint(folder: Path) -> None:
    a_run(folder)
    *others, _ = sorted(folder.glob("step-*.npz"))
    for path in [*others, *folder.glob("best*.npz")]:
        path.unlink()


def a_checkpoint(folder: Path) -> None:
    trainer = mg.Trainer(
        tiny(262), np.arange(60) % 9, None, mg.TrainerConfig(1, progress=False, workers=1),
        tokenizer=mg.BPETokenizer.train("aab" * 9, 258, progress=False),
    )  # fmt: skip
    trainer.save(folder / "one.npz")


def an_lstm(folder: Path) -> None:
    model = mg.models.LSTMLanguageModel(mg.models.LSTMConfig(9, 4, 8))
    config = mg.TrainerConfig(1, block_size=4, progress=False, workers=1)
    mg.Trainer(model, np.arange(60) % 9, None, config).save(folder / "one.npz")


def adapters(folder: Path) -> None:
    model = tiny()
    mg.nn.add_lora(model, rank=2)
    save_lora(folder / "adapters.npz", model)


def house_bpe(folder: Path) -> None:
    byte_pairs().save(folder / "tokenizer.json")


def house_characters(folder: Path) -> None:
    tokenizer = mg.CharTokenizer.train("the cat", unknown_token="?", special_tokens=["<|end|>"])
    tokenizer.save(folder / "tokenizer.json")


def published(folder: Path) -> None:
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer_json(byte_pairs())))


def published_folder(folder: Path) -> None:
    published(folder)
    special = {"content": "<|end|>", "lstrip": False, "rstrip": False, "special": True}
    config = {
        "tokenizer_class": "GPT2Tokenizer", "eos_token": special, "bos_token": "<|end|>",
        "add_bos_token": True, "added_tokens_decoder": {"261": special},
        "chat_template": "{% for m in messages %}{{ m['content'] }}{% endfor %}",
    }  # fmt: skip
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    (folder / "special_tokens_map.json").write_text(json.dumps({"eos_token": "<|end|>"}))
    (folder / "added_tokens.json").write_text(json.dumps({"<|end|>": 261}))


def vocab_and_merges(folder: Path) -> None:
    byte_pairs().to_gpt2(folder)


def a_llama() -> mg.GPT:
    return mg.GPT(mg.GPTConfig.llama(9, 8, n_layer=1, n_head=2, n_embd=8, n_kv_head=1, n_inner=16))


def as_gpt2(folder: Path) -> None:
    tiny().save_pretrained(folder)


def as_llama(folder: Path) -> None:
    a_llama().save_pretrained(folder)
    (folder / "generation_config.json").write_text('{"do_sample": true, "eos_token_id": [2]}')


def in_shards(folder: Path) -> None:
    """The weights of ``as_llama`` in two files, and the index that tells which is where."""
    as_llama(folder)
    whole = mg.interop.SafetensorsFile(folder / "model.safetensors", memory_map=False)
    names = sorted(whole.tensors)
    index: dict[str, Any] = {"metadata": {"total_size": 0}, "weight_map": {}}
    for i, part in enumerate((names[::2], names[1::2]), start=1):
        file = f"model-{i:05}-of-00002.safetensors"
        mg.interop.write_safetensors(
            folder / file, {n: whole.read(n) for n in part}, {"format": "pt"}
        )
        index["weight_map"] |= dict.fromkeys(part, file)
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def gguf_of(model: mg.GPT, architecture: str, kind: str) -> Callable[[Path], Any]:
    return lambda folder: (folder / "model.gguf").write_bytes(model_file(model, architecture, kind))


def token_file(folder: Path) -> None:
    write_tokens(folder / "tokens.npy", range(300), vocab_size=300)


def wide_token_file(folder: Path) -> None:
    write_tokens(folder / "tokens.npy", range(300), vocab_size=100_000)


def raw_tokens(folder: Path) -> None:
    (folder / "tokens.bin").write_bytes(np.arange(300, dtype="<u2").tobytes())


def records(folder: Path) -> None:
    history = mg.History()
    for step in range(1, 6):
        history.steps.append({"step": step, "loss": 1.0 / step, "elapsed": 0.1})
    history.evaluations.append({"step": 5, "elapsed": 0.2, "val_loss": 0.5})
    history.write(folder / "history.jsonl")


def wishes(folder: Path) -> None:
    wish = {
        "do_sample": True, "temperature": 0.7, "top_k": 5, "top_p": 0.9, "eos_token_id": [2, 3],
        "repetition_penalty": 1.1, "max_new_tokens": 20, "bos_token_id": 1, "num_beams": 1,
    }  # fmt: skip
    (folder / "generation_config.json").write_text(json.dumps(wish))


# ── how they are loaded, and used ─────────────────────────────────────────────────────────────


def the_file(folder: Path, pattern: str) -> Path:
    return next(iter(sorted(folder.glob(pattern))), folder / pattern.replace("*", "x"))


def read_on(model: Any) -> None:
    """Four tokens are read: whatever was loaded is of one piece."""
    with warnings.catch_warnings(), np.errstate(all="ignore"), mg.no_grad():
        warnings.simplefilter("ignore")  # weights that are NaN
        vocab_size = model.config.vocab_size
        n_tokens = min(4, getattr(model.config, "block_size", None) or 4)
        logits = model(np.arange(n_tokens)[None] % vocab_size)
        assert logits.shape == (1, n_tokens, vocab_size)


def load_run(folder: Path) -> None:
    for best in (False, True):
        model, tokenizer = mg.load_model(folder, best)
        read_on(model)
        if tokenizer is not None:
            assert tokenizer.decode(tokenizer.encode("", allowed_special="all")) == ""


def load_one(folder: Path) -> None:
    read_on(mg.load_model(folder / "one.npz").model)


def resume(folder: Path) -> None:
    tokens = RUN_TOKENS % 8  # the vocabulary of a_run
    mg.Trainer.resume(folder, tokens, tokens, progress=False)


def load_adapters(folder: Path) -> None:
    model = tiny()
    load_lora(folder / "adapters.npz", model)
    read_on(model)


def load_tokenizer(path: Path) -> None:
    tokenizer = mg.load_tokenizer(path)
    try:
        ids = tokenizer.encode("the cat")
        tokenizer.decode(ids)
        tokenizer.leading_ids if isinstance(tokenizer, mg.BPETokenizer) else ()
    except ValueError:
        pass  # a vocabulary may lack a letter, and says so


def load_pretrained(path: Path) -> None:
    read_on(mg.GPT.from_pretrained(path))


def load_tokens(folder: Path) -> None:
    tokens = open_tokens(the_file(folder, "tokens.*"))
    assert tokens.dtype.kind == "u" and int(tokens.sum(dtype=np.int64)) >= 0


LOADERS = {
    "run": Loader(
        (a_run_of_small_files,), load_run, (CheckpointError,), ("best.npz", "step-00000004.npz")
    ),
    "resume": Loader((its_last_checkpoint,), resume, (CheckpointError, ValueError)),
    "checkpoint": Loader((a_checkpoint, an_lstm), load_one, (CheckpointError,)),
    "adapters": Loader((adapters,), load_adapters, (CheckpointError,)),
    "house_tokenizer": Loader(
        (house_bpe, house_characters),
        lambda folder: load_tokenizer(folder / "tokenizer.json"),
        (TokenizerFileError,),
    ),
    "tokenizer_json": Loader(
        (published,),
        lambda folder: load_tokenizer(folder / "tokenizer.json"),
        (TokenizerFileError,),
    ),
    "tokenizer_folder": Loader((published_folder,), load_tokenizer, (TokenizerFileError,)),
    "vocab_and_merges": Loader((vocab_and_merges,), load_tokenizer, (TokenizerFileError,)),
    "config": Loader((as_gpt2, as_llama), load_pretrained, (PretrainedError,), ("config.json",)),
    "safetensors": Loader(
        (as_gpt2, as_llama), load_pretrained, (PretrainedError,), ("model.safetensors",)
    ),
    "index": Loader((in_shards,), load_pretrained, (PretrainedError,)),
    "gguf": Loader(
        (gguf_of(llama(), "llama", "Q4_0"), gguf_of(gpt2(), "gpt2", "F16")),
        lambda folder: load_pretrained(folder / "model.gguf"),
        (PretrainedError,),
    ),
    "generation_config": Loader(
        (wishes,),
        mg.sampling.SamplingConfig.from_generation_config,
        (PretrainedError,),
    ),
    "tokens": Loader((token_file, wide_token_file, raw_tokens), load_tokens, (TokenFileError,)),
    "history": Loader((records,), mg.History.read, (ValueError,)),
}


@lru_cache
def sound_folders(name: str) -> tuple[Folder, ...]:
    """The sound files of a loader, written once."""
    import tempfile

    folders = []
    for write in LOADERS[name].sound:
        with tempfile.TemporaryDirectory() as made:
            write(Path(made))
            folders.append({p.name: p.read_bytes() for p in Path(made).iterdir() if p.is_file()})
    return tuple(folders)
