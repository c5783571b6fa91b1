"""Recomputing changes memory and time, and not one bit of a number."""

from __future__ import annotations

import dataclasses
import gc
import weakref

import numpy as np
import pytest

import minigpt as mg
from minigpt.autograd import gradients
from minigpt.recompute import recomputed

CONFIG = mg.GPTConfig(vocab_size=11, block_size=6, n_layer=3, n_head=2, n_embd=8)
RNG = np.random.default_rng(0)
IDS, TARGETS = RNG.integers(0, 11, (3, 6)), RNG.integers(0, 11, (3, 6))


def loss_and_gradients(**changes: object) -> tuple[float, dict[str, np.ndarray]]:
    model = mg.GPT(dataclasses.replace(CONFIG, **changes), seed=0)
    loss = model.loss(IDS, TARGETS, rng=np.random.default_rng(1))
    found = gradients(loss)
    return loss.item(), {name: found[p] for name, p in model.named_parameters()}


@pytest.mark.parametrize("changes", [{}, {"dropout": 0.3}, {"norm": "post"}])
def test_the_loss_and_every_gradient_are_the_same_bits(changes: dict) -> None:
    kept, again = loss_and_gradients(**changes), loss_and_gradients(recompute=True, **changes)
    assert kept[0] == again[0]
    for name in kept[1]:
        np.testing.assert_array_equal(kept[1][name], again[1][name], err_msg=name)


def test_its_derivative_passes_gradcheck_within_no_grad_too() -> None:
    x, w = (mg.Tensor(RNG.standard_normal((2, 3)), requires_grad=True) for _ in range(2))
    assert mg.gradcheck(lambda x, w: recomputed(lambda y, _: (y * w).tanh(), x, [w]), [x, w])
    y = recomputed(lambda y, _: (y * w).tanh(), x, [w]).sum()
    with mg.no_grad():
        y.backward()
    np.testing.assert_allclose(w.grad, (1 - np.tanh(x.data * w.data) ** 2) * x.data)


def test_nothing_in_between_stays_alive() -> None:
    x = mg.Tensor([1.0, 2.0], requires_grad=True)
    inner = []

    def function(x: mg.Tensor, rng: object) -> mg.Tensor:
        hidden = x.exp()  # exp keeps its value for its derivative
        inner.append(weakref.ref(hidden.data))
        return hidden.log()

    y = recomputed(function, x, [])
    gc.collect()
    assert inner[0]() is None
    y.sum().backward()
    np.testing.assert_allclose(x.grad, [1, 1], rtol=1e-6)


def test_a_leaf_that_was_not_used_gets_zeros() -> None:
    x, unused = (mg.Tensor([1.0], requires_grad=True) for _ in range(2))
    recomputed(lambda x, _: x * 2, x, [unused]).backward()
    assert unused.grad.tolist() == [0.0]
