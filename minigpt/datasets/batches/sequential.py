"""A token stream in order: for the exact mean loss over a whole text."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigpt.datasets.batches.blocks import Batch, Batches


class SequentialBatches(Batches):
    """The stream in order: in one epoch every token but the first is a target exactly once.

    It is cut into consecutive blocks. The last block is filled up with target −1 (which a loss
    leaves out) and id 0, and the last batch may have fewer rows, so that a mean over the targets of
    one epoch is the exact mean over the text.

    Args:
        tokens: the stream, (N,) integers.
        block_size: T, tokens in a row.
        batch_size: B, rows in a batch.

    Shapes:
        tokens: (N,) integers, N >= block_size + 1; an array or a memory map.

    Raises:
        ValueError: the stream is shorter than block_size + 1, or a size is not positive.

    Example:
        >>> batches = SequentialBatches(np.arange(8), block_size=3, batch_size=2)
        >>> [(ids.tolist(), targets.tolist()) for ids, targets in batches][-1]
        ([[6, 0, 0]], [[7, -1, -1]])
    """

    kind = "sequential"

    def __init__(self, tokens: Any, block_size: int, batch_size: int) -> None:
        super().__init__(tokens, block_size, batch_size)
        # N − 1 targets: full blocks, and a tail of fewer than block_size.
        self._blocks, self._tail = divmod(len(self._reader) - 1, self.block_size)

    @property
    def batches_per_epoch(self) -> int:
        """Batches that one pass over the stream takes."""
        return -(-(self._blocks + bool(self._tail)) // self.batch_size)

    def _batch_at(self, position: int) -> Batch:
        first = position * self.batch_size
        end = first + self.batch_size
        full = np.arange(first, min(end, self._blocks), dtype=np.int64)
        ids, targets = self._reader.read(full * self.block_size)  # (B, T) each
        # The tail is the row after the last full block, in the batch that still has room for it.
        if self._tail and end > self._blocks:
            rest = self._reader.tokens[self._blocks * self.block_size :]  # (tail + 1,)
            ids = np.vstack([ids, np.zeros((1, self.block_size), np.int64)])  # (B + 1, T)
            targets = np.vstack([targets, np.full((1, self.block_size), -1, np.int64)])
            ids[-1, : self._tail] = rest[:-1]
            targets[-1, : self._tail] = rest[1:]
        return ids, targets

    def _identity(self) -> dict[str, Any]:
        # States have always said so; those of other batches do not fit.
        return {**super()._identity(), "drop_last": False}
