"""Random draws for the rows of a batch that do not depend on who draws them.

A batch may be shared between threads, each with some of the rows. For the outcome to be the same
however many there are, a row must get the same dropout in every case. So each row has its own
stretch of one sequence of random numbers, and a thread skips over the stretches of the others: the
sequence of PCG64 can be advanced by any number of draws at once (O'Neill 2014, §4.3.1).
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from minigpt.autograd import Array


class RowsGenerator(np.random.Generator):
    """A generator for ``n_rows`` of the ``total`` rows of a batch, from the row ``first`` on.

    :func:`row_words` of it are those that its rows would get in the whole batch. Everything else it
    draws, as any generator does, from a sequence of its own.

    Args:
        seed: the same for all shards of a batch.
        first, total: which part of the batch this is for; the number of its rows is seen from
            what is drawn.

    Example:
        >>> whole = row_words(np.random.default_rng([7]), 3, 2)
        >>> part = row_words(RowsGenerator([7], first=1, total=3), 2, 2)
        >>> bool((part == whole[1:]).all())
        True
    """

    def __init__(self, seed: list[int], first: int, total: int) -> None:
        super().__init__(np.random.PCG64([*seed, first]))
        self.first, self.total = first, total
        self.shared = np.random.PCG64(seed)

    def __deepcopy__(self, memo: dict[int, Any]) -> RowsGenerator:
        other = RowsGenerator([0], self.first, self.total)
        other.bit_generator.state = copy.deepcopy(self.bit_generator.state, memo)
        other.shared.state = copy.deepcopy(self.shared.state, memo)
        return other


def row_words(rng: np.random.Generator, n_rows: int, per_row: int) -> Array:
    """(n_rows, per_row) random 64-bit words, those of a row together."""
    if not isinstance(rng, RowsGenerator):
        return rng.integers(0, 2**64, (n_rows, per_row), dtype=np.uint64)
    rng.shared.advance(rng.first * per_row)
    words = np.random.Generator(rng.shared).integers(0, 2**64, (n_rows, per_row), dtype=np.uint64)
    rng.shared.advance((rng.total - rng.first - n_rows) * per_row)
    return words
