"""The order of every epoch, drawn from a seed and the epoch's number."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

import numpy as np

from minigpt import checks

Order = TypeVar("Order")


class EpochOrder(Generic[Order]):
    """The order of epoch e is what ``draw(default_rng([seed, e]))`` gives: its state is the seed.

    Args:
        seed: an int, or a Generator that one is drawn from.
        draw: an order from a random generator.

    Example:
        >>> order = EpochOrder(0, lambda rng: rng.permutation(3).tolist())
        >>> order.of(epoch=0), order.of(epoch=1), order.of(epoch=0)
        ([2, 0, 1], [2, 0, 1], [2, 0, 1])
    """

    def __init__(
        self, seed: int | np.random.Generator, draw: Callable[[np.random.Generator], Order]
    ) -> None:
        seed = checks.seed(seed)
        self.seed = seed if isinstance(seed, int) else int(seed.integers(2**63))
        self._draw = draw
        self._kept: tuple[int, int, Order] | None = None  # the last one, with its seed and epoch

    def of(self, epoch: int) -> Order:
        """The order of an epoch."""
        if self._kept is None or self._kept[:2] != (self.seed, epoch):
            self._kept = self.seed, epoch, self._draw(np.random.default_rng([self.seed, epoch]))
        return self._kept[2]

    def state(self) -> dict[str, Any]:
        """What :meth:`load` goes on from."""
        return {"seed": self.seed}

    def load(self, state: Mapping[str, Any]) -> None:
        """Take over the seed of a state."""
        if type(state["seed"]) is not int or state["seed"] < 0:
            raise checks.wrong_value("seed of the state", "an int of at least 0", state["seed"])
        self.seed = state["seed"]
