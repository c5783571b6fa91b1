"""Runs killed without warning. ``MINIGPT_KILLS=20 python -m pytest tests/training/test_kill.py``"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from minigpt.checkpoints import latest_checkpoint
from minigpt.training import History, Trainer
from tests.training.killed_run import run
from tests.training.tiny import assert_same_run, without_times

ROOT = Path(__file__).parents[2]
KILLS = int(os.environ.get("MINIGPT_KILLS", "3"))
STEPS_A_KILL = 15


def start(folder: Path, steps: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.training.killed_run", str(folder), str(steps)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.mark.filterwarnings("ignore:.*is not part of this run")
def test_a_run_killed_at_random_moments_ends_as_if_it_never_was(tmp_path: Path) -> None:
    folder, steps = tmp_path / "run", STEPS_A_KILL * (KILLS + 1)
    rng = np.random.default_rng(KILLS)
    kills = 0
    while kills < KILLS:
        process = start(folder, steps)
        assert process.stdout is not None
        for _ in range(rng.integers(1, STEPS_A_KILL)):
            assert process.stdout.readline(), "the run ended before it was killed"
        for _ in range(rng.integers(0, 30_000)):
            pass  # somewhere in what follows the step: evaluation, checkpoint, the next step
        process.kill()
        process.communicate()
        assert process.returncode != 0
        kills += 1
        latest_checkpoint(folder)  # there is a whole one at any time

    last = start(folder, steps)
    printed, _ = last.communicate()
    assert last.returncode == 0
    assert printed.split()[-1] == str(steps)

    whole = run(None, steps)
    whole.fit()
    killed = Trainer.resume(folder, *_texts())
    assert_same_run(killed, whole)
    assert without_times(History.read(folder)) == without_times(whole.history)
    assert not list(folder.glob(".*"))


def _texts():
    from tests.training.tiny import tokens

    return tokens()[:500], tokens()[500:]
