"""Things to do while a run goes on, besides training."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minigpt.training.history import Record

if TYPE_CHECKING:
    from minigpt.training.trainer import Trainer

_HOOKS = ("on_step", "on_evaluation", "on_checkpoint")


class Callback:
    """Override what you need; each is called between two steps, so ``trainer`` is at rest.

    ``trainer.stop()`` ends the run after the current step.

    Example:
        >>> class StopWhenGood(Callback):
        ...     def on_evaluation(self, trainer, record):
        ...         if record["val_loss"] < 1.9:
        ...             trainer.stop()
    """

    def on_step(self, trainer: Trainer, record: Record) -> None:
        """After each optimizer step; ``record`` is what the history holds of a step."""

    def on_evaluation(self, trainer: Trainer, record: Record) -> None:
        """After each evaluation; ``record`` is what the history holds of it."""

    def on_checkpoint(self, trainer: Trainer, path: Path) -> None:
        """After a checkpoint, or ``best.npz``, was written to ``path``."""


class Callbacks:
    """Several callbacks, called in their order.

    Raises:
        TypeError: something among them has none of a callback's methods.
    """

    def __init__(self, callbacks: Iterable[Any]) -> None:
        if isinstance(callbacks, Callback) or not isinstance(callbacks, Iterable):
            raise TypeError(f"callbacks={callbacks!r} must be a list: write callbacks=[…]")
        self._callbacks = list(callbacks)
        for callback in self._callbacks:
            if isinstance(callback, type) or not any(hasattr(callback, hook) for hook in _HOOKS):
                raise TypeError(
                    f"callbacks: {callback!r} has none of the methods {', '.join(_HOOKS)}: "
                    "give objects of a class derived from minigpt.training.Callback"
                )

    def call(self, hook: str, *arguments: Any) -> None:
        """Call the method named ``hook`` of each that has it."""
        for callback in self._callbacks:
            method = getattr(callback, hook, None)
            if method is not None:
                method(*arguments)
