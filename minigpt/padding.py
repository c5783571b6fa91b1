"""Rows of different lengths in one array: filled up at their right, or at their left."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from minigpt.autograd import Array


def padded(
    rows: Sequence[Sequence[int] | Array], pad_id: int = 0, *, at_left: bool = False
) -> tuple[Array, Array]:
    """The rows as one array, and the mask that is True for their own tokens (E15).

    Shapes:
        rows: B sequences → ids (B, T) int64, mask (B, T) bool; T is the longest row's length

    Example:
        >>> ids, mask = padded([[5, 6, 7], [8]], pad_id=0)
        >>> ids.tolist(), mask.tolist()
        ([[5, 6, 7], [8, 0, 0]], [[True, True, True], [True, False, False]])
        >>> padded([[5, 6, 7], [8]], at_left=True)[0].tolist()
        [[5, 6, 7], [0, 0, 8]]
    """
    width = max(map(len, rows), default=0)
    ids = np.full((len(rows), width), pad_id, np.int64)
    mask = np.zeros((len(rows), width), bool)
    for i, row in enumerate(rows):
        own = slice(width - len(row), width) if at_left else slice(0, len(row))
        ids[i, own], mask[i, own] = row, True
    return ids, mask
