"""Linear, layer norm, embedding, dropout, activations, softmax: derivatives, and plain forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minigpt.functional as F
from minigpt import Tensor, gradcheck, no_grad
from minigpt.chunks import CHUNK
from minigpt.functional import plain, plain_llama
from minigpt.operations import concatenate
from tests.strategies import assert_same_function, seeds, shape_and_axis, shapes, tensors

TOLERANCE = {np.float64: 1e-12, np.float32: 1e-5}
both_types = pytest.mark.parametrize("dtype", TOLERANCE)


def same(fused, composed, shapes, seed, dtype):
    assert_same_function(fused, composed, tensors(shapes, seed, dtype), seed, TOLERANCE[dtype])


# ── softmax ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("fn", [F.softmax, F.log_softmax], ids=lambda fn: fn.__name__)
@given(shape_and_axis(max_dims=4), seeds)
def test_gradient_of_softmax(fn, drawn, seed):
    shape, axis = drawn
    assert gradcheck(lambda x: fn(x, axis=axis), tensors([shape], seed))


@both_types
@pytest.mark.parametrize(
    ("fused", "composed"), [(F.softmax, plain.softmax), (F.log_softmax, plain.log_softmax)]
)
@given(shape_and_axis(), seeds)
def test_softmax_equals_plain(dtype, fused, composed, drawn, seed):
    shape, axis = drawn
    same(lambda x: fused(x, axis=axis), lambda x: composed(x, axis=axis), [shape], seed, dtype)


@both_types
def test_softmax_of_large_and_infinite_scores(dtype):
    x = Tensor(np.array([1e30, 0.0, -np.inf], dtype), requires_grad=True)
    with np.errstate(over="raise", invalid="raise"):
        y = F.softmax(x)
        y.backward(np.array([1, 2, 3], dtype))
    np.testing.assert_array_equal(y.data, [1, 0, 0])
    np.testing.assert_array_equal(x.grad, 0)
    np.testing.assert_array_equal(F.log_softmax(x).data, np.array([0, -1e30, -np.inf], dtype))


def test_softmax_does_not_see_a_shift():
    (x,) = tensors([(3, 4)], seed=0)
    np.testing.assert_allclose(F.softmax(x + 100.0).data, F.softmax(x).data, rtol=1e-12)
    assert F.softmax(Tensor(3.0)).item() == 1


# ── activations ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", F.ACTIVATIONS)
@given(shapes(), seeds)
def test_gradient_of_activations(name, shape, seed):
    assert gradcheck(F.ACTIVATIONS[name], tensors([shape], seed, low=-4.0, high=4.0))


@both_types
@given(shapes(), seeds)
def test_gelu_and_relu_equal_plain(dtype, shape, seed):
    same(F.gelu, plain.gelu, [shape], seed, dtype)
    same(F.ACTIVATIONS["relu"], plain.relu, [shape], seed, dtype)


@both_types
@given(shapes(), seeds)
def test_silu_equals_plain(dtype, shape, seed):
    same(F.silu, plain.silu, [shape], seed, dtype)


@both_types
@given(shapes(), seeds)
def test_relu_squared_equals_plain(dtype, shape, seed):
    same(F.relu_squared, plain_llama.relu_squared, [shape], seed, dtype)


@pytest.mark.parametrize("name", F.ACTIVATIONS)
@given(shapes(min_side=0), seeds)
def test_gradient_of_gated_units(name, shape, seed):
    inputs = tensors([shape, shape], seed, low=-4.0, high=4.0)
    assert gradcheck(lambda gate, up: F.gated_unit(gate, up, name), inputs)


@both_types
@pytest.mark.parametrize("name", F.ACTIVATIONS)
@given(shapes(), seeds)
def test_a_gated_unit_is_the_product_with_its_activation(dtype, name, shape, seed):
    def composed(gate, up):
        return F.ACTIVATIONS[name](gate) * up

    same(lambda gate, up: F.gated_unit(gate, up, name), composed, [shape, shape], seed, dtype)


@both_types
def test_gated_units_of_more_than_one_block_in_any_order_of_memory(dtype):
    gate, up = np.random.default_rng(0).standard_normal((2, 3, CHUNK // 2)).astype(dtype)
    inputs = [Tensor(np.asfortranarray(a), requires_grad=True) for a in (gate, up)]
    y = F.gated_unit(*inputs)
    y.backward(np.ones_like(gate))
    silu = F.silu(Tensor(gate)).data
    np.testing.assert_array_equal(y.data, silu * up)
    np.testing.assert_array_equal(inputs[1].grad, silu)
    with no_grad():  # without room for what only the derivative needs
        np.testing.assert_array_equal(F.gated_unit(*inputs).data, y.data)


@both_types
def test_gated_units_of_large_numbers(dtype):
    gate, up = (Tensor(np.array(a, dtype), requires_grad=True) for a in ([-1e30, 1e30], [2, 4]))
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        y = F.gated_unit(gate, up, "gelu_tanh")
        y.backward(np.ones(2, dtype))
    np.testing.assert_array_equal(y.data, np.array([0, 4e30], dtype))
    np.testing.assert_array_equal(gate.grad, [0, 4])
    np.testing.assert_array_equal(up.grad, np.array([0, 1e30], dtype))


@pytest.mark.parametrize(
    ("up", "activation", "error", "message"),
    [
        (np.ones((2, 3)), "silu", ValueError,
         r"gated_unit: up must have shape \(3,\): got \(2, 3\), as gate has"),
        (np.ones(3, np.float32), "silu", TypeError,
         "gated_unit: up must have the dtype of gate, float64: got float32"),
        (np.ones(3), "swish", ValueError, 'activation must be "gelu_tanh", .*: got \'swish\''),
    ],
)  # fmt: skip
def test_gated_units_name_what_is_wrong(up, activation, error, message):
    with pytest.raises(error, match=message):
        F.gated_unit(Tensor(np.ones(3)), Tensor(up), activation)


@both_types
def test_silu_of_large_numbers(dtype):
    x = Tensor(np.array([-1e30, -np.inf, 0, 1e30], dtype)[[0, 2, 3]], requires_grad=True)
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        y = F.silu(x)
        y.backward(np.ones(3, dtype))
    np.testing.assert_array_equal(y.data, np.array([0, 0, 1e30], dtype))
    np.testing.assert_array_equal(x.grad, [0, 0.5, 1])


@both_types
def test_exact_gelu_is_x_times_the_normal_distribution(dtype):
    x = np.linspace(-7, 7, 1001, dtype=dtype)
    phi = np.array([0.5 * math.erfc(-a / math.sqrt(2)) for a in x])
    np.testing.assert_allclose(
        F.gelu(Tensor(x), approximate="none").data,
        x * phi,
        atol=1e-6 if dtype == np.float32 else 1e-15,
    )


@both_types
@pytest.mark.parametrize("approximate", ["tanh", "none"])
def test_gelu_of_more_than_one_block_in_any_order_of_memory(dtype, approximate):
    x = np.random.default_rng(0).standard_normal((5, CHUNK // 2)).astype(dtype)
    x[0, 0] = 0
    rows = Tensor(x, requires_grad=True)
    columns = Tensor(np.asfortranarray(x), requires_grad=True)
    for t in (rows, columns):
        F.gelu(t, approximate).backward(np.ones_like(x))
    each = [F.gelu(Tensor(row), approximate).data for row in x]
    np.testing.assert_array_equal(F.gelu(rows, approximate).data, each)
    np.testing.assert_array_equal(F.gelu(columns, approximate).data, each)
    np.testing.assert_array_equal(rows.grad, columns.grad)
    assert rows.grad[0, 0] == 0.5


def test_gelu_names_its_forms():
    with pytest.raises(ValueError, match=r'be "tanh" \(GPT-2\) or "none" \(exact\): got .erf.'):
        F.gelu(Tensor([1.0]), approximate="erf")


@both_types
def test_erf(dtype):
    x = np.concatenate([np.linspace(-7, 7, 2001), np.geomspace(1e-30, 1, 200)]).astype(dtype)
    expected = [math.erf(a) for a in x]
    bits = 4 * np.finfo(dtype).eps
    np.testing.assert_allclose(F.erf(x), expected, rtol=bits, atol=0)
    np.testing.assert_array_equal(F.erf(np.array([np.inf, -np.inf, 0], dtype)), [1, -1, 0])
    assert np.isnan(F.erf(np.array([np.nan], dtype)))
    assert F.erf(x).dtype == dtype
    one = F.erf(np.array(0.5, dtype))
    assert (type(one), one.shape, one.dtype) == (np.ndarray, (), dtype)


def test_both_forms_of_erf_agree():
    x = np.concatenate([np.linspace(-5, 5, 200_001), np.geomspace(1e-38, 1e38, 5000)])
    x = x.astype(np.float32)
    with np.errstate(all="raise", under="ignore"):
        single, double = F.erf(x), F.erf(x.astype(np.float64))
    np.testing.assert_allclose(single, double, rtol=3 * np.finfo(np.float32).eps, atol=0)
    assert np.abs(single).max() == 1


@pytest.mark.parametrize("wrong", [1.0, np.array([1]), [0.5]])
def test_erf_takes_arrays_of_floats(wrong):
    with pytest.raises(
        TypeError, match=r"erf: x must be an array of floats: got (1\.0|an int64 array|\[0\.5\])"
    ):
        F.erf(wrong)


# ── linear ────────────────────────────────────────────────────────────────────────────────────

linear_shapes = st.tuples(shapes(min_dims=0, max_dims=2), st.integers(1, 3), st.integers(1, 3)).map(
    lambda d: [(*d[0], d[1]), (d[1], d[2]), (d[2],)]
)


@given(linear_shapes, st.booleans(), seeds)
def test_gradient_of_linear(three_shapes, bias, seed):
    assert gradcheck(F.linear, tensors(three_shapes[: 2 + bias], seed))


@both_types
@given(linear_shapes, st.booleans(), seeds)
def test_linear_equals_plain(dtype, three_shapes, bias, seed):
    same(F.linear, plain.linear, three_shapes[: 2 + bias], seed, dtype)


@pytest.mark.parametrize(
    ("x", "weight", "bias", "message"),
    [
        (
            (2, 3),
            (4, 5),
            None,
            r"linear: weight must be of shape \(n_in, n_out\) with n_in=3, as x is "
            r"\(2, 3\): got a float64 Tensor of shape \(4, 5\)",
        ),
        (
            (2, 3),
            (3,),
            None,
            r"linear: weight must be of shape \(n_in, n_out\) with n_in=3, as x is "
            r"\(2, 3\): got a float64 Tensor of shape \(3,\)",
        ),
        (
            (),
            (3, 4),
            None,
            r"linear: x must be of shape \(\.\.\., n_in\): got a float64 Tensor of "
            r"shape \(\)",
        ),
        (
            (2, 3),
            (3, 4),
            (3,),
            r"linear: bias must have shape \(4,\): got \(3,\), as weight is \(3, 4\)",
        ),
        (
            (2, 3),
            (3, 4),
            (1, 4),
            r"linear: bias must have shape \(4,\): got \(1, 4\), as weight is \(3, "
            r"4\)",
        ),
    ],
)
def test_linear_names_the_shapes(x, weight, bias, message):
    inputs = [Tensor(np.ones(shape)) for shape in (x, weight, bias) if shape is not None]
    with pytest.raises(ValueError, match=message):
        F.linear(*inputs)


# ── layer norm ────────────────────────────────────────────────────────────────────────────────

norm_shapes = shapes(min_dims=1).filter(lambda s: s[-1] > 1).map(lambda s: [s, s[-1:], s[-1:]])


@given(norm_shapes, st.booleans(), seeds)
def test_gradient_of_layer_norm(three_shapes, bias, seed):
    inputs = tensors(three_shapes[: 2 + bias], seed)
    assert gradcheck(lambda *xs: F.layer_norm(*xs, eps=1e-2), inputs)


@both_types
@given(norm_shapes, st.booleans(), seeds, st.sampled_from([1e-5, 0.1]))
def test_layer_norm_equals_plain(dtype, three_shapes, bias, seed, eps):
    x, *vectors = tensors(three_shapes[: 2 + bias], seed, dtype)
    x.data[..., 0] += 1  # two numbers that lie close together blow rounding up
    assert_same_function(
        lambda x, w, b=None: F.layer_norm(x, w, b, eps),
        lambda x, w, b=None: plain.layer_norm(x, w, b, eps),
        [x, *vectors],
        seed,
        10 * TOLERANCE[dtype],
    )


@both_types
def test_layer_norm_normalises(dtype):
    x = (np.random.default_rng(0).standard_normal((4, 50)) * 5 + 30).astype(dtype)
    y = F.layer_norm(Tensor(x), Tensor(np.full(50, 2, dtype)), Tensor(np.full(50, 3, dtype))).data
    np.testing.assert_allclose(y.mean(axis=-1), 3, atol=1e-4)
    np.testing.assert_allclose(y.std(axis=-1), 2, atol=1e-4)


@pytest.mark.parametrize(
    ("weight", "bias", "eps", "message"),
    [
        (
            (2,),
            None,
            1e-5,
            r"layer_norm: weight must have shape \(3,\): got \(2,\), as x is \(2, 3\)",
        ),
        (
            (3,),
            (1, 3),
            1e-5,
            r"layer_norm: bias must have shape \(3,\): got \(1, 3\), as x is \(2, 3\)",
        ),
        ((3,), (3,), 0, "eps must be a number above 0: got 0"),
        ((3,), (3,), math.nan, "eps must be a number above 0: got nan"),
    ],
)
def test_layer_norm_names_what_is_wrong(weight, bias, eps, message):
    vectors = [Tensor(np.ones(shape)) if shape is not None else None for shape in (weight, bias)]
    with pytest.raises(ValueError, match=message):
        F.layer_norm(Tensor(np.ones((2, 3))), *vectors, eps=eps)


# ── RMS norm ──────────────────────────────────────────────────────────────────────────────────


@given(shapes(min_dims=1), seeds)
def test_gradient_of_rms_norm(shape, seed):
    inputs = tensors([shape, shape[-1:]], seed)
    assert gradcheck(lambda x, weight: F.rms_norm(x, weight, eps=1e-2), inputs)


@both_types
@given(shapes(min_dims=1), seeds, st.sampled_from([1e-5, 0.1]))
def test_rms_norm_equals_plain(dtype, shape, seed, eps):
    def fused(x, weight):
        return F.rms_norm(x, weight, eps)

    def composed(x, weight):
        return plain_llama.rms_norm(x, weight, eps)

    same(fused, composed, [shape, shape[-1:]], seed, dtype)


@both_types
def test_rms_norm_keeps_directions_and_gives_one_length(dtype):
    x = np.random.default_rng(0).standard_normal((4, 50)).astype(dtype)
    y = F.rms_norm(Tensor(x), Tensor(np.ones(50, dtype))).data
    np.testing.assert_allclose((y * y).mean(axis=-1), 1, rtol=1e-4)
    np.testing.assert_allclose(y / x, (y / x)[:, :1].repeat(50, axis=1), rtol=1e-5)
    scaled = F.rms_norm(Tensor(1000 * x), Tensor(np.ones(50, dtype))).data
    np.testing.assert_allclose(scaled, y, rtol=1e-4)


@st.composite
def heads_to_normalise(draw):
    n_kv_head, d = draw(st.integers(1, 2)), draw(st.integers(1, 3))
    n_head = n_kv_head * draw(st.integers(1, 2))
    b, t = draw(st.integers(0, 2)), draw(st.integers(1, 3))
    return [(b, t, (n_head + 2 * n_kv_head) * d), (d,), (d,)], n_head, n_kv_head


def composed_qk_norm(qkv, query_weight, key_weight, n_head, n_kv_head, eps):
    heads = qkv.reshape(*qkv.shape[:2], n_head + 2 * n_kv_head, len(query_weight.data))
    q, k, v = heads.split([n_head, n_head + n_kv_head], axis=2)
    q, k = plain_llama.rms_norm(q, query_weight, eps), plain_llama.rms_norm(k, key_weight, eps)
    return concatenate([q, k, v], axis=2).reshape(qkv.shape)


@settings(max_examples=15)
@given(heads_to_normalise(), seeds)
def test_gradient_of_qk_norm(drawn, seed):
    shapes, n_head, n_kv_head = drawn
    inputs = tensors(shapes, seed)
    assert gradcheck(lambda *xs: F.qk_norm(*xs, n_head, n_kv_head, eps=1e-2), inputs)


@both_types
@given(heads_to_normalise(), seeds)
def test_qk_norm_is_the_rms_norm_of_each_head_of_queries_and_keys(dtype, drawn, seed):
    shapes, *heads = drawn
    same(
        lambda *xs: F.qk_norm(*xs, *heads, eps=0.01),
        lambda *xs: composed_qk_norm(*xs, *heads, eps=0.01),
        shapes,
        seed,
        dtype,
    )


@pytest.mark.parametrize(
    ("shapes", "heads", "message"),
    [
        (
            [(2, 8), (2,), (2,)],
            (2, 1),
            r"qk_norm: qkv must be of shape \(B, T, \(n_head \+ .*: got",
        ),
        ([(1, 2, 9), (2,), (2,)], (2, 1), r"with n_head=2 and n_kv_head=1: got .*\(1, 2, 9\)"),
        ([(1, 2, 8), (3,), (2,)], (2, 1), r"query_weight must have shape \(2,\): got \(3,\), as"),
        ([(1, 2, 8), (2,), (1,)], (2, 1), r"key_weight must have shape \(2,\): got \(1,\), as"),
        ([(1, 2, 8), (2,), (2,)], (0, 1), "n_head must be an integer of at least 1: got 0"),
    ],
)
def test_qk_norm_names_what_is_wrong(shapes, heads, message):
    with pytest.raises(ValueError, match=message):
        F.qk_norm(*(Tensor(np.ones(shape)) for shape in shapes), *heads)


def test_rms_norm_names_what_is_wrong():
    x, weight = Tensor(np.ones((2, 3))), Tensor(np.ones(2))
    with pytest.raises(ValueError, match=r"rms_norm: weight must have shape \(3,\): got \(2,\)"):
        F.rms_norm(x, weight)
    with pytest.raises(ValueError, match="eps must be a number above 0: got 0"):
        F.rms_norm(x, Tensor(np.ones(3)), eps=0)
    with pytest.raises(TypeError, match="weight must have the dtype of x, float64: got float32"):
        F.rms_norm(x, Tensor(np.ones(3, np.float32)))


# ── embedding ─────────────────────────────────────────────────────────────────────────────────


@st.composite
def embeddings(draw):
    n, d = draw(st.integers(1, 4)), draw(st.integers(1, 3))
    integers = draw(st.sampled_from([np.int64, np.uint8, np.int32, np.uint16]))
    ids = np.random.default_rng(draw(seeds)).integers(0, n, draw(shapes(min_side=0)))
    return ids.astype(integers), (n, d)


@given(embeddings(), seeds)
def test_gradient_of_embedding(drawn, seed):
    ids, shape = drawn
    assert gradcheck(lambda w: F.embedding(ids, w), tensors([shape], seed))


@both_types
@given(embeddings(), seeds)
def test_embedding_equals_plain(dtype, drawn, seed):
    ids, shape = drawn
    same(lambda w: F.embedding(ids, w), lambda w: plain.embedding(ids, w), [shape], seed, dtype)


@pytest.mark.parametrize(
    ("ids", "weight", "error", "message"),
    [
        (
            [0, 3],
            (3, 2),
            IndexError,
            "ids must be from 0 to 2, as the vocabulary has 3 entries: got 3",
        ),
        (
            [-1],
            (3, 2),
            IndexError,
            "ids must be from 0 to 2, as the vocabulary has 3 entries: got -1",
        ),
        (
            [0.0],
            (3, 2),
            TypeError,
            r"ids must be integers: got a float64 .*; convert them: ids\.astype",
        ),
        ([True], (3, 2), TypeError, r"ids must be integers: got a bool array of shape \(1,\)"),
        (
            [0],
            (3,),
            ValueError,
            r"embedding: weight must be of shape \(n, d\): got a float64 Tensor of "
            r"shape \(3,\)",
        ),
    ],
)
def test_embedding_names_what_is_wrong(ids, weight, error, message):
    with pytest.raises(error, match=message):
        F.embedding(np.array(ids), Tensor(np.ones(weight)))


# ── dropout ───────────────────────────────────────────────────────────────────────────────────

probabilities = st.sampled_from([0.0, 0.1, 0.5, 0.9])


@given(shapes(), probabilities, seeds)
def test_gradient_of_dropout(shape, p, seed):
    assert gradcheck(lambda x: F.dropout(x, p, np.random.default_rng(seed)), tensors([shape], seed))


@both_types
@given(shapes(), probabilities, seeds)
def test_dropout_equals_plain(dtype, shape, p, seed):
    same(
        lambda x: F.dropout(x, p, np.random.default_rng(seed)),
        lambda x: plain.dropout(x, p, np.random.default_rng(seed)),
        [shape],
        seed,
        dtype,
    )


def test_dropout_drops_so_many_and_keeps_the_mean():
    x = Tensor(np.ones(100_000, np.float32), requires_grad=True)
    y = F.dropout(x, 0.3, np.random.default_rng(0))
    assert (y.data == 0).mean() == pytest.approx(0.3, abs=0.01)
    assert y.data.mean() == pytest.approx(1, abs=0.01)
    y.sum().backward()
    np.testing.assert_array_equal(x.grad, y.data)


@pytest.mark.parametrize(
    ("p", "rng", "error", "message"),
    [
        (
            1.0,
            np.random.default_rng(0),
            ValueError,
            r"p must be a probability, 0 <= p < 1: got 1\.0",
        ),
        (
            -0.1,
            np.random.default_rng(0),
            ValueError,
            r"p must be a probability, 0 <= p < 1: got -0\.1",
        ),
        (
            math.nan,
            np.random.default_rng(0),
            ValueError,
            "p must be a probability, 0 <= p < 1: got nan",
        ),
        (
            True,
            np.random.default_rng(0),
            TypeError,
            "p must be a probability, 0 <= p < 1: got True",
        ),
        (
            "0.5",
            np.random.default_rng(0),
            TypeError,
            r"p must be a probability, 0 <= p < 1: got '0\.5'",
        ),
        (
            0.5,
            None,
            TypeError,
            r"be a numpy\.random\.Generator: got None; pass rng=np\.random\.def",
        ),
        (0.5, 7, TypeError, r"rng must be a numpy\.random\.Generator: got 7"),
    ],
)
def test_dropout_names_what_is_wrong(p, rng, error, message):
    with pytest.raises(error, match=message):
        F.dropout(Tensor([1.0]), p, rng)


# ── the rest of the page of plain equations ───────────────────────────────────────────────────


def test_plain_feed_forward_and_residual_differentiate():
    x, w1, b1, w2, b2 = tensors([(2, 3), (3, 4), (4,), (4, 3), (3,)], seed=0)

    def block(x, w1, b1, w2, b2):
        return plain.residual(x, lambda h: plain.feed_forward(h, (w1, b1), (w2, b2)))

    assert gradcheck(block, [x, w1, b1, w2, b2])
    hidden = F.gelu(F.linear(x, w1, b1))
    np.testing.assert_allclose(
        block(x, w1, b1, w2, b2).data, (x + F.linear(hidden, w2, b2)).data, rtol=1e-12
    )


def test_sinusoidal_positions():
    table = F.sinusoidal_positions(50, 8)
    assert table.shape == (50, 8)
    assert table.dtype == np.float64
    for pos in (0, 1, 49):
        for i in range(4):
            angle = pos / 10000 ** (2 * i / 8)
            assert table[pos, 2 * i] == pytest.approx(math.sin(angle))
            assert table[pos, 2 * i + 1] == pytest.approx(math.cos(angle))
    # A step of k places is the same rotation wherever it starts: PE(a)·PE(a + k) depends on k.
    products = table @ table.T
    for k in (1, 7):
        np.testing.assert_allclose(np.diag(products, k), products[0, k])


@pytest.mark.parametrize(
    ("length", "d_model", "message"),
    [
        (0, 4, "length must be an integer of at least 1: got 0"),
        (3, 5, "d_model must be an even number: got 5; sine and cosine come in pairs"),
        (3, 0, "d_model must be an integer of at least 2: got 0"),
        (3, -2, "d_model must be an integer of at least 2: got -2"),
    ],
)
def test_sinusoidal_positions_name_their_sizes(length, d_model, message):
    with pytest.raises(ValueError, match=message):
        F.sinusoidal_positions(length, d_model)
