"""Perplexity and bits per byte, also where no float holds them."""

from __future__ import annotations

import math
import warnings

import pytest

from minigpt.metrics import bits_per_byte, perplexity_of


def test_an_infinite_loss_has_an_infinite_perplexity_and_no_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert perplexity_of(math.inf) == perplexity_of(710.0) == math.inf
        assert perplexity_of(0.0) == 1 and math.isnan(perplexity_of(math.nan))


def test_bits_per_byte():
    assert bits_per_byte(math.log(256) * 10, 10) == pytest.approx(8)
    assert bits_per_byte(math.inf, 10) == math.inf
    with pytest.raises(ValueError, match=r"n_bytes must be an integer from 1 to \d+: got 0"):
        bits_per_byte(1.0, 0)
