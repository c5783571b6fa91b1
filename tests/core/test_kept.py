"""An array that can be computed again does not stay in memory until the walk back."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest

import minigpt.functional as F
from minigpt import Tensor, no_grad
from minigpt.autograd import kept, record
from tests.strategies import tensors


def normalised(*, bias):
    x, gamma, beta, w = tensors([(3, 4, 6), (6,), (6,), (6, 5)], seed=0)
    return F.layer_norm(x, gamma, beta if bias else None), w, (x, gamma, beta, w)


@pytest.mark.parametrize("bias", [True, False])
def test_output_of_layer_norm_is_freed_after_the_forward_pass(bias):
    y, w, _ = normalised(bias=bias)
    array = weakref.ref(y.data)
    z = F.linear(y, w)
    del y
    gc.collect()
    assert array() is None
    z.sum().backward()


@pytest.mark.parametrize("bias", [True, False])
def test_rebuilt_array_gives_the_same_gradients(bias):
    y, w, leaves = normalised(bias=bias)
    assert np.array_equal(y.rebuild(), y.data)
    F.linear(y, w).sum().backward()
    rebuilt = [leaf.grad for leaf in leaves]

    y, w, leaves = normalised(bias=bias)
    y.rebuild = None  # the array itself is kept
    F.linear(y, w).sum().backward()
    for got, leaf in zip(rebuilt, leaves, strict=True):
        assert (got is None and leaf.grad is None) or np.array_equal(got, leaf.grad)


def test_what_cannot_be_rebuilt_is_kept():
    x = Tensor([1.0, 2.0])
    assert kept(x)() is x.data


def test_nothing_is_held_for_rebuilding_where_nothing_is_recorded():
    x = Tensor([1.0], requires_grad=True)
    with no_grad():
        y = record(x.data, (x,), lambda g: (g,), rebuild=lambda: x.data)
    assert y.rebuild is None
    assert record(x.data, (x,), lambda g: (g,), rebuild=lambda: x.data).rebuild is not None
