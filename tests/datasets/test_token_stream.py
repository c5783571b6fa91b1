"""Training and validation parts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigpt.datasets import split_point, train_val_split


@given(length=st.integers(2, 500), fraction=st.floats(0.01, 0.99))
def test_the_parts_make_up_the_whole(length: int, fraction: float) -> None:
    tokens = np.arange(length)
    try:
        train, val = train_val_split(tokens, fraction)
    except ValueError:
        assert int(length * (1 - fraction)) == 0
        return
    assert len(train) and len(val)
    assert np.concatenate([train, val]).tolist() == tokens.tolist()
    assert np.shares_memory(train, tokens) and np.shares_memory(val, tokens)


def test_nanogpts_cut() -> None:
    assert split_point(1_115_394, 0.1) == int(1_115_394 * 0.9) == 1_003_854


@pytest.mark.parametrize("fraction", [0, 1, -0.1, 1.5, float("nan"), float("inf")])
def test_a_fraction_out_of_range(fraction: float) -> None:
    with pytest.raises(ValueError, match="val_fraction must be a number above 0 and below 1"):
        train_val_split(np.arange(100), fraction)


@pytest.mark.parametrize("fraction", [True, "0.1", None])
def test_a_fraction_that_is_no_number(fraction: Any) -> None:
    with pytest.raises(TypeError, match="val_fraction must be a number"):
        train_val_split(np.arange(100), fraction)


def test_parts_that_are_empty_or_short() -> None:
    with pytest.raises(ValueError, match="leave no training part"):
        train_val_split(np.arange(1))
    with pytest.raises(ValueError, match="0 tokens"):
        train_val_split(np.arange(0))
    message = "the validation part holds 10 tokens, but block_size=64 needs at least 65"
    with pytest.raises(ValueError, match=message):
        train_val_split(np.arange(100), block_size=64)
    with pytest.raises(ValueError, match="the training part holds 50 tokens"):
        train_val_split(np.arange(100), 0.5, block_size=50)
    with pytest.raises(TypeError, match=r"encode the text first"):
        train_val_split("text")
