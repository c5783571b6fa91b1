"""What a run shows while it goes on: a bar, a line for each evaluation, and notes."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from minigpt.training.history import Record
from minigpt.training.parallel import available_cores, threadpoolctl_is_installed

if TYPE_CHECKING:
    from minigpt.training.trainer import Trainer

_NAMES = ("train_loss", "val_loss", "train_accuracy", "val_accuracy")


class Progress:
    """A tqdm bar on stderr with loss, learning rate, gradient norm and tokens/s.

    It is there inside :meth:`shown`, unless ``progress=False``; otherwise nothing is shown.
    """

    def __init__(self) -> None:
        self._bar: Any = None

    @contextlib.contextmanager
    def shown(self, trainer: Trainer) -> Iterator[None]:
        """Show the bar, from the step where the trainer is."""
        if not trainer.config.progress:
            yield
            return
        from tqdm import tqdm  # not before it is needed: importing it takes a while

        # Where stderr is a file, a line every other second is enough.
        interval = 0.2 if sys.stderr.isatty() else 2.0
        with tqdm(
            total=trainer.total_steps,
            initial=trainer.step,
            unit="step",
            mininterval=interval,
            dynamic_ncols=True,
        ) as self._bar:
            if available_cores() > 1 and not threadpoolctl_is_installed():
                self.note(
                    "threadpoolctl is not installed: with it, the cores share the rows of a batch "
                    'and training is faster (pip install "minigpt[fast]")'
                )
            try:
                yield
            finally:
                self._bar = None

    def step(self, record: Record) -> None:
        """One more step is done."""
        if self._bar is not None:
            self._bar.set_postfix_str(
                f"loss {record['loss']:.3f}, lr {record['learning_rate']:.1e}, "
                f"|g| {record['grad_norm']:.2f}, {record['tokens_per_second']:,.0f} tokens/s",
                refresh=False,
            )
            self._bar.update()

    def evaluation(self, record: Record, is_best: bool) -> None:
        """An evaluation is done."""
        values = [f"{n.replace('_', ' ')} {record[n]:.4f}" for n in _NAMES if n in record]
        self.note(f"step {record['step']}: {', '.join(values)}{' (best)' if is_best else ''}")

    def note(self, text: str) -> None:
        """One line above the bar."""
        if self._bar is not None:
            self._bar.write(text, file=sys.stderr)
