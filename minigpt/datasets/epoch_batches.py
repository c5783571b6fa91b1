"""A token stream's blocks, shuffled anew for every epoch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from minigpt.autograd import Array
from minigpt.datasets.batches import Batches, check_drop_last, check_full_batch
from minigpt.datasets.blocks import Batch
from minigpt.datasets.generator_state import make_generator


class EpochBatches(Batches):
    """The stream's blocks, each exactly once an epoch, in an order drawn for every epoch.

    The order of epoch e is the permutation that ``default_rng([seed, e])`` draws, so the state is
    three numbers. The targets at the end that do not fill a block (fewer than block_size) are left
    out. The last batch of an epoch may have fewer rows; with ``drop_last=True`` it is left out
    (other blocks in every epoch), and every batch is (B, T).

    Shapes:
        tokens: (N,) integers, N >= block_size + 1; an array or a memory map. The order takes
        8 bytes of memory a block.

    Raises:
        TypeError: tokens are not integers, or a size or the seed is not an int.
        ValueError: the stream is shorter than block_size + 1 or, with drop_last, than one batch.

    Example:
        >>> batches = EpochBatches(np.arange(9), block_size=2, batch_size=4, seed=0)
        >>> ids, targets = batches.next_batch()
        >>> sorted(targets.ravel().tolist())
        [1, 2, 3, 4, 5, 6, 7, 8]
    """

    kind = "epoch"

    def __init__(
        self,
        tokens: Any,
        block_size: int,
        batch_size: int,
        seed: int | np.random.Generator,
        drop_last: bool = False,
    ) -> None:
        super().__init__(tokens, block_size, batch_size)
        self.drop_last = check_drop_last(drop_last)
        self._blocks = (len(self._reader) - 1) // self.block_size
        if self.drop_last:
            check_full_batch(self._blocks, self)
        generator = make_generator(seed)  # also checks an int seed
        if isinstance(seed, np.random.Generator):
            self._seed = int(generator.integers(2**63))
        else:
            self._seed = int(seed)
        self._order: Array = np.empty(0, np.int64)
        self._order_of = (-1, -1)  # the seed and the epoch that _order was drawn for

    @property
    def batches_per_epoch(self) -> int:
        """Batches that hold every block once."""
        if self.drop_last:
            return self._blocks // self.batch_size
        return -(-self._blocks // self.batch_size)

    def _batch_at(self, position: int) -> Batch:
        if self._order_of != (self._seed, self._epoch):
            generator = np.random.default_rng([self._seed, self._epoch])
            self._order = generator.permutation(self._blocks)
            self._order_of = (self._seed, self._epoch)
        first = position * self.batch_size
        blocks = self._order[first : first + self.batch_size].astype(np.int64, copy=False)
        return self._reader.read(blocks * self.block_size)

    def _identity(self) -> dict[str, Any]:
        return {**super()._identity(), "drop_last": self.drop_last}

    def _random_state(self) -> dict[str, Any]:
        return {"seed": self._seed}

    def _load_random_state(self, state: Mapping[str, Any]) -> None:
        if type(state["seed"]) is not int or state["seed"] < 0:
            raise ValueError(f"seed of the state must be an int >= 0: got {state['seed']!r:.40}")
        self._seed = state["seed"]
