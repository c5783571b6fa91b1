"""Things to do while a run goes on, besides training."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minigpt import checks
from minigpt.training.records import Record

if TYPE_CHECKING:
    from minigpt.training.trainer import Trainer

_HOOKS = ("on_gradients", "on_step", "on_evaluation", "on_checkpoint")


class Callback:
    """Override what you need.

    All but ``on_gradients`` are called between two steps, so that ``trainer`` is at rest.

    ``trainer.stop()`` ends the run after the current step, ``trainer.print(…)`` writes above the
    bar.

    Where several ranks train together, they are called on the first only, and cannot do what takes
    all of them: evaluate, save or train. ``on_gradients`` then finds no ``parameter.grad``, as each
    rank has a piece of every gradient.

    Example:
        >>> import numpy as np, minigpt as mg
        >>> class StopWhenGood(Callback):
        ...     def on_evaluation(self, trainer, record):
        ...         if record["val_loss"] < 1.0:
        ...             trainer.stop()
        >>> model = mg.GPT(mg.GPTConfig(vocab_size=3, block_size=4, n_layer=1, n_head=1, n_embd=8))
        >>> config = mg.TrainerConfig(
        ...     200, batch_size=4, learning_rate=0.03, eval_interval=5, progress=False
        ... )
        >>> tokens = np.arange(60) % 3
        >>> trainer = mg.Trainer(model, tokens, tokens, config, callbacks=[StopWhenGood()])
        >>> history = trainer.fit()
        >>> trainer.step < 200, history.column("val_loss")[-1] < 1.0
        (True, True)
    """

    def on_gradients(self, trainer: Trainer, norm: float) -> None:
        """Before each optimizer step, to look at every ``parameter.grad``, which is clipped.

        ``norm`` is the gradient's norm before clipping.
        """

    def on_step(self, trainer: Trainer, record: Record) -> None:
        """After each optimizer step; ``record`` is what the history holds of a step.

        It has ``step``, ``loss``, ``learning_rate``, ``grad_norm``, ``tokens_per_second``, and
        ``elapsed`` in seconds.
        """

    def on_evaluation(self, trainer: Trainer, record: Record) -> None:
        """After each evaluation; ``record`` is what the history holds of it.

        It has ``step``, ``train_loss``, ``train_perplexity`` and whatever else the model measures
        (a GPT ``train_accuracy``), the same with ``val_`` where there are ``val_tokens``, and
        ``elapsed`` in seconds.
        """

    def on_checkpoint(self, trainer: Trainer, path: Path) -> None:
        """After a checkpoint, or ``best.npz``, was written to ``path``."""


class Callbacks:
    """Several callbacks, called in their order.

    Raises:
        TypeError: something among them is not a callback, or has a method ``on_…`` that is never
            called.
    """

    def __init__(self, callbacks: Iterable[Any]) -> None:
        if isinstance(callbacks, (Callback, str)) or not checks.iterates(callbacks):
            raise checks.wrong_type("callbacks", "a list", callbacks, "write callbacks=[…]")
        self._callbacks = list(callbacks)
        for callback in self._callbacks:
            _check(callback)

    def call(self, hook: str, *arguments: Any) -> None:
        """Call the method named ``hook`` of each that has it."""
        for callback in self._callbacks:
            method = getattr(callback, hook, None)
            if method is not None:
                method(*arguments)


def _check(callback: object) -> None:
    if isinstance(callback, type):
        mend = f"make an object of it: {callback.__name__}(…)"
        raise checks.wrong_type("callbacks", "objects", callback, mend)
    named = [n for n in dir(callback) if n.startswith("on_") and callable(getattr(callback, n))]
    for name in named:
        if name not in _HOOKS:
            import difflib

            (nearest,) = difflib.get_close_matches(name, _HOOKS, 1, cutoff=0)
            raise TypeError(
                f"callbacks: {type(callback).__name__}.{name} is never called; did you mean "
                f"{nearest}? (a Trainer calls {', '.join(_HOOKS)})"
            )
    if not named:
        expected = f"objects with one of the methods {', '.join(_HOOKS)}"
        mend = "derive their class from minigpt.training.Callback"
        raise checks.wrong_type("callbacks", expected, callback, mend)
