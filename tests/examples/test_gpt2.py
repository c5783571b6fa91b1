"""examples/gpt2.py with a tiny GPT-2 of its own folder, and one line for whatever is missing."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

import minigpt as mg
from tests.tokenizers.files.written import tokenizer_json

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
TEXT = "to be or not to be, that is the question\n" * 20


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a model that has learned to write TEXT, and of its tokenizer."""
    tokenizer = mg.BPETokenizer.train(TEXT, 270, ["<|endoftext|>"], progress=False)
    model = mg.GPT(mg.GPTConfig(270, block_size=16, n_layer=1, n_head=2, n_embd=32), seed=0)
    settings = mg.TrainerConfig(
        max_steps=60, batch_size=8, learning_rate=1e-2, progress=False, workers=1
    )
    ended = tokenizer.encode_array(TEXT + "<|endoftext|>", allowed_special="all")
    mg.Trainer(model, ended, None, settings).fit()
    folder = tmp_path_factory.mktemp("trained")
    model.save_pretrained(folder, tokenizer)
    return folder


@pytest.fixture(autouse=True)
def folder(trained: Path, folder: Path) -> Path:
    """A copy of it in ``tiny``, where the script is run."""
    return Path(shutil.copytree(trained, folder / "tiny"))


@pytest.fixture
def run(run: Any) -> Any:
    """The script, or another one, with these arguments."""
    return lambda *arguments, script="gpt2": run(script, "", *arguments)


def test_one_text_several_texts_and_the_same_with_the_same_seed(run):
    greedy = run("--model", "tiny", "--prompt", "to be", "--tokens", "12", "--temperature", "0")
    code, out, err = greedy
    assert (code, err) == (0, "") and out.startswith("to be or not to be, tha")
    several = ("--model", "tiny", "--prompt", "to", "--samples", "2", "--seed", "3")
    code, out, _ = run(*several)
    assert code == 0 and "── sample 1 " in out and "── sample 2 " in out
    assert run(*several)[1] == out
    assert run(*several[:-1], "4")[1] != out


def test_the_end_of_a_text_ends_it(run, folder, monkeypatch):
    original, seen = mg.Sampler.stream, {}

    def stream(self, prompt, **options):
        seen.update(options)
        return original(self, prompt, **options)

    monkeypatch.setattr(mg.Sampler, "stream", stream)
    assert run("--model", "tiny", "--tokens", "1")[0] == 0
    tokenizer = mg.BPETokenizer.from_gpt2(folder / "vocab.json", folder / "merges.txt")
    assert list(seen["stop_tokens"]) == [tokenizer.special_tokens["<|endoftext|>"]]


def missing_tokenizer(folder: Path) -> None:
    (folder / "merges.txt").unlink()


def damaged(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1])


def no_extra(folder: Path) -> None:
    folder.rename("elsewhere")


@pytest.mark.parametrize(
    ("model", "happens", "code", "message"),
    [
        ("gpt3", None, 2, "there is no folder 'gpt3', and no model has that name"),
        ("tiny", missing_tokenizer, 2, "tiny has neither tokenizer.json nor merges.txt"),
        ("tiny", damaged, 2, "model.safetensors: its header tells of"),
        ("gpt2", no_extra, 1, 'pip install "minigpt[hf]"'),
    ],
)
def test_whatever_is_wrong_is_one_line(run, folder, monkeypatch, model, happens, code, message):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    if happens is not None:
        happens(folder)
    found, out, err = run("--model", model)
    assert (found, out) == (code, "")
    assert err.startswith("gpt2.py: error: ") and err.count("\n") == 1 and message in err


@pytest.fixture
def only_tokenizer_json(folder: Path) -> Path:
    """The folder as Transformers 5 writes it."""
    tokenizer = mg.load_tokenizer(folder)
    assert isinstance(tokenizer, mg.BPETokenizer)
    for name in ("vocab.json", "merges.txt"):
        (folder / name).unlink()
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer_json(tokenizer)))
    config = {"tokenizer_class": "GPT2Tokenizer", "pad_token": "<pad>", "add_prefix_space": False}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return folder


def test_a_folder_with_tokenizer_json_only(run, folder, monkeypatch, request):
    arguments = ("--model", "tiny", "--prompt", "to be", "--tokens", "5", "--seed", "1")
    expected = run(*arguments)
    request.getfixturevalue("only_tokenizer_json")
    assert run(*arguments) == expected and expected[0] == 0


def test_evaluate_with_tokenizer_json_only_and_a_special_token_in_the_text(
    only_tokenizer_json, run
):
    Path("text.txt").write_text(f"{TEXT}<|endoftext|>{TEXT}")
    counts = {}
    for special in ("refuse", "text", "token"):
        arguments = ["--gpt2", "tiny", "--data", "text.txt", "--quiet", "--special", special]
        code, out, err = run(*arguments, script="evaluate")
        assert code == (2 if special == "refuse" else 0)
        counts[special] = int(out.split()[1].replace(",", "")) if out else err
    assert "'<|endoftext|>' at position 820, which is not allowed" in counts["refuse"]
    assert counts["text"] > counts["token"] + 5
