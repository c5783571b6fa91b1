"""Global-norm clipping."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigpt.nn import Parameter
from minigpt.optim import clip_grad_norm, gradient_norm


def with_gradients(*gradients):
    parameters = []
    for g in gradients:
        p = Parameter(np.zeros(np.shape(g), getattr(g, "dtype", np.float64)))
        p.grad = g
        parameters.append(p)
    return parameters


def test_all_gradients_are_scaled_by_one_factor():
    a, b, c = with_gradients(np.array([3.0, 0.0]), np.array([[0.0], [4.0]]), np.zeros(3))
    c.grad = None
    assert clip_grad_norm([a, b, c], max_norm=2.5) == 5.0
    np.testing.assert_array_equal(a.grad, [1.5, 0.0])
    np.testing.assert_array_equal(b.grad, [[0.0], [2.0]])
    assert c.grad is None
    assert gradient_norm([a, b, c]) == 2.5


def test_a_norm_at_or_below_the_limit_is_left_alone():
    (p,) = with_gradients(np.array([3.0, 4.0]))
    for limit in (5.0, 6, math.inf):
        assert clip_grad_norm([("p", p)], limit) == 5.0
        np.testing.assert_array_equal(p.grad, [3.0, 4.0])


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_norm_that_is_not_finite_is_returned_and_touches_nothing(bad):
    (p,) = with_gradients(np.array([3.0, bad]))
    assert not math.isfinite(clip_grad_norm([p], 1.0))
    np.testing.assert_array_equal(p.grad, [3.0, bad])


def test_the_squares_of_large_float32_gradients_do_not_overflow():
    (p,) = with_gradients(np.full(4, 1e30, np.float32))
    assert clip_grad_norm([p], 1.0) == pytest.approx(2e30, rel=1e-6)
    np.testing.assert_allclose(p.grad, 0.5, rtol=1e-6)
    assert p.grad.dtype == np.float32


@pytest.mark.parametrize("size", [1e-30, 1e-20, 1e-10, 1.0, 1e10, 1e18, 1e25])
def test_the_norm_is_right_where_squares_leave_float32(size):
    g = np.random.default_rng(0).standard_normal(1000) * size
    expected = math.sqrt(float((g.astype(np.float32).astype(np.float64) ** 2).sum()))
    assert gradient_norm(with_gradients(g.astype(np.float32))) == pytest.approx(expected, rel=1e-12)


def test_no_gradient_at_all_has_norm_zero():
    assert clip_grad_norm([Parameter(np.ones(2))], 1.0) == 0.0


@given(
    st.lists(st.sampled_from([(), (0,), (5,), (3, 4), (70_000,)]), min_size=1, max_size=4),
    st.sampled_from([np.float32, np.float64]),
    st.floats(1e-3, 1e3),
    st.integers(0, 2**16),
)
def test_the_direction_stays_and_the_norm_is_bounded(shapes, dtype, max_norm, seed):
    rng = np.random.default_rng(seed)
    gradients = [rng.standard_normal(shape).astype(dtype) for shape in shapes]
    parameters = with_gradients(*(g.copy() for g in gradients))
    expected = math.sqrt(sum(float((g.astype(np.float64) ** 2).sum()) for g in gradients))
    norm = clip_grad_norm(parameters, max_norm)
    assert norm == pytest.approx(expected, rel=1e-12)
    scale = min(1.0, max_norm / norm) if norm else 1.0
    for g, p in zip(gradients, parameters, strict=True):
        np.testing.assert_allclose(p.grad, g * scale, rtol=1e-6 if dtype == np.float32 else 1e-14)
    assert gradient_norm(parameters) <= max_norm * (1 + 1e-6)


def test_a_transposed_gradient_is_clipped_like_any_other():
    g = np.arange(6.0).reshape(2, 3)
    (p,) = with_gradients(np.asfortranarray(g))
    norm = clip_grad_norm([p], 1.0)
    np.testing.assert_allclose(p.grad, g / norm)


@pytest.mark.parametrize(
    ("max_norm", "error"),
    [(0, ValueError), (-1.0, ValueError), (math.nan, ValueError), (True, TypeError),
     ("1", TypeError), (None, TypeError)],
)  # fmt: skip
def test_bad_limits_are_refused(max_norm, error):
    with pytest.raises(error, match="max_norm must be a number above 0: got"):
        clip_grad_norm(with_gradients(np.ones(2)), max_norm)
