"""Work that is the same for every parameter, so that threads can share it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minigpt.autograd import Array
from minigpt.chunks import CHUNK

# Calls a function with each item of a list, and returns what it returned, in the items' order.
Apply = Callable[[Callable[[Any], Any], Sequence[Any]], list[Any]]


def one_by_one(function: Callable[[Any], Any], items: Sequence[Any]) -> list[Any]:
    """The plain way: on the thread that asks, one after the other."""
    return [function(item) for item in items]


class Scratch(threading.local):
    """Buffers of CHUNK numbers for intermediate results: the same for every piece, in each thread.

    Example:
        >>> Scratch()(np.dtype(np.float32), 2)[0].size == CHUNK
        True
    """

    def __init__(self) -> None:
        self._buffers: dict[tuple[np.dtype[Any], int], tuple[Array, ...]] = {}

    def __call__(self, dtype: np.dtype[Any], count: int) -> tuple[Array, ...]:
        """``count`` buffers of a type."""
        if (dtype, count) not in self._buffers:
            self._buffers[dtype, count] = tuple(np.empty(CHUNK, dtype) for _ in range(count))
        return self._buffers[dtype, count]
