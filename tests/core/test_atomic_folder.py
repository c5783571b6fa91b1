"""Several files replaced together: all of them, or none."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from minigpt.atomic import replacing
from minigpt.atomic_folder import replacing_files

NAMES = ["a.json", "b.txt"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.json", "stale.json", "other"):
        (tmp_path / name).write_text(f"old {name}")
    return tmp_path


def content(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


def write(folder: Path, stale: Any = ("stale.*", "never.json")) -> None:
    with replacing_files(folder, last="a.json", stale=stale) as new:
        for name in NAMES:
            with replacing(new / name) as file:
                file.write(f"new {name}".encode())


def test_new_files_and_nothing_that_contradicts_them(folder: Path) -> None:
    write(folder)
    assert content(folder) == {"a.json": "new a.json", "b.txt": "new b.txt", "other": "old other"}


@pytest.mark.parametrize("failing", ["os.fsync", "os.replace"])
@pytest.mark.parametrize(
    ("error", "done"),
    [
        (OSError(28, "No space left on device"), False),
        (KeyboardInterrupt(), False),
        (KeyboardInterrupt(), True),  # Ctrl-C right after the system has done it
    ],
)
def test_after_an_error_the_folder_is_what_it_was(
    folder: Path, monkeypatch: pytest.MonkeyPatch, failing: str, error: BaseException, done: bool
) -> None:
    before, real = content(folder), getattr(os, failing.split(".")[1])
    for call in range(100):  # the first time, the second time …
        left = [call]

        def fail(*arguments: Any, left: list[int] = left) -> Any:
            left[0] -= 1
            if left[0] == -1:
                if done:
                    real(*arguments)
                raise error
            return real(*arguments)

        monkeypatch.setattr(failing, fail)
        try:
            write(folder)
        except type(error):
            assert content(folder) == before
        else:
            assert call >= 1 and "stale.json" not in content(folder)
            return
    raise AssertionError("it never came to an end")


def test_an_error_while_writing(folder: Path) -> None:
    before = content(folder)
    with pytest.raises(ZeroDivisionError), replacing_files(folder, last="a.json") as new:
        (new / "a.json").write_bytes(b"half")
        raise ZeroDivisionError
    assert content(folder) == before


def test_a_folder_in_the_way_is_kept(folder: Path) -> None:
    (folder / "b.txt").mkdir()
    (folder / "b.txt" / "precious").touch()
    with pytest.raises(IsADirectoryError, match=r"b\.txt"):
        write(folder)
    assert (folder / "b.txt" / "precious").exists()
    assert (folder / "a.json").read_text() == "old a.json"


def test_a_folder_is_made_and_after_an_error_taken_away(tmp_path: Path) -> None:
    write(tmp_path / "a" / "new")
    assert sorted(content(tmp_path / "a" / "new")) == NAMES
    with pytest.raises(ZeroDivisionError), replacing_files(tmp_path / "b", last="a.json"):
        raise ZeroDivisionError
    assert not (tmp_path / "b").exists()


def test_old_files_that_cannot_be_put_back_are_kept_until_there_are_new_ones(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that fails for good while the last file takes its place, and is well again later."""
    before, real = content(folder), os.replace

    def fail(source: Any, target: Any) -> None:
        if Path(target).parent == folder:  # neither the new ones, nor the old ones again
            raise OSError(5, "Input/output error", str(source))
        real(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", fail)
        with pytest.raises(
            OSError, match=r"what was there is in .*/old: the disk may be"
        ) as caught:
            write(folder)
    (aside,) = folder.glob(".saving.*/old")
    assert str(aside) in str(caught.value)
    assert {**content(aside), "other": "old other"} == before
    with replacing_files(folder, last="c.json") as new:  # it is not in the place of those
        (new / "c.json").write_text("new c.json")
    assert aside.exists()
    write(folder)
    assert not list(folder.glob(".*"))


def test_a_save_beside_another_of_the_same_process(folder: Path) -> None:
    with replacing_files(folder, last="c.json") as other:
        write(folder)
        (other / "c.json").write_text("new c.json")
    assert content(folder)["c.json"] == "new c.json"
    assert not list(folder.glob(".*"))
