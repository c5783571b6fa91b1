"""A long run in small: nothing grows. ``long_run.py`` is the long one, and has a clock."""

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
RECORDS = STEPS // 4  # that a history keeps here, at most
LINE = 260  # bytes of a record in history.jsonl
RECORD = 60  # bytes of a record in memory, and in a checkpoint
EVALUATION = 2_000  # bytes of an evaluation, of which there are 40, in all files together


@pytest.fixture(autouse=True)
def frozen() -> Iterator[None]:
    """What was there before is not looked through each time the memory is measured."""
    gc.freeze()
    yield
    gc.unfreeze()


def test_a_training_does_not_grow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("minigpt.training.history.MOST_STEPS", RECORDS)
    looks = train(STEPS, tmp_path)
    early, late, grown = looks[len(looks) // 5], looks[-1], growth(looks)
    assert grown.memory < 0.01
    assert grown.calls < 0.02
    assert grown.save_calls < 0.02
    assert late.save_bytes - early.save_bytes < RECORD * RECORDS + 40 * EVALUATION
    assert late.disk - early.disk < (LINE + RECORD * 3) * RECORDS + 40 * EVALUATION
    kept = {path.name for path in tmp_path.iterdir()}
    assert len(kept) == 4 and {"best.npz", "history.jsonl"} < kept
    lines = (tmp_path / "history.jsonl").read_text().splitlines()
    assert RECORDS // 2 < len(lines) <= RECORDS + 41


def test_a_text_far_past_the_context() -> None:
    grown = growth(write(STEPS // 4))
    assert grown.memory < 0.01
    assert grown.calls < 0.02
