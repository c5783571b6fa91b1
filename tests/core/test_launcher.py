"""Whether a process is one of several, and who tells an error that all of them have."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from minigpt import launcher
from minigpt.launcher import is_told_elsewhere, known_to_all, launched

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, (0, 1)),
        ({"PMI_RANK": "2", "PMI_SIZE": "4"}, (2, 4)),
        ({"OMPI_COMM_WORLD_RANK": "1", "OMPI_COMM_WORLD_SIZE": "2", "PMIX_RANK": "1"}, (1, 2)),
        ({"PMIX_RANK": "3", "SLURM_STEP_NUM_TASKS": "8"}, (3, 8)),
        ({"SLURM_STEP_NUM_TASKS": "8"}, (0, 1)),  # a job of a queue that was not started by MPI
        ({"PMI_RANK": "0", "PMI_SIZE": "1"}, (0, 1)),
        ({"PMI_RANK": "x", "PMI_SIZE": "4"}, (0, 1)),
    ],
)
def test_launchers_are_known_by_their_environment(monkeypatch, environment, expected) -> None:
    for name in (*launcher._RANKS, *launcher._COUNTS):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert launched() == expected


def test_the_first_rank_tells_what_all_of_them_know(monkeypatch) -> None:
    error = known_to_all(ValueError("all"))
    try:
        raise RuntimeError("wrapped") from error
    except RuntimeError as caught:
        wrapped = caught
    for rank, elsewhere in (("0", False), ("1", True)):
        monkeypatch.setenv("PMI_RANK", rank)
        monkeypatch.setenv("PMI_SIZE", "2")
        assert is_told_elsewhere(error) is elsewhere
        assert is_told_elsewhere(wrapped) is elsewhere
        assert not is_told_elsewhere(ValueError("mine"))


def test_a_single_process_keeps_its_hook_and_is_not_ended() -> None:
    launcher.end_the_job(1)
    assert sys.excepthook is not launcher._tell_and_end


def python(source: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", source],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_without_mpi4py_one_line_says_what_to_install() -> None:
    source = "import sys; sys.modules['mpi4py'] = None\n"
    source += "from minigpt.training.ranks import Ranks\nRanks.of_this_job()"
    first, second = (python(source, PMI_RANK=rank, PMI_SIZE="2") for rank in "01")
    assert first.returncode == second.returncode == 1
    last = first.stderr.splitlines()[-1]
    assert last.startswith("ImportError: a launcher has started 2 processes of this script, and")
    assert last.endswith('pip install "minigpt[mpi]"')
    assert second.stderr == ""  # the first has told it


def test_an_error_before_all_have_met_says_whose_it_is_and_kills_the_process() -> None:
    source = "import minigpt\nraise KeyError('mine')"
    done = python(source, PMI_RANK="1", PMI_SIZE="2")
    assert done.returncode < 0 or os.name == "nt"
    assert done.stderr.startswith("rank 1 of 2, on ")
    assert "KeyError: 'mine'" in done.stderr


CAUGHT = """
import sys, minigpt
def careful():
    try:
        sys.exit(3)
    except SystemExit:
        pass
careful()
try:
    sys.exit(3)
except SystemExit as error:
    kept = error.code
"""
RAISED_AGAIN = """
import sys, minigpt
try:
    sys.exit(3)
except SystemExit as error:
    kept = error
    raise
"""
OF_THREADS = """
import _thread, sys, threading, time, minigpt
thread = threading.Thread(target=sys.exit, args=[3])
thread.start()
thread.join()
_thread.start_new_thread(sys.exit, (3,))
while _thread._count():
    time.sleep(0.01)
"""


@pytest.mark.skipif(os.name == "nt", reason="processes are killed otherwise there")
@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("import sys, minigpt; sys.exit(3)", -9),
        ("import sys, minigpt; sys.exit('why')", -9),
        ("import sys, minigpt; sys.exit()", 0),
        ("import sys, minigpt; sys.exit(0)", 0),
        (RAISED_AGAIN, -9),
        (CAUGHT, 0),
        (OF_THREADS, 0),
        ("import minigpt", 0),
    ],
)
def test_a_rank_that_exits_with_a_status_before_mpi_has_begun_ends_the_others(source, code) -> None:
    done = python(source, PMI_RANK="1", PMI_SIZE="2")
    assert done.returncode == code, done.stderr
    assert done.stderr == ("why\n" if "why" in source else "")
