"""The scripts that learn byte pairs and train on them, as a user calls them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import minigpt as mg

ROOT = Path(__file__).resolve().parents[2]
TEXT = "to be or not to be, that is the question\n是生存还是毁灭\n" * 50
SMALL = "--n-layer 1 --n-head 2 --n-embd 8 --block-size 8 --workers 1 --quiet"


@pytest.fixture(autouse=True)
def text(folder: Path) -> None:
    Path("text.txt").write_text(TEXT, encoding="utf-8")


def test_train_tokenizer(run):
    arguments = "--data text.txt --vocab-size 270 --special <e> --sentence be是<e>"
    code, out, err = run("train_tokenizer", arguments)
    assert code == 0 and "merging" in err
    assert "text.txt: 270 tokens learned in" in out
    tokenizer = mg.load_tokenizer("tokenizer.json")
    learned_from = TEXT[: int(0.9 * len(TEXT))]
    assert tokenizer == mg.BPETokenizer.train(learned_from, 270, ["<e>"], progress=False)
    made = [a + b for a, b in tokenizer.merges]
    assert "the first merges make  " + "|".join(t.decode() for t in made[:3] if t.isascii()) in out
    held_out = TEXT[len(learned_from) :]
    ratio = len(held_out.encode()) / len(tokenizer.encode(held_out))
    assert re.search(rf"^ +256  1\.00\n +270  {ratio:.2f}$", out, re.MULTILINE)
    shown = [tokenizer.vocab[i] for i in tokenizer.encode("be是<e>", "all")]
    assert shown[-1] == b"<e>" and "\nbe是<e>\n   270: " in out and out.count("|<e>\n") == 1


def test_train_tokenizer_shows_bytes_that_are_no_character(run):
    arguments = "--data text.txt --vocab-size 256 --sentence 猫 --quiet --output t.json"
    code, out, err = run("train_tokenizer", arguments)
    assert (code, err) == (0, "") and "\n猫\n   256: ⟨e7⟩|⟨8c⟩|⟨ab⟩\n" in out


def test_a_text_with_too_few_pairs_is_one_line(run):
    arguments = "--data text.txt --vocab-size 5000 --quiet"
    code, out, err = run("train_tokenizer", arguments)
    assert code == 0 and err.count("\n") == 1
    assert err.startswith("train_tokenizer.py: the vocabulary has ")
    arguments = "text.txt --tokenizer bpe --output o --quiet"
    code, out, err = run("prepare", arguments)
    assert (code, out) == (0, "") and err.count("\n") == 1
    assert err.startswith("prepare.py: the vocabulary has ")


def test_train_evaluate_generate(run):
    arguments = f"--data text.txt {SMALL} --steps 4 --tokenizer bpe --vocab-size 264 --output r"
    code, out, err = run("train", arguments)
    assert (code, err) == (0, "") and "step 4: validation loss" in out
    _, tokenizer = mg.load_model("r")
    assert tokenizer == mg.BPETokenizer.train(TEXT, 264, progress=False)
    n_tokens = len(tokenizer.encode(TEXT))
    cut = int(0.9 * n_tokens)
    assert f"{cut:,} tokens to train on, {n_tokens - cut:,} held out" in out

    code, out, _ = run("train", "--resume --data text.txt --output r --steps 5 --quiet")
    assert code == 0 and "step 5: validation loss" in out
    code, out, _ = run("evaluate", "--checkpoint r --data text.txt --quiet")
    assert code == 0 and f"{n_tokens - cut - 1:,} predicted" in out and "bits per byte" in out
    code, out, _ = run("generate", "--checkpoint r --tokens 20 --seed 0 --prompt 是漢")
    assert code == 0 and out.startswith("是漢")


def test_prepared_byte_pairs(run):
    arguments = "text.txt --tokenizer bpe --vocab-size 270 --output p"
    code, out, err = run("prepare", arguments)
    assert code == 0 and "270 in the vocabulary: p" in out
    assert err.count("reading") >= 1 and "merging" in err and "encoding" in err
    code, out, err = run("train", f"--data p {SMALL} --steps 2 --output r")
    assert (code, err) == (0, "")
    assert mg.load_model("r")[1] == mg.BPETokenizer.train(TEXT, 270, progress=False)


@pytest.mark.parametrize(
    ("script", "arguments", "message"),
    [
        ("train", "--vocab-size 300", "--vocab-size is of byte pairs: add --tokenizer"),
        ("train", "--tokenizer char --vocab-size 300", "--vocab-size is of byte pairs"),
        ("train", "--tokenizer bpe --vocab-size 255", "an integer of at least 256"),
        ("train", "--tokenizer words", "invalid choice: 'words'"),
        ("train", "--resume --tokenizer bpe", "--tokenizer belongs to the run"),
        ("train", "--data p --tokenizer bpe", "p has its tokenizer already: leave"),
        ("train_tokenizer", "--data none", "'none' is n"),
        ("train_tokenizer", "--data text.txt --output p", "p is a folder: name a file"),
        ("train_tokenizer", "--data text.txt --pattern (", "nor a regular expression"),
        ("train_tokenizer", "--data text.txt --special e", "'e' is an ordinary token"),
        ("train_tokenizer", "--vocab-size 9", "an integer of at least 256"),
        ("prepare", "text.txt --vocab-size 300", "--vocab-size is of byte pairs: add --t"),
        ("prepare", "text.txt --tokenizer bpe --vocab-size 9", "must be at least 256"),
        ("prepare", "text.txt --tokenizer bpe --unknown-token x", "know every character"),
    ],
)
def test_wrong_arguments_get_one_line(run, script, arguments, message):
    Path("p").mkdir()
    Path("p/train.npy").touch()
    code, out, err = run(script, arguments)
    assert (code, out) == (2, "")
    assert err.startswith(f"{script}.py: error: ") and message in err
    assert err.count("\n") == 1 and err.endswith("\n")
