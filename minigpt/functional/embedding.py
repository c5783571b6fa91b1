"""Embedding: rows of a table."""

from __future__ import annotations

import numpy as np

from minigpt import checks
from minigpt.autograd import Array, record
from minigpt.tensor import Tensor


def embedding(ids: Array, weight: Tensor) -> Tensor:
    """y = W[ids]: the row of each id. A row's gradient is the sum over the places that used it.

    Shapes:
        ids: (...), integers
        weight: (n, d)
        returns: (..., d)

    Raises:
        TypeError: ids are not integers.
        IndexError: an id is negative, or n or more.
        ValueError: weight is not a table of two axes.

    Example:
        >>> import numpy as np, minigpt as mg
        >>> import minigpt.functional as F
        >>> F.embedding(np.array([2, 0]), mg.Tensor([[0.0], [1.0], [2.0]])).numpy()
        array([[2.],
               [0.]], dtype=float32)
    """
    ids = _check(ids, weight)
    n, d = weight.shape

    def vjp(g: Array) -> tuple[Array]:
        table = np.zeros((n, d), g.dtype)
        if ids.size:
            add_rows(table, ids.reshape(-1), g.reshape(-1, d))
        return (table,)

    return record(weight.data[ids], (weight,), vjp)


def add_rows(table: Array, ids: Array, rows: Array) -> None:
    """table[ids] += rows, where equal ids add up: sorted, so that each sum is one run of rows."""
    order = np.argsort(ids, kind="stable")
    in_order = ids[order]
    starts = np.flatnonzero(np.diff(in_order, prepend=in_order[0] - 1))
    table[in_order[starts]] += np.add.reduceat(rows[order], starts, axis=0)


def _check(ids: Array, weight: Tensor) -> Array:
    checks.tensors("embedding", weight=weight)
    if weight.ndim != 2:
        raise checks.wrong_value("embedding: weight", "of shape (n, d)", weight)
    return checks.ids("ids", ids, weight.shape[0])
