"""The operations against PyTorch's: values and gradients, float64 to 1e-10 and float32 to 1e-5."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minigpt.functional as F
from minigpt import Tensor
from minigpt import operations as ops
from minigpt.autograd import gradients

torch = pytest.importorskip("torch", reason='torch is not installed: pip install -e ".[parity]"')
TF = torch.nn.functional

TOLERANCE = {"float64": 1e-10, "float32": 1e-5}
IDS = np.array([[0, 2, 2, 4], [3, 0, -1, -1]])
COUNTED = np.abs(IDS)
MASK = np.random.default_rng(5).random((2, 1, 4, 6)) < 0.7
MASK[..., 0] = True
SLOPES = F.alibi_slopes(3)
DISTANCES = np.arange(2, 6)[:, None] - np.arange(6)  # QKV's four queries are the last of six places
FALLING = torch.from_numpy(np.where(DISTANCES < 0, -np.inf, -SLOPES[:, None, None] * DISTANCES))
CAUSAL = torch.from_numpy(np.tri(4, 6, 2, dtype=bool))  # the last 4 of 6 places


def torch_cross_entropy(reduction, smoothing=0.0):
    def cross_entropy(x):
        targets = torch.from_numpy(IDS)
        loss = TF.cross_entropy(
            x.flatten(0, 1), targets.flatten(), ignore_index=-1, reduction=reduction,
            label_smoothing=smoothing,
        )  # fmt: skip
        return loss.view(targets.shape) if reduction == "none" else loss

    return cross_entropy


def torch_cross_heads(q, kv):
    (b, t, c), s = q.shape, kv.shape[1]
    k, v = (p.view(b, s, 2, c // 2).transpose(1, 2) for p in kv.split(c, dim=-1))
    q = q.view(b, t, 2, c // 2).transpose(1, 2)
    heads = TF.scaled_dot_product_attention(q, k, v, attn_mask=torch.from_numpy(MASK))
    return heads.transpose(1, 2).reshape(b, t, c)


def torch_multi_head(x):
    b, t, c = x.shape
    q, k, v = (p.view(b, t, 2, c // 6).transpose(1, 2) for p in x.split(c // 3, dim=-1))
    heads = TF.scaled_dot_product_attention(q, k, v, is_causal=True)
    return heads.transpose(1, 2).reshape(b, t, c // 3)


def torch_short_convolution(x, weight):
    kernel = weight.T.flip(-1)[
        :, None
    ]  # (K, C) -> (C, 1, K), whose last tap is of the token itself
    padded = TF.pad(x.transpose(1, 2), (len(weight) - 1, 0))
    return TF.conv1d(padded, kernel, groups=x.shape[-1]).transpose(1, 2)


QKV = [(2, 3, 4, 5), (2, 3, 6, 5), (2, 3, 6, 7)]
SQUARE = [(2, 3, 4, 5)] * 3

# name -> ours, torch's, shapes of the inputs
CASES: dict[str, Any] = {
    "add": (ops.add, torch.add, [(3, 1, 4), (2, 1)]),
    "subtract": (ops.subtract, torch.sub, [(3, 1, 4), (2, 1)]),
    "multiply": (ops.multiply, torch.mul, [(3, 1, 4), (2, 1)]),
    "divide": (ops.divide, torch.div, [(3, 1, 4), (2, 1)]),
    "maximum": (ops.maximum, torch.maximum, [(3, 1, 4), (2, 1)]),
    "power 3": (lambda x: x**3, lambda x: x**3, [(3, 4)]),
    "power -1.5": (lambda x: x.abs() ** -1.5, lambda x: x.abs() ** -1.5, [(3, 4)]),
    "exp": (ops.exp, torch.exp, [(3, 4)]),
    "log": (lambda x: ops.log(x.abs()), lambda x: torch.log(x.abs()), [(3, 4)]),
    "sqrt": (lambda x: ops.sqrt(x.abs()), lambda x: torch.sqrt(x.abs()), [(3, 4)]),
    "tanh": (ops.tanh, torch.tanh, [(3, 4)]),
    "sigmoid": (ops.sigmoid, torch.sigmoid, [(3, 4)]),
    "relu": (ops.relu, torch.relu, [(3, 4)]),
    "matmul": (ops.matmul, torch.matmul, [(2, 1, 3, 4), (5, 4, 2)]),
    "matmul of a vector": (ops.matmul, torch.matmul, [(2, 3, 4), (4,)]),
    "sum": (lambda x: x.sum(axis=(0, -1)), lambda x: x.sum(dim=(0, -1)), [(2, 3, 4)]),
    "mean": (lambda x: x.mean(axis=1), lambda x: x.mean(dim=1), [(2, 3, 4)]),
    "var": (
        lambda x: x.var(axis=(1, 2), correction=1, keepdims=True),
        lambda x: x.var(dim=(1, 2), keepdim=True),
        [(2, 3, 4)],
    ),
    "max": (lambda x: x.max(axis=-1), lambda x: x.amax(dim=-1), [(2, 3, 4)]),
    "max of equal numbers": (
        lambda x: (x * 0).max(axis=-1),
        lambda x: (x * 0).amax(dim=-1),
        [(2, 3)],
    ),
    "index": (lambda x: x[[0, 1, 1], 1:], lambda x: x[[0, 1, 1], 1:], [(2, 3, 4)]),
    "concatenate": (
        lambda *xs: F.concatenate(xs, axis=1), lambda *xs: torch.cat(xs, dim=1), [(2, 3), (2, 1)],
    ),
    "stack": (lambda *xs: F.stack(xs, -1), lambda *xs: torch.stack(xs, -1), [(2, 3), (2, 3)]),
    "split": (lambda x: x.split(3, 1)[1], lambda x: x.split(2, 1)[1], [(2, 6)]),
    "softmax": (lambda x: F.softmax(x, 1), lambda x: TF.softmax(x, 1), [(2, 3, 4)]),
    "log_softmax": (lambda x: F.log_softmax(x, 0), lambda x: TF.log_softmax(x, 0), [(2, 3, 4)]),
    "gelu": (F.gelu, lambda x: TF.gelu(x, approximate="tanh"), [(30, 40)]),
    "gelu, exact": (lambda x: F.gelu(x, "none"), TF.gelu, [(30, 40)]),
    "layer_norm": (
        F.layer_norm, lambda x, w, b: TF.layer_norm(x, (5,), w, b), [(2, 3, 5), (5,), (5,)],
    ),
    "rms_norm": (
        lambda x, w: F.rms_norm(x, w, eps=1e-3), lambda x, w: TF.rms_norm(x, (5,), w, eps=1e-3),
        [(2, 3, 5), (5,)],
    ),
    "relu_squared": (F.relu_squared, lambda x: TF.relu(x).square(), [(3, 4)]),
    "gated_unit": (F.gated_unit, lambda gate, up: TF.silu(gate) * up, [(3, 4), (3, 4)]),
    "gated_unit of gelu": (
        lambda gate, up: F.gated_unit(gate, up, "gelu_erf"), lambda gate, up: TF.gelu(gate) * up,
        [(3, 4), (3, 4)],
    ),
    "layer_norm without bias": (
        lambda x, w: F.layer_norm(x, w, eps=1e-3),
        lambda x, w: TF.layer_norm(x, (5,), w, eps=1e-3),
        [(2, 3, 5), (5,)],
    ),
    "short_convolution": (F.short_convolution, torch_short_convolution, [(2, 5, 3), (4, 3)]),
    "linear": (
        F.linear, lambda x, w, b: TF.linear(x, w.T, b), [(2, 3, 4), (4, 5), (5,)],
    ),
    "embedding": (
        lambda w: F.embedding(COUNTED, w),
        lambda w: TF.embedding(torch.from_numpy(COUNTED), w),
        [(5, 3)],
    ),
    "cross_entropy": (lambda x: F.cross_entropy(x, IDS), torch_cross_entropy("mean"), [(2, 4, 5)]),
    "cross_entropy, summed": (
        lambda x: F.cross_entropy(x, IDS, reduction="sum"), torch_cross_entropy("sum"), [(2, 4, 5)],
    ),
    "cross_entropy of each": (
        lambda x: F.cross_entropy(x, IDS, reduction="none"),
        torch_cross_entropy("none"),
        [(2, 4, 5)],
    ),
    **{
        f"cross_entropy, smoothed, {reduction}": (
            lambda x, reduction=reduction: F.cross_entropy(x, IDS, -1, reduction, 0.1),
            torch_cross_entropy(reduction, 0.1),
            [(2, 4, 5)],
        )
        for reduction in ("mean", "sum", "none")
    },
    "attention": (F.scaled_dot_product_attention, TF.scaled_dot_product_attention, QKV),
    "attention, causal": (
        lambda q, k, v: F.scaled_dot_product_attention(q, k, v, causal=True),
        lambda *qkv: TF.scaled_dot_product_attention(*qkv, is_causal=True),
        SQUARE,
    ),
    "attention, causal, of the last places": (
        lambda q, k, v: F.scaled_dot_product_attention(q, k, v, causal=True),
        lambda *qkv: TF.scaled_dot_product_attention(*qkv, attn_mask=CAUSAL),
        QKV,
    ),
    "attention, with slopes": (
        lambda q, k, v: F.scaled_dot_product_attention(q, k, v, causal=True, slopes=SLOPES),
        lambda *qkv: TF.scaled_dot_product_attention(*qkv, attn_mask=FALLING.to(qkv[0].dtype)),
        QKV,
    ),
    "attention of groups": (
        lambda q, k, v: F.scaled_dot_product_attention(q, k, v, causal=True, grouped=True),
        lambda *qkv: TF.scaled_dot_product_attention(*qkv, is_causal=True, enable_gqa=True),
        [(2, 6, 4, 5), (2, 2, 4, 5), (2, 2, 4, 5)],
    ),
    "attention of one head of keys and values, masked": (
        lambda q, k, v: F.scaled_dot_product_attention(q, k, v, mask=MASK, grouped=True),
        lambda *qkv: TF.scaled_dot_product_attention(
            *qkv, attn_mask=torch.from_numpy(MASK), enable_gqa=True
        ),
        [(2, 3, 4, 5), (2, 1, 6, 5), (2, 1, 6, 7)],
    ),
    "attention, masked": (
        lambda q, k, v: F.scaled_dot_product_attention(q, k, v, mask=MASK, causal=True),
        lambda *qkv: TF.scaled_dot_product_attention(
            *qkv, attn_mask=torch.from_numpy(MASK) & CAUSAL
        ),
        QKV,
    ),
    "attention, broadcast": (
        F.scaled_dot_product_attention, TF.scaled_dot_product_attention,
        [(2, 1, 4, 5), (1, 3, 6, 5), (1, 3, 6, 7)],
    ),
    "multi_head_attention": (
        lambda x: F.multi_head_attention(x, 2, causal=True), torch_multi_head, [(2, 4, 12)],
    ),
    "multi_head_cross_attention": (
        lambda q, kv: F.multi_head_cross_attention(q, kv, 2, MASK),
        torch_cross_heads,
        [(2, 4, 6), (2, 6, 12)],
    ),
}  # fmt: skip


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize(("ours", "theirs", "shapes"), CASES.values(), ids=CASES)
def test_values_and_gradients(ours, theirs, shapes, dtype):
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(shape).astype(dtype) for shape in shapes]
    inputs = [Tensor(a, requires_grad=True) for a in arrays]
    torch_inputs = [torch.tensor(a, requires_grad=True) for a in arrays]
    y, expected = ours(*inputs), theirs(*torch_inputs)
    assert y.shape == tuple(expected.shape)
    v = rng.standard_normal(y.shape).astype(dtype)
    found = gradients(y, v)
    expected.backward(torch.from_numpy(np.asarray(v)))
    close = {"rtol": TOLERANCE[dtype], "atol": TOLERANCE[dtype]}
    np.testing.assert_allclose(y.data, expected.detach().numpy(), **close)
    for x, t in zip(inputs, torch_inputs, strict=True):
        np.testing.assert_allclose(found[x], t.grad.numpy(), **close)


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_erf(dtype):
    x = np.linspace(-6, 6, 10_001, dtype=dtype)
    expected = torch.erf(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(F.erf(x), expected, rtol=4 * np.finfo(dtype).eps)


# ── of nothing ────────────────────────────────────────────────────────────────────────────────

OF_NOTHING: dict[str, Any] = {
    "softmax of no classes": (F.softmax, lambda x: TF.softmax(x, -1), [(2, 0)]),
    "softmax of no rows": (F.softmax, lambda x: TF.softmax(x, -1), [(0, 3)]),
    "softmax along no rows": (
        lambda x: F.softmax(x, axis=0), lambda x: TF.softmax(x, 0), [(0, 3)],
    ),
    "log_softmax of no classes": (F.log_softmax, lambda x: TF.log_softmax(x, -1), [(2, 0)]),
    "max of no rows": (lambda x: x.max(axis=1), lambda x: torch.amax(x, 1), [(0, 3)]),
    "attention over no keys": (
        F.scaled_dot_product_attention, TF.scaled_dot_product_attention,
        [(2, 3, 4), (2, 0, 4), (2, 0, 5)],
    ),
    "attention of no queries": (
        F.scaled_dot_product_attention, TF.scaled_dot_product_attention,
        [(2, 0, 4), (2, 3, 4), (2, 3, 5)],
    ),
    "causal attention of no queries": (
        lambda q, k, v: F.scaled_dot_product_attention(q, k, v, causal=True),
        lambda q, k, v: TF.scaled_dot_product_attention(q, k, v, is_causal=True),
        [(2, 0, 4), (2, 3, 4), (2, 3, 5)],
    ),
    "linear of no rows": (F.linear, lambda x, w: x @ w, [(0, 3), (3, 4)]),
}  # fmt: skip


@pytest.mark.parametrize("name", OF_NOTHING)
def test_of_nothing_comes_what_pytorch_makes_of_it(name):
    ours, theirs, shapes = OF_NOTHING[name]
    arrays = [np.random.default_rng(0).standard_normal(shape) for shape in shapes]
    inputs = [Tensor(a, requires_grad=True) for a in arrays]
    references = [torch.tensor(a, requires_grad=True) for a in arrays]
    y, expected = ours(*inputs), theirs(*references)
    assert y.shape == tuple(expected.shape)
    np.testing.assert_array_equal(y.data, expected.detach().numpy())
    found = gradients(y, np.ones_like(y.data))
    expected.sum().backward()
    for x, reference in zip(inputs, references, strict=True):
        np.testing.assert_array_equal(found[x], reference.grad.numpy())


@pytest.mark.parametrize("axis", [0, (0, 1)])
def test_a_maximum_of_none_is_an_error_in_both(axis):
    with pytest.raises(IndexError):
        torch.amax(torch.zeros(0, 3), axis)
    with pytest.raises(ValueError, match="no numbers to choose from"):
        Tensor(np.zeros((0, 3))).max(axis=axis)


def test_a_target_among_no_classes_is_an_error_in_both():
    with pytest.raises(IndexError):
        TF.cross_entropy(torch.zeros(2, 0), torch.tensor([0, 0]))
    with pytest.raises(
        ValueError, match=r"logits must be of shape \(\.\.\., V\) with V of at least"
    ):
        F.cross_entropy(Tensor(np.zeros((2, 0))), np.array([0, 0]))


@pytest.mark.parametrize("size", [1e13, 1e14, 1e17])
@pytest.mark.parametrize("approximate", ["tanh", "none"])
def test_gelu_far_out(size, approximate):
    x = np.array([size, -size], np.float32)
    ours, theirs = Tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    F.gelu(ours, approximate).sum().backward()
    TF.gelu(theirs, approximate=approximate).sum().backward()
    np.testing.assert_array_equal(ours.grad, theirs.grad.numpy())
