"""Blocks of a token stream, and what all ways of making batches of them share.

A block is ``block_size`` consecutive tokens; its targets are the same tokens one place to the
right, so a block takes ``block_size + 1`` tokens of the stream.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from minigpt.autograd import Array
from minigpt.datasets.batches.resumable import ResumableBatches
from minigpt.datasets.token_stream import check_fills_a_block, check_size, check_stream

Batch = tuple[Array, Array]


class BlockReader:
    """Cuts blocks out of a token stream at any starts, touching only the tokens asked for.

    Shapes:
        tokens: (N,) integers, an array or a memory map; never copied.

    Example:
        >>> reader = BlockReader(np.arange(10), block_size=3)
        >>> ids, targets = reader.read(np.array([0, 5]))
        >>> ids.tolist(), targets.tolist()
        ([[0, 1, 2], [5, 6, 7]], [[1, 2, 3], [6, 7, 8]])
    """

    def __init__(self, tokens: Any, block_size: int) -> None:
        self.tokens = check_stream("tokens", tokens)
        check_fills_a_block(len(self.tokens), block_size)
        self.block_size = int(block_size)
        # Row i is tokens[i : i + block_size + 1]; a view, so nothing of the stream is read here.
        self._windows = sliding_window_view(self.tokens, self.block_size + 1)

    def __len__(self) -> int:
        return len(self.tokens)

    def read(self, starts: Array) -> Batch:
        """The blocks that begin at ``starts`` and their targets.

        Shapes:
            starts: (B,), each 0 <= start < N − block_size. Returns ids and targets, both
            (B, block_size) int64.
        """
        windows = self._windows[starts]  # (B, T + 1)
        # astype always copies: the two arrays never share memory, and both are C-contiguous.
        ids = windows[:, :-1].astype(np.int64, order="C")  # (B, T)
        targets = windows[:, 1:].astype(np.int64, order="C")  # (B, T)
        return ids, targets


class Batches(ResumableBatches):
    """A stream cut into batches of (ids, targets); targets[b, t] is what follows ids[b, t].

    ``next_batch()`` never ends: after the last batch of an epoch comes the first of the next one.
    Iterating gives the batches that the current epoch still has, so that
    ``for ids, targets in batches`` is one epoch. How the stream is cut is a subclass's affair:
    :class:`RandomBatches`, :class:`EpochBatches`, :class:`SequentialBatches`,
    :class:`StreamBatches`.

    Args:
        tokens: the stream, (N,) integers.
        block_size: T, tokens in a row.
        batch_size: B, rows in a batch.

    Shapes:
        ids, targets: (B, T), int64, C-contiguous, never sharing memory

    Example:
        >>> from minigpt.datasets import Batches, SequentialBatches
        >>> batches = SequentialBatches(np.arange(9), block_size=4, batch_size=1)
        >>> isinstance(batches, Batches), batches.tokens_per_batch
        (True, 4)
        >>> [ids.tolist() for ids, targets in batches]  # one epoch
        [[[0, 1, 2, 3]], [[4, 5, 6, 7]]]
    """

    def __init__(self, tokens: Any, block_size: int, batch_size: int) -> None:
        super().__init__()
        self._reader = BlockReader(tokens, block_size)
        self.block_size = self._reader.block_size
        self.batch_size = check_size("batch_size", batch_size)

    @property
    def tokens_per_batch(self) -> int:
        """Targets in a full batch: batch_size · block_size."""
        return self.batch_size * self.block_size

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({len(self._reader):,} tokens, block_size={self.block_size}, "
            f"batch_size={self.batch_size}, batches_per_epoch={self.batches_per_epoch:,})"
        )

    def _identity(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "block_size": self.block_size,
            "batch_size": self.batch_size,
            "tokens": len(self._reader),
        }
