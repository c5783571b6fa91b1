from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from minigpt.sampling import (
    apply_temperature,
    min_p_filter,
    no_repeat_ngram_filter,
    repetition_penalty,
    sample_from,
    softmax,
    top_k_filter,
    top_p_filter,
)
from minigpt.tensor import Tensor

DTYPES = st.sampled_from([np.float32, np.float64])


@st.composite
def logits_arrays(draw):
    """Rows of logits with many ties and some -inf, but never -inf alone."""
    dtype = draw(DTYPES)
    shape = draw(hnp.array_shapes(min_dims=1, max_dims=3, max_side=5))
    values = st.one_of(st.integers(-4, 4).map(float), st.floats(-30, 30, width=32))
    z = draw(hnp.arrays(dtype, shape, elements=values))
    ruled_out = draw(hnp.arrays(bool, shape))
    ruled_out[..., draw(st.integers(0, shape[-1] - 1))] = False
    z[ruled_out] = -np.inf
    return z


def probabilities_of(row):
    weights = [math.exp(z - max(row)) for z in row]
    return [w / math.fsum(weights) for w in weights]


def check_filtered(z, before, out, kept_of):
    """``out`` keeps exactly the tokens that ``kept_of(row)`` names, and ``z`` is as before."""
    np.testing.assert_array_equal(z, before)
    assert out.dtype == z.dtype and out.shape == z.shape
    n_tokens = z.shape[-1]
    for row, filtered in zip(z.reshape(-1, n_tokens), out.reshape(-1, n_tokens), strict=True):
        kept = kept_of([float(v) for v in row])
        expected = [v if i in kept else -np.inf for i, v in enumerate(row)]
        np.testing.assert_array_equal(filtered, expected)
        assert np.isfinite(filtered).any()


@given(logits_arrays(), st.integers(1, 7))
def test_top_k_keeps_what_reaches_the_kth_largest(z, k):
    def kept_of(row):
        kth = sorted(row, reverse=True)[:k][-1]
        return {i for i, v in enumerate(row) if v >= kth}

    check_filtered(z, z.copy(), top_k_filter(z, k), kept_of)


@given(logits_arrays(), st.floats(0.01, 1.0))
def test_top_p_keeps_the_smallest_set_that_holds_p(z, p):
    def kept_of(row):
        probabilities = probabilities_of(row)
        order = sorted(range(len(row)), key=lambda i: (-row[i], i))
        kept, mass = set(), 0.0
        for i in order:
            if p < 1 and mass >= p - 1e-12:
                break
            kept.add(i)
            mass += probabilities[i]
        return kept

    masses = [
        sum(sorted(probabilities_of(row), reverse=True)[:n])
        for row in z.reshape(-1, z.shape[-1]).astype(float).tolist()
        for n in range(1, z.shape[-1] + 1)
    ]
    if any(abs(mass - p) < 1e-9 for mass in masses):
        return  # a border that rounding decides
    check_filtered(z, z.copy(), top_p_filter(z, p), kept_of)


@given(logits_arrays(), st.sampled_from([0.1, 0.25, 0.5, 0.9, 1.0]))
def test_min_p_keeps_what_is_near_the_best(z, min_p):
    def kept_of(row):
        best = max(row)
        return {i for i, v in enumerate(row) if math.exp(v - best) >= min_p * (1 - 1e-6)}

    ratio = np.exp(z.astype(float) - z.max(-1, keepdims=True))
    if ((np.abs(ratio - min_p) < 1e-5) & (z < z.max(-1, keepdims=True))).any():
        return  # a border that rounding decides
    check_filtered(z, z.copy(), min_p_filter(z, min_p), kept_of)


@given(logits_arrays(), st.floats(0.05, 20))
def test_temperature_divides(z, temperature):
    before = z.copy()
    out = apply_temperature(z, temperature)
    np.testing.assert_array_equal(z, before)
    assert out.dtype == z.dtype
    np.testing.assert_allclose(out, z / temperature, rtol=1e-6, atol=1e-37)


@given(logits_arrays())
def test_temperature_zero_is_the_limit_and_keeps_the_first_of_equals(z):
    check_filtered(z, z.copy(), apply_temperature(z, 0), lambda row: {row.index(max(row))})


@given(logits_arrays(), st.floats(0.25, 4), st.data())
def test_repetition_penalty_equals_the_plain_loop(z, penalty, data):
    shape = (*z.shape[:-1], data.draw(st.integers(0, 6)))
    ids = data.draw(hnp.arrays(np.int64, shape, elements=st.integers(0, z.shape[-1] - 1)))
    mask = data.draw(st.none() | hnp.arrays(bool, shape))
    before = z.copy()
    expected = z.astype(float)
    for place in np.ndindex(*z.shape[:-1]):
        real = ids[place] if mask is None else ids[place][mask[place]]
        for token in set(real.tolist()):
            v = float(z[(*place, token)])
            expected[(*place, token)] = v / penalty if v > 0 else v * penalty
    out = repetition_penalty(z, ids, penalty, mask)
    np.testing.assert_array_equal(z, before)
    assert out.dtype == z.dtype
    np.testing.assert_allclose(out, expected, rtol=1e-6, atol=1e-37)  # subnormals round


@given(logits_arrays(), st.integers(1, 4), st.data())
def test_no_repeated_ngram_equals_the_plain_loop(z, n, data):
    shape = (*z.shape[:-1], data.draw(st.integers(0, 9)))
    ids = data.draw(hnp.arrays(np.int64, shape, elements=st.integers(0, z.shape[-1] - 1)))
    n_padding = data.draw(hnp.arrays(np.int64, z.shape[:-1], elements=st.integers(0, shape[-1])))
    mask = data.draw(st.sampled_from([None, np.arange(shape[-1]) >= n_padding[..., None]]))
    before, expected = z.copy(), z.copy()
    for place in np.ndindex(*z.shape[:-1]):
        tokens = (ids[place] if mask is None else ids[place][mask[place]]).tolist()
        ngrams = {tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1)}
        for token in range(z.shape[-1]):
            if len(tokens) >= n - 1 and (*tokens[len(tokens) - n + 1 :], token) in ngrams:
                expected[(*place, token)] = -np.inf
    out = no_repeat_ngram_filter(z, ids, n, mask)
    np.testing.assert_array_equal(z, before)
    np.testing.assert_array_equal(out, expected)
    assert out.dtype == z.dtype and out is not z


def test_repetition_penalty_lowers_positive_and_negative_logits():
    z = np.array([2.0, -2.0, 0.0, 1.0])
    out = repetition_penalty(z, np.array([0, 1, 2, 0]), penalty=4.0)
    np.testing.assert_array_equal(out, [0.5, -8.0, 0.0, 1.0])


def test_top_p_includes_the_token_that_crosses_and_prefers_low_ids_of_equals():
    z = np.log(np.array([0.25, 0.25, 0.25, 0.25]))
    np.testing.assert_array_equal(np.isfinite(top_p_filter(z, 0.5)), [True, True, False, False])
    np.testing.assert_array_equal(np.isfinite(top_p_filter(z, 0.51)), [True, True, True, False])
    assert np.isfinite(top_p_filter(z, 1e-9)).sum() == 1


def test_top_p_of_one_keeps_even_what_rounding_would_lose():
    z = np.array([0.0, -60.0], dtype=np.float32)
    np.testing.assert_array_equal(top_p_filter(z, 1.0), z)


def test_softmax_of_large_logits():
    np.testing.assert_allclose(
        softmax(np.array([1e4, 1e4 - 1], np.float32)), [0.731059, 0.268941], 1e-5
    )


# ── drawing ───────────────────────────────────────────────────────────────────────────────────


def test_samples_follow_the_probabilities():
    p = np.array([0.4, 0.3, 0.15, 0.1, 0.05, 0.0])
    n = 20_000
    with np.errstate(divide="ignore"):
        z = np.log(p)
    drawn = sample_from(np.broadcast_to(z, (n, 6)), np.random.default_rng(3))
    counts = np.bincount(drawn, minlength=6)
    assert counts[5] == 0
    expected = n * p[:5]
    chi_square = ((counts[:5] - expected) ** 2 / expected).sum()
    assert chi_square < 18.5  # 0.1 % of the distribution with 4 degrees of freedom lie above


def test_each_row_follows_its_own_probabilities():
    z = np.log(np.array([[0.9, 0.1], [0.2, 0.8]]))
    drawn = sample_from(np.broadcast_to(z, (4000, 2, 2)), np.random.default_rng(0))
    np.testing.assert_allclose(drawn.mean(axis=0), [0.1, 0.8], atol=0.02)


class Fixed(np.random.Generator):
    """Gives one number only."""

    def __init__(self, u):
        super().__init__(np.random.PCG64(0))
        self.u = u

    def random(self, *args, **kwargs):
        return self.u


@pytest.mark.parametrize("u", [0.0, 0.5, 1 - 2**-53])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_impossible_tokens_are_never_drawn_even_at_the_ends(u, dtype):
    z = np.full(50, -np.inf, dtype=dtype)
    z[[7, 8, 30]] = [0.1, 0.2, 0.3]
    assert sample_from(z[None], [Fixed(u)])[0] == {0.0: 7, 0.5: 8, 1 - 2**-53: 30}[u]


@given(logits_arrays(), st.integers(0, 2**32))
def test_a_sample_is_one_possible_token_for_each_row(z, seed):
    drawn = sample_from(z, np.random.default_rng(seed))
    assert drawn.shape == z.shape[:-1] and drawn.dtype == np.int64
    assert np.isfinite(np.take_along_axis(z, drawn[..., None], axis=-1)).all()


def test_a_generator_per_row_gives_each_row_its_own_draws():
    z = np.random.default_rng(0).normal(size=(3, 40))
    together = sample_from(z, [np.random.default_rng(i) for i in range(3)])
    alone = [sample_from(z[i], np.random.default_rng(i)) for i in range(3)]
    np.testing.assert_array_equal(together, alone)
    with pytest.raises(ValueError, match="2 generators for 3 rows"):
        sample_from(z, [np.random.default_rng(i) for i in range(2)])


# ── refusals ──────────────────────────────────────────────────────────────────────────────────

Z = np.array([0.5, -1.0, 2.0])


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda: apply_temperature(Z, -1), ValueError, "temperature must be .* at least 0: got -1"),
        (lambda: apply_temperature(Z, math.nan), ValueError, "temperature must be .*: got nan"),
        (lambda: apply_temperature(Z, True), TypeError, "temperature must be .*: got True"),
        (lambda: apply_temperature(Z, "hot"), TypeError, "temperature must be .*: got 'hot'"),
        (lambda: apply_temperature(Z.astype("f"), 1e-42), ValueError, "use temperature=0"),
        (lambda: apply_temperature(Z.astype("f"), 1e-60), ValueError, "use temperature=0"),
        (lambda: top_k_filter(Z, 0), ValueError, "top_k must be .* at least 1: got 0"),
        (lambda: top_k_filter(Z, 2.0), TypeError, "top_k must be an integer .*: got 2.0"),
        (lambda: top_p_filter(Z, 0), ValueError, "top_p .* above 0 and of at most 1: got 0"),
        (lambda: top_p_filter(Z, 1.01), ValueError, "top_p must be .*: got 1.01"),
        (lambda: min_p_filter(Z, 0), ValueError, "min_p must be .*: got 0"),
        (lambda: repetition_penalty(Z, np.array([0]), 0), ValueError, "penalty must be .*: got 0"),
        (lambda: repetition_penalty(Z, np.array([0]), math.inf), ValueError, "must be .*: got inf"),
        (lambda: repetition_penalty(Z, np.array([3]), 2), IndexError, "from 0 to 2.*: got 3"),
        (lambda: repetition_penalty(Z, np.array([-1]), 2), IndexError, "from 0 to 2.*: got -1"),
        (lambda: repetition_penalty(Z, np.array([0.5]), 2), TypeError, "integers: got a float64"),
        (lambda: repetition_penalty(Z, np.array([[0]]), 2), ValueError, "does not fit"),
        (lambda: repetition_penalty(Z, np.array([0]), 2, np.ones(2, bool)), ValueError, "mask "),
        (lambda: repetition_penalty(Z, np.array([0]), 2, np.ones(1)), TypeError, "mask must be an"),
        (lambda: no_repeat_ngram_filter(Z, np.array([0]), 0), ValueError, "n must be .*: got 0"),
        (lambda: no_repeat_ngram_filter(Z, np.array([3]), 1), IndexError, "from 0 to 2.*: got 3"),
        (lambda: top_k_filter(np.array([1, 2]), 1), TypeError, "float32 or float64: got an int64"),
        (lambda: top_k_filter([1.0, 2.0], 1), TypeError, r"array: got \[1.0, 2.0\]; pass np"),
        (lambda: top_k_filter(Tensor(Z), 1), TypeError, r"logits\.data"),
        (lambda: top_k_filter(np.array(1.0), 1), ValueError, r"shape \(\)"),
        (lambda: top_k_filter(np.array([1.0, math.nan]), 1), ValueError, "NaN"),
        (lambda: top_p_filter(np.array([1.0, math.inf]), 0.5), ValueError, r"\+inf"),
        (lambda: sample_from(np.full(2, -math.inf), Fixed(0.5)), ValueError, "-inf"),
        (lambda: sample_from(np.array([math.nan, 1.0]), Fixed(0.5)), ValueError, "NaN"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused_with_its_name(call, error, says):
    with pytest.raises(error, match=says):
        call()
