"""A token stream's blocks, shuffled anew for every epoch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from minigpt.autograd import Array
from minigpt.datasets.batches.blocks import Batch, Batches
from minigpt.datasets.batches.epoch_order import EpochOrder


class EpochBatches(Batches):
    """The stream's blocks, each exactly once an epoch, in an order drawn for every epoch.

    The order of epoch e is the permutation that ``default_rng([seed, e])`` draws, so the state is
    three numbers. The targets at the end that do not fill a block (fewer than block_size) are left
    out. The last batch of an epoch may have fewer rows.

    Args:
        tokens: the stream, (N,) integers.
        block_size: T, tokens in a row.
        batch_size: B, rows in a batch.
        seed: an int, or a Generator that one is drawn from.

    Shapes:
        tokens: (N,) integers, N >= block_size + 1; an array or a memory map. The order takes
        8 bytes of memory a block.

    Raises:
        ValueError: the stream is shorter than block_size + 1, or a size is not positive.

    Example:
        >>> batches = EpochBatches(np.arange(9), block_size=2, batch_size=4, seed=0)
        >>> ids, targets = batches.next_batch()
        >>> sorted(targets.ravel().tolist())
        [1, 2, 3, 4, 5, 6, 7, 8]
    """

    kind = "epoch"

    def __init__(
        self, tokens: Any, block_size: int, batch_size: int, seed: int | np.random.Generator
    ) -> None:
        super().__init__(tokens, block_size, batch_size)
        blocks = (len(self._reader) - 1) // self.block_size
        self._blocks = blocks
        self._order: EpochOrder[Array] = EpochOrder(seed, lambda rng: rng.permutation(blocks))

    @property
    def batches_per_epoch(self) -> int:
        """Batches that hold every block once."""
        return -(-self._blocks // self.batch_size)

    def _batch_at(self, position: int) -> Batch:
        first = position * self.batch_size
        blocks = self._order.of(self._epoch)[first : first + self.batch_size]
        return self._reader.read(blocks.astype(np.int64, copy=False) * self.block_size)

    def _identity(self) -> dict[str, Any]:
        # States have always said so; those of other batches do not fit.
        return {**super()._identity(), "drop_last": False}

    def _random_state(self) -> dict[str, Any]:
        return self._order.state()

    def _load_random_state(self, state: Mapping[str, Any]) -> None:
        self._order.load(state)
