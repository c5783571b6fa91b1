"""A run whose disk fails at any one of its operations: it goes on, or ends, and loses nothing.

A plain run tries some of them, ``MINIGPT_RELIABILITY=1000`` every one.
"""

from __future__ import annotations

import os
import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from minigpt.checkpoints import latest_checkpoint, load_checkpoint
from minigpt.training import History, Trainer
from tests.reliability.amount import some
from tests.reliability.faulty_files import FAULTS, FaultyFiles
from tests.reliability.test_saves import check_message
from tests.training.tiny import assert_same_run, resume, trainer, without_times

SETTINGS = {"max_steps": 6, "checkpoint_interval": 2, "eval_interval": 3, "keep_checkpoints": 1}
FILES = {"step-00000006.npz", "best.npz", "history.jsonl"}


@pytest.fixture(scope="module", autouse=True)
def short_histories() -> Iterator[None]:
    """The history is thinned on the way, and its file written again."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("minigpt.training.history.MOST_STEPS", 4)
        yield


@pytest.fixture(scope="module")
def whole() -> Trainer:
    """The run that nothing happened to."""
    run = trainer(**SETTINGS)
    run.fit()
    return run


@pytest.mark.parametrize("fault", FAULTS)
def test_a_run_whose_disk_fails_anywhere(tmp_path: Path, fault: str, whole: Trainer) -> None:
    if FAULTS[fault].kills and not hasattr(os, "fork"):
        pytest.skip("the run is killed in a fork")
    with FaultyFiles(tmp_path / "well", FAULTS[fault]) as well:
        trainer(checkpoint_dir=tmp_path / "well", **SETTINGS).fit()
    assert len(well.operations) >= 9
    for at in some(range(1, 1 + len(well.operations)), 5, fault):
        strike(fault, at, tmp_path / str(at), whole)


def strike(fault: str, at: int, folder: Path, whole: Trainer) -> None:
    files = FaultyFiles(folder, FAULTS[fault], at)
    run = trainer(checkpoint_dir=folder, **SETTINGS)
    error = killed(run, files) if FAULTS[fault].kills else failed(run, files)
    where = f"{fault}, at {at}: {files.struck}"
    assert not files.left_open, f"{where}: left open {files.left_open}"
    if error is None:
        assert run.finished, where
    elif not FAULTS[fault].kills:
        assert error.errno == FAULTS[fault].number, where
        check_message(str(error), folder, where)
        assert run.step == 0 or run.finished, where  # it says so at the start, or at the end
    with FaultyFiles(folder, FAULTS[fault]):
        if folder.exists() and any(folder.glob("*.npz")):
            with warnings.catch_warnings():
                warnings.simplefilter(
                    "ignore", UserWarning
                )  # a best one of a later step, set aside
                again = resume(folder)
                again.fit()
        else:
            assert run.step == 0 or FAULTS[fault].kills, where
            again = trainer(checkpoint_dir=folder, **SETTINGS)
            again.fit()
    assert_same_run(again, whole)
    assert load_checkpoint(latest_checkpoint(folder)).metadata["step"] == 6, where
    assert without_times(History.read(folder)) == without_times(whole.history), where
    names = {path.name for path in folder.iterdir() if not path.name.startswith("previous-")}
    # One that could not be deleted in its turn goes with the next of its run, or stays.
    assert FILES <= names <= FILES | {f"step-0000000{n}.npz" for n in (0, 2, 4)}, where
    shutil.rmtree(folder)


def failed(run: Trainer, files: FaultyFiles) -> OSError | None:
    with files, warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a checkpoint is missing, the run goes on
        try:
            run.fit()
        except OSError as error:
            return error
    return None


def killed(run: Trainer, files: FaultyFiles) -> OSError:
    child = os.fork()
    if child == 0:
        try:
            failed(run, files)
        finally:
            os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -9
    return OSError()
