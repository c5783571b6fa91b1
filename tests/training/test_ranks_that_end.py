"""A rank that fails, leaves or is killed ends the job, and nothing that was saved is lost.

``MINIGPT_RELIABILITY=50 python -m pytest tests/training/test_ranks_that_end.py`` tries more.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from minigpt.checkpoints import latest_checkpoint
from minigpt.checkpoints.archive import read_metadata
from minigpt.training import Trainer
from tests.reliability.amount import amount
from tests.training.ranks_end import run
from tests.training.test_distributed import launch, missing
from tests.training.tiny import tokens

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing())
KILLS = amount(2)
JOBS, AT_ONCE = amount(1), 6
STEPS_A_KILL = 12
SECONDS = 20  # a rank needs that to start where others work; MPI waits for ever


def start(folder: Path, how: str, steps: int = 1000, ranks: int = 2) -> subprocess.Popen[str]:
    return launch(ranks, "-m", "tests.training.ranks_end", folder, how, steps)


def ended(process: subprocess.Popen[str], seconds: float = SECONDS) -> tuple[str, str]:
    try:
        return process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        raise


def read_until(process: subprocess.Popen[str], step: int) -> list[int]:
    """The ranks' processes, once the run has come to a step."""
    assert process.stdout is not None
    pids = [int(word) for word in process.stdout.readline().split()]
    for line in process.stdout:
        if line.strip() == str(step):
            return pids
    raise AssertionError(f"the run ended before step {step}")


def newest_step(folder: Path) -> int:
    return int(read_metadata(latest_checkpoint(folder))["step"])


def assert_resumable(folder: Path, least: int) -> None:
    assert newest_step(folder) >= least
    resumed = Trainer.resume(folder, tokens()[:500], tokens()[500:])
    assert resumed.step >= least
    assert not list(folder.glob(".*"))


LAST_WORDS = {
    "memory": "rank {0} of {1}, on .*MemoryError: no room",
    "exits": "rank {0} has ended, and rank [0-2] waits for it",
    "caught": "rank {0} left the others with a KeyError",
    "leaves": "rank {0} has ended, and rank [0-2] waits for it",
    "damaged": "rank {0} of {1}, on .*ValueError: this file is damaged",  # before all have met
    "exits early": "there is nothing to read here",
}


@pytest.mark.parametrize("how", LAST_WORDS)
def test_a_rank_that_fails_ends_the_job_with_its_own_message(tmp_path, how: str) -> None:
    """Of several jobs, six run at once, on 2 and 4 ranks in turn."""

    def ends(job: int) -> None:
        ranks, folder = 2 + 2 * (job % 2), tmp_path / str(job)
        process = start(folder, how, ranks=ranks)
        _, complaints = ended(process, SECONDS * min(JOBS, AT_ONCE))
        assert process.returncode != 0
        words = LAST_WORDS[how].format(ranks - 1, ranks)
        assert re.search(words, complaints, re.DOTALL), f"job {job}: {complaints}"
        if how in ("memory", "exits", "caught"):
            assert_resumable(folder, 3)

    with ThreadPoolExecutor(AT_ONCE) as several:
        list(several.map(ends, range(JOBS)))


@pytest.mark.parametrize("whom", ["launcher", "launcher, TERM", "one rank"])
def test_a_request_to_stop_saves_once_and_ends(tmp_path, whom: str) -> None:
    process = start(tmp_path, "goes on")
    pids = read_until(process, 4)
    if whom == "one rank":
        os.kill(pids[1], signal.SIGTERM)
    else:
        process.send_signal(signal.SIGTERM if "TERM" in whom else signal.SIGINT)
    _, complaints = ended(process)
    asked_to_end = whom != "launcher"  # SIGTERM ends the process too, as it would without minigpt
    assert process.returncode == (128 + signal.SIGTERM if asked_to_end else 0)
    step = newest_step(tmp_path)
    by = {"launcher": "Ctrl-C", "launcher, TERM": "SIGTERM", "one rank": "a signal to another rank"}
    assert complaints.count(f"stopped by {by[whom]} after step {step} of 1000") == 1
    assert_resumable(tmp_path, step)


def test_a_second_ctrl_c_does_not_wait(tmp_path) -> None:
    process = start(tmp_path, "goes on")
    pids = read_until(process, 4)
    os.kill(pids[0], signal.SIGSTOP)  # the others wait for it
    try:
        for _ in range(2):
            os.kill(pids[1], signal.SIGINT)
            time.sleep(0.5)
        _, complaints = ended(process)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pids[0], signal.SIGCONT)
    assert process.returncode != 0
    assert "KeyboardInterrupt" in complaints


@pytest.mark.filterwarnings("ignore:.*is not part of this run")
def test_a_rank_killed_at_random_moments_loses_nothing(tmp_path) -> None:
    """Ranks come and go in numbers of 2 and 3; in the end it is the run that was never killed."""
    folder, steps = tmp_path / "run", STEPS_A_KILL * (KILLS + 1)
    rng = np.random.default_rng(KILLS)
    came_to = 0
    for kill in range(KILLS):
        process = start(folder, "goes on", steps, ranks=2 + kill % 2)
        came_to += int(rng.integers(1, STEPS_A_KILL))
        pids = read_until(process, came_to)
        time.sleep(rng.random() * 0.02)  # evaluation, checkpoint, the next step
        os.kill(pids[rng.integers(len(pids))], signal.SIGKILL)
        before = time.monotonic()
        printed, _ = ended(process)
        assert process.returncode != 0
        assert time.monotonic() - before < SECONDS / 2
        came_to = newest_step(folder)
        told = [int(line) for line in printed.split() if line.isdecimal() and int(line) <= steps]
        assert came_to >= (max(told, default=0) // 3) * 3 - 3  # a checkpoint in 3 steps

    steps = came_to + STEPS_A_KILL
    process = start(folder, "goes on", steps)
    printed, complaints = ended(process)
    assert process.returncode == 0, complaints
    assert printed.split()[-2:] == ["end", str(steps)]

    whole = run(None, steps)
    whole.fit()
    resumed = Trainer.resume(folder, tokens()[:500], tokens()[500:])
    assert resumed.history.column("step")[:steps] == list(range(1, steps + 1))  # each once
    apart = np.abs(np.subtract(resumed.history.column("loss"), whole.history.column("loss")))
    assert apart[:36].max() < 2e-4
    assert apart.max() < 0.05  # rounding grows with the steps
