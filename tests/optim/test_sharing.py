"""Threads that share the work of a step come to the same bits as one that does it all."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from minigpt.chunks import CHUNK
from minigpt.nn import Parameter
from minigpt.optim import SGD, Adam, AdamW, clip_grad_norm

SIZES = [3, CHUNK + 5, 1000, 2 * CHUNK, 17]


def parameters() -> list[Parameter]:
    rng = np.random.default_rng(0)
    made = [Parameter(rng.standard_normal(n, dtype=np.float32)) for n in SIZES]
    for parameter in made:
        parameter.grad = rng.standard_normal(parameter.shape, dtype=np.float32)
    return made


@pytest.mark.parametrize("make", [SGD, Adam, AdamW])
def test_a_shared_step_is_the_same_step(make: Callable) -> None:
    alone, shared = parameters(), parameters()
    one, other = make(alone, lr=0.1), make(shared, lr=0.1)
    with ThreadPoolExecutor(4) as pool:
        for _ in range(3):
            one.step()
            other.step(lambda function, items: list(pool.map(function, items)))
    for a, b in zip(alone, shared, strict=True):
        np.testing.assert_array_equal(a.data, b.data)
    for key, value in one.state_dict().items():
        np.testing.assert_array_equal(value, other.state_dict()[key])


def test_a_shared_norm_is_the_same_norm() -> None:
    alone, shared = parameters(), parameters()
    with ThreadPoolExecutor(4) as pool:
        norm = clip_grad_norm(shared, 1.0, lambda f, items: list(pool.map(f, items)))
    assert norm == clip_grad_norm(alone, 1.0)
    for a, b in zip(alone, shared, strict=True):
        np.testing.assert_array_equal(a.grad, b.grad)
