"""Sequences of different lengths: kept in one array, and padded when a batch is made of some."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from minigpt import checks
from minigpt.autograd import Array
from minigpt.datasets.token_stream import check_stream
from minigpt.padding import padded


class Sequences:
    """N sequences of ids.

    Args:
        rows: a list of lists of ids, or an array (N, T), which may be memory-mapped.
        name: of the argument, for errors.

    Attributes:
        lengths: (N,) integers.

    Raises:
        ValueError: there is no sequence, or an id is negative.

    Example:
        >>> ids, mask = Sequences([[5, 6, 7], [8]], "names").padded(np.array([1, 0]), pad_id=0)
        >>> ids.tolist()
        [[8, 0, 0], [5, 6, 7]]
        >>> mask.tolist()
        [[True, False, False], [True, True, True]]
    """

    def __init__(self, rows: Any, name: str) -> None:
        is_list = isinstance(rows, (Sequence, np.ndarray)) and checks.iterates(rows)
        if isinstance(rows, (str, bytes)) or not is_list:
            raise checks.wrong_type(name, "a list of lists of ids, or an array (N, T)", rows)
        if len(rows) == 0:
            raise ValueError(f"{name} is empty: a batch needs at least one sequence")
        if isinstance(rows, np.ndarray) and rows.ndim == 2:
            self.lengths = np.full(len(rows), rows.shape[1], np.int64)
            self._tokens = check_stream(name, rows.reshape(-1))
        else:
            arrays = [check_stream(f"{name}[{i}]", row) for i, row in enumerate(rows)]
            self.lengths = np.array([len(array) for array in arrays], np.int64)
            self._tokens = np.concatenate([array.astype(np.int64) for array in arrays])
        self._starts = np.cumsum(self.lengths) - self.lengths
        if self._tokens.size and int(self._tokens.min()) < 0:
            raise ValueError(f"{name} holds {int(self._tokens.min())}: an id is 0 or more")

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def max_id(self) -> int:
        """The highest id; −1 where all sequences are empty."""
        return int(self._tokens.max()) if self._tokens.size else -1

    def count(self, among: Array) -> Array:
        """(N,) how many tokens t of each sequence have ``among[t]``, a table of booleans."""
        before = np.concatenate([[0], np.cumsum(among[self._tokens])])
        return before[self._starts + self.lengths] - before[self._starts]

    def padded(self, rows: Array, pad_id: int) -> tuple[Array, Array]:
        """Some sequences, filled up at their right to the length of the longest, with ``pad_id``.

        Shapes:
            rows: (B,) integers -> ids (B, T) int64, and (B, T) True where a token is the sequence's
        """
        starts, lengths = self._starts[rows].tolist(), self.lengths[rows].tolist()
        own = [self._tokens[i : i + n] for i, n in zip(starts, lengths, strict=True)]
        return padded(own, pad_id)

    def fingerprint(self) -> str:
        """What tells these sequences from others."""
        digest = hashlib.sha256(self.lengths.astype("<i8").tobytes())
        digest.update(self._tokens.astype("<i8").tobytes())
        return digest.hexdigest()[:32]
