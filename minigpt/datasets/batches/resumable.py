"""What all batches share: a place in the epoch, and a state to resume from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from minigpt import checks
from minigpt.autograd import Array


class ResumableBatches(ABC):
    """Batches without end, which can be stopped and resumed.

    ``next_batch()`` never ends: after the last batch of an epoch comes the first of the next one.
    Iterating gives the batches that the current epoch still has, so that ``for batch in batches``
    is one epoch.

    Example:
        >>> import numpy as np
        >>> from minigpt.datasets import RandomBatches
        >>> a = RandomBatches(np.arange(99), block_size=4, batch_size=2, seed=0)
        >>> _ = a.next_batch()
        >>> b = RandomBatches(np.arange(99), block_size=4, batch_size=2, seed=0)
        >>> b.load_state_dict(a.state_dict())  # where a stands now
        >>> bool((a.next_batch()[0] == b.next_batch()[0]).all())
        True
    """

    kind: ClassVar[str]

    def __init__(self) -> None:
        self._epoch = 0
        self._position = 0

    @property
    @abstractmethod
    def batches_per_epoch(self) -> int:
        """How many batches make one epoch."""

    @property
    def epoch(self) -> int:
        """How many epochs are over."""
        return self._epoch

    @property
    def position(self) -> int:
        """How many batches of the current epoch have been given."""
        return self._position

    def next_batch(self) -> tuple[Array, ...]:
        """The next batch: arrays of as many rows each, as ``model.loss`` takes them."""
        batch = self._batch_at(self._position)
        self._position += 1
        if self._position == self.batches_per_epoch:
            self._position = 0
            self._epoch += 1
        return batch

    def __iter__(self) -> Iterator[tuple[Array, ...]]:
        epoch = self._epoch
        while self._epoch == epoch:
            yield self.next_batch()

    def __len__(self) -> int:
        return self.batches_per_epoch

    def state_dict(self) -> dict[str, Any]:
        """Where the batches stand, as JSON-able values."""
        place = {"epoch": self._epoch, "position": self._position}
        return {**self._identity(), **place, **self._random_state()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on exactly where ``state_dict()`` gave this state; on an error nothing has changed.

        Raises:
            ValueError: it is damaged, or of other batches (another kind, size or stream length).
        """
        if not isinstance(state, Mapping):
            raise checks.wrong_type("state", "a dict from state_dict()", state)
        keys = set(self.state_dict())
        if "kind" in state and state["kind"] != self.kind:
            raise ValueError(
                f"the state is of kind {state['kind']!r:.40}, but these batches are {self.kind!r}"
            )
        if set(state) != keys:
            raise ValueError(
                f"the state must have the keys {sorted(keys)}: got {sorted(map(str, state))}"
            )
        for key, here in self._identity().items():
            if type(state[key]) is not type(here) or state[key] != here:
                raise ValueError(
                    f"the state is of batches with {key}={state[key]!r:.40}, "
                    f"but here {key}={here!r}"
                )
        for key in ("epoch", "position"):
            if type(state[key]) is not int or state[key] < 0:
                raise checks.wrong_value(f"{key} of the state", "an int of at least 0", state[key])
        if state["position"] >= self.batches_per_epoch:
            raise ValueError(
                f"position={state['position']} of the state is past the end of the epoch, "
                f"which has {self.batches_per_epoch} batches"
            )
        self._load_random_state(state)
        self._epoch, self._position = state["epoch"], state["position"]

    @abstractmethod
    def _identity(self) -> dict[str, Any]:
        """What a state must agree with to be loaded."""

    @abstractmethod
    def _batch_at(self, position: int) -> tuple[Array, ...]:
        """The batch at a position of the current epoch."""

    def _random_state(self) -> dict[str, Any]:
        return {}

    def _load_random_state(self, state: Mapping[str, Any]) -> None:  # noqa: B027
        """Put the random part back; checks before it changes anything."""
