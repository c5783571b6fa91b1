"""An operation of a save fails, in every way: nothing is lost, nothing half is taken for whole.

A plain run tries some operations of each save, ``MINIGPT_RELIABILITY=1000`` every one.
"""

from __future__ import annotations

import functools
import os
import tempfile
from pathlib import Path

import pytest

from minigpt.interop.errors import PretrainedError
from minigpt.tokenizers.files.reading import TokenizerFileError
from tests.reliability.amount import some
from tests.reliability.faulty_files import FAULTS, FaultyFiles
from tests.reliability.saves import SAVES, Save

NOTHING_THERE = (OSError, ValueError)  # what a reader says of a folder without a whole save


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("save", SAVES)
def test_a_save_that_fails_anywhere(tmp_path: Path, save: str, fault: str) -> None:
    if "figure" in save:
        pytest.importorskip("matplotlib")
    if FAULTS[fault].kills and not hasattr(os, "fork"):
        pytest.skip("the save is killed in a fork")
    moments = []
    for first in (False, True):  # over an old one, or in a new folder
        done = operations(save, first)
        strikes = [what for what in done if what.split()[0] in FAULTS[fault].operations]
        moments += [(first, at) for at in range(1, 1 + len(strikes))]
    assert len(moments) >= 2
    for first, at in some(moments, 1, f"{save} {fault}"):
        folder = tmp_path / f"{first}-{at}"
        folder.mkdir()
        strike(SAVES[save], fault, at, folder, first)


@functools.cache
def operations(save: str, first: bool) -> list[str]:
    """All operations of a save that goes well."""
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent).resolve() / "well"
        folder.mkdir()
        with FaultyFiles(folder, FAULTS["EIO once"]) as files:
            if not first:
                SAVES[save].save(folder, 1)
            before = len(files.operations)
            SAVES[save].save(folder, 2)
    return files.operations[before:]


def strike(save: Save, fault: str, at: int, folder: Path, first: bool) -> None:
    """Let a save fail at its operation of that number, and see that all is well afterwards."""
    well, files = FaultyFiles(folder, FAULTS[fault]), FaultyFiles(folder, FAULTS[fault], at)
    if not first:
        with well:
            save.save(folder, 1)
    error = killed(save, folder, files) if files.fault.kills else failed(save, folder, files)
    where = f"{fault}, at {at}: {files.struck}"
    assert not files.left_open, f"{where}: left open {files.left_open}"
    if error is None:  # it was not needed
        assert save.load(folder) == 2, where
    else:
        if not files.fault.kills:
            assert error.errno == files.fault.number, f"{where}: {error}"
            check_message(str(error), folder, where)
        try:
            assert save.load(folder) in ((1, 2) if files.fault.kills else (1,)), where
        except NOTHING_THERE as refusal:
            assert first or kept_aside(save, folder, error, refusal), f"{where}: {refusal}"
    with well:
        save.save(folder, 3)
    assert save.load(folder) == 3, where
    assert names(folder) == save.names, where


def failed(save: Save, folder: Path, files: FaultyFiles) -> OSError | None:
    with files:
        try:
            save.save(folder, 2)
        except OSError as error:
            return error
    return None


def killed(save: Save, folder: Path, files: FaultyFiles) -> OSError:
    """The save in a process of its own, which is killed at the operation."""
    child = os.fork()
    if child == 0:
        try:
            failed(save, folder, files)
        finally:
            os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -9
    return OSError()


def check_message(message: str, folder: Path, where: str) -> None:
    """It names what was to be written, and says what to do; it does not name a temporary file."""
    assert str(folder) in message, f"{where}: {message}"
    assert "minigpt-tmp" not in message.replace(".minigpt-tmp/old", ""), f"{where}: {message}"
    mends = ("make room", "name another", "may write", "close some", "it is in")
    assert any(mend in message for mend in mends), f"{where}: {message}"


def kept_aside(save: Save, folder: Path, error: OSError, refusal: Exception) -> bool:
    """Whether the old files, which could not be put back, are all there, where the errors say."""
    (aside,) = folder.glob(".saving.*/old")
    told = error.errno is None or str(aside) in str(error)
    if isinstance(refusal, (PretrainedError, TokenizerFileError)):
        told = told and str(aside) in str(refusal)
    return told and save.names <= names(aside) | names(folder)
