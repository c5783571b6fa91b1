"""Numbers at the ends of their range: right where there is an answer, else NaN without a word."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigpt.functional as F
from minigpt import Tensor
from minigpt.functional import plain
from minigpt.nn import Parameter
from minigpt.optim import SGD, Adam, AdamW, Muon
from tests.strategies import seeds

INF, NAN = math.inf, math.nan
DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])


@pytest.fixture(autouse=True)
def no_warning_leaks():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def value_and_slope(fn, x, gradient=None):
    t = Tensor(np.asarray(x), requires_grad=True)
    y = fn(t)
    y.backward(np.ones_like(y.data) if gradient is None else gradient.astype(t.dtype))
    return y.data, t.grad


# ── activations ───────────────────────────────────────────────────────────────────────────────

ACTIVATIONS = pytest.mark.parametrize("name", ["gelu_tanh", "gelu_erf", "silu"])
DERIVATIVE = {
    "gelu_tanh": lambda x: value_and_slope(plain.gelu, np.array([x]))[1][0],
    "gelu_erf": lambda x: (
        0.5 * (1 + math.erf(x / math.sqrt(2))) + x * math.exp(-x * x / 2) / math.sqrt(2 * math.pi)
    ),
    "silu": lambda x: value_and_slope(plain.silu, np.array([x]))[1][0],
}


@ACTIVATIONS
@DTYPES
def test_far_out_an_activation_is_x_or_0_and_its_slope_1_or_0(name, dtype):
    largest = float(np.finfo(dtype).max)
    far = np.array([50, 1e4, 1e5, 1e13, 1e14, 1e19, 1e20, 1e30, largest, INF], dtype)
    y, slope = value_and_slope(F.ACTIVATIONS[name], far)
    np.testing.assert_array_equal(y, far)
    np.testing.assert_array_equal(slope, 1)
    far[0] = 200  # silu(−50) is not 0 yet
    y, slope = value_and_slope(F.ACTIVATIONS[name], -far)
    np.testing.assert_array_less(np.abs(y), 1e-38)
    np.testing.assert_array_less(np.abs(slope), 1e-38)


@ACTIVATIONS
@DTYPES
@given(x=st.floats(-12, 12))
def test_an_outlier_in_the_block_changes_nothing_for_the_others(name, dtype, x):
    alone = value_and_slope(F.ACTIVATIONS[name], np.array([x], dtype))
    beside = value_and_slope(F.ACTIVATIONS[name], np.array([x, 1e30, -INF], dtype))
    for a, b in zip(alone, beside, strict=True):
        np.testing.assert_array_equal(a, b[:1])
    assert alone[1][0] == pytest.approx(DERIVATIVE[name](float(dtype(x))), rel=1e-4, abs=1e-5)


@ACTIVATIONS
def test_nan_stays_nan(name):
    y, slope = value_and_slope(F.ACTIVATIONS[name], np.array([NAN, 1.0], np.float32))
    assert np.isnan(y).tolist() == np.isnan(slope).tolist() == [True, False]


# ── the norms ─────────────────────────────────────────────────────────────────────────────────


def layer_norm(eps=1e-5):
    def apply(x):
        n = x.shape[-1]
        return F.layer_norm(x, Tensor(np.ones(n, x.dtype)), Tensor(np.zeros(n, x.dtype)), eps)

    return apply


def rms_norm(eps=1e-5):
    return lambda x: F.rms_norm(x, Tensor(np.ones(x.shape[-1], x.dtype)), eps)


both_norms = pytest.mark.parametrize("norm", [layer_norm, rms_norm])


@both_norms
@given(st.integers(10, 37), seeds)
def test_the_norm_of_large_rows_is_that_of_float64(norm, exponent, seed):
    rng = np.random.default_rng(seed)
    x = (rng.standard_normal((4, 6)) * 10.0**exponent).astype(np.float32)
    x[0] /= np.float32(10.0**exponent)  # an ordinary row beside them
    g = rng.standard_normal((4, 6))
    y, slope = value_and_slope(norm(), x, g)
    expected, expected_slope = value_and_slope(norm(), x.astype(np.float64), g)
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-5)
    scale = np.abs(expected_slope).max(axis=-1, keepdims=True)
    np.testing.assert_allclose(slope / scale, expected_slope / scale, rtol=1e-3, atol=1e-3)
    alone, alone_slope = value_and_slope(norm(), x[:1], g[:1])
    np.testing.assert_allclose(y[:1], alone, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(slope[:1], alone_slope, rtol=1e-5, atol=1e-5)


@both_norms
@pytest.mark.parametrize(
    ("row", "dtype"),
    [
        ([1e19, -1e19, 2e19], np.float32),
        ([1e30, 0, -1e30], np.float32),
        ([3e38, -3e38, 3e38], np.float32),
        ([3e38, 3.2e38, 3.4e38], np.float32),
        ([1e160, 2e160, -1e160], np.float64),
        ([1.7e308, -1.7e308, 1.7e308], np.float64),
    ],
)
def test_a_norm_does_not_see_a_scale(norm, row, dtype):
    y, slope = value_and_slope(norm(), np.array([row], dtype), np.array([[1.0, 2.0, 4.0]]))
    small = np.array([row]) / abs(max(row, key=abs))
    expected, _ = value_and_slope(norm(1e-30), small, np.array([[1.0, 2.0, 4.0]]))
    rounding = 1e-5 if dtype == np.float32 else 1e-12
    np.testing.assert_allclose(y, expected, rtol=rounding, atol=rounding)
    assert np.isfinite(slope).all()


@pytest.mark.parametrize(
    ("size", "dtype"),
    [(1e30, np.float32), (3e38, np.float32), (1e200, np.float64), (1.7e308, np.float64)],
)
def test_a_large_row_of_equal_numbers_is_0(size, dtype):
    y, slope = value_and_slope(layer_norm(), np.full((1, 7), size, dtype), np.arange(7.0)[None])
    np.testing.assert_array_equal(y, 0)
    assert np.isfinite(slope).all()


@both_norms
@pytest.mark.parametrize("bad", [INF, -INF, NAN])
def test_a_row_with_infinity_is_nan_and_the_others_are_not(norm, bad):
    y, slope = value_and_slope(norm(), np.array([[bad, 0, 1], [1, 2, 4]], np.float32))
    assert np.isnan(y).all(axis=-1).tolist() == np.isnan(slope).all(axis=-1).tolist()
    assert np.isnan(y).all(axis=-1).tolist() == [True, False]


# ── softmax, cross-entropy, attention ─────────────────────────────────────────────────────────


@pytest.mark.parametrize("fn", [F.softmax, F.log_softmax], ids=lambda fn: fn.__name__)
@pytest.mark.parametrize(
    "row", [[INF, 0, 1], [INF, INF, 0], [-INF, -INF, -INF], [NAN, 1, 2], [INF, -INF, NAN]]
)
def test_softmax_of_infinities_is_nan_quietly(fn, row):
    y, _ = value_and_slope(fn, np.array([row, [1, 2, 3]], np.float32))
    assert np.isnan(y[0]).all()
    assert np.isfinite(y[1]).all()


def test_cross_entropy_of_an_infinite_logit_is_nan_quietly():
    logits = np.array([[INF, 0, 1], [1, 2, 3]], np.float32)
    y, _ = value_and_slope(lambda x: F.cross_entropy(x, np.array([0, 1]), reduction="none"), logits)
    assert np.isnan(y).tolist() == [True, False]


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("which", ["q", "k", "v"])
@pytest.mark.parametrize("bad", [INF, -INF, NAN, 3e38])
def test_attention_of_infinities_makes_no_noise(which, bad, causal):
    inputs = {name: np.ones((1, 2, 4, 3), np.float32) for name in "qkv"}
    inputs[which][0, 0, 2, 1] = bad
    mask = np.ones((4, 4), bool)
    tensors = [Tensor(a, requires_grad=True) for a in inputs.values()]
    for given_mask in (None, mask):
        F.scaled_dot_product_attention(*tensors, given_mask, causal).sum().backward()
    F.attention_weights(tensors[0], tensors[1], mask, causal)
    assert np.isfinite(tensors[2].grad[0, 1]).all()  # the other head


# ── optimizers ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("bad", [1e30, INF, NAN])
def test_muon_takes_any_gradient_without_noise(bad):
    """One number that is not finite spoils its whole matrix: its singular values are unknown."""
    p = Parameter(np.ones((2, 2), np.float32))
    optimizer = Muon([("w", p)], lr=0.1)
    for _ in range(3):
        p.grad = np.array([[bad, 1], [1, -bad]], np.float32)
        optimizer.step()
    assert np.isfinite(p.data).all() == np.isfinite(bad)


@pytest.mark.parametrize("make", [SGD, Adam, AdamW])
@pytest.mark.parametrize("bad", [1e30, INF, NAN])
def test_an_optimizer_takes_any_gradient_without_noise(make, bad):
    p = Parameter(np.ones((2, 2), np.float32))
    optimizer = make([p], lr=0.1)
    for _ in range(3):
        p.grad = np.array([[bad, 1], [1, -bad]], np.float32)
        optimizer.step()
    assert np.isfinite(p.data[0, 1])
