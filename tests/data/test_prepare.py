"""The script that makes token files."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from minigpt.datasets import load_text, open_tokens, split_point, train_val_split
from minigpt.datasets.corpora import text as text_module
from minigpt.tokenizers import BPETokenizer, CharTokenizer, load_tokenizer

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "data" / "prepare.py"
TEXT = "Tomorrow, and tomorrow, and tomorrow — é漢😀\n" * 50


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("prepare", SCRIPT)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(autouse=True)
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "macbeth.txt"
    path.write_bytes(TEXT.encode())
    return path


def run(script: ModuleType, *arguments: Any) -> int:
    """The script's exit code, however it ends."""
    try:
        return int(script.main([str(argument) for argument in arguments]))
    except SystemExit as stop:
        assert isinstance(stop.code, int)
        return stop.code


def check(folder: Path, text: str, val_fraction: float) -> None:
    """The files are what encoding and splitting the whole text in memory gives."""
    assert sorted(os.listdir(folder)) == ["tokenizer.json", "train.npy", "val.npy"]
    tokenizer = load_tokenizer(folder / "tokenizer.json")
    assert tokenizer == CharTokenizer.train(text)
    train, val = train_val_split(tokenizer.encode(text), val_fraction)
    assert np.array_equal(open_tokens(folder / "train.npy"), train)
    assert np.array_equal(open_tokens(folder / "val.npy"), val)


@pytest.mark.parametrize("chunk", [1, 7, 1 << 20])
@pytest.mark.parametrize("fraction", [0.1, 0.5, 0.93])
def test_a_file(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int, fraction: float
) -> None:
    monkeypatch.setattr(text_module, "MAX_READ_BYTES", chunk)
    out = tmp_path / "out"
    code = run(script, "macbeth.txt", "--output", out, "--val-fraction", fraction, "--quiet")
    assert code == 0
    check(out, TEXT, fraction)


def test_the_output_has_the_name_of_the_text(
    script: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(script, "macbeth.txt") == 0
    check(tmp_path / "prepared" / "macbeth", TEXT, 0.1)
    out, err = capsys.readouterr()
    tokens = len(TEXT)
    assert f"{tokens * 9 // 10:,} training tokens, {tokens // 10:,} validation tokens" in out
    assert "reading" in err and "encoding" in err  # the progress bars


def test_quiet_is_quiet(script: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(script, "macbeth.txt", "--quiet") == 0
    assert capsys.readouterr() == ("", "")


def test_a_folder(script: ModuleType, tmp_path: Path) -> None:
    folder = tmp_path / "texts"
    (folder / "deep").mkdir(parents=True)
    (folder / "b.txt").write_bytes(b"second\r\n")
    (folder / "deep" / "c.txt").write_bytes(b"third")
    (folder / "a.md").write_bytes(b"first")
    (folder / "d.png").write_bytes(b"\xff")
    code = run(script, folder, "--suffix", ".txt", "--suffix", ".md", "--quiet")
    assert code == 0
    check(tmp_path / "prepared" / "texts", "first\nsecond\nthird\n", 0.1)


def test_a_corpus(script: ModuleType, tmp_path: Path) -> None:
    assert run(script, "python-docs", "--quiet") == 0
    check(tmp_path / "prepared" / "python-docs", load_text("python-docs"), 0.1)


@pytest.mark.parametrize("special", ["refuse", "text", "token"])
def test_tokens_of_a_published_model(
    script: ModuleType, source: Path, tmp_path: Path, special: str, capsys: Any
) -> None:
    end, text = "<|endoftext|>", TEXT * 9
    published = BPETokenizer.train(TEXT, 280, [end], progress=False)
    published.to_gpt2(tmp_path / "model")
    source.write_text(f"{text}{end}{text}", encoding="utf-8")
    arguments = ("macbeth.txt", "--tokenizer", "model", "--special", special, "--quiet")
    if special == "refuse":
        assert run(script, *arguments) == 2
        assert f"{end!r} at position {len(text):,}, which is not" in capsys.readouterr().err
        assert not (tmp_path / "prepared" / "macbeth").exists()
        return
    assert run(script, *arguments) == 0
    folder = tmp_path / "prepared" / "macbeth"
    assert load_tokenizer(folder / "tokenizer.json") == published
    parts = [open_tokens(folder / name).tolist() for name in ("train.npy", "val.npy")]
    cut = split_point(len(text) * 2 + len(end), 0.1)
    whole = f"{text}{end}{text}"
    options: Any = {"text": {"disallowed_special": ()}, "token": {"allowed_special": "all"}}
    assert parts == [published.encode(p, **options[special]) for p in (whole[:cut], whole[cut:])]


def test_an_unknown_token(script: ModuleType) -> None:
    assert run(script, "macbeth.txt", "--unknown-token", "<unk>", "--output", "o", "--quiet") == 0
    tokenizer = load_tokenizer("o/tokenizer.json")
    assert isinstance(tokenizer, CharTokenizer) and tokenizer.unknown_token == "<unk>"


def test_files_are_replaced_only_when_asked(
    script: ModuleType, tmp_path: Path, source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert run(script, source, "--output", out, "--quiet") == 0
    source.write_text("another text, " * 9, encoding="utf-8")
    assert run(script, source, "--output", out, "--quiet") == 2
    assert (
        "already holds train.npy, val.npy, tokenizer.json: pass --over" in capsys.readouterr().err
    )
    check(out, TEXT, 0.1)
    assert run(script, source, "--output", out, "--quiet", "--overwrite") == 0
    check(out, "another text, " * 9, 0.1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "the following arguments are required: text"),
        (["absent.txt"], "'absent.txt' is n"),
        (["shakespear"], "did you mean 'shakespeare'?"),
        (["macbeth.txt", "--val-fraction", "0"], "must be between 0 and 1"),
        (["macbeth.txt", "--val-fraction", "nan"], "must be between 0 and 1"),
        (["macbeth.txt", "--val-fraction", "ten"], "invalid float value: 'ten'"),
        (["macbeth.txt", "--val-fraction", "1e-17"], "leave no validation part"),
        (["macbeth.txt", "--tokenizer", "words"], "there is no folder 'words', and no model"),
        (["macbeth.txt", "--tokenizer", "empty.txt"], "empty.txt is not a tokenizer's file"),
        (["macbeth.txt", "--tokenizer", "folder"], "folder has neither tokenizer.json nor vocab"),
        (["macbeth.txt", "--tokenizer", "gpt2", "--vocab-size", "9"], "--vocab-size is of byte"),
        (
            ["macbeth.txt", "--tokenizer", "gpt2", "--unknown-token", "<u>"],
            "--unknown-token is for",
        ),
        (["macbeth.txt", "--special", "no"], "invalid choice: 'no'"),
        (["macbeth.txt", "--suffix", ".txt"], "suffixes are for folders"),
        (["macbeth.txt", "--frobnicate"], "unrecognized arguments: --frobnicate"),
        (["macbeth.txt", "--output", "macbeth.txt"], "is a file: name a folder"),
        (["macbeth.txt", "--unknown-token", "T"], "got 'T'; it is one of the characters"),
        (["folder", "--output", "folder/out"], "is inside folder: name a folder outside"),
        (["folder"], "folder holds no files"),
        (["empty.txt"], "empty.txt holds no text: it is empty"),
        (["latin.txt"], "latin.txt is not UTF-8: byte 0xe9 at offset 3"),
        (["short.txt"], "leave no"),
        (["x" * 300], "text must be a path of names of at most 255 bytes: got 'xxx"),
        (["a\0b"], "text must be a path without NUL characters"),
        (["macbeth.txt", "--output", "x" * 300], "output must be a path of names of at most"),
        (["macbeth.txt", "--tokenizer", "x" * 300], "tokenizer must be a path of names of at"),
        ([""], "text is empty: name a file, a folder or one of python-docs"),
    ],
)
def test_wrong_arguments_get_one_line(
    script: ModuleType,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "empty.txt").write_bytes(b"")
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9")
    (tmp_path / "short.txt").write_bytes(b"x")
    before = sorted(path for path in tmp_path.rglob("*") if path.is_file())
    assert run(script, *arguments, *(["--quiet"] if arguments else [])) == 2
    out, err = capsys.readouterr()
    assert out == "" and message in err
    assert err.startswith("prepare.py: error: ") and err.count("\n") == 1
    assert sorted(path for path in tmp_path.rglob("*") if path.is_file()) == before


@pytest.mark.parametrize("stop_at", ["reading", "encoding"])
@pytest.mark.parametrize(
    ("stop", "code", "line"),
    [
        (KeyboardInterrupt(), 130, "prepare.py: stopped, nothing was written\n"),
        (OSError(28, "No space left on device"), 1, "No space left on device"),
    ],
)
def test_a_run_that_is_stopped_leaves_the_old_files(
    script: ModuleType,
    tmp_path: Path,
    source: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    stop_at: str,
    stop: BaseException,
    code: int,
    line: str,
) -> None:
    out = tmp_path / "out"
    assert run(script, source, "--output", out, "--quiet") == 0
    original = script.progress

    def interrupted(pieces: Any, what: str, *rest: Any) -> Any:
        yield from original(pieces, what, *rest)
        if what == stop_at:
            raise stop

    monkeypatch.setattr(script, "progress", interrupted)
    source.write_text("other", encoding="utf-8")
    assert run(script, source, "--output", out, "--quiet", "--overwrite") == code
    assert line in capsys.readouterr().err
    check(out, TEXT, 0.1)


def test_a_text_that_changes_meanwhile(
    script: ModuleType, source: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    original = script.split_point

    def grow(*arguments: Any) -> int:
        source.write_bytes(TEXT.encode() + b"T")
        return int(original(*arguments))

    monkeypatch.setattr(script, "split_point", grow)
    assert run(script, source, "--output", "out", "--quiet") == 2
    assert "macbeth.txt changed while it was read" in capsys.readouterr().err
    assert not Path("out").exists()


def test_as_a_command(tmp_path: Path) -> None:
    def command(*arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1"}
        return subprocess.run(
            [sys.executable, str(SCRIPT), *arguments],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    done = command("macbeth.txt")
    assert done.returncode == 0 and "validation tokens" in done.stdout
    check(tmp_path / "prepared" / "macbeth", TEXT, 0.1)
    wrong = command("absent.txt")
    assert wrong.returncode == 2 and wrong.stderr.count("\n") == 1
    assert "Traceback" not in wrong.stderr
