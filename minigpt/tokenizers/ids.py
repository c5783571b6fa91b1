"""Ids that come from outside, checked before they are looked up."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from minigpt.autograd import Array


def check_ids(ids: Iterable[int] | Array, vocab_size: int) -> Array:
    """``ids`` as a 1-D int64 array, each 0 <= id < vocab_size.

    Raises:
        TypeError: what came is not a sequence of integers.
        ValueError: it is not 1-D, or an id is out of range.

    Example:
        >>> check_ids([1, 2], vocab_size=3)
        array([1, 2])
    """
    given: object = ids
    if isinstance(given, (str, bytes)) or not isinstance(given, Iterable):
        mend = f"; for one id, pass [{given!r}]" if isinstance(given, (int, np.integer)) else ""
        raise TypeError(f"ids must be a sequence of integers: got {type(given).__name__}{mend}")
    try:
        array = np.asarray(ids if isinstance(ids, (np.ndarray, list)) else list(ids))
    except ValueError:
        raise ValueError(
            "ids must be one sequence of integers: got rows of different lengths"
        ) from None
    if array.ndim != 1:
        raise ValueError(f"ids must be one sequence: got shape {array.shape}; decode it row by row")
    if array.size == 0:
        return np.empty(0, np.int64)
    if array.dtype == object and all(type(i) is int for i in array.tolist()):
        wrong = np.ones(len(array), dtype=bool)  # ints that no 64-bit type holds
    elif array.dtype.kind not in "iu":
        raise TypeError(f"ids must be integers: got dtype {array.dtype}")
    else:
        wrong = (array < 0) | (array >= vocab_size)
    if wrong.any():
        place = int(np.argmax(wrong))
        raise ValueError(
            f"id {array[place]} at position {place:,} is not in the vocabulary: "
            f"ids run from 0 to {vocab_size - 1:,}"
        )
    return array.astype(np.int64, copy=False)
