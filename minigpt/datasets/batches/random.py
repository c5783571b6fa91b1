"""Blocks drawn at random from a token stream."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from minigpt import checks
from minigpt.datasets.batches.blocks import Batch, Batches
from minigpt.datasets.batches.generator_state import generator_state, restore_generator


class RandomBatches(Batches):
    """Blocks from places drawn uniformly, with replacement, as nanoGPT trains.

    start ~ Uniform{0, …, N − block_size − 1}; an epoch is as many batches as hold N − 1 targets,
    rounded down.

    Args:
        tokens: the stream, (N,) integers.
        block_size: T, tokens in a row.
        batch_size: B, rows in a batch.
        seed: an int, or a Generator that one is drawn from.

    Shapes:
        tokens: (N,) integers, N >= block_size + 1; an array or a memory map, read only where drawn.

    Raises:
        ValueError: the stream is shorter than block_size + 1, or a size is not positive.

    Example:
        >>> batches = RandomBatches(np.arange(100), block_size=8, batch_size=4, seed=0)
        >>> ids, targets = batches.next_batch()
        >>> ids.shape, bool((targets == ids + 1).all())
        ((4, 8), True)
    """

    kind = "random"

    def __init__(
        self, tokens: Any, block_size: int, batch_size: int, seed: int | np.random.Generator
    ) -> None:
        super().__init__(tokens, block_size, batch_size)
        self._generator = np.random.default_rng(checks.seed(seed))

    @property
    def batches_per_epoch(self) -> int:
        """Batches that hold about as many targets as the stream: (N − 1) // (B · T), at least 1."""
        return max(1, (len(self._reader) - 1) // self.tokens_per_batch)

    def _batch_at(self, position: int) -> Batch:
        last = len(self._reader) - self.block_size
        return self._reader.read(self._generator.integers(0, last, size=self.batch_size))

    def _random_state(self) -> dict[str, Any]:
        return {"generator": generator_state(self._generator)}

    def _load_random_state(self, state: Mapping[str, Any]) -> None:
        restore_generator(self._generator, state["generator"])
