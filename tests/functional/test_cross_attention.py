"""Multi-head attention from one sequence to another: derivative, masks, equality with plain."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigpt.functional as F
from minigpt import Tensor, gradcheck
from minigpt.functional import plain
from tests.strategies import assert_same_function, seeds, tensors

TOLERANCE = {np.float64: 1e-12, np.float32: 1e-5}


@st.composite
def cross_attentions(draw):
    """Shapes of q and kv, how many heads, and a mask under which every query sees a key."""
    b, t, s = draw(st.integers(1, 2)), draw(st.integers(1, 4)), draw(st.integers(1, 4))
    n_head, d = draw(st.integers(1, 3)), draw(st.integers(1, 2))
    mask = None
    if draw(st.booleans()):
        mask = np.random.default_rng(draw(seeds)).random((b, 1, draw(st.sampled_from([1, t])), s))
        mask = mask < 0.6
        mask[..., 0] = True
    return [(b, t, n_head * d), (b, s, 2 * n_head * d)], n_head, mask


@given(cross_attentions(), seeds)
def test_gradient(drawn, seed):
    shapes, n_head, mask = drawn
    inputs = tensors(shapes, seed)
    assert gradcheck(lambda q, kv: F.multi_head_cross_attention(q, kv, n_head, mask), inputs)

    def with_dropout(q, kv):
        rng = np.random.default_rng(seed)
        return F.multi_head_cross_attention(q, kv, n_head, mask, dropout=0.4, rng=rng)

    assert gradcheck(with_dropout, inputs)


@pytest.mark.parametrize("dtype", TOLERANCE)
@given(cross_attentions(), seeds)
def test_equals_plain(dtype, drawn, seed):
    shapes, n_head, mask = drawn
    assert_same_function(
        lambda q, kv: F.multi_head_cross_attention(q, kv, n_head, mask),
        lambda q, kv: plain.multi_head_cross_attention(q, kv, n_head, mask),
        tensors(shapes, seed, dtype),
        seed,
        TOLERANCE[dtype],
    )


@given(cross_attentions(), seeds)
def test_of_a_sequence_to_itself_it_is_self_attention(drawn, seed):
    (shape, _), n_head, _ = drawn
    (qkv,) = tensors([(*shape[:2], 3 * shape[2])], seed)
    q, kv = qkv[..., : shape[2]], qkv[..., shape[2] :]
    np.testing.assert_array_equal(
        F.multi_head_cross_attention(q, kv, n_head).data, F.multi_head_attention(qkv, n_head).data
    )


@pytest.mark.parametrize(
    ("q", "kv", "n_head", "message"),
    [
        ((2, 3, 4), (2, 5, 4), 2, "kv must be of shape (2, S, 8), as q is (2, 3, 4): got a"),
        ((2, 3, 4), (3, 5, 8), 2, "kv must be of shape (2, S, 8), as q is (2, 3, 4): got a"),
        ((2, 3, 4), (2, 5, 8), 3, "q must be of shape (B, T, C) with C divisible by n_head=3: got"),
        ((2, 3, 4), (2, 5, 8), 0, "n_head must be an integer of at least 1: got 0"),
        ((3, 4), (5, 8), 2, "q must be of shape (B, T, C) with C divisible by n_head=2: got a"),
    ],
)
def test_shapes_that_do_not_fit_are_named(q, kv, n_head, message):
    shapes = re.escape(message)
    with pytest.raises(ValueError, match=shapes):
        F.multi_head_cross_attention(Tensor(np.ones(q)), Tensor(np.ones(kv)), n_head)


def test_a_mask_of_another_shape_is_refused():
    q, kv = Tensor(np.ones((2, 3, 4))), Tensor(np.ones((2, 5, 8)))
    with pytest.raises(
        ValueError,
        match="attention: mask must be of a shape that broadcasts to that of the "
        r"scores, \(\.\.\., T, S\) = \(2, 2, 3, 5\): got a bool array of shape "
        r"\(2, 1, 1, 3\)",
    ):
        F.multi_head_cross_attention(q, kv, 2, np.ones((2, 1, 1, 3), bool))
