"""Which evaluation was the best so far, and how many have passed since."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from minigpt.training.history import Record


class Best:
    """The lowest validation loss so far.

    Attributes:
        step: after which step it was measured; None before the first evaluation.
        val_loss: its value; None before the first evaluation.
        evaluations_since: evaluations that have passed without a lower one.

    Example:
        >>> best = Best()
        >>> [best.update({"step": i, "val_loss": x}) for i, x in enumerate([3.0, 2.0, 2.5])]
        [True, True, False]
        >>> best
        Best(step=1, val_loss=2.0000, evaluations_since=1)
    """

    def __init__(self) -> None:
        self.step: int | None = None
        self.val_loss: float | None = None
        self.evaluations_since = 0

    def update(self, record: Record) -> bool:
        """Whether an evaluation is the best so far; without a validation text, none is."""
        loss = record.get("val_loss")
        if loss is None or (self.val_loss is not None and loss >= self.val_loss):
            self.evaluations_since += 1
            return False
        self.step, self.val_loss, self.evaluations_since = int(record["step"]), loss, 0
        return True

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return dict(vars(self))

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Best:
        """What :meth:`to_dict` gave.

        Raises:
            KeyError, TypeError, ValueError: it is something else.
        """
        best = cls()
        if stored["step"] is not None:
            best.step, best.val_loss = int(stored["step"]), float(stored["val_loss"])
        best.evaluations_since = int(stored["evaluations_since"])
        return best

    def __repr__(self) -> str:
        loss = None if self.val_loss is None else f"{self.val_loss:.4f}"
        since = self.evaluations_since
        return f"Best(step={self.step}, val_loss={loss}, evaluations_since={since})"
