"""Indexing: every kind of index that NumPy knows, and gradients that add up at repeated places."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

from minigpt import Tensor, gradcheck
from tests.strategies import seeds, shape_and_index, tensors


@settings(max_examples=100)
@given(shape_and_index(), seeds)
def test_any_index(drawn, seed):
    shape, index = drawn
    (x,) = tensors([shape], seed)
    y = x[index]
    assert y.shape == np.shape(x.data[index])
    np.testing.assert_array_equal(y.data, x.data[index])
    assert gradcheck(lambda x: x[index], x)


REPEATED = np.array([[0, 2], [2, 2]])
INDICES = {
    "integer": 1,
    "negative": -1,
    "numpy integer": np.int64(1),
    "slice": slice(1, None),
    "backwards": slice(None, None, -2),
    "nothing": slice(2, 1),
    "None": None,
    "Ellipsis": ...,
    "all at once": (..., None, 0, slice(1, 3)),
    "no index": (),
    "list": [0, 2],
    "empty list": [],
    "repeated": REPEATED,
    "unsigned": REPEATED.astype(np.uint8),
    "two arrays": ([0, 0, 2], [1, 1, 3]),
    "arrays that broadcast": (np.array([[0], [2]]), np.array([1, 1])),
    "array and slice": (slice(None), [3, 3, 0]),
    "array and None": (None, REPEATED, None),
    "array and Ellipsis": (..., [0, 1, 1]),
    "arrays around a slice": ([0, 0], slice(None), [1, 1]),
    "booleans": np.array([True, False, True]),
    "booleans of all axes": np.arange(24).reshape(3, 4, 2) % 3 == 0,
    "list of booleans": [True, False, True],
    "booleans and integer": (np.array([True, False, True]), 1),
    "one True": True,
    "one False": np.False_,
}


@pytest.mark.parametrize("index", INDICES.values(), ids=INDICES)
def test_each_kind(index):
    (x,) = tensors([(3, 4, 2)], seed=0)
    np.testing.assert_array_equal(x[index].data, x.data[index])
    assert gradcheck(lambda x: x[index], x)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_repeated_places_add_up(dtype):
    x = Tensor(np.zeros(3, dtype), requires_grad=True)
    x[[0, 2, 2, -1]].backward(np.array([1, 2, 4, 8], dtype))
    assert x.grad.dtype == dtype
    np.testing.assert_array_equal(x.grad, [1, 0, 14])


@pytest.mark.parametrize(
    ("index", "error", "message"),
    [
        (3, IndexError, "index 3 is out of bounds for axis 0 with size 3"),
        ([0, 7], IndexError, "index 7 is out of bounds"),
        ((0, 0, 0), IndexError, "too many indices"),
        (np.array([True, False]), IndexError, "boolean index did not match"),
        (1.5, IndexError, "only integers, slices"),
        (np.array([1.0]), IndexError, "integer .*or boolean"),
        ("a", IndexError, "only integers, slices"),
        (Tensor([1.0]), TypeError, "Tensor holds floats and cannot index"),
        ((0, Tensor([1.0])), TypeError, "use an array of integers"),
    ],
)
def test_wrong_indices(index, error, message):
    with pytest.raises(error, match=message):
        Tensor(np.ones((3, 4)))[index]
