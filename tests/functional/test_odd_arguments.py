"""Whatever stands in the place of an argument: it is taken, or refused in the library's own words.

Never NumPy's, never another exception, never a page long.
"""

from __future__ import annotations

import math
import traceback
import warnings

import numpy as np
import pytest

import minigpt.functional as F
from minigpt import Tensor, gradcheck, optim
from minigpt import operations as ops
from minigpt.nn import Parameter


def ones(*shape):
    return Tensor(np.ones(shape, np.float32), requires_grad=True)


def named():
    p = Parameter(np.ones((2, 2), np.float32))
    p.grad = np.ones((2, 2), np.float32)
    return [("w", p)]


def adam_state(**changes):
    return {**optim.Adam(named()).state_dict(), **changes}


RNG = np.random.default_rng(0)
IDS = np.array([[0, 1, 2]])
SEEN = np.ones((3, 3), bool)
STEPS = dict(step=1, learning_rate=0.1, min_learning_rate=0.01, warmup_steps=1, max_steps=10)
# name -> a function, and arguments that it takes
CASES = {
    "softmax": (F.softmax, dict(x=ones(2, 3), axis=-1)),
    "log_softmax": (F.log_softmax, dict(x=ones(2, 3), axis=-1)),
    "gelu": (F.gelu, dict(x=ones(2), approximate="tanh")),
    "silu": (F.silu, dict(x=ones(2))),
    "layer_norm": (F.layer_norm, dict(x=ones(2, 3), weight=ones(3), bias=ones(3), eps=1e-5)),
    "linear": (F.linear, dict(x=ones(2, 3), weight=ones(3, 4), bias=ones(4))),
    "embedding": (F.embedding, dict(ids=IDS, weight=ones(4, 2))),
    "dropout": (F.dropout, dict(x=ones(2, 3), p=0.5, rng=RNG)),
    "cross_entropy": (
        F.cross_entropy,
        dict(logits=ones(1, 3, 4), targets=IDS, ignore_index=-1, reduction="mean",
             label_smoothing=0.1),
    ),
    "log_likelihood": (
        F.log_likelihood, dict(logits=ones(1, 3, 4), targets=IDS, ignore_index=-1),
    ),
    "lstm": (
        F.lstm,
        dict(x=ones(2, 3, 4), weight_ih=ones(4, 20), weight_hh=ones(5, 20), bias=ones(20),
             h0=ones(2, 5), c0=ones(2, 5), mask=np.ones((2, 3), bool)),
    ),
    "scaled_dot_product_attention": (
        F.scaled_dot_product_attention,
        dict(q=ones(2, 3, 4), k=ones(2, 3, 4), v=ones(2, 3, 4), mask=SEEN, causal=True,
             dropout=0.1, rng=RNG, slopes=np.ones(2)),
    ),
    "multi_head_attention": (
        F.multi_head_attention,
        dict(qkv=ones(2, 3, 12), n_head=2, mask=SEEN, causal=True, dropout=0.1, rng=RNG,
             slopes=np.ones(2)),
    ),
    "multi_head_cross_attention": (
        F.multi_head_cross_attention,
        dict(q=ones(2, 3, 4), kv=ones(2, 3, 8), n_head=2, mask=SEEN, dropout=0.1, rng=RNG),
    ),
    "attention_weights": (
        F.attention_weights,
        dict(q=np.ones((2, 3, 4)), k=np.ones((2, 3, 4)), mask=SEEN, causal=True,
             slopes=np.ones(2)),
    ),
    "erf": (F.erf, dict(x=np.ones(2))),
    "maximum": (F.maximum, dict(a=ones(2), b=ones(2))),
    "matmul": (F.matmul, dict(a=ones(2, 3), b=ones(3, 2))),
    "where": (F.where, dict(condition=np.ones(2, bool), a=ones(2), b=ones(2))),
    "masked_fill": (F.masked_fill, dict(x=ones(2), mask=np.ones(2, bool), value=0.0)),
    "sum": (F.sum, dict(x=ones(2, 3), axis=0, keepdims=False)),
    "mean": (F.mean, dict(x=ones(2, 3), axis=0, keepdims=False)),
    "var": (F.var, dict(x=ones(2, 3), axis=0, keepdims=False, correction=0)),
    "max": (F.max, dict(x=ones(2, 3), axis=0, keepdims=False)),
    "concatenate": (F.concatenate, dict(tensors=[ones(2), ones(2)], axis=0)),
    "stack": (F.stack, dict(tensors=[ones(2), ones(2)], axis=0)),
    "split": (F.split, dict(x=ones(4), sections=2, axis=0)),
    "broadcast_to": (F.broadcast_to, dict(x=ones(1, 3), shape=(2, 3))),
    "reshape": (lambda shape: ops.reshape(ones(4), shape), dict(shape=(2, 2))),
    "transpose": (lambda axes: ops.transpose(ones(4, 2), axes), dict(axes=(1, 0))),
    "swapaxes": (ops.swapaxes, dict(x=ones(2, 3), axis1=0, axis2=1)),
    "power": (ops.power, dict(x=ones(2), exponent=2)),
    "astype": (ops.astype, dict(x=ones(2), dtype=np.float64)),
    "add": (ops.add, dict(a=ones(2), b=ones(2))),
    "Tensor": (Tensor, dict(array=1.0)),
    "assign": (lambda value: ones(2).assign(value), dict(value=1.0)),
    "gradcheck": (
        gradcheck,
        dict(fn=lambda x: x * 2, inputs=Tensor(np.ones(2), requires_grad=True), eps=1e-6,
             atol=1e-6, rtol=1e-5, seed=0),
    ),
    "SGD": (
        optim.SGD, dict(params=named(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.1),
    ),
    "AdamW": (
        optim.AdamW,
        dict(params=named(), lr=0.1, betas=(0.9, 0.9), eps=1e-8, weight_decay=0.1),
    ),
    "Muon": (
        optim.Muon,
        dict(params=named(), lr=0.1, weight_decay=0.1, momentum=0.9, nesterov=True,
             ns_coefficients=(3.0, -4.0, 2.0), eps=1e-7, ns_steps=5, adjust_lr_fn="original",
             adamw_lr=0.1, adamw_betas=(0.9, 0.9), adamw_eps=1e-8),
    ),
    "a beta": (lambda beta: optim.Adam(named(), betas=(beta, 0.9)), dict(beta=0.9)),
    "a group": (
        lambda params, lr_scale, weight_decay: optim.Adam(
            [dict(params=params, lr_scale=lr_scale, weight_decay=weight_decay)]
        ),
        dict(params=named(), lr_scale=0.5, weight_decay=0.1),
    ),
    "a parameter": (lambda name, parameter: optim.Adam([(name, parameter)]),
                    dict(name="w", parameter=named()[0][1])),
    "clip_grad_norm": (optim.clip_grad_norm, dict(params=named(), max_norm=1.0)),
    "warmup_cosine": (optim.warmup_cosine, STEPS),
    "warmup_linear": (optim.warmup_linear, STEPS),
    "trapezoid": (optim.trapezoid, STEPS | dict(decay_steps=1)),
    "a state": (
        lambda step, lr, array: optim.Adam(named()).load_state_dict(
            adam_state(step=step, lr=lr, **{"first_moment.w": array})
        ),
        dict(step=1, lr=0.1, array=np.ones((2, 2), np.float32)),
    ),
}  # fmt: skip
ODD = [
    None, True, "x", "x" * 1000, b"x", 1.5, -1, 0, 10**19, 10**400, -(10**400), math.nan, math.inf,
    1j, [], [1, 2], [[1], [1, 2]], [None, None], (), (1, 2), {}, {"a": 1}, set(), object(), dict,
    np.ones(2), np.ones((2, 2), int), np.array(None), np.array("a"), np.ones(2, complex),
    np.ma.masked_array([1.0, 2.0], [True, False]), np.ma.masked_array([True, False], [True, False]),
    np.float32(2), np.int64(1), np.datetime64("2020-01-01"), slice(None), ..., range(3), ones(2),
    ones(2, 0), Tensor(np.ones(3)),
]  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_an_odd_argument_is_taken_or_refused_in_our_own_words(name):
    function, arguments = CASES[name]
    function(**arguments)
    for argument in arguments:
        for odd in ODD:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                try:
                    function(**{**arguments, argument: odd})
                except (TypeError, ValueError, IndexError) as error:
                    where = traceback.extract_tb(error.__traceback__)[-1].filename
                    assert "minigpt" in where, f"{argument}={odd!r:.50}: {error!r:.200}"
                    assert len(str(error)) < 700, f"{argument}={odd!r:.50}: {len(str(error))} long"


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: F.layer_norm(ones(2, 3), ones(3), eps=None), TypeError, "eps must be a number"),
        (lambda: F.layer_norm(ones(2, 3), ones(3), eps="x"), TypeError, "above 0: got 'x'"),
        (lambda: F.layer_norm(ones(2, 3), ones(3), eps=math.nan), ValueError, "above 0: got nan"),
        (lambda: F.layer_norm(ones(2, 0), ones(0)), ValueError, "n of at least 1: got a float32"),
        (lambda: F.multi_head_attention(ones(2, 3, 0), 1), ValueError, r"of shape \(B, T, 3·C\)"),
        (lambda: F.multi_head_attention(ones(2, 3, 6), None), TypeError, "n_head must be an int"),
        (lambda: F.multi_head_attention(ones(2, 3, 6), 1, True), TypeError, "use causal=True"),
        (lambda: F.cross_entropy(ones(2, 3), [0, 1], "x"), TypeError, "ignore_index must be an"),
        (lambda: F.cross_entropy(ones(2, 0), [0, 1]), ValueError, "V of at least 1: got a float32"),
        (lambda: F.cross_entropy(ones(2, 3), [[0], [1, 2]]), ValueError, "rows of one length"),
        (lambda: F.embedding([0], ones(0, 2)), IndexError, "none at all, as the vocabulary is emp"),
        (lambda: ones(2) * [[1], [1, 2]], ValueError, "rows of one length: got"),
        (lambda: ones(2) * np.ma.masked_array([1.0, 2.0], [True, False]), TypeError, "mask of its"),
        (lambda: Tensor(np.ma.masked_array([1.0], [True])), TypeError, "without a mask of its own"),
        (lambda: ones(4).reshape(3, 3), ValueError, r"a shape of 4 numbers, as x is \(4,\).*\(3,"),
        (lambda: ones(4).reshape(-1, -1), ValueError, "with one −1 at the most"),
        (lambda: ones(4).reshape("x"), TypeError, r"shape\[0\] must be an integer.*got 'x'"),
        (lambda: ones(4, 2).transpose(0, 0), ValueError, "each of the 2 axes of x once"),
        (lambda: ones(4, 2).transpose(0, 2), ValueError, r"as x is \(4, 2\): got \(0, 2\)"),
        (lambda: ones(4, 2).broadcast_to((4, 3)), ValueError, r"\(4, 2\), stretches to: got \(4,"),
        (lambda: ones(2) ** 10**400, ValueError, "exponent must be .*an integer of 1329 bits"),
        (lambda: ones(2) ** 1j, TypeError, r"exponent must be a finite number: got 1j"),
        (lambda: optim.SGD(named(), lr=10**400), ValueError, "lr must be .* of 1329 bits"),
        (lambda: optim.SGD(named(), lr=1j), TypeError, "lr must be a number of at least 0: got 1j"),
        (lambda: optim.Adam(named(), betas=[None, None]), TypeError, r"betas\[0\] must be a numb"),
        (lambda: optim.Adam(named(), eps=10**400), ValueError, "eps must be a number above 0"),
        (lambda: optim.clip_grad_norm(named(), 10**400), ValueError, "max_norm must be a number"),
    ],
)  # fmt: skip
def test_the_words(call, error, message):
    with pytest.raises(error, match=message):
        call()
