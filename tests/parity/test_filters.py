"""The filters rule out the same tokens as Transformers' logits processors."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigpt.sampling import (
    apply_temperature,
    min_p_filter,
    no_repeat_ngram_filter,
    repetition_penalty,
    softmax,
    top_k_filter,
    top_p_filter,
)

torch = pytest.importorskip("torch", reason="compares with torch: pip install -e '.[parity]'")
theirs = pytest.importorskip(
    "transformers.generation.logits_process",
    reason="compares with transformers: pip install -e '.[parity]'",
)


def by_transformers(warper, z, ids=None):
    return warper(None if ids is None else torch.tensor(ids), torch.tensor(z)).numpy()


@st.composite
def batches(draw):
    seed, shape = draw(st.integers(0, 10_000)), (draw(st.integers(1, 4)), draw(st.integers(2, 60)))
    scale = draw(st.sampled_from([0.1, 1.0, 5.0]))
    dtype = draw(st.sampled_from([np.float32, np.float64]))
    return (scale * np.random.default_rng(seed).standard_normal(shape)).astype(dtype)


@given(batches(), st.integers(1, 70))
def test_top_k(z, k):
    np.testing.assert_array_equal(
        top_k_filter(z, k), by_transformers(theirs.TopKLogitsWarper(top_k=k), z)
    )


def test_top_k_with_equal_logits():
    z = np.array([[1.0, 3.0, 2.0, 2.0, 2.0, 0.0]], dtype=np.float32)
    np.testing.assert_array_equal(
        top_k_filter(z, 2), by_transformers(theirs.TopKLogitsWarper(top_k=2), z)
    )


@given(batches(), st.floats(0.01, 0.99))
def test_top_p(z, p):
    masses = np.sort(softmax(z), axis=-1)[:, ::-1].cumsum(axis=-1)
    if (np.abs(masses - p) < 1e-6).any():
        return  # a border that rounding decides
    np.testing.assert_array_equal(
        top_p_filter(z, p), by_transformers(theirs.TopPLogitsWarper(top_p=p), z)
    )


@given(batches(), st.floats(0.01, 0.99))
def test_min_p(z, min_p):
    if (np.abs(np.exp(z - z.max(axis=-1, keepdims=True)) - min_p) < 1e-6).any():
        return
    np.testing.assert_array_equal(
        min_p_filter(z, min_p), by_transformers(theirs.MinPLogitsWarper(min_p=min_p), z)
    )


@given(batches(), st.floats(0.1, 10))
def test_temperature(z, temperature):
    np.testing.assert_allclose(
        apply_temperature(z, temperature),
        by_transformers(theirs.TemperatureLogitsWarper(temperature), z),
        rtol=1e-6,
    )


@given(batches(), st.floats(0.5, 3), st.integers(0, 100))
def test_repetition_penalty(z, penalty, seed):
    ids = np.random.default_rng(seed).integers(0, z.shape[1], (z.shape[0], 7))
    np.testing.assert_allclose(
        repetition_penalty(z, ids, penalty),
        by_transformers(theirs.RepetitionPenaltyLogitsProcessor(penalty), z, ids),
        rtol=1e-6,
    )


@given(batches(), st.integers(1, 5), st.integers(0, 12), st.integers(0, 100))
def test_no_repeated_ngram(z, n, length, seed):
    n_tokens = min(z.shape[1], 4)  # few, so that n-grams come again
    ids = np.random.default_rng(seed).integers(0, n_tokens, (z.shape[0], length))
    np.testing.assert_array_equal(
        no_repeat_ngram_filter(z, ids, n),
        by_transformers(theirs.NoRepeatNGramLogitsProcessor(n), z, ids),
    )
