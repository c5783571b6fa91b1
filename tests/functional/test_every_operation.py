"""What holds for every operation: float types never change, and a VJP keeps its contract.

The table below names every function of `minigpt.operations` and `minigpt.functional`; a test sees
to it that none is forgotten.
"""

from __future__ import annotations

import itertools
import re
from typing import Any

import numpy as np
import pytest

import minigpt.functional as F
from minigpt import Tensor, no_grad
from minigpt import operations as ops
from tests.strategies import distinct

IDS = np.array([[0, 2, 2], [1, 0, -1]])
MASK = np.array([[True, False, True], [True, True, False], [True, True, True]])
QKV = [(2, 3, 4), (2, 3, 4), (2, 3, 4)]
LSTM = [(2, 3, 4), (4, 20), (5, 20), (20,), (2, 5), (2, 5)]  # x, weights, bias, h, c


def rotation(x):
    return F.rotation_at(np.arange(3), 2, 100.0, None, x.dtype)


def rng():
    return np.random.default_rng(7)


# name -> a function of tensors, and the shapes of these tensors
CASES: dict[str, Any] = {
    "add": (ops.add, [(2, 3), (3,)]),
    "add an integer": (lambda x: x + 1, [(2, 3)]),
    "add a float": (lambda x: 0.1 + x, [(2, 3)]),
    "add integers": (lambda x: x + np.arange(3), [(2, 3)]),
    "subtract": (ops.subtract, [(2, 3), (2, 1)]),
    "subtract from a float": (lambda x: 0.1 - x, [(2, 3)]),
    "multiply": (ops.multiply, [(2, 3), (3,)]),
    "multiply a float": (lambda x: x * 0.1, [(2, 3)]),
    "multiply booleans": (lambda x: x * np.array([True, False, True]), [(2, 3)]),
    "divide": (ops.divide, [(2, 3), (3,)]),
    "divide by an integer": (lambda x: x / 3, [(2, 3)]),
    "divide a float": (lambda x: 0.1 / x, [(2, 3)]),
    "maximum": (ops.maximum, [(2, 3), (3,)]),
    "maximum with a float": (lambda x: ops.maximum(x, 0.1), [(2, 3)]),
    "negative": (ops.negative, [(2, 3)]),
    "absolute": (ops.absolute, [(2, 3)]),
    "power 2": (lambda x: ops.power(x, 2), [(2, 3)]),
    "power -2": (lambda x: ops.power(x, -2), [(2, 3)]),
    "power 4.0": (lambda x: ops.power(x, 4.0), [(2, 3)]),
    "power ½": (lambda x: ops.power(ops.absolute(x), 0.5), [(2, 3)]),
    "power 0": (lambda x: ops.power(x, 0), [(2, 3)]),
    "exp": (ops.exp, [(2, 3)]),
    "log": (lambda x: ops.log(ops.absolute(x)), [(2, 3)]),
    "sqrt": (lambda x: ops.sqrt(ops.absolute(x)), [(2, 3)]),
    "tanh": (ops.tanh, [(2, 3)]),
    "sigmoid": (ops.sigmoid, [(2, 3)]),
    "relu": (ops.relu, [(2, 3)]),
    "astype": (lambda x: ops.astype(x, x.dtype), [(2, 3)]),
    "where": (lambda a, b: ops.where(MASK, a, b), [(3,), (3, 1)]),
    "where with a number": (lambda a: ops.where(MASK, a, 0.1), [(3,)]),
    "masked_fill": (lambda x: ops.masked_fill(x, MASK, 0.1), [(3, 3)]),
    "getitem": (lambda x: ops.getitem(x, (slice(1), None)), [(2, 3)]),
    "getitem of an array": (lambda x: ops.getitem(x, ([0, 0], [1, 1])), [(2, 3)]),
    "matmul": (ops.matmul, [(4, 2, 3), (3, 5)]),
    "matmul of vectors": (ops.matmul, [(3,), (3,)]),
    "sum": (lambda x: ops.sum(x, axis=0), [(2, 3)]),
    "mean": (lambda x: ops.mean(x, axis=-1, keepdims=True), [(2, 3)]),
    "var": (lambda x: ops.var(x, axis=1), [(2, 3)]),
    "max": (lambda x: ops.max(x, axis=1), [(2, 3)]),
    "sum of all": (ops.sum, [(2, 3)]),
    "mean of all": (ops.mean, [(2, 3)]),
    "var of all": (ops.var, [(2, 3)]),
    "max of all": (ops.max, [(2, 3)]),
    "reshape": (lambda x: ops.reshape(x, 3, 2), [(2, 3)]),
    "transpose": (ops.transpose, [(2, 3)]),
    "swapaxes": (lambda x: ops.swapaxes(x, 0, 1), [(2, 3)]),
    "broadcast_to": (lambda x: ops.broadcast_to(x, (4, 2, 3)), [(2, 1)]),
    "concatenate": (lambda *xs: ops.concatenate(xs), [(2, 3), (1, 3)]),
    "stack": (lambda *xs: ops.stack(xs, axis=-1), [(2, 3), (2, 3)]),
    "stack of numbers": (lambda *xs: ops.stack(xs), [(), ()]),
    "split": (lambda x: ops.split(x, 3, axis=1)[1], [(2, 3)]),
    "softmax": (F.softmax, [(2, 3)]),
    "softmax of an axis": (lambda x: F.softmax(x, axis=0), [(2, 3)]),
    "log_softmax": (F.log_softmax, [(2, 3)]),
    "gelu": (F.gelu, [(2, 3)]),
    "gelu, exact": (lambda x: F.gelu(x, approximate="none"), [(2, 3)]),
    "silu": (F.silu, [(2, 3)]),
    "relu_squared": (F.relu_squared, [(2, 3)]),
    "gated_unit": (F.gated_unit, [(2, 3), (2, 3)]),
    "gated_unit of relu": (lambda x, u: F.gated_unit(x, u, "relu"), [(2, 3), (2, 3)]),
    "rms_norm": (F.rms_norm, [(2, 3), (3,)]),
    "qk_norm": (lambda x, q, k: F.qk_norm(x, q, k, 2, 1), [(2, 3, 8), (2,), (2,)]),
    "short_convolution": (F.short_convolution, [(2, 3, 4), (2, 4)]),
    "short_convolution of more than there are": (F.short_convolution, [(2, 3, 4), (5, 4)]),
    "rotary": (lambda x: F.rotary(x, np.arange(3)), [(2, 3, 4)]),
    "rotary of neighbours": (
        lambda x: F.rotary(x, np.arange(6).reshape(2, 3), pairing="neighbours"), [(2, 3, 4)],
    ),
    "layer_norm": (F.layer_norm, [(2, 3), (3,), (3,)]),
    "layer_norm without bias": (F.layer_norm, [(2, 3), (3,)]),
    "linear": (F.linear, [(2, 2, 3), (3, 4), (4,)]),
    "linear without bias": (F.linear, [(2, 3), (3, 4)]),
    "embedding": (lambda w: F.embedding(np.abs(IDS), w), [(3, 4)]),
    "dropout": (lambda x: F.dropout(x, 0.4, rng()), [(2, 3)]),
    "lstm": (lambda *a: F.lstm(*a)[0], LSTM),
    "lstm, padded": (
        lambda x, w_ih, w_hh, b, h, c: F.lstm(x, w_ih, w_hh, b, h, c, np.abs(IDS) < 2)[0], LSTM,
    ),
    "lstm, its cell state": (lambda *a: F.lstm(*a)[1], LSTM),
    "cross_entropy": (lambda x: F.cross_entropy(x, IDS), [(2, 3, 4)]),
    "cross_entropy, summed": (lambda x: F.cross_entropy(x, IDS, reduction="sum"), [(2, 3, 4)]),
    "cross_entropy of each": (lambda x: F.cross_entropy(x, IDS, reduction="none"), [(2, 3, 4)]),
    "cross_entropy, smoothed": (
        lambda x: F.cross_entropy(x, IDS, label_smoothing=0.2), [(2, 3, 4)],
    ),
    "log_likelihood": (lambda x: F.log_likelihood(x, IDS), [(2, 3, 4)]),
    "scaled_dot_product_attention": (F.scaled_dot_product_attention, QKV),
    "scaled_dot_product_attention, masked": (
        lambda q, k, v: F.scaled_dot_product_attention(
            q, k, v, mask=MASK, causal=True, dropout=0.3, rng=rng()
        ),
        QKV,
    ),
    "multi_head_attention": (
        lambda x: F.multi_head_attention(x, 2, mask=MASK, causal=True, dropout=0.3, rng=rng()),
        [(2, 3, 12)],
    ),
    "multi_head_attention with slopes": (
        lambda x: F.multi_head_attention(x, 2, causal=True, slopes=F.alibi_slopes(2)),
        [(2, 3, 12)],
    ),
    "multi_head_attention of groups, turned": (
        lambda x: F.multi_head_attention(x, 4, causal=True, n_kv_head=2, rotation=rotation(x)),
        [(2, 3, 16)],
    ),
    "scaled_dot_product_attention of groups": (
        lambda q, k, v: F.scaled_dot_product_attention(q, k, v, causal=True, grouped=True),
        [(4, 3, 2), (2, 3, 2), (2, 3, 5)],
    ),
    "multi_head_cross_attention": (
        lambda q, kv: F.multi_head_cross_attention(q, kv, 2, MASK, dropout=0.3, rng=rng()),
        [(2, 3, 4), (2, 3, 8)],
    ),
}  # fmt: skip
NOT_OF_TENSORS = {
    "ACTIVATIONS", "RotaryScaling", "alibi_slopes", "attention_weights", "erf", "plain",
    "plain_llama", "rotary_frequencies", "rotation_at", "sinusoidal_positions",
}  # fmt: skip
# Once more without any axis, where NumPy likes to give numbers in place of arrays.
CASES |= {
    f"{name}, of numbers": (fn, [()] * len(shapes))
    for name, (fn, shapes) in CASES.items()
    if all(len(shape) <= 2 for shape in shapes)
    and name.split(",")[0].split(" ")[0]
    in {
        "add", "subtract", "multiply", "divide", "maximum", "negative", "absolute", "power", "exp",
        "log", "sqrt", "tanh", "sigmoid", "relu", "astype", "where", "gelu", "silu", "dropout",
    }
}  # fmt: skip
CASES |= {
    f"{fn.__name__} of a number": (fn, [()])
    for fn in (ops.sum, ops.mean, ops.var, ops.max, ops.transpose)
}
# What takes a number or an array in place of a Tensor; all other operations refuse them.
OF_OPERANDS = {
    "add", "subtract", "multiply", "divide", "maximum", "where", "matmul", "concatenate", "stack",
}  # fmt: skip
every_case = pytest.mark.parametrize("name", CASES)


def test_no_operation_is_forgotten():
    tried = {name.split(",")[0].split(" ")[0] for name in CASES}
    assert {*ops.__all__, *F.__all__} - NOT_OF_TENSORS <= tried


def inputs_of(name, dtype):
    fn, shapes = CASES[name]
    inputs = [Tensor(a, requires_grad=True) for a in distinct(shapes, 1, dtype)]
    return fn, inputs


@every_case
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_types_and_shapes_are_kept(name, dtype):
    fn, inputs = inputs_of(name, dtype)
    output = fn(*inputs)
    assert type(output.data) is np.ndarray
    assert output.dtype == dtype
    assert output.requires_grad
    output.backward(np.ones_like(output.data))
    for x in inputs:
        assert type(x.grad) is np.ndarray
        assert x.grad.dtype == dtype
        assert x.grad.shape == x.shape


@every_case
def test_float32_comes_close_to_float64(name):
    fn, inputs = inputs_of(name, np.float32)
    precise = [Tensor(x.data.astype(np.float64), requires_grad=True) for x in inputs]
    for leaves in (inputs, precise):
        output = fn(*leaves)
        output.backward(np.ones_like(output.data))
    np.testing.assert_allclose(fn(*inputs).data, fn(*precise).data, rtol=2e-5, atol=2e-6)
    for x, y in zip(inputs, precise, strict=True):
        np.testing.assert_allclose(x.grad, y.grad, rtol=1e-4, atol=1e-5)


@every_case
def test_inputs_are_never_written_to(name):
    fn, inputs = inputs_of(name, np.float64)
    for x in inputs:
        x.data.setflags(write=False)
    output = fn(*inputs)
    gradient = np.ones_like(output.data)
    gradient.setflags(write=False)
    output.backward(gradient)


@every_case
def test_a_vjp_returns_its_argument_or_a_view_or_a_fresh_array_for_one_input(name):
    """What `record` asks for, and the walk relies on when it adds in place."""
    fn, inputs = inputs_of(name, np.float64)
    output = fn(*inputs)
    g = np.ones_like(output.data)
    parts = [np.asarray(part) for part in output.node.vjp(g) if part is not None and part is not g]
    fresh = [part for part in parts if part.base is None]
    for a, b in itertools.combinations([*fresh, output.data, *(x.data for x in inputs)], 2):
        assert not any(a is part for part in fresh) or not np.shares_memory(a, b)
    assert all(part.flags.writeable for part in fresh)


@every_case
def test_the_value_is_the_same_when_nothing_is_recorded(name):
    fn, inputs = inputs_of(name, np.float32)
    recorded = fn(*inputs)
    with no_grad():
        unrecorded = fn(*inputs)
    assert not unrecorded.requires_grad
    assert unrecorded.node is None
    np.testing.assert_array_equal(recorded.data, unrecorded.data)


@every_case
def test_any_one_input_may_be_a_constant(name):
    fn, inputs = inputs_of(name, np.float64)
    output = fn(*inputs)
    output.backward(np.ones_like(output.data))
    expected = [x.grad for x in inputs]
    for i, x in enumerate(inputs):
        for y in inputs:
            y.requires_grad, y.grad = y is x, None
        output = fn(*inputs)
        output.backward(np.ones_like(output.data))
        np.testing.assert_allclose(x.grad, expected[i], rtol=1e-14)
        assert all(y.grad is None for y in inputs if y is not x)


@pytest.mark.parametrize("name", [name for name, (_, shapes) in CASES.items() if len(shapes) > 1])
def test_mixed_types_are_refused(name):
    fn, inputs = inputs_of(name, np.float64)
    for i in range(len(inputs)):
        mixed = [x.astype(np.float32) if j == i else x for j, x in enumerate(inputs)]
        with pytest.raises(TypeError, match=r"float32.*float64|float64.*float32"):
            fn(*mixed)


@pytest.mark.parametrize("name", [n for n in CASES if re.split("[ ,]", n)[0] not in OF_OPERANDS])
def test_an_array_in_place_of_a_tensor_is_refused_in_one_way(name):
    fn, inputs = inputs_of(name, np.float32)
    for i in range(len(inputs)):
        arguments = [x.data if j == i else x for j, x in enumerate(inputs)]
        with pytest.raises(TypeError) as error:
            fn(*arguments)
        assert re.fullmatch(
            r"\w+: (\w+) must be a Tensor: got a float32 array of shape \(.*\); "
            r"wrap it: mg\.Tensor\(\1\)",
            str(error.value),
        )


def test_the_error_names_the_function():
    x = np.ones((2, 2), np.float32)
    for fn in (F.softmax, F.gelu, F.relu, F.mean, F.exp, ops.reshape, ops.transpose):
        with pytest.raises(TypeError, match=rf"^{fn.__name__}: x must be a Tensor: got a float32 "):
            fn(x)
    with pytest.raises(TypeError, match=r"^linear: bias must be a Tensor: got \[0\.0, 0\.0\]"):
        F.linear(Tensor(x), Tensor(x), [0.0, 0.0])


@pytest.mark.parametrize("name", [name for name in CASES if name in OF_OPERANDS])
def test_operands_may_be_arrays(name):
    fn, inputs = inputs_of(name, np.float32)
    expected = fn(*inputs).data
    for mixed in ([inputs[0].data, *inputs[1:]], [inputs[0], *(x.data for x in inputs[1:])]):
        np.testing.assert_array_equal(fn(*mixed).data, expected)
    np.testing.assert_array_equal(fn(*(x.data for x in inputs)).data, expected)
