"""Sum, mean, variance and maximum, over any axes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from minigpt import Tensor, gradcheck
from minigpt import operations as ops
from tests.strategies import seeds, shape_and_axes, tensors

REDUCTIONS = {ops.sum: np.sum, ops.mean: np.mean, ops.var: np.var, ops.max: np.max}


@pytest.mark.parametrize(
    ("fn", "reference"), REDUCTIONS.items(), ids=[fn.__name__ for fn in REDUCTIONS]
)
@given(shape_and_axes(), st.booleans(), seeds)
def test_reduction(fn, reference, drawn, keepdims, seed):
    shape, axis = drawn
    (x,) = tensors([shape], seed)
    y = fn(x, axis=axis, keepdims=keepdims)
    expected = reference(x.data, axis=axis, keepdims=keepdims)
    assert y.shape == np.shape(expected)
    np.testing.assert_allclose(y.data, expected, rtol=1e-13, atol=1e-15)
    assert gradcheck(lambda x: fn(x, axis=axis, keepdims=keepdims), x)


@given(shape_and_axes(), st.booleans(), seeds)
def test_unbiased_variance(drawn, keepdims, seed):
    shape, axis = drawn
    (x,) = tensors([shape], seed)
    axes = tuple(range(x.ndim)) if axis is None else axis
    assume(np.prod(np.take(shape, axes), initial=1) > 1)
    options = {"axis": axis, "keepdims": keepdims}
    np.testing.assert_allclose(
        ops.var(x, correction=1, **options).data, np.var(x.data, ddof=1, **options), rtol=1e-13
    )
    assert gradcheck(lambda x: ops.var(x, correction=1, **options), x)


def test_equal_maxima_share_the_gradient():
    x = Tensor(np.array([[1.0, 3.0, 3.0], [2.0, 0.0, 1.0]]), requires_grad=True)
    x.max(axis=1).sum().backward()
    np.testing.assert_array_equal(x.grad, [[0, 0.5, 0.5], [1, 0, 0]])


def test_the_variance_of_large_numbers_is_not_lost():
    x = Tensor((1e4 + np.array([-1.0, 0.0, 1.0])).astype(np.float32))
    assert x.var().item() == pytest.approx(2 / 3, rel=1e-3)


@pytest.mark.parametrize("fn", REDUCTIONS, ids=lambda fn: fn.__name__)
@pytest.mark.parametrize(
    ("axis", "error", "message"),
    [
        (2, ValueError, "axis must be from -2 to 1, as there are 2 axes: got 2"),
        (-3, ValueError, "axis must be from -2 to 1, as there are 2 axes: got -3"),
        ((0, -2), ValueError, r"axis must be made of different axes: got \(0, -2\)"),
        ([0], TypeError, r"axis must be an integer, a tuple of integers or None: got \[0\]"),
        (True, TypeError, "got True"),
        (1.0, TypeError, r"got 1\.0"),
    ],
)
def test_wrong_axes(fn, axis, error, message):
    with pytest.raises(error, match=message):
        fn(Tensor(np.ones((2, 3))), axis=axis)


def test_nothing_to_reduce():
    empty = Tensor(np.ones((0, 3)))
    assert empty.sum().item() == 0
    np.testing.assert_array_equal(empty.sum(axis=0).data, [0, 0, 0])
    for fn in (ops.mean, ops.var):
        with pytest.raises(ValueError, match=r"no numbers to average: shape \(0, 3\)"):
            fn(empty)
    for axis in (None, 0, (0, 1)):
        with pytest.raises(
            ValueError, match=r"max: no numbers to choose from: shape \(0, 3\) over"
        ):
            empty.max(axis)
    assert empty.max(axis=1).shape == (0,)


def test_a_variance_needs_more_numbers_than_its_correction():
    with pytest.raises(
        ValueError,
        match="correction must be below 1, the number of values that the variance is of: got 1",
    ):
        Tensor([1.0]).var(correction=1)
