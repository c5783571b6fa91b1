"""Scaled dot-product and multi-head attention: derivatives, masks, and equality with plain."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minigpt.functional as F
from minigpt import Tensor, gradcheck
from minigpt.functional import attention_blocks, plain, plain_llama
from minigpt.operations import concatenate
from tests.strategies import assert_same_function, seeds, tensors


@pytest.fixture(scope="module", autouse=True, params=[attention_blocks.ROWS, 2, 1])
def rows_in_a_block(request):
    """Everything here holds for whole blocks of queries, and for small ones."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(attention_blocks, "ROWS", request.param)
        yield


TOLERANCE = {np.float64: 1e-12, np.float32: 1e-5}


@st.composite
def attentions(draw, every_query_sees_a_key=False):
    """Shapes of Q, K and V with batches that broadcast, a mask or none, causal or not."""
    causal = draw(st.booleans())
    n_keys = draw(st.integers(1, 4))
    n_queries = draw(st.integers(1, n_keys if causal else 4))
    d_k, d_v = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    batch = draw(st.sampled_from([((), (), ()), ((2,), (2,), (2,)), ((2, 1), (2,), (1,)),
                                  ((1, 2), (3, 1), ()), ((2, 2), (2, 2), (2, 2))]))  # fmt: skip
    shapes = [
        (*batch[0], n_queries, d_k),
        (*batch[1], n_keys, d_k),
        (*batch[2], n_keys, d_v),
    ]
    mask = None
    if draw(st.booleans()):
        full = (*np.broadcast_shapes(*batch), n_queries, n_keys)
        mask_shape = full[draw(st.integers(0, len(full) - 1)) :]
        mask_shape = tuple(1 if draw(st.booleans()) else n for n in mask_shape)
        mask = np.random.default_rng(draw(seeds)).random(mask_shape) < 0.6
        if every_query_sees_a_key:
            mask = np.broadcast_to(mask, full[-2:] if len(mask_shape) < 2 else mask.shape[:-2]
                                   + full[-2:]).copy()  # fmt: skip
            mask[..., 0] = True
    return shapes, mask, causal


@settings(max_examples=60)
@given(attentions(), seeds)
def test_gradient(drawn, seed):
    shapes, mask, causal = drawn
    inputs = tensors(shapes, seed)
    assert gradcheck(lambda q, k, v: F.scaled_dot_product_attention(q, k, v, mask, causal), inputs)


@given(attentions(), seeds, st.sampled_from([0.2, 0.7]))
def test_gradient_with_dropout(drawn, seed, p):
    shapes, mask, causal = drawn

    def attention(q, k, v):
        rng = np.random.default_rng(seed)
        return F.scaled_dot_product_attention(q, k, v, mask, causal, dropout=p, rng=rng)

    assert gradcheck(attention, tensors(shapes, seed))


@pytest.mark.parametrize("dtype", TOLERANCE)
@given(attentions(every_query_sees_a_key=True), seeds)
def test_equals_plain(dtype, drawn, seed):
    shapes, mask, causal = drawn
    assert_same_function(
        lambda q, k, v: F.scaled_dot_product_attention(q, k, v, mask, causal),
        lambda q, k, v: plain.attention(q, k, v, mask, causal),
        tensors(shapes, seed, dtype),
        seed,
        TOLERANCE[dtype],
    )


@st.composite
def multi_head_attentions(draw):
    b, t, n_head, d = (draw(st.integers(1, n)) for n in (2, 4, 3, 2))
    mask = None
    if draw(st.booleans()):
        shape = (draw(st.sampled_from([1, b])), 1, draw(st.sampled_from([1, t])), t)
        mask = np.random.default_rng(draw(seeds)).random(shape) < 0.6
        mask[..., 0] = True
    return (b, t, 3 * n_head * d), n_head, mask, draw(st.booleans())


@given(multi_head_attentions(), seeds)
def test_gradient_of_multi_head_attention(drawn, seed):
    shape, n_head, mask, causal = drawn
    inputs = tensors([shape], seed)
    assert gradcheck(lambda x: F.multi_head_attention(x, n_head, mask, causal), inputs)

    def with_dropout(x):
        rng = np.random.default_rng(seed)
        return F.multi_head_attention(x, n_head, mask, causal, dropout=0.4, rng=rng)

    assert gradcheck(with_dropout, inputs)


@pytest.mark.parametrize("dtype", TOLERANCE)
@given(multi_head_attentions(), seeds)
def test_multi_head_attention_equals_plain(dtype, drawn, seed):
    shape, n_head, mask, causal = drawn
    assert_same_function(
        lambda x: F.multi_head_attention(x, n_head, mask, causal),
        lambda x: plain.multi_head_attention(x, n_head, mask, causal),
        tensors([shape], seed, dtype),
        seed,
        TOLERANCE[dtype],
    )


def test_multi_head_attention_is_attention_of_each_head():
    (qkv,) = tensors([(2, 5, 12)], seed=0)
    heads = qkv.reshape(2, 5, 3, 2, 2).transpose(2, 0, 3, 1, 4)
    o = F.scaled_dot_product_attention(heads[0], heads[1], heads[2], causal=True)
    np.testing.assert_allclose(
        F.multi_head_attention(qkv, 2, causal=True).data,
        o.swapaxes(1, 2).reshape(2, 5, 4).data,
        rtol=1e-13,
    )


# ── heads of keys and values that are shared ──────────────────────────────────────────────────


@st.composite
def grouped_attentions(draw):
    """Shapes of Q, K and V with fewer heads of K and V, a mask or none, causal or not."""
    causal = draw(st.booleans())
    s = draw(st.integers(1, 3))
    t = draw(st.integers(1, s if causal else 3))
    n_kv_head, group = draw(st.integers(1, 2)), draw(st.integers(1, 3))
    d_k, d_v = draw(st.integers(1, 2)), draw(st.integers(1, 2))
    batch = draw(st.sampled_from([((), (), ()), ((2,), (2,), (2,)), ((2,), (1,), ())]))
    heads = n_kv_head * group, n_kv_head, n_kv_head
    sizes = (t, d_k), (s, d_k), (s, d_v)
    shapes = [(*b, h, *size) for b, h, size in zip(batch, heads, sizes, strict=True)]
    mask = None
    if draw(st.booleans()):
        full = (*np.broadcast_shapes(*batch), heads[0], t, s)
        mask_shape = tuple(1 if draw(st.booleans()) else n for n in full[:-1])
        mask = np.random.default_rng(draw(seeds)).random((*mask_shape, s)) < 0.6
        mask[..., 0] = True
    return shapes, mask, causal


def repeated(x, group):
    """Each head so many times in a row: (..., h, T, d) -> (..., h·group, T, d)."""
    return x[(..., np.repeat(np.arange(x.shape[-3]), group), slice(None), slice(None))]


@settings(max_examples=10)
@given(grouped_attentions(), seeds, st.sampled_from([0.0, 0.3]))
def test_gradient_of_groups(drawn, seed, p):
    shapes, mask, causal = drawn

    def attention(q, k, v):
        rng = np.random.default_rng(seed)
        return F.scaled_dot_product_attention(q, k, v, mask, causal, p, rng, grouped=True)

    assert gradcheck(attention, tensors(shapes, seed))


@pytest.mark.parametrize("dtype", TOLERANCE)
@given(grouped_attentions(), seeds)
def test_a_group_is_attention_with_keys_and_values_repeated(dtype, drawn, seed):
    shapes, mask, causal = drawn
    group = shapes[0][-3] // shapes[1][-3]
    assert_same_function(
        lambda q, k, v: F.scaled_dot_product_attention(q, k, v, mask, causal, grouped=True),
        lambda q, k, v: plain.attention(q, repeated(k, group), repeated(v, group), mask, causal),
        tensors(shapes, seed, dtype),
        seed,
        TOLERANCE[dtype],
    )
    q, k, _ = (t.data for t in tensors(shapes, seed, dtype))
    np.testing.assert_allclose(
        F.attention_weights(q, k, mask, causal, grouped=True),
        F.attention_weights(q, repeated(k, group), mask, causal),
        rtol=TOLERANCE[dtype],
    )


def test_groups_of_no_queries_and_no_sequences():
    for b, t in ((2, 0), (0, 3)):
        q, k = Tensor(np.ones((b, 4, t, 2)), requires_grad=True), Tensor(np.ones((b, 2, 3, 2)))
        k.requires_grad = True
        y = F.scaled_dot_product_attention(q, k, k, grouped=True)
        y.sum().backward()
        assert y.shape == (b, 4, t, 2)
        np.testing.assert_array_equal(k.grad, 0)


@st.composite
def modern_attentions(draw):
    """As ``multi_head_attentions``, with groups, and a rotation or none."""
    b, t, n_kv_head, group = (draw(st.integers(1, n)) for n in (2, 3, 2, 2))
    d = 2 * draw(st.integers(1, 2))
    mask = None
    if draw(st.booleans()):
        mask = np.random.default_rng(draw(seeds)).random((b, 1, 1, t)) < 0.6
        mask[..., 0] = True
    positions = draw(st.sampled_from([None, np.arange(t), np.arange(b * t).reshape(b, t) * 3]))
    return (b, t, n_kv_head * (group + 2) * d), n_kv_head * group, n_kv_head, mask, positions


def rotation_of(x, n_heads, positions):
    if positions is None:
        return None
    return F.rotation_at(positions, x.shape[-1] // n_heads, 30.0, None, x.dtype)


@settings(max_examples=8)
@given(modern_attentions(), seeds, st.booleans())
def test_gradient_of_groups_that_are_turned(drawn, seed, overwrite):
    shape, n_head, n_kv_head, mask, positions = drawn

    def attention(x):
        rotation = rotation_of(x, n_head + 2 * n_kv_head, positions)
        fresh = x * 1.0  # an array that nobody else reads
        return F.multi_head_attention(
            fresh, n_head, mask, True, n_kv_head=n_kv_head, rotation=rotation,
            overwrite_qkv=overwrite,
        )  # fmt: skip

    assert gradcheck(attention, tensors([shape], seed))


@pytest.mark.parametrize("dtype", TOLERANCE)
@given(modern_attentions(), seeds)
def test_groups_that_are_turned_equal_plain(dtype, drawn, seed):
    shape, n_head, n_kv_head, mask, positions = drawn

    def fused(x):
        rotation = rotation_of(x, n_head + 2 * n_kv_head, positions)
        return F.multi_head_attention(x, n_head, mask, True, n_kv_head=n_kv_head, rotation=rotation)

    def turned(head):
        return head if positions is None else plain_llama.rotary(head, positions, 30.0)

    def composed(x):
        return plain_llama.grouped_query_attention(x, n_head, n_kv_head, mask, True, turned, turned)

    inputs = tensors([shape], seed, dtype)
    before = inputs[0].data.copy()
    assert_same_function(fused, composed, inputs, seed, TOLERANCE[dtype])
    np.testing.assert_array_equal(inputs[0].data, before)  # not written to, unless allowed


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        ([(3, 2), (3, 2), (3, 2)], "with grouped=True each needs an axis of heads before the last"),
        ([(4, 3, 2), (3, 3, 2), (3, 3, 2)], "must be a multiple .*grouped=True: got 4 and 3"),
        ([(2, 3, 2), (4, 3, 2), (4, 3, 2)], "must be a multiple .*: got 2 and 4"),
        ([(2, 3, 2), (0, 3, 2), (0, 3, 2)], "must be a multiple .*: got 2 and 0"),
        ([(4, 3, 2), (2, 3, 2), (1, 3, 2)], "k and v differ in their number of heads"),
        ([(2, 4, 3, 2), (3, 2, 3, 2), (2, 3, 2)], "the leading axes do not broadcast"),
    ],
)
def test_wrong_groups(shapes, message):
    with pytest.raises(ValueError, match=message):
        F.scaled_dot_product_attention(*(Tensor(np.ones(s)) for s in shapes), grouped=True)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"n_kv_head": 3}, ValueError, "n_head=4 is not divisible by n_kv_head=3"),
        ({"n_kv_head": 0}, ValueError, "n_kv_head must be an integer of at least 1: got 0"),
        ({"n_kv_head": 1}, ValueError,
         r"qkv must be of shape \(B, T, \(n_head \+ 2·n_kv_head\)·d\) with n_head=4 and "
         r"n_kv_head=1: got a float64 Tensor of shape \(2, 3, 16\)"),
        ({"n_kv_head": 2, "rotation": np.ones((4, 2, 2))}, ValueError,
         r"rotation must be of shape \(3, 2, 2\) or \(2, 3, 2, 2\), as qkv is \(2, 3, 16\): got a "
         r"float64 array of shape \(4, 2, 2\); make it with F\.rotation_at"),
        ({"n_kv_head": 2, "rotation": np.ones((3, 2, 2), np.float32)}, TypeError,
         "rotation must have the dtype of qkv, float64: got float32"),
        ({"n_kv_head": 6, "n_head": 4}, ValueError, "not divisible"),
    ],
)  # fmt: skip
def test_wrong_groups_of_multi_head_attention(options, error, message):
    with pytest.raises(error, match=message):
        F.multi_head_attention(Tensor(np.ones((2, 3, 16))), **{"n_head": 4} | options)


# ── attention with linear biases ──────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("dtype", TOLERANCE)
@given(multi_head_attentions(), seeds)
def test_slopes_equal_plain(dtype, drawn, seed):
    shape, n_head, mask, _ = drawn
    slopes = F.alibi_slopes(n_head)

    def expected(qkv):
        q, k, v = (part.split(n_head, axis=-1) for part in qkv.split(3, axis=-1))
        seen = None if mask is None else mask[:, 0]
        return concatenate(
            [
                plain.attention(*heads, seen, True, float(m))
                for *heads, m in zip(q, k, v, slopes, strict=True)
            ],
            axis=-1,
        )

    assert_same_function(
        lambda x: F.multi_head_attention(x, n_head, mask, causal=True, slopes=slopes),
        expected,
        tensors([shape], seed, dtype),
        seed,
        TOLERANCE[dtype],
    )


@given(multi_head_attentions(), seeds)
def test_gradient_with_slopes(drawn, seed):
    shape, n_head, mask, _ = drawn
    slopes = F.alibi_slopes(n_head)
    inputs = tensors([shape], seed)
    assert gradcheck(lambda x: F.multi_head_attention(x, n_head, mask, True, slopes=slopes), inputs)


def test_weights_fall_with_the_distance():
    same = np.zeros((1, 2, 5, 3))  # every score is 0 but for the distances
    found = F.attention_weights(same, same, causal=True, slopes=np.array([0.5, 0.0]))
    expected = np.exp(-0.5 * np.arange(5))[::-1]
    np.testing.assert_allclose(found[0, 0, -1], expected / expected.sum(), rtol=1e-12)
    np.testing.assert_allclose(found[0, 1, -1], np.full(5, 0.2), rtol=1e-12)
    np.testing.assert_allclose(found[0, 0, 2, :3], expected[-3:] / expected[-3:].sum(), rtol=1e-12)
    last = F.attention_weights(same[:, :, -1:], same, slopes=np.array([0.5, 0.0]))
    np.testing.assert_allclose(last, found[:, :, -1:], rtol=1e-12)  # a single query comes last


def test_slopes_are_those_of_the_paper():
    np.testing.assert_array_equal(F.alibi_slopes(8), 0.5 ** np.arange(1, 9))
    with pytest.raises(ValueError, match="n_head must be an integer of at least 1: got 0"):
        F.alibi_slopes(0)
    with pytest.raises(ValueError, match="scale must be a number above 0: got 0"):
        F.alibi_slopes(4, scale=0)


@pytest.mark.parametrize(
    ("shape", "causal", "slopes", "message"),
    [
        (
            (2, 3, 4),
            True,
            np.ones(3),
            r"attention: slopes must be one for each head of q \(\.\.\., n_head, T, "
            r"d_k\), which has shape \(2, 3, 4\): got a float64 array of shape \(3,\)",
        ),
        (
            (3, 4),
            True,
            np.ones(3),
            r"attention: slopes must be one for each head of q \(\.\.\., n_head, T, "
            r"d_k\), which has shape \(3, 4\): got a float64 array of shape \(3,\)",
        ),
        ((2, 3, 4), False, np.ones(2), "causal must be True with slopes: got False"),
    ],
)
def test_wrong_slopes(shape, causal, slopes, message):
    x = Tensor(np.ones(shape))
    with pytest.raises(ValueError, match=message):
        F.scaled_dot_product_attention(x, x, x, causal=causal, slopes=slopes)
    with pytest.raises(ValueError, match=message):
        F.attention_weights(x, x, causal=causal, slopes=slopes)


# ── what the equation promises ────────────────────────────────────────────────────────────────


def test_a_causal_query_sees_the_keys_up_to_its_own_place():
    q, k, v = tensors([(3, 2), (5, 2), (5, 4)], seed=0)
    weights = F.attention_weights(q.data, k.data, causal=True)
    np.testing.assert_array_equal(weights > 0, np.tri(3, 5, 2, dtype=bool))
    np.testing.assert_allclose(weights.sum(axis=-1), 1)
    y = F.scaled_dot_product_attention(q, k, v, causal=True)
    np.testing.assert_allclose(y.data, weights @ v.data)


def test_a_mask_hides_keys_and_combines_with_the_causal_one():
    q, k, v = tensors([(4, 2), (4, 2), (4, 3)], seed=0)
    mask = np.array([True, False, True, True])
    y = F.scaled_dot_product_attention(q, k, v, mask=mask, causal=True)
    both = mask & np.tri(4, dtype=bool)
    expected = F.scaled_dot_product_attention(q, k, v, mask=both)
    np.testing.assert_allclose(y.data, expected.data, rtol=1e-13)
    shown = [0, 2, 3]  # as if the hidden key were not there
    expected = F.scaled_dot_product_attention(q[3:], k[shown], v[shown])
    np.testing.assert_allclose(y.data[3:], expected.data, rtol=1e-14)


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_a_query_without_keys_gets_zeros_and_passes_no_gradient(dtype):
    q, k, v = tensors([(3, 2), (3, 2), (3, 2)], seed=0, dtype=dtype)
    mask = np.ones((3, 3), bool)
    mask[1] = False
    with np.errstate(all="raise"):
        y = F.scaled_dot_product_attention(q, k, v, mask=mask)
        y.sum().backward()
    np.testing.assert_array_equal(y.data[1], 0)
    np.testing.assert_array_equal(q.grad[1], 0)
    assert np.isfinite(k.grad).all()
    assert np.isfinite(v.grad).all()


def test_large_scores_do_not_overflow():
    q = Tensor(np.array([[1e4, 0], [0, 1e4]], np.float32), requires_grad=True)
    with np.errstate(over="raise", invalid="raise"):
        y = F.scaled_dot_product_attention(q, q, q, causal=True)
        y.sum().backward()
    np.testing.assert_array_equal(y.data, q.data)


def test_dropout_of_weights_keeps_the_mean():
    q, k = Tensor(np.zeros((2000, 2))), Tensor(np.zeros((8, 2)))
    rng = np.random.default_rng(0)
    y = F.scaled_dot_product_attention(q, k, Tensor(np.ones((8, 1))), dropout=0.25, rng=rng)
    # A weight is 1/8 or 0, scaled up by 4/3: one of 0, 1/6, … 8/6.
    np.testing.assert_allclose(y.data * 6, np.round(y.data * 6), atol=1e-6)
    assert y.data.mean() == pytest.approx(1, abs=0.02)
    assert y.data.std() == pytest.approx(np.sqrt(0.25 / 0.75 / 8), abs=0.02)


def test_the_same_generator_drops_the_same():
    inputs = tensors([(2, 3, 4)] * 3, seed=0)
    once, again = (
        F.scaled_dot_product_attention(*inputs, dropout=0.5, rng=np.random.default_rng(3)).data
        for _ in range(2)
    )
    np.testing.assert_array_equal(once, again)


# ── errors ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("shapes", "options", "error", "message"),
    [
        ([(3,), (3, 2), (3, 2)], {}, ValueError, r"q \(3,\), .*two axes at least"),
        ([(3, 2), (3, 4), (3, 4)], {}, ValueError, "q and k differ in their last axis, d_k"),
        ([(3, 2), (3, 2), (4, 2)], {}, ValueError, "k and v differ in their number of places"),
        ([(2, 3, 2), (3, 3, 2), (3, 2)], {}, ValueError, "leading axes do not broadcast"),
        ([(3, 2), (2, 2), (2, 2)], {"causal": True}, ValueError, "q has 3 places and k 2"),
        ([(3, 2)] * 3, {"mask": np.ones((3, 3))}, TypeError,
         r"mask must be an array of booleans: got a float64 array of shape \(3, 3\)"),
        ([(3, 2)] * 3, {"mask": np.ones((2, 3), bool)}, ValueError,
         r"mask must .* \(\.\.\., T, S\) = \(3, 3\): got a bool array of shape \(2, 3\)"),
        ([(3, 2)] * 3, {"mask": np.ones((2, 3, 3), bool)}, ValueError,
         r"mask must .* = \(3, 3\): got a bool array of shape \(2, 3, 3\)"),
        ([(3, 2)] * 3, {"dropout": 0.5}, TypeError,
         r"be a numpy\.random\.Generator: got None; pass rng=np\.random\.default_rng\(seed\)"),
        ([(3, 2)] * 3, {"dropout": 0.5, "rng": 3}, TypeError,
         r"rng must be a numpy\.random\.Generator: got 3"),
        ([(3, 2)] * 3, {"dropout": 1.0}, ValueError,
         r"dropout must be a probability, 0 <= dropout < 1: got 1\.0"),
        ([(3, 2)] * 3, {"dropout": "0.5"}, TypeError,
         r"dropout must be a probability, 0 <= dropout < 1: got '0\.5'"),
        ([(3, 2)] * 3, {"mask": True}, TypeError,
         "mask must be an array of booleans: got True; to hide what comes later, use causal=True"),
        ([(3, 2)] * 3, {"causal": 1}, TypeError, "causal must be True or False: got 1"),
    ],
)  # fmt: skip
def test_wrong_arguments(shapes, options, error, message):
    with pytest.raises(error, match=message):
        F.scaled_dot_product_attention(*(Tensor(np.ones(s)) for s in shapes), **options)


def test_attention_weights_take_tensors_and_arrays():
    q, k = tensors([(2, 3, 4), (5, 4)], seed=0)
    expected = F.attention_weights(q.data, k.data)
    assert type(expected) is np.ndarray
    np.testing.assert_array_equal(F.attention_weights(q, k), expected)
    np.testing.assert_array_equal(F.attention_weights(q, k.data), expected)


@pytest.mark.parametrize(
    ("shapes", "options", "error", "message"),
    [
        ([(3, 2), (2, 2)], {"causal": True}, ValueError, "q has 3 places and k 2: with causal"),
        ([(3,), (3, 2)], {}, ValueError, r"q \(3,\), k \(3, 2\): each needs two axes at least"),
        ([(3, 2), (3, 4)], {}, ValueError, "q and k differ in their last axis, d_k"),
        ([(2, 3, 2), (3, 3, 2)], {}, ValueError, "leading axes do not broadcast"),
        (
            [(3, 2)] * 2,
            {"mask": np.ones((3, 3))},
            TypeError,
            r"mask must be an array of booleans: got a float64 array of shape \(3, "
            r"3\)",
        ),
    ],
)
def test_wrong_arguments_of_attention_weights(shapes, options, error, message):
    with pytest.raises(error, match=message):
        F.attention_weights(*(np.ones(s) for s in shapes), **options)


def test_mixed_types():
    with pytest.raises(
        TypeError, match="attention: k must have the dtype of q, float64: got float32"
    ):
        F.attention_weights(np.ones((3, 2)), np.ones((3, 2), np.float32))
    x, y = Tensor(np.ones((3, 2))), Tensor(np.ones((3, 2), np.float32))
    with pytest.raises(
        TypeError, match="v must have the dtype of q, float64: got float32; convert one"
    ):
        F.scaled_dot_product_attention(x, x, y)


@pytest.mark.parametrize(
    ("shape", "n_head"), [((2, 3, 8), 1), ((2, 3, 12), 3), ((3, 12), 2), ((2, 3, 0), 1)]
)
def test_multi_head_attention_names_shape_and_heads(shape, n_head):
    with pytest.raises(
        ValueError, match=rf"qkv must be of shape .*n_head={n_head}: got a float64 T"
    ):
        F.multi_head_attention(Tensor(np.ones(shape)), n_head)


@pytest.mark.parametrize(
    ("n_head", "error"), [(0, ValueError), (None, TypeError), (2.0, TypeError)]
)
def test_the_number_of_heads_is_an_integer_of_1_or_more(n_head, error):
    with pytest.raises(error, match=f"n_head must be an integer of at least 1: got {n_head}"):
        F.multi_head_attention(Tensor(np.ones((2, 3, 12))), n_head)
    with pytest.raises(error, match=f"n_head must be an integer of at least 1: got {n_head}"):
        F.multi_head_cross_attention(Tensor(np.ones((2, 3, 4))), Tensor(np.ones((2, 3, 8))), n_head)
