"""Pairs of a source and a target, for a model that reads the one and writes the other."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigpt.autograd import Array
from minigpt.datasets.batches.examples import ExampleBatches
from minigpt.datasets.batches.sequences import Sequences
from minigpt.datasets.token_stream import check_id


class PairBatches(ExampleBatches):
    """Batches (source_ids, target_in, target_out, source_mask) for teacher forcing.

    Of the target y₁ … yₙ the decoder reads target_in, and is to say target_out:

        target_in   bos  y₁ … yₙ   pad …
        target_out  y₁   … yₙ eos  −1  …

    Sources are padded at their right, and source_mask is True where they are not. −1 leaves a place
    out of the loss.

    Args:
        sources, targets: N of each, lists of ids or an array (N, T).
        batch_size: pairs in a batch.
        seed: of the order.
        bos_id: the start token of a target.
        eos_id: its end token.
        pad_id: fills up sources and targets; the model never sees it.

    Shapes:
        source_ids (B, S) int64, target_in and target_out (B, T + 1) int64, source_mask (B, S) bool,
        with S and T the longest of the batch

    Raises:
        ValueError: the numbers of sources and targets differ, a source is empty, or an id is
            negative.

    Example:
        >>> batches = PairBatches([[5, 6]], [[7, 8, 9]], 1, seed=0, bos_id=1, eos_id=2)
        >>> source_ids, target_in, target_out, source_mask = batches.next_batch()
        >>> target_in.tolist(), target_out.tolist()
        ([[1, 7, 8, 9]], [[7, 8, 9, 2]])
    """

    kind = "pairs"

    def __init__(
        self,
        sources: Any,
        targets: Any,
        batch_size: int,
        seed: int | np.random.Generator,
        *,
        bos_id: int,
        eos_id: int,
        pad_id: int = 0,
    ) -> None:
        self._sources = Sequences(sources, "sources")
        self._targets = Sequences(targets, "targets")
        if len(self._sources) != len(self._targets):
            raise ValueError(
                f"there are {len(self._sources):,} sources and {len(self._targets):,} targets: "
                "give each source its target, in the same order"
            )
        if not self._sources.lengths.all():
            empty = int(np.argmin(self._sources.lengths))
            raise ValueError(f"sources[{empty}] is empty: there is nothing to read")
        self.bos_id = check_id("bos_id", bos_id)
        self.eos_id = check_id("eos_id", eos_id)
        self.pad_id = check_id("pad_id", pad_id)
        super().__init__(self._sources.lengths + self._targets.lengths, batch_size, seed)
        self._fingerprint = f"{self._sources.fingerprint()}-{self._targets.fingerprint()}"

    def _batch_of(self, rows: Array, rng: np.random.Generator) -> tuple[Array, ...]:
        source_ids, source_mask = self._sources.padded(rows, self.pad_id)
        ids, mask = self._targets.padded(rows, self.pad_id)
        b = len(rows)
        bos = np.full((b, 1), self.bos_id, np.int64)
        target_in = np.concatenate([bos, ids], axis=1)  # (B, 1), (B, T) -> (B, T + 1)
        target_out = np.full((b, ids.shape[1] + 1), -1, np.int64)
        target_out[:, :-1][mask] = ids[mask]
        target_out[np.arange(b), mask.sum(axis=1)] = self.eos_id
        return source_ids, target_in, target_out, source_mask

    def _identity(self) -> dict[str, Any]:
        tokens = {"bos_id": self.bos_id, "eos_id": self.eos_id, "pad_id": self.pad_id}
        return {**super()._identity(), **tokens, "sha256": self._fingerprint}
