"""The same seed gives the same bits, whatever else goes on.

That threads beside a training change nothing of it, and a fork during it, is in
``tests/training/test_threads_and_forks.py`` and ``tests/sampling/test_threads.py``.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minigpt as mg
from tests.reliability.amount import amount
from tests.reliability.repeatable import RUNS, bits, everything, train
from tests.training.tiny import tiny_gpt

ROOT = Path(__file__).parents[2]
TOLERANCE = 1e-6  # between numbers of workers: sums in another order


@pytest.fixture(scope="module")
def here() -> dict[str, Any]:
    """What this process makes of the seeds."""
    found: dict[str, Any] = json.loads(json.dumps(everything()))
    return found


@pytest.mark.parametrize("seed", range(amount(2)))
def test_other_processes_with_other_hash_seeds(here: dict[str, Any], seed: int) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.reliability.repeatable"],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": str(4_000_000_000 if seed == 1 else seed)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == here


class Writes:
    """Samples the model after each step, and evaluates it."""

    def on_step(self, trainer, record) -> None:
        mg.Sampler(trainer.model).generate_ids(np.array([[1, 2]]), 3, seed=trainer.step)
        trainer.evaluate()


@pytest.mark.parametrize("name", RUNS)
@pytest.mark.parametrize(
    ("what", "changes"),
    [
        ("a bar", {"progress": True}),
        ("more evaluations", {"eval_interval": 1, "eval_batches": 3}),
        ("sampling and evaluating after each step", {"callbacks": [Writes()]}),
        ("checkpoints", {"checkpoint_interval": 1}),
    ],
)
def test_what_goes_on_beside_the_steps(
    here: dict[str, Any], tmp_path: Path, name: str, what: str, changes: dict[str, Any]
) -> None:
    if what == "checkpoints":
        changes = {**changes, "checkpoint_dir": tmp_path}
    assert bits(train(name, **changes)) == here[name]


@pytest.mark.parametrize("name", RUNS)
@pytest.mark.parametrize("workers", [2, 3, 4])
def test_the_number_of_workers(name: str, workers: int) -> None:
    """AdamW divides by √v, so what differs by a rounding may move a step by it: SGD's do not."""
    settings = {"max_steps": 4, "optimizer": "sgd", "learning_rate": 0.1}
    one = train(name, workers=1, **settings).model.state_dict()
    several = train(name, workers=workers, **settings).model.state_dict()
    for parameter, value in one.items():
        np.testing.assert_allclose(
            several[parameter], value, rtol=TOLERANCE, atol=TOLERANCE, err_msg=parameter
        )


def test_trainings_beside_each_other_and_a_stream(here: dict[str, Any]) -> None:
    """All runs at once, each in a thread, while two samplers write with one model."""
    found: dict[str, Any] = {}
    model, texts, over = tiny_gpt(), [], threading.Event()
    sampler = mg.Sampler(model, mg.CharTokenizer("abcdefghijk"))
    alone = "".join(sampler.stream("ab", 20, seed=1))

    def write() -> None:
        while not over.is_set():
            texts.append("".join(sampler.stream("ab", 20, seed=1)))

    def learn(name: str) -> None:
        found[name] = bits(train(name))

    writers = [threading.Thread(target=write) for _ in range(2)]
    learners = [threading.Thread(target=learn, args=(name,)) for name in RUNS]
    for thread in writers + learners:
        thread.start()
    for thread in learners:
        thread.join()
    over.set()
    for thread in writers:
        thread.join()
    assert found == {name: here[name] for name in RUNS}
    assert texts and set(texts) == {alone}


def use(run: Any, answers: Any) -> None:
    """In another process: write with the model, then train a new run."""
    ids = mg.Sampler(run.model).generate_ids(np.array([[1, 2, 3]]), 9, seed=0)
    answers.put((ids.tolist(), bits(train(next(iter(RUNS))))))


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # a fork beside other threads
def test_a_fork_after_a_training(here: dict[str, Any]) -> None:
    name = next(iter(RUNS))
    run = train(name)
    ids = mg.Sampler(run.model).generate_ids(np.array([[1, 2, 3]]), 9, seed=0).tolist()
    context = multiprocessing.get_context("fork")
    answers = context.Queue()
    children = [context.Process(target=use, args=(run, answers)) for _ in range(2)]
    for child in children:
        child.start()
    found = [answers.get(timeout=60) for _ in children]
    for child in children:
        child.join(60)
        assert child.exitcode == 0
    assert found == [(ids, here[name])] * 2
    assert bits(run) == here[name]
