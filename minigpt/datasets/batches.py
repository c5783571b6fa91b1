"""What the ways of batching a token stream share: its tokens and the sizes."""

from __future__ import annotations

from typing import Any

from minigpt.datasets.blocks import BlockReader, positive_int
from minigpt.datasets.resumable import ResumableBatches


class Batches(ResumableBatches):
    """A stream cut into batches of (ids, targets); targets[b, t] is what follows ids[b, t].

    ``next_batch()`` never ends: after the last batch of an epoch comes the first of the next one.
    Iterating gives the batches that the current epoch still has, so that
    ``for ids, targets in batches`` is one epoch.

    Shapes:
        ids, targets: (B, T), int64, C-contiguous, never sharing memory
    """

    def __init__(self, tokens: Any, block_size: int, batch_size: int) -> None:
        super().__init__()
        self._reader = BlockReader(tokens, block_size)
        self.block_size = self._reader.block_size
        self.batch_size = positive_int("batch_size", batch_size)

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


def check_drop_last(value: object) -> bool:
    """``drop_last`` as a bool, or an error."""
    if not isinstance(value, bool):
        raise TypeError(f"drop_last must be True or False: got {value!r}")
    return value


def check_full_batch(blocks: int, batches: Batches) -> None:
    """With ``drop_last`` at least one batch must be full."""
    if blocks < batches.batch_size:
        raise ValueError(
            f"tokens fill {blocks} blocks of block_size={batches.block_size}, fewer than "
            f"batch_size={batches.batch_size}: use drop_last=False or batch_size={blocks} or less"
        )
