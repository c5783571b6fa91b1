"""Operations that move numbers: reshape, transpose, broadcast, join, cut."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from minigpt import Tensor, gradcheck
from minigpt import operations as ops
from tests.strategies import seeds, shape_and_axis, shapes, tensors


@given(shapes(max_dims=4), st.data(), seeds)
def test_reshape(shape, data, seed):
    (x,) = tensors([shape], seed)
    target = data.draw(st.permutations([*shape, 1]).map(tuple))
    for y in (x.reshape(target), x.reshape(*target), x.reshape((-1, *target[1:]))):
        np.testing.assert_array_equal(y.data, x.data.reshape(target))
    assert gradcheck(lambda x: x.reshape(target), x)
    assert gradcheck(lambda x: x.reshape(-1), x)


@given(shapes(max_dims=4), st.data(), seeds)
def test_transpose(shape, data, seed):
    (x,) = tensors([shape], seed)
    order = data.draw(st.permutations(range(x.ndim)).map(tuple))
    order = tuple(i - x.ndim if data.draw(st.booleans()) else i for i in order)
    np.testing.assert_array_equal(x.transpose(order).data, x.data.transpose(order))
    np.testing.assert_array_equal(x.transpose(*order).data, x.data.transpose(order))
    np.testing.assert_array_equal(x.transpose().data, x.data.T)
    assert gradcheck(lambda x: x.transpose(order), x)
    assert gradcheck(lambda x: x.T, x)


@given(shape_and_axis(max_dims=4), st.data(), seeds)
def test_swapaxes(drawn, data, seed):
    shape, axis1 = drawn
    axis2 = data.draw(st.integers(-len(shape), len(shape) - 1))
    (x,) = tensors([shape], seed)
    np.testing.assert_array_equal(x.swapaxes(axis1, axis2).data, x.data.swapaxes(axis1, axis2))
    assert gradcheck(lambda x: x.swapaxes(axis1, axis2), x)


@given(hnp.mutually_broadcastable_shapes(num_shapes=1, base_shape=(2, 1, 3)), seeds)
def test_broadcast_to(drawn, seed):
    (x,) = tensors(drawn.input_shapes, seed)
    y = x.broadcast_to(drawn.result_shape)
    np.testing.assert_array_equal(y.data, np.broadcast_to(x.data, drawn.result_shape))
    assert gradcheck(lambda x: x.broadcast_to(drawn.result_shape), x)


@given(shape_and_axis(), st.lists(st.integers(0, 3), min_size=1, max_size=4), seeds)
def test_concatenate(drawn, lengths, seed):
    shape, axis = drawn
    place = axis % len(shape)
    pieces = tensors([(*shape[:place], n, *shape[place + 1 :]) for n in lengths], seed)
    y = ops.concatenate(pieces, axis=axis)
    np.testing.assert_array_equal(y.data, np.concatenate([p.data for p in pieces], axis=axis))
    assert gradcheck(lambda *pieces: ops.concatenate(pieces, axis=axis), pieces)


@given(shapes(), st.data(), st.integers(1, 4), seeds)
def test_stack(shape, data, count, seed):
    axis = data.draw(st.integers(-len(shape) - 1, len(shape)))
    pieces = tensors([shape] * count, seed)
    y = ops.stack(pieces, axis=axis)
    np.testing.assert_array_equal(y.data, np.stack([p.data for p in pieces], axis=axis))
    assert gradcheck(lambda *pieces: ops.stack(pieces, axis=axis), pieces)


@given(shape_and_axis(), st.integers(1, 3), st.integers(0, 2), seeds)
def test_split_in_equal_pieces(drawn, sections, length, seed):
    shape, axis = drawn
    place = axis % len(shape)
    (x,) = tensors([(*shape[:place], sections * length, *shape[place + 1 :])], seed)
    pieces = x.split(sections, axis=axis)
    expected = np.split(x.data, sections, axis=axis)
    assert len(pieces) == sections
    for piece, wanted in zip(pieces, expected, strict=True):
        np.testing.assert_array_equal(piece.data, wanted)
    for i in range(sections):
        assert gradcheck(lambda x, i=i: x.split(sections, axis=axis)[i], x)
    assert gradcheck(lambda x: ops.concatenate(x.split(sections, axis=axis)[::-1], axis=axis), x)


@given(st.lists(st.integers(0, 5), max_size=3).map(sorted), seeds)
def test_split_at_places(places, seed):
    (x,) = tensors([(2, 5)], seed)
    pieces = x.split(places, axis=-1)
    for piece, wanted in zip(pieces, np.split(x.data, places, axis=-1), strict=True):
        np.testing.assert_array_equal(piece.data, wanted)
    assert gradcheck(lambda x: ops.concatenate(x.split(places, axis=1)[::-1], axis=1), x)


# ── errors ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("fn", "error", "message"),
    [
        (
            lambda x: x.reshape(4),
            ValueError,
            r"reshape: shape must be a shape of 6 numbers, as x is \(2, 3\), with one "
            r"−1 at the most: got \(4,\)",
        ),
        (
            lambda x: x.broadcast_to((2, 2)),
            ValueError,
            r"broadcast_to: shape must be a shape that x, \(2, 3\), stretches to: got "
            r"\(2, 2\)",
        ),
        (
            lambda x: x.split(2, axis=1),
            ValueError,
            "split: sections must be a divisor of 3, the length of axis 1, or "
            "indices to cut at: got 2",
        ),
        (
            lambda x: x.split(0),
            ValueError,
            "split: sections must be an integer of at least 1: got 0",
        ),
        (
            lambda x: x.split(1, axis=2),
            ValueError,
            "axis must be from -2 to 1, as there are 2 axes: got 2",
        ),
        (
            lambda x: x.split([2, 1], axis=1),
            ValueError,
            "split: sections must be indices that rise from 0 to 3, the length of "
            r"axis 1: got \[2, 1\]",
        ),
        (
            lambda x: x.split([4], axis=1),
            ValueError,
            "split: sections must be indices that rise from 0 to 3, the length of "
            r"axis 1: got \[4\]",
        ),
        (
            lambda x: x.split([-1], axis=1),
            ValueError,
            "split: sections must be indices that rise from 0 to 3, the length of "
            r"axis 1: got \[-1\]",
        ),
        (lambda x: x.split([1.0], axis=1), TypeError, "integer"),
        (
            lambda x: x.swapaxes(0, 2),
            ValueError,
            r"axis[12] must be from -2 to 1, as there are 2 axes: got 2",
        ),
        (
            lambda x: x.swapaxes(-3, 1),
            ValueError,
            r"axis[12] must be from -2 to 1, as there are 2 axes: got -3",
        ),
        (lambda x: x.swapaxes(0, 1.0), TypeError, r"axis[12] must be an integer: got 1\.0"),
        (
            lambda x: ops.concatenate([x, x], axis=2),
            ValueError,
            "axis must be from -2 to 1, as there are 2 axes: got 2",
        ),
        (
            lambda x: ops.concatenate([x, x], axis=None),
            TypeError,
            "axis must be an integer: got None",
        ),
        (
            lambda x: ops.stack([x, x], axis=3),
            ValueError,
            "axis must be from -3 to 2, as there are 3 axes: got 3",
        ),
        (
            lambda x: ops.concatenate([]),
            ValueError,
            r"(concatenate|stack): tensors must be one Tensor at least: got \[\]",
        ),
        (
            lambda x: ops.stack([]),
            ValueError,
            r"(concatenate|stack): tensors must be one Tensor at least: got \[\]",
        ),
        (
            lambda x: ops.concatenate([x, x.T]),
            ValueError,
            r"concatenate: tensors\[1\] must be of the shape of tensors\[0\], \(2, "
            r"3\), but for axis 0: got a float64 Tensor of shape \(3, 2\)",
        ),
        (
            lambda x: ops.stack([x, x.T]),
            ValueError,
            r"stack: tensors\[1\] must have shape \(2, 3\): got \(3, 2\), as all must "
            r"have that of tensors\[0\]",
        ),
        (lambda x: ops.concatenate([x, x.astype(np.float32)]), TypeError, "do not mix"),
        (lambda x: ops.stack([x, x.data.astype(np.float32)]), TypeError, "do not mix"),
    ],
)
def test_wrong_arguments(fn, error, message):
    with pytest.raises(error, match=message):
        fn(Tensor(np.ones((2, 3))))
