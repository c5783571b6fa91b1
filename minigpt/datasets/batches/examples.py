"""Examples shuffled anew for every epoch, those of similar length together."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

import numpy as np

from minigpt.autograd import Array
from minigpt.datasets.batches.epoch_order import EpochOrder
from minigpt.datasets.batches.resumable import ResumableBatches
from minigpt.datasets.token_stream import check_size

POOL = 50  # batches whose examples are sorted by length among each other


class ExampleBatches(ResumableBatches):
    """N examples, each exactly once an epoch, in an order drawn for every epoch.

    A batch is as wide as its longest example, and the padding of the others costs as much time as
    text. So the shuffled examples are cut in pools of 50 batches, and each pool is
    sorted by length before batches are made of it, which are then shuffled. One batch of an epoch
    may have fewer rows.

    The order of epoch e comes from ``default_rng([seed, e])``, so the state is three numbers.

    Args:
        lengths: (N,) of the examples.
        batch_size: examples in a batch.
        seed: an int, or a Generator that one is drawn from.

    Example:
        >>> class Rows(ExampleBatches):  # gives the numbers of the examples themselves
        ...     kind = "rows"
        ...
        ...     def _batch_of(self, rows, rng):
        ...         return (rows,)
        >>> batches = Rows(np.array([1, 50, 2, 49]), batch_size=2, seed=0)
        >>> sorted(sorted(rows.tolist()) for (rows,) in batches)  # similar lengths stand together
        [[0, 2], [1, 3]]
    """

    def __init__(self, lengths: Array, batch_size: int, seed: int | np.random.Generator) -> None:
        super().__init__()
        size = check_size("batch_size", batch_size)
        self.batch_size = size
        self._lengths = lengths
        self._order: EpochOrder[list[Array]] = EpochOrder(
            seed, lambda rng: shuffled_batches(lengths, size, rng)
        )

    @property
    def batches_per_epoch(self) -> int:
        """Batches that hold every example once."""
        return -(-len(self._lengths) // self.batch_size)

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({len(self._lengths):,} examples, batch_size={self.batch_size}, "
            f"batches_per_epoch={self.batches_per_epoch:,})"
        )

    @abstractmethod
    def _batch_of(self, rows: Array, rng: np.random.Generator) -> tuple[Array, ...]:
        """The batch of some examples; what is random in it comes from ``rng``."""

    def _batch_at(self, position: int) -> tuple[Array, ...]:
        rng = np.random.default_rng([self._order.seed, self._epoch, position])
        return self._batch_of(self._order.of(self._epoch)[position], rng)

    def _identity(self) -> dict[str, Any]:
        return {"kind": self.kind, "batch_size": self.batch_size, "examples": len(self._lengths)}

    def _random_state(self) -> dict[str, Any]:
        return self._order.state()

    def _load_random_state(self, state: Mapping[str, Any]) -> None:
        self._order.load(state)


def shuffled_batches(lengths: Array, batch_size: int, rng: np.random.Generator) -> list[Array]:
    """Every example once, in batches of similar lengths, in random order.

    Example:
        >>> batches = shuffled_batches(np.array([9, 1, 8, 2]), 2, np.random.default_rng(0))
        >>> sorted(sorted(batch.tolist()) for batch in batches)
        [[0, 2], [1, 3]]
    """
    order = rng.permutation(len(lengths))
    batches = []
    for first in range(0, len(order), POOL * batch_size):
        pool = order[first : first + POOL * batch_size]
        pool = pool[np.argsort(lengths[pool], kind="stable")]
        batches += [pool[i : i + batch_size] for i in range(0, len(pool), batch_size)]
    return [batches[i] for i in rng.permutation(len(batches))]
