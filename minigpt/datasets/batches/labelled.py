"""Texts with a label each, for a model that tells classes apart."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

from minigpt.autograd import Array
from minigpt.datasets.batches.examples import ExampleBatches
from minigpt.datasets.batches.sequences import Sequences
from minigpt.datasets.token_stream import check_id, check_stream


class LabelledBatches(ExampleBatches):
    """Batches (ids, labels, attention_mask), the sequences padded at their right.

    The attention mask is left out where all sequences are of one length.

    Args:
        sequences: N lists of ids, or an array (N, T).
        labels: N integers of 0 or more, the class of each sequence.
        batch_size: sequences in a batch.
        seed: of the order.
        pad_id: fills up shorter sequences; the model never sees it.

    Shapes:
        ids (B, T) int64, labels (B,) int64, attention_mask (B, T) bool, T the longest of the batch

    Raises:
        ValueError: the numbers of sequences and labels differ, a sequence is empty, or an id or a
            label is negative.

    Example:
        >>> batches = LabelledBatches([[5, 6, 7], [8]], labels=[1, 0], batch_size=2, seed=0)
        >>> ids, labels, attention_mask = batches.next_batch()
        >>> ids.tolist(), labels.tolist()
        ([[8, 0, 0], [5, 6, 7]], [0, 1])
    """

    kind = "labelled"

    def __init__(
        self,
        sequences: Any,
        labels: Any,
        batch_size: int,
        seed: int | np.random.Generator,
        *,
        pad_id: int = 0,
    ) -> None:
        self._sequences = Sequences(sequences, "sequences")
        self._labels = check_stream("labels", labels).astype(np.int64)
        if len(self._sequences) != len(self._labels):
            raise ValueError(
                f"there are {len(self._sequences):,} sequences and {len(self._labels):,} labels: "
                "give each sequence its label, in the same order"
            )
        if not self._sequences.lengths.all():
            empty = int(np.argmin(self._sequences.lengths))
            raise ValueError(f"sequences[{empty}] is empty: there is nothing to read")
        if int(self._labels.min()) < 0:
            raise ValueError(f"labels holds {int(self._labels.min())}: a label is 0 or more")
        self.pad_id = check_id("pad_id", pad_id)
        super().__init__(self._sequences.lengths, batch_size, seed)
        self._one_length = bool((self._lengths == self._lengths[0]).all())
        of_labels = hashlib.sha256(self._labels.astype("<i8").tobytes()).hexdigest()[:32]
        self._fingerprint = f"{self._sequences.fingerprint()}-{of_labels}"

    def _batch_of(self, rows: Array, rng: np.random.Generator) -> tuple[Array, ...]:
        ids, mask = self._sequences.padded(rows, self.pad_id)
        labels = self._labels[rows]
        return (ids, labels) if self._one_length else (ids, labels, mask)

    def _identity(self) -> dict[str, Any]:
        return {**super()._identity(), "pad_id": self.pad_id, "sha256": self._fingerprint}
