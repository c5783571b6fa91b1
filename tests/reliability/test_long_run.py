"""A long run in small: it grows in nothing but its history. ``long_run.py`` is the long one."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.reliability.amount import amount
from tests.reliability.long_run import growth, train, write

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="asks Linux for the memory")

STEPS = amount(200)
LINE = 260  # bytes of a record in history.jsonl
RECORD = 60  # bytes of a record in memory
EVALUATION = 2_000  # bytes of an evaluation, of which there are 40, in all files together
IS_LONG = STEPS >= 20_000  # the speed of few steps tells little


@pytest.fixture(autouse=True)
def frozen() -> Iterator[None]:
    """What was there before is not looked through each time the memory is measured."""
    gc.freeze()
    yield
    gc.unfreeze()


def test_a_training_grows_by_its_history_only(tmp_path: Path) -> None:
    looks = train(STEPS, tmp_path)
    early, late = looks[len(looks) // 5], looks[-1]
    records = late.step - early.step
    assert late.memory - early.memory < 0.01 * early.memory + RECORD * records
    assert growth(looks).units < (0.02 if IS_LONG else 0.5)
    assert late.disk - early.disk < (LINE + RECORD * 3) * records + 40 * EVALUATION
    kept = {path.name for path in tmp_path.iterdir()}
    assert len(kept) == 4 and {"best.npz", "history.jsonl"} < kept
    lines = (tmp_path / "history.jsonl").read_text().splitlines()
    assert STEPS < len(lines) <= STEPS + 41


def test_with_fewer_records_it_hardly_grows(tmp_path: Path) -> None:
    looks = train(STEPS, tmp_path, log_interval=max(1, STEPS // 20))
    grown = growth(looks)
    assert grown.memory < 0.01
    assert looks[-1].disk - looks[0].disk < 40 * EVALUATION
    assert grown.save < (0.1 if IS_LONG else 1.0)


def test_a_text_far_past_the_context() -> None:
    grown = growth(write(STEPS // 4))
    assert grown.memory < 0.01
    assert grown.units < (0.05 if IS_LONG else 1.0)
