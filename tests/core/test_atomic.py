"""The whole old file or the whole new one; and nothing is left by those who were killed."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from minigpt import atomic
from minigpt.atomic import replacing
from minigpt.datasets.errors import TextError

ROOT = Path(__file__).parents[2]


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def write(path: Path, content: bytes = b"new") -> None:
    with replacing(path) as file:
        file.write(content)


def start_writing(path: Path) -> subprocess.Popen[str]:
    """Another process, in the midst of writing the file; it is through after a line on stdin."""
    source = f"""
        from pathlib import Path
        from minigpt.atomic import replacing
        with replacing(Path({str(path)!r})) as file:
            file.write(b"theirs")
            file.flush()
            print("writing", flush=True)
            input()
    """
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(source)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "writing\n"
    return process


@pytest.mark.parametrize("name", ["a.bin", "another.bin"])
def test_what_a_killed_process_left_goes_with_the_next_write(tmp_path: Path, name: str) -> None:
    process = start_writing(tmp_path / "a.bin")
    assert len(names(tmp_path)) == 1
    process.kill()
    process.wait()
    assert len(names(tmp_path)) == 1
    write(tmp_path / name)
    assert names(tmp_path) == {name}


def test_what_another_process_is_writing_stays(tmp_path: Path) -> None:
    process = start_writing(tmp_path / "theirs.bin")
    for _ in range(3):
        write(tmp_path / "ours.bin")
    process.communicate("go on\n")
    assert process.returncode == 0
    assert names(tmp_path) == {"ours.bin", "theirs.bin"}
    assert (tmp_path / "theirs.bin").read_bytes() == b"theirs"


def test_what_this_process_is_writing_stays(tmp_path: Path) -> None:
    with replacing(tmp_path / "a.bin") as file:
        write(tmp_path / "b.bin")
        file.write(b"first")
    assert (tmp_path / "a.bin").read_bytes() == b"first"


def test_an_error_names_the_file_that_was_meant_and_a_mend(tmp_path: Path, monkeypatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", lambda *_: os.open(tmp_path / "no" / "such", os.O_RDONLY))
        with pytest.raises(FileNotFoundError, match="such"):  # of another file: as it came
            write(tmp_path / "a.bin")
    full = OSError(errno.ENOSPC, "No space left on device")
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(full))
    with pytest.raises(
        OSError, match=r"is kept: make room on that disk, or name another"
    ) as caught:
        write(tmp_path / "a.bin")
    assert (caught.value.errno, caught.value.filename) == (28, str(tmp_path / "a.bin"))
    assert not names(tmp_path)


def test_an_error_of_what_is_written_stays_what_it_is(tmp_path: Path) -> None:
    error = TextError("latin.txt is not UTF-8")
    with pytest.raises(TextError) as caught, replacing(tmp_path / "a.bin"):
        raise error
    assert caught.value is error


def test_other_files_stay(tmp_path: Path) -> None:
    others = {".a.0123abcd.tmp", "a.0123abcd.minigpt-tmp", ".a.minigpt-tmp", ".a.xyz.minigpt-tmp"}
    for name in others:
        (tmp_path / name).write_bytes(b"half")
    write(tmp_path / "a.bin")
    assert names(tmp_path) == others | {"a.bin"}


def test_where_there_are_no_locks_only_old_files_are_abandoned(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(atomic, "hold", lambda file: None)
    young, old = (tmp_path / f".a.{n}{n}{n}{n}{n}{n}{n}{n}.minigpt-tmp" for n in "12")
    for path in (young, old):
        path.write_bytes(b"half")
    os.utime(old, (0, 0))
    write(tmp_path / "a.bin")
    assert names(tmp_path) == {young.name, "a.bin"}
