"""The equations at the ends of the numbers' range, against mpmath with 50 digits.

Values and gradients, in float32 and float64: 0, subnormal numbers, ±1, ±1e4, ±1e30 and the largest
there is; constant rows, rows of one number, rows that are masked as a whole. No warning leaks.

An error is counted in units in the last place (ulp) of the true number, or of what the stated
scale says where the equation itself subtracts numbers of that size: 1 − Φ far out, g − Σ g∘y.
Where the answer overflows there is ±∞, and the test says so.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minigpt.functional as F
from minigpt import Tensor
from tests.functional.test_extremes import value_and_slope

mp = pytest.importorskip("mpmath")

DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])


@pytest.fixture(autouse=True)
def no_warning_leaks():
    with warnings.catch_warnings(), np.errstate(all="warn", under="ignore"), mp.workdps(50):
        warnings.simplefilter("error")
        yield


def ulps(got: Any, true: Any, scale: Any, dtype: Any) -> float:
    """The largest error of some numbers, in ulps of the true ones or of a scale that is more."""
    info = np.finfo(dtype)
    worst = 0.0
    for y, t, s in zip(np.ravel(got).tolist(), true, scale, strict=True):
        if abs(t) > float(info.max):
            assert y == np.sign(t) * np.inf or abs(y) == float(info.max), (y, t)
            continue
        assert np.isfinite(y), (y, t)
        ulp = max(mp.mpf(float(info.eps)) * max(abs(t), s), mp.mpf(float(info.smallest_subnormal)))
        worst = max(worst, float(abs(mp.mpf(y) - t) / ulp))
    return worst


def exact(array: Any) -> list[Any]:
    return [mp.mpf(x) for x in np.ravel(array).tolist()]


# ── one number at a time ──────────────────────────────────────────────────────────────────────


def gelu_tanh(x: Any) -> Any:
    return x * (1 + mp.tanh(mp.sqrt(2 / mp.pi) * (x + mp.mpf(0.044715) * x**3))) / 2


def gelu_erf(x: Any) -> Any:
    return x * normal(x)


def normal(x: Any) -> Any:
    """Φ(x); beyond 1e3 there are no digits in which it differs from 0 or 1."""
    return mp.erfc(-max(-1000, min(1000, x)) / mp.sqrt(2)) / 2


def sigmoid(x: Any) -> Any:
    return 1 / (1 + mp.exp(-x))


def silu(x: Any) -> Any:
    return x * sigmoid(x)


def slope_of(f: Callable[[Any], Any], x: Any) -> Any:
    """f′(x), by the equations of the docstrings."""
    if f is sigmoid:
        return sigmoid(x) * sigmoid(-x)
    if f is silu:
        return sigmoid(x) + x * sigmoid(x) * sigmoid(-x)
    if f is gelu_erf:
        return normal(x) + x * mp.exp(-x * x / 2) / mp.sqrt(2 * mp.pi)
    c = mp.sqrt(2 / mp.pi)
    t = mp.tanh(c * (x + mp.mpf(0.044715) * x**3))
    return (1 + t) / 2 + x * (1 - t * t) / 2 * c * (1 + 3 * mp.mpf(0.044715) * x * x)


def points(dtype: Any) -> np.ndarray:
    info = np.finfo(dtype)
    sizes = [0, float(info.smallest_subnormal), float(info.tiny) / 3, float(info.tiny), 1e-20, 1e-8,
             1e-3, 0.3, 0.46875, 1, 2, 3, 4, 5, 6, 8, 9, 12, 20, 40, 88, 100, 1e4, 1e10, 1e30,
             float(info.max)]  # fmt: skip
    return np.array([*sizes, *(-s for s in sizes)], dtype)


FUNCTIONS: dict[str, tuple[Any, Any]] = {
    "sigmoid": (F.sigmoid, sigmoid),
    "silu": (F.silu, silu),
    "gelu_tanh": (F.gelu, gelu_tanh),
    "gelu_erf": (F.ACTIVATIONS["gelu_erf"], gelu_erf),
}


@DTYPES
@pytest.mark.parametrize("name", FUNCTIONS)
def test_an_activation_and_its_slope(name, dtype):
    """To 1 ulp and 4 ulps; those of x·Φ(x) are of x/2, as far as 1 − Φ has digits: up to 20."""
    fn, reference = FUNCTIONS[name]
    x = points(dtype)
    y, slope = value_and_slope(fn, x)
    numbers = exact(x)
    of_x = [mp.mpf(0) if name == "sigmoid" else min(abs(t), 20) / 2 for t in numbers]
    assert ulps(y, [reference(t) for t in numbers], of_x, dtype) <= 1
    of_slope = [max(1, s) for s in of_x]
    assert ulps(slope, [slope_of(reference, t) for t in numbers], of_slope, dtype) <= 4


# ── rows ──────────────────────────────────────────────────────────────────────────────────────


def rows(dtype: Any) -> dict[str, list[float]]:
    info = np.finfo(dtype)
    return {
        "one number": [3.5],
        "one large number": [1e30],
        "equal": [0.7] * 5,
        "equal and large": [1e30] * 5,
        "subnormal": [k * float(info.smallest_subnormal) for k in (1, -2, 3, 40, -5)],
        "small": [1e-20, -2e-20, 3e-20, 0, 1e-21],
        "ordinary": [0.1, -1.7, 2.3, 0.4, -0.6],
        "far apart": [1e4, -1e4, 0, 9999, 5000],
        "large": [1e30, -1e30, 1e29, 0, 5e29],
        "close and large": [1e4, 1e4 + 1, 1e4 - 1, 1e4 + 2, 1e4],
        "the largest": [float(info.max), -float(info.max), 0, 1, float(info.max)],
    }  # fmt: skip


ROWS = pytest.mark.parametrize("row", [*rows(np.float32)])
G = np.array([0.5, -1.25, 2.0, 0.75, -0.25])


def softmax(x: list[Any]) -> list[Any]:
    powers = [mp.exp(t - max(x)) for t in x]
    return [p / mp.fsum(powers) for p in powers]


@DTYPES
@ROWS
def test_softmax_and_its_gradient(row, dtype):
    x = np.array([rows(dtype)[row]], dtype)
    g = G[: x.size].astype(dtype)[None]
    p, weights = softmax(exact(x)), exact(g)
    y, slope = value_and_slope(F.softmax, x, g)
    assert ulps(y, p, [0] * len(p), dtype) <= 2
    mean = mp.fsum(w * q for w, q in zip(weights, p, strict=True))
    expected = [q * (w - mean) for w, q in zip(weights, p, strict=True)]
    assert ulps(slope, expected, [3 * q for q in p], dtype) <= 2


@DTYPES
@ROWS
def test_log_softmax_and_its_gradient(row, dtype):
    x = np.array([rows(dtype)[row]], dtype)
    g = G[: x.size].astype(dtype)[None]
    numbers, weights = exact(x), exact(g)
    p = softmax(numbers)
    log_sum = mp.log(mp.fsum(mp.exp(t - max(numbers)) for t in numbers))
    y, slope = value_and_slope(F.log_softmax, x, g)
    assert ulps(y, [t - max(numbers) - log_sum for t in numbers], [1] * len(p), dtype) <= 2
    expected = [w - q * mp.fsum(weights) for w, q in zip(weights, p, strict=True)]
    assert ulps(slope, expected, [3] * len(p), dtype) <= 2


@DTYPES
@ROWS
@pytest.mark.parametrize("smoothing", [0.0, 0.25])
def test_cross_entropy_and_its_gradient(row, dtype, smoothing):
    x = np.array([rows(dtype)[row]], dtype)
    numbers = exact(x)
    p, target, n = softmax(numbers), 0, x.size
    shifted = [t - max(numbers) for t in numbers]
    q = [(1 - smoothing) * (i == target) + mp.mpf(smoothing) / n for i in range(n)]
    asked = mp.fsum(w * t for w, t in zip(q, shifted, strict=True))
    loss = mp.log(mp.fsum(mp.exp(t) for t in shifted)) - asked
    y, slope = value_and_slope(
        lambda t: F.cross_entropy(t, np.array([target]), label_smoothing=smoothing), x
    )
    largest = max(abs(t) for t in shifted)
    if largest > float(np.finfo(dtype).max) and smoothing:
        assert y == np.inf  # two logits so far apart that their difference is
    else:
        assert ulps(y, [loss], [max(1, smoothing * largest)], dtype) <= 2
    assert ulps(slope, [a - b for a, b in zip(p, q, strict=True)], [1] * n, dtype) <= 2


def normalized(x: list[Any], eps: float, centred: bool, g: list[Any]) -> tuple[Any, ...]:
    """x̂ of a row, and ∂L/∂x for the gradient g, by the equations of layer norm and RMS norm."""
    n = len(x)
    mean = mp.fsum(x) / n if centred else mp.mpf(0)
    around = [t - mean for t in x]
    deviation = mp.sqrt(mp.fsum(t * t for t in around) / n + mp.mpf(eps))
    hat = [t / deviation for t in around]
    of_g = mp.fsum(g) / n if centred else mp.mpf(0)
    of_both = mp.fsum(a * b for a, b in zip(g, hat, strict=True)) / n
    slope = [(a - of_g - b * of_both) / deviation for a, b in zip(g, hat, strict=True)]
    return hat, slope, deviation, mean


@DTYPES
@ROWS
@pytest.mark.parametrize("centred", [True, False], ids=["layer_norm", "rms_norm"])
def test_the_norms_and_their_gradients(row, dtype, centred):
    """The mean is subtracted: an error is relative to the largest number of the row, over σ."""
    x = np.array([rows(dtype)[row]], dtype)
    n, eps = x.size, float(dtype(1e-5))
    g = G[:n].astype(dtype)[None]
    one = Tensor(np.ones(n, dtype))
    norm = F.layer_norm if centred else F.rms_norm
    y, slope = value_and_slope(lambda t: norm(t, one, eps=eps), x, g)
    numbers = exact(x)
    hat, expected, deviation, _ = normalized(numbers, eps, centred, exact(g))
    of_x = max(abs(t) for t in numbers) / deviation if centred else mp.mpf(0)
    assert ulps(y, hat, [max(of_x, 1)] * n, dtype) <= 2
    assert ulps(slope, expected, [3 / deviation * max(1, of_x)] * n, dtype) <= 2


# ── attention and rotary positions ────────────────────────────────────────────────────────────


@DTYPES
@pytest.mark.parametrize("size", [1e-30, 1.0, 1e4])
@pytest.mark.parametrize("tokens", [1, 3])
def test_attention(dtype, size, tokens):
    """The scores, up to 1e8, are rounded before exp: the error of a weight is theirs times ulp."""
    rng = np.random.default_rng(0)
    q, k, v = (rng.standard_normal((tokens, 2)).astype(dtype) for _ in range(3))
    q, k = q * dtype(size), k * dtype(size)
    mask = np.ones((tokens, tokens), bool)
    mask[-1] = tokens == 1  # the last of several sees nothing
    tensors = [Tensor(a, requires_grad=True) for a in (q, k, v)]
    y = F.scaled_dot_product_attention(*tensors, mask)
    y.sum().backward()
    for t, (query, seen) in enumerate(zip(q, mask, strict=True)):
        if not seen.any():
            np.testing.assert_array_equal(y.data[t], 0)
            np.testing.assert_array_equal(tensors[0].grad[t], 0)
            continue
        scores = [mp.fdot(exact(query), exact(key)) / mp.sqrt(2) for key in k]
        p = softmax(scores)
        expected = [mp.fdot(p, exact(v[:, i])) for i in range(2)]
        rounding = max(1, *(abs(s) for s in scores))
        scale = [rounding * float(np.abs(v).max())] * 2
        assert ulps(y.data[t], expected, scale, dtype) <= 4
    assert all(np.isfinite(x.grad).all() for x in tensors)


def test_attention_of_scores_that_overflow_is_nan_without_noise():
    x = Tensor(np.full((2, 2), 1e30, np.float32), requires_grad=True)
    y = F.scaled_dot_product_attention(x, x, x)
    assert np.isnan(y.data).all()
    precise = Tensor(np.full((2, 2), 1e30))
    np.testing.assert_allclose(F.scaled_dot_product_attention(precise, precise, precise).data, 1e30)


@DTYPES
@pytest.mark.parametrize("size", [1e-40, 1.0, 1e4, 1e30])
@pytest.mark.parametrize("place", [0, 1, 1000, 131_071])
def test_rotary(dtype, size, place):
    x = (np.array([[[0.5, -1.25, 2.0, 0.75]]]) * size).astype(dtype)
    y, slope = value_and_slope(lambda t: F.rotary(t, np.array([place])), x)
    turned, back = [], []
    numbers = exact(x)
    for i, theta in enumerate((1, mp.mpf(10_000) ** mp.mpf(-0.5))):
        c, s = mp.cos(place * theta), mp.sin(place * theta)
        a, b = numbers[i], numbers[i + 2]
        turned.append((i, a * c - b * s, c + s))
        turned.append((i + 2, a * s + b * c, c - s))
    expected = [t for _, t, _ in sorted(turned)]
    back = [t for _, _, t in sorted(turned)]
    largest = max(abs(t) for t in numbers)
    angle = max(1, place * float(np.finfo(np.float64).eps) / float(np.finfo(dtype).eps))
    assert ulps(y, expected, [largest * angle] * 4, dtype) <= 3
    assert ulps(slope, back, [2 * angle] * 4, dtype) <= 2
