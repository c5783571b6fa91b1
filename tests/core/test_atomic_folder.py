"""Several files replaced together: all of them, or none."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from minigpt.atomic_folder import replacing_files

NAMES = ["a.json", "b.txt"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.json", "stale.json", "other"):
        (tmp_path / name).write_text(f"old {name}")
    return tmp_path


def content(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


def write(folder: Path, gone: Any = ("stale.json", "never.json")) -> None:
    with replacing_files(folder, NAMES, gone) as files:
        for name, file in files.items():
            file.write(f"new {name}".encode())


def test_new_files_and_nothing_that_contradicts_them(folder: Path) -> None:
    write(folder)
    assert content(folder) == {"a.json": "new a.json", "b.txt": "new b.txt", "other": "old other"}


@pytest.mark.parametrize("failing", ["os.fsync", "os.replace"])
@pytest.mark.parametrize("call", range(5))
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_after_an_error_the_folder_is_what_it_was(
    folder: Path, monkeypatch: pytest.MonkeyPatch, failing: str, call: int, error: BaseException
) -> None:
    before, calls = content(folder), [0]
    real = getattr(os, failing.split(".")[1])

    def fail(*arguments: Any) -> Any:
        calls[0] += 1
        if calls[0] == call + 1:
            raise error
        return real(*arguments)

    monkeypatch.setattr(failing, fail)
    if call >= (2 if failing == "os.fsync" else 4):  # it is not called so often
        write(folder)
        return
    with pytest.raises(type(error)) as caught:
        write(folder)
    assert content(folder) == before
    if isinstance(error, OSError):
        assert "No space left on device), what was there is kept" in str(caught.value)


def test_an_error_while_writing(folder: Path) -> None:
    before = content(folder)
    with pytest.raises(ZeroDivisionError), replacing_files(folder, NAMES) as files:
        files["a.json"].write(b"half")
        raise ZeroDivisionError
    assert content(folder) == before


def test_a_folder_in_the_way_and_one_that_is_not_there(folder: Path) -> None:
    (folder / "b.txt").mkdir()
    with pytest.raises(IsADirectoryError, match=r"b\.txt"):
        write(folder)
    assert (folder / "a.json").read_text() == "old a.json"
    with pytest.raises(FileNotFoundError, match="does not exist: make it first"):
        write(folder / "nowhere")
