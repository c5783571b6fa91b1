"""Batches that bring along what a recurrent model remembers of each row from the batch before.

Truncated backpropagation through time (Williams & Peng 1990; Mikolov 2012, §3.3) reads a long text
in pieces: the state at the end of a piece is where the next begins, while gradients stay within the
piece. The state belongs to a place in the text, so it is kept here, beside that place: it is stored
and put back with it, begins anew with each epoch, and each evaluation has one of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from minigpt.autograd import Array
from minigpt.datasets import StreamBatches
from minigpt.training.trainable import Batch

_STATE = "state"


class CarriedState:
    """Batches (ids, targets, state), where ``model.loss`` overwrites the state.

    All batches of an epoch share one array of the state, so that each finds there what the one
    before it left. A worker gets its rows of it, as a view.

    Args:
        batches: of which row r goes on where row r of the batch before it ended.
        new_state: gives the state before a text for so many rows.

    Shapes:
        ids, targets: (B, T)
        state: (B, …)
    """

    def __init__(self, batches: StreamBatches, new_state: Callable[[int], Array]) -> None:
        self._batches = batches
        self._new_state = new_state
        self._state: Array | None = None  # before the first batch

    @property
    def batches_per_epoch(self) -> int:
        """How many batches make one epoch."""
        return self._batches.batches_per_epoch

    def next_batch(self) -> Batch:
        """The next batch; the first of an epoch brings a new state."""
        if self._state is None or self._batches.position == 0:
            self._state = self._new_state(self._batches.batch_size)
        return (*self._batches.next_batch(), self._state)

    def __iter__(self) -> Iterator[Batch]:
        epoch = self._batches.epoch
        while self._batches.epoch == epoch:
            yield self.next_batch()

    def __len__(self) -> int:
        return self.batches_per_epoch

    def state_dict(self) -> dict[str, Any]:
        """Where the batches stand, and inside an epoch the state, an array."""
        place = self._batches.state_dict()
        if self._state is None or self._batches.position == 0:
            return place
        return {**place, _STATE: self._state.copy()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on exactly where ``state_dict()`` was taken; on an error nothing has changed.

        Raises:
            TypeError: ``state`` is not a mapping.
            ValueError: it is damaged, or of other batches or another model.
        """
        place = {name: value for name, value in dict(state).items() if name != _STATE}
        carried = state.get(_STATE)
        if place.get("position") != 0:  # else an epoch begins, and needs none
            row = self._new_state(1)
            shape = (self._batches.batch_size, *row.shape[1:])
            if not isinstance(carried, np.ndarray) or carried.shape != shape:
                raise ValueError(f"the carried state must be an array of shape {shape}")
            if carried.dtype != row.dtype:
                raise ValueError(f"the carried state is {carried.dtype}, the model {row.dtype}")
        self._batches.load_state_dict(place)
        self._state = None if carried is None else carried.copy()
