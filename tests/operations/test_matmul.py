"""The matrix product: vectors, matrices, batches that broadcast."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

from minigpt import Tensor, gradcheck
from tests.strategies import matmul_shapes, seeds, tensors


@settings(max_examples=60)
@given(matmul_shapes(), seeds)
def test_any_shapes(two_shapes, seed):
    a, b = tensors(two_shapes, seed)
    y = a @ b
    assert y.shape == np.shape(a.data @ b.data)
    np.testing.assert_array_equal(y.data, a.data @ b.data)
    assert gradcheck(lambda a, b: a @ b, [a, b])


@pytest.mark.parametrize(
    ("a_shape", "b_shape"),
    [
        ((3,), (3,)),
        ((3,), (3, 2)),
        ((2, 3), (3,)),
        ((3,), (4, 3, 2)),
        ((4, 2, 3), (3,)),
        ((2, 3), (5, 3, 2)),
        ((5, 2, 3), (3, 2)),
        ((2, 1, 2, 3), (4, 3, 2)),
        ((1, 2, 3), (4, 3, 1)),
    ],
)
def test_each_kind(a_shape, b_shape):
    a, b = tensors([a_shape, b_shape], seed=0)
    np.testing.assert_array_equal((a @ b).data, a.data @ b.data)
    assert gradcheck(lambda a, b: a @ b, [a, b])


@pytest.mark.parametrize("array_on_the_left", [True, False])
def test_a_constant_operand(array_on_the_left):
    (x,) = tensors([(3, 3)], seed=0)
    constant = np.arange(9.0).reshape(3, 3)
    fn = (lambda x: constant @ x) if array_on_the_left else (lambda x: x @ constant)
    assert gradcheck(fn, x)


@pytest.mark.parametrize(
    ("a_shape", "b_shape", "message"),
    [
        ((2, 3), (2, 3), r"\(2, 3\) and \(2, 3\): the inner sizes differ, 3 and 2"),
        ((3,), (2,), "the inner sizes differ, 3 and 2"),
        ((2, 3), (2,), "the inner sizes differ, 3 and 2"),
        ((), (2, 2), r"\(\) and \(2, 2\): a number has no axes, use \*"),
        ((2, 2), (), r"use \*"),
        ((2, 3, 4), (3, 4, 5), r"the batch axes \(2,\) and \(3,\) do not broadcast"),
    ],
)
def test_shapes_that_do_not_fit(a_shape, b_shape, message):
    with pytest.raises(ValueError, match=message):
        Tensor(np.ones(a_shape)) @ Tensor(np.ones(b_shape))
