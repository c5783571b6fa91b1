"""What hypothesis draws: shapes, axes and indices; and tensors of numbers that suit gradcheck.

Numbers come from a drawn seed, not from hypothesis one by one: they are then of moderate size, all
different, and none is 0, so that no finite difference steps over the kink of max, relu or |x|.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from minigpt import Tensor
from minigpt.autograd import gradients

seeds = st.integers(0, 2**32 - 1)
both_dtypes = st.sampled_from([np.float32, np.float64])


def distinct(shapes, seed, dtype=np.float64, low=-2.0, high=2.0):
    """An array for each shape; no two of all their numbers are equal, none is 0."""
    rng = np.random.default_rng(seed)
    sizes = [math.prod(shape) for shape in shapes]
    n = max(sum(sizes), 1)
    grid = (np.arange(n) + 0.3 + rng.uniform(-0.1, 0.1, n)) / n  # ½, which becomes 0, is between
    values = rng.permutation(low + (high - low) * grid)[: sum(sizes)]
    pieces = np.split(values, np.cumsum(sizes)[:-1])
    return [p.reshape(s).astype(dtype) for p, s in zip(pieces, shapes, strict=True)]


def tensors(shapes, seed, dtype=np.float64, low=-2.0, high=2.0):
    """A Tensor for each shape, all of which require gradients."""
    return [Tensor(a, requires_grad=True) for a in distinct(shapes, seed, dtype, low, high)]


def shapes(min_dims=0, max_dims=3, min_side=1, max_side=3):
    return hnp.array_shapes(
        min_dims=min_dims, max_dims=max_dims, min_side=min_side, max_side=max_side
    )


def broadcastable(count, min_side=1):
    """So many shapes that broadcast with each other."""
    drawn = hnp.mutually_broadcastable_shapes(
        num_shapes=count, min_side=min_side, max_side=3, max_dims=3
    )
    return drawn.map(lambda found: found.input_shapes)


def matmul_shapes():
    """Two shapes that ``@`` takes: vectors, matrices, and batches that broadcast."""
    drawn = hnp.mutually_broadcastable_shapes(signature=np.matmul.signature, max_side=3, max_dims=2)
    return drawn.map(lambda found: found.input_shapes)


@st.composite
def shape_and_axis(draw, min_dims=1, max_dims=3):
    shape = draw(shapes(min_dims=min_dims, max_dims=max_dims))
    return shape, draw(st.integers(-len(shape), len(shape) - 1))


@st.composite
def shape_and_axes(draw):
    """A shape, and what a reduction takes as ``axis``: None, a number, or several."""
    shape = draw(shapes())
    several = hnp.valid_tuple_axes(len(shape))
    if not shape:
        return shape, draw(st.one_of(st.none(), several))
    one = st.integers(-len(shape), len(shape) - 1)
    return shape, draw(st.one_of(st.none(), one, several))


@st.composite
def shape_and_index(draw):
    """A shape, and one index of each kind that NumPy knows, or a mixture."""
    shape = draw(shapes(min_dims=1))
    basic = hnp.basic_indices(shape, allow_newaxis=True, max_dims=5)
    integers = hnp.integer_array_indices(shape, result_shape=shapes(min_dims=0, max_dims=2))
    booleans = hnp.arrays(np.bool_, st.integers(1, len(shape)).map(lambda n: shape[:n]))
    rows = st.lists(st.integers(-shape[0], shape[0] - 1), min_size=1, max_size=5)  # repeats
    mixed = st.one_of(
        rows.map(lambda r: (..., None, r) if len(shape) == 1 else (r, slice(None, None, -1))),
        rows.map(lambda r: (None, r, ...)),
        st.integers(-shape[0], shape[0] - 1).map(np.int64),
    )
    return shape, draw(st.one_of(basic, integers, booleans, rows, rows.map(np.array), mixed))


def values_and_gradients(fn, inputs: Sequence[Tensor], seed: int):
    """fn(*inputs) as an array, and ∂(Σ v∘fn)/∂input of each input, with a random v."""
    output = fn(*inputs)
    v = np.random.default_rng(seed).standard_normal(output.shape).astype(output.dtype)
    found = gradients(output, v)
    return output.data, [found[x] for x in inputs if x.requires_grad]


def assert_same_function(fused, plain, inputs, seed, tolerance):
    """Both functions give the same values and gradients, and keep the inputs' dtype."""
    y, gs = values_and_gradients(fused, inputs, seed)
    expected, expected_gs = values_and_gradients(plain, inputs, seed)
    dtype = inputs[0].dtype
    for found, wanted in zip([y, *gs], [expected, *expected_gs], strict=True):
        assert found.dtype == wanted.dtype == dtype
        assert found.shape == wanted.shape
        scale = max(1.0, float(np.abs(wanted).max(initial=0)))
        np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=tolerance * scale)
