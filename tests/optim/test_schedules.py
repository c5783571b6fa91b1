"""Schedules: their corners, their shape, their errors."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigpt.optim import constant, trapezoid, warmup_cosine, warmup_linear

SETTINGS = {
    "learning_rate": 1e-3, "min_learning_rate": 1e-4, "warmup_steps": 100, "max_steps": 2000
}  # fmt: skip
both = pytest.mark.parametrize("schedule", [warmup_cosine, warmup_linear])


def test_nanogpts_run_has_nanogpts_learning_rates():
    """`get_lr` of nanoGPT's train.py with config/train_shakespeare_char.py's CPU settings."""

    def get_lr(it):
        if it < 100:
            return 1e-3 * (it + 1) / (100 + 1)
        if it > 2000:
            return 1e-4
        coeff = 0.5 * (1.0 + math.cos(math.pi * (it - 100) / (2000 - 100)))
        return 1e-4 + coeff * (1e-3 - 1e-4)

    for step in range(2100):
        assert warmup_cosine(step, **SETTINGS) == pytest.approx(get_lr(step), rel=1e-12)


@both
def test_corners(schedule):
    assert schedule(0, **SETTINGS) == pytest.approx(1e-3 / 101)
    assert schedule(99, **SETTINGS) == pytest.approx(1e-3 * 100 / 101)
    assert schedule(100, **SETTINGS) == 1e-3
    assert schedule(1050, **SETTINGS) == pytest.approx(5.5e-4)  # halfway down
    assert schedule(2000, **SETTINGS) == schedule(10**9, **SETTINGS) == 1e-4


@both
def test_no_warmup_and_nothing_but_warmup(schedule):
    assert schedule(0, 1.0, 0.0, 0, 10) == 1.0
    assert [schedule(t, 1.0, 0.5, 2, 2) for t in range(4)] == [1 / 3, 2 / 3, 0.5, 0.5]
    assert schedule(0, 1.0, 0.5, 0, 0) == 0.5


@both
@given(
    st.floats(0, 1), st.floats(0, 1), st.integers(0, 50), st.integers(0, 50), st.integers(0, 200)
)
def test_it_rises_then_falls_and_stays_in_bounds(schedule, high, low, warmup, rest, step):
    low = low * high
    here, there = (schedule(t, high, low, warmup, warmup + rest) for t in (step, step + 1))
    assert 0 <= here <= high * (1 + 1e-12)
    if step + 1 < warmup:
        assert here <= there
    elif step >= warmup:
        assert there <= here * (1 + 1e-12) and here >= low * (1 - 1e-12)


def test_trapezoid():
    rates = [trapezoid(step, 1.0, 0.2, 3, 20, 4) for step in range(22)]
    assert rates[:4] == [0.25, 0.5, 0.75, 1.0]
    assert rates[3:17] == [1.0] * 14
    np.testing.assert_allclose(rates[16:], [1.0, 0.8, 0.6, 0.4, 0.2, 0.2])
    assert [trapezoid(step, 1.0, 0.0, 0, 3, 0) for step in range(4)] == [1, 1, 1, 0]
    # With no level left it is the straight line.
    assert [trapezoid(t, 1.0, 0.0, 2, 9, 7) for t in range(10)] == pytest.approx(
        [warmup_linear(t, 1.0, 0.0, 2, 9) for t in range(10)]
    )
    with pytest.raises(
        ValueError, match="decay_steps must be at most max_steps − warmup_steps = 7"
    ):
        trapezoid(0, 1.0, 0.0, 2, 9, 8)
    with pytest.raises(ValueError, match="decay_steps must be an integer of at least 0: got -1"):
        trapezoid(0, 1.0, 0.0, 2, 9, -1)


def test_constant():
    assert [constant(step, 0.5) for step in (0, 10**9)] == [0.5, 0.5]


def test_numpys_integers_are_steps_and_a_float_comes_back():
    assert type(warmup_cosine(np.int64(3), np.float32(1), 0, np.int32(2), 9)) is float


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"step": -1}, ValueError, "step must be an integer of at least 0: got -1"),
        ({"step": 1.0}, TypeError, r"step must be an integer of at least 0: got 1\.0"),
        ({"step": True}, TypeError, "step must be an integer of at least 0: got True"),
        ({"learning_rate": -1}, ValueError, "learning_rate must be a number of at least 0: got -1"),
        (
            {"learning_rate": math.nan},
            ValueError,
            "learning_rate must be a number of at least 0: got nan",
        ),
        (
            {"min_learning_rate": 1},
            ValueError,
            r"min_learning_rate must be at most learning_rate=0\.001: got 1\.0",
        ),
        (
            {"warmup_steps": 3000},
            ValueError,
            "warmup_steps must be at most max_steps=2000: got 3000",
        ),
        ({"warmup_steps": -1}, ValueError, "warmup_steps must be an integer of at least 0: got -1"),
        ({"max_steps": 1e3}, TypeError, r"max_steps must be an integer of at least 0: got 1000\.0"),
    ],
)
@both
def test_bad_settings_are_refused_by_name(schedule, change, error, message):
    with pytest.raises(error, match=message):
        schedule(**{"step": 0, **SETTINGS, **change})


def test_bad_constants_are_refused():
    with pytest.raises(ValueError, match="step must be an integer of at least 0: got -1"):
        constant(-1, 0.1)
    with pytest.raises(ValueError, match="learning_rate must be a number of at least 0: got inf"):
        constant(0, math.inf)
