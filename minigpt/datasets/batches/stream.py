"""A token stream as several streams side by side, for models that read on from batch to batch."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigpt.datasets.batches.blocks import Batch, Batches


class StreamBatches(Batches):
    """Row r of a batch goes on where row r of the batch before it ended.

    The stream is cut into batch_size streams of equal length, which are read side by side,
    block_size tokens at a time: what truncated backpropagation through time asks for (Williams &
    Peng 1990), with a state that is carried along each row. In one epoch every token but the first
    is a target exactly once. The last batch of an epoch is narrower where the streams end in it;
    where they do not divide the tokens evenly, the end of the last ones is filled up with target −1
    (which a loss leaves out) and id 0.

    Args:
        tokens: the stream, (N,) integers.
        block_size: T, tokens in a row.
        batch_size: B, rows in a batch.

    Shapes:
        tokens: (N,) integers, N >= block_size + 1; an array or a memory map.

    Raises:
        ValueError: the stream is shorter than block_size + 1, or a size is not positive.

    Example:
        >>> batches = StreamBatches(np.arange(10), block_size=3, batch_size=2)
        >>> [ids.tolist() for ids, targets in batches]
        [[[0, 1, 2], [5, 6, 7]], [[3, 4], [8, 0]]]
    """

    kind = "stream"

    def __init__(self, tokens: Any, block_size: int, batch_size: int) -> None:
        super().__init__(tokens, block_size, batch_size)
        self._targets = len(self._reader) - 1
        self._length = -(-self._targets // self.batch_size)  # of each of the streams

    @property
    def batches_per_epoch(self) -> int:
        """Batches that it takes to read the streams to their end."""
        return -(-self._length // self.block_size)

    def _batch_at(self, position: int) -> Batch:
        first = position * self.block_size
        last = min(first + self.block_size, self._length)
        starts = np.arange(self.batch_size, dtype=np.int64) * self._length
        places = starts[:, None] + np.arange(first, last)  # (B, T) of the ids
        inside = places < self._targets
        places[~inside] = 0
        tokens = self._reader.tokens
        ids, targets = (tokens[places + shift].astype(np.int64) for shift in (0, 1))  # (B, T)
        ids[~inside], targets[~inside] = 0, -1
        return ids, targets
