"""Odd values inside of arguments, refused in the library's own words; and some of these words.

Odd arguments themselves are tried in tests/reliability/test_bad_input.py, on every function.
"""

from __future__ import annotations

import math
import traceback
import warnings

import numpy as np
import pytest

import minigpt.functional as F
from minigpt import Tensor, optim
from minigpt.nn import Parameter


def ones(*shape):
    return Tensor(np.ones(shape, np.float32), requires_grad=True)


def named():
    p = Parameter(np.ones((2, 2), np.float32))
    p.grad = np.ones((2, 2), np.float32)
    return [("w", p)]


def adam_state(**changes):
    return {**optim.Adam(named()).state_dict(), **changes}


# name -> a function, and arguments that it takes
CASES = {
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
