"""Elementwise primitives: values as NumPy's, derivatives as finite differences say."""

from __future__ import annotations

import math
import weakref

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigpt import Tensor, gradcheck
from minigpt import operations as ops
from tests.strategies import broadcastable, distinct, seeds, shapes, tensors

BINARY = {
    ops.add: np.add,
    ops.subtract: np.subtract,
    ops.multiply: np.multiply,
    ops.divide: np.divide,
    ops.maximum: np.maximum,
}
UNARY = {
    ops.negative: np.negative,
    ops.absolute: np.abs,
    ops.exp: np.exp,
    ops.tanh: np.tanh,
    ops.sigmoid: lambda a: 1 / (1 + np.exp(-a)),
    ops.relu: lambda a: np.maximum(a, 0),
}
OF_POSITIVE_NUMBERS = {ops.log: np.log, ops.sqrt: np.sqrt}


def by_name(functions):
    return pytest.mark.parametrize(
        ("fn", "reference"), functions.items(), ids=[fn.__name__ for fn in functions]
    )


@by_name(BINARY)
@given(broadcastable(2, min_side=0), seeds)
def test_binary(fn, reference, two_shapes, seed):
    a, b = tensors(two_shapes, seed)
    np.testing.assert_array_equal(fn(a, b).data, reference(a.data, b.data))
    assert gradcheck(fn, [a, b])


@by_name(BINARY)
@given(shapes(), seeds)
def test_binary_with_a_number(fn, reference, shape, seed):
    (x,) = tensors([shape], seed)
    np.testing.assert_array_equal(fn(x, 0.7).data, reference(x.data, 0.7))
    assert gradcheck(lambda x: fn(x, 0.7), x)
    assert gradcheck(lambda x: fn(-3, x), x)


@by_name(UNARY)
@given(shapes(min_side=0), seeds)
def test_unary(fn, reference, shape, seed):
    (x,) = tensors([shape], seed)
    np.testing.assert_allclose(fn(x).data, reference(x.data), rtol=1e-13, atol=1e-15)
    assert gradcheck(fn, x)


@by_name(OF_POSITIVE_NUMBERS)
@given(shapes(), seeds)
def test_unary_of_positive_numbers(fn, reference, shape, seed):
    (x,) = tensors([shape], seed, low=0.1, high=3.0)
    np.testing.assert_array_equal(fn(x).data, reference(x.data))
    assert gradcheck(fn, x)


@given(shapes(), seeds, st.sampled_from([-2, -1, -0.5, 0, 0.5, 1, 1.7, 2, 3, 4, np.int64(2)]))
def test_power(shape, seed, n):
    (x,) = tensors([shape], seed, low=0.2, high=2.0)
    np.testing.assert_allclose((x**n).data, x.data ** float(n), rtol=1e-14)
    assert gradcheck(lambda x: x**n, x)


@given(shapes(), seeds, st.sampled_from([-1, 0, 1, 2, 3, 4]))
def test_whole_powers_of_negative_numbers(shape, seed, n):
    (x,) = tensors([shape], seed, low=-2.0, high=-0.2)
    np.testing.assert_allclose((x**n).data, x.data ** float(n), rtol=1e-14)
    assert gradcheck(lambda x: x**n, x)


@pytest.mark.parametrize(("n", "slope"), [(0, 0), (1, 1), (2, 0), (3, 0)])
def test_whole_powers_of_0_have_a_slope(n, slope):
    x = Tensor(np.zeros(1), requires_grad=True)
    (x**n).sum().backward()
    assert x.grad == slope


@given(broadcastable(3), seeds)
def test_where(three_shapes, seed):
    a, b = tensors(three_shapes[:2], seed)
    condition = distinct(three_shapes[2:], seed)[0] > 0
    y = ops.where(condition, a, b)
    np.testing.assert_array_equal(y.data, np.where(condition, a.data, b.data))
    assert gradcheck(lambda a, b: ops.where(condition, a, b), [a, b])
    assert gradcheck(lambda a: ops.where(condition, a, 1.0), a)
    assert gradcheck(lambda b: ops.where(condition, 2, b), b)


@given(broadcastable(2), seeds, st.sampled_from([0, 1.5, -math.inf]))
def test_masked_fill(two_shapes, seed, value):
    (x,) = tensors(two_shapes[:1], seed)
    mask = distinct(two_shapes[1:], seed + 1)[0] > 0
    y = x.masked_fill(mask, value)
    np.testing.assert_array_equal(y.data, np.where(mask, value, x.data))
    finite = 0.0 if math.isinf(value) else value
    assert gradcheck(lambda x: x.masked_fill(mask, finite), x)


# ── at the kinks, and far out ─────────────────────────────────────────────────────────────────


def gradient_at(fn, *numbers):
    inputs = [Tensor(np.array([n]), requires_grad=True) for n in numbers]
    fn(*inputs).sum().backward()
    return [x.grad.item() for x in inputs]


def test_at_the_kinks():
    assert gradient_at(ops.relu, 0.0) == [0]
    assert gradient_at(ops.absolute, 0.0) == [0]
    assert gradient_at(ops.maximum, 1.0, 1.0) == [0.5, 0.5]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sigmoid_and_tanh_do_not_overflow(dtype):
    x = Tensor(np.array([-1e30, -100, 100, 1e30], dtype), requires_grad=True)
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        for fn, lowest in ((ops.sigmoid, 0), (ops.tanh, -1)):
            y = fn(x)
            np.testing.assert_allclose(y.data, [lowest, lowest, 1, 1], atol=1e-12)
            y.sum().backward()
    np.testing.assert_allclose(x.grad, 0, atol=1e-12)


def test_sigmoid_keeps_its_precision_where_it_is_small():
    x = np.array([-80.0, -20.0, -5.0], np.float32)
    expected = 1 / (1 + np.exp(-x.astype(np.float64)))
    np.testing.assert_allclose(ops.sigmoid(Tensor(x)).data, expected, rtol=1e-6)


def test_a_product_with_a_constant_keeps_nothing():
    x = Tensor([1.0, 2.0], requires_grad=True)
    hidden = x + 1
    held = weakref.ref(hidden.data)
    y = hidden * 2.0 / 4.0
    del hidden
    assert held() is None
    y.sum().backward()
    np.testing.assert_array_equal(x.grad, [0.5, 0.5])


def test_a_filled_place_passes_no_gradient_not_even_through_infinity():
    x = Tensor(np.array([1.0, 2.0, 3.0]), requires_grad=True)
    mask = np.array([False, True, False])
    x.masked_fill(mask, -np.inf).exp().sum().backward()
    np.testing.assert_array_equal(x.grad, [np.exp(1.0), 0, np.exp(3.0)])


# ── errors ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("fn", BINARY, ids=lambda fn: fn.__name__)
def test_shapes_that_do_not_broadcast_are_both_named(fn):
    message = rf"{fn.__name__} of shapes \(2,\) and \(3,\): they do not broadcast.*reshape"
    with pytest.raises(ValueError, match=message):
        fn(Tensor([1.0, 2.0]), Tensor([1.0, 2.0, 3.0]))


def test_three_shapes_that_do_not_broadcast_are_all_named():
    with pytest.raises(ValueError, match=r"where of shapes \(2,\) and \(\) and \(3,\)"):
        Tensor([1.0, 2.0, 3.0]).masked_fill(np.array([True, False]), 0.0)


@pytest.mark.parametrize("mask", [np.ones(2), np.ones(2, int), [1, 0], Tensor([1.0, 0.0])])
def test_a_condition_is_boolean(mask):
    x = Tensor([1.0, 2.0])
    for fn in (lambda: ops.where(mask, x, x), lambda: x.masked_fill(mask, 0)):
        with pytest.raises(
            TypeError, match=r"must be an array of booleans: got an? (float|int).*compare first"
        ):
            fn()


def test_where_of_mixed_types():
    with pytest.raises(TypeError, match="do not mix"):
        ops.where(np.array([True]), Tensor([1.0]), Tensor(np.ones(1)))


def test_an_array_of_another_type_is_no_filling():
    with pytest.raises(TypeError, match="do not mix"):
        Tensor([1.0, 2.0]).masked_fill(np.array([True, False]), np.ones(2))
