"""Files that are read to their end: no folder, no pipe, no device, and no waiting."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import minigpt as mg
from minigpt.json_files import read_bytes
from minigpt.regular_files import open_regular, read_now

KERNEL_LOG = Path("/proc/kmsg")  # it waits for messages, and says that it is a regular file
READ = """
import sys
from pathlib import Path
from minigpt.datasets import load_text, open_tokens
from minigpt.tokenizers import load_tokenizer
for read in (load_text, open_tokens, load_tokenizer, lambda path: load_text(Path(path).parent)):
    try:
        read(sys.argv[1])
    except (OSError, ValueError) as error:
        print(str(error))
"""


def test_a_file_and_what_is_none(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    with open_regular(tmp_path / "a") as file:
        assert [read_now(file, 2), read_now(file, 2), read_now(file, 2)] == [b"ab", b"c", b""]
    with pytest.raises(ValueError, match="it is not a regular file"):
        open_regular(tmp_path)
    with pytest.raises(FileNotFoundError):
        open_regular(tmp_path / "b")


def test_what_has_nothing_to_read_now() -> None:
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    with open(reading, "rb") as file, pytest.raises(ValueError, match="it has nothing to read now"):
        read_now(file, 5)
    os.close(writing)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names here")
@pytest.mark.parametrize("kind", ["pipe", "device", "kernel log"])
def test_no_reader_waits_for_ever(kind: str, tmp_path: Path) -> None:
    path: Any = {"pipe": tmp_path / "pipe", "device": "/dev/zero", "kernel log": KERNEL_LOG}[kind]
    if kind == "pipe":
        os.mkfifo(path)
    elif not os.access(path, os.R_OK):
        pytest.skip(f"{path} cannot be read here")
    program = READ
    if kind != "pipe":  # not all of /dev
        program = READ.replace(", lambda path: load_text(Path(path).parent)", "")
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    command = [sys.executable, "-c", program, str(path)]
    done = subprocess.run(command, env=environment, capture_output=True, timeout=120, check=True)
    lines = done.stdout.decode().splitlines()
    assert len(lines) == (4 if kind == "pipe" else 3), lines
    assert all(str(tmp_path if kind == "pipe" else path) in line for line in lines)


def test_a_file_that_grew(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    with pytest.raises(ValueError, match="it has 3 bytes, 2 are the most"):
        read_bytes(tmp_path / "a", 2)


def test_a_file_that_is_not_there_is_named_in_a_sentence(tmp_path: Path) -> None:
    gguf = str(tmp_path / "nope.gguf")
    for read in (
        lambda: mg.load_tokenizer(tmp_path / "nope"),
        lambda: mg.load_tokenizer(gguf),
        lambda: mg.GPT.from_pretrained(gguf),
        lambda: mg.History.read(tmp_path / "nope"),
    ):
        with pytest.raises(
            FileNotFoundError, match=r"^there is no (file|history) \S+nope"
        ) as caught:
            read()
        assert "Errno" not in str(caught.value)
