"""One run at a time in a folder."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from minigpt.checkpoints import load_checkpoint
from minigpt.checkpoints.lock import LOCK, FolderLock
from minigpt.training import Callback, History
from tests.training.tiny import Bigram, resume, trainer, without_times

ROOT = Path(__file__).parents[2]

WAITING = """
import sys
from tests.training.tiny import trainer

class Wait:
    def on_step(self, trainer, record):
        if trainer.step == 3:
            print("at step 3", flush=True)
            input()

trainer(checkpoint_dir=sys.argv[1], callbacks=[Wait()]).fit()
"""


def start_waiting(folder: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", WAITING, str(folder)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "at step 3\n"
    return process


def test_a_second_process_is_kept_out_and_the_first_is_not_disturbed(tmp_path: Path) -> None:
    process = start_waiting(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    for overwrite in (False, True):
        other = trainer(Bigram(seed=1), checkpoint_dir=tmp_path, overwrite=overwrite)
        message = rf"process {process.pid} on .* trains in this folder.*another checkpoint_dir"
        with pytest.raises(BlockingIOError, match=message):
            other.fit()
    with pytest.raises(BlockingIOError):
        resume(tmp_path).fit()
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    process.communicate("go on\n")
    assert process.returncode == 0
    assert not (tmp_path / LOCK).exists()
    whole = trainer()
    whole.fit()
    assert without_times(History.read(tmp_path)) == without_times(whole.history)
    other.fit()  # and now it may


def test_who_was_killed_keeps_nobody_out(tmp_path: Path) -> None:
    process = start_waiting(tmp_path)
    process.kill()
    process.wait()
    assert (tmp_path / LOCK).exists()
    run = resume(tmp_path)
    run.fit()
    assert run.finished
    assert not (tmp_path / LOCK).exists()


def test_two_trainers_of_one_process(tmp_path: Path) -> None:
    errors = []

    class Other(Callback):
        def on_step(self, trainer_, record):
            if trainer_.step == 3:
                try:
                    trainer(checkpoint_dir=tmp_path).fit()
                except OSError as error:
                    errors.append(str(error))

    run = trainer(checkpoint_dir=tmp_path, callbacks=[Other()])
    run.fit()
    assert len(errors) == 1 and f"process {os.getpid()}" in errors[0]
    assert run.finished


def test_the_lock_goes_after_an_error_too(tmp_path: Path) -> None:
    class Fails(Callback):
        def on_step(self, trainer, record):
            raise KeyError

    with pytest.raises(KeyError):
        trainer(checkpoint_dir=tmp_path, callbacks=[Fails()]).fit()
    trainer(checkpoint_dir=tmp_path, overwrite=True).fit()


def test_it_is_given_from_one_to_the_next_and_never_to_two(tmp_path: Path) -> None:
    inside, most, turns = [], [], []

    def work() -> None:
        while len(turns) < 200:
            lock = FolderLock(tmp_path)
            try:
                lock.acquire()
            except BlockingIOError:
                continue
            inside.append(1)
            most.append(len(inside))
            turns.append(1)
            inside.pop()
            lock.release()

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(most) == 1


def test_a_run_prunes_only_its_own(tmp_path: Path) -> None:
    """Where locks do not work, say: another's checkpoints are never deleted."""
    other = trainer(Bigram(seed=1), max_steps=3)
    other.fit()

    class PutsOneThere(Callback):
        def on_step(self, trainer, record):
            if trainer.step == 2:
                other.save(tmp_path / "step-00000003.npz")

    settings = {"checkpoint_interval": 2, "keep_checkpoints": 1, "checkpoint_dir": tmp_path}
    trainer(callbacks=[PutsOneThere()], **settings).fit()
    kept = {path.name for path in tmp_path.glob("step-*.npz")}
    assert kept == {"step-00000003.npz", "step-00000010.npz"}
    assert load_checkpoint(tmp_path / "step-00000003.npz").metadata["run"] == other.run.id
