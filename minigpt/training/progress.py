"""What a run shows while it goes on: a bar, a line for each evaluation, and notes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from minigpt.blas_threads import available_cores, can_be_controlled
from minigpt.progress_bar import ProgressBar, say
from minigpt.training import history
from minigpt.training.records import Record
from minigpt.training.run import Run, nothing_left

_LOSSES, _ACCURACIES = ("train_loss", "val_loss"), ("val_accuracy", "train_accuracy")


class Progress:
    """A bar on stderr with loss, tokens a second, learning rate and gradient norm.

    It is there inside :meth:`shown`, unless ``progress=False``; otherwise nothing is shown. Of a
    run that is finished a line says so.
    """

    def __init__(self) -> None:
        self._bar = ProgressBar(None, shown=False)
        self._step: tuple[str, ...] = ()  # what is said of the last step

    @contextlib.contextmanager
    def shown(self, run: Run, here: bool = True) -> Iterator[None]:
        """Show the bar, from the step where the run is, unless it is shown elsewhere."""
        if run.finished and here:
            say(nothing_left(run))
        with ProgressBar(
            run.total_steps,
            unit="step",
            initial=run.step,
            with_rate=False,
            shown=run.config.progress and here and not run.finished,
        ) as self._bar:
            if available_cores() > 1 and not can_be_controlled():
                self._bar.note(
                    "threadpoolctl is not installed: with it, the cores share the rows of a batch "
                    'and training is faster (pip install "minigpt[fast]")'
                )
            yield

    def step(self, record: Record) -> None:
        """One more step is done."""
        self._step = (
            f"loss {record['loss']:.3f}",
            f"{record['tokens_per_second']:,.0f} tokens/s",
            f"lr {record['learning_rate']:.1e}",
            f"|g| {record['grad_norm']:.2f}",
        )
        self._bar.say(*self._step)
        self._bar.update()

    def thinning(self, step: int, interval: int) -> None:
        """From a step on, the history keeps the records of every ``interval`` steps only."""
        self._bar.note(
            f"step {step}: the history has {history.MOST_STEPS:,} records; from here on it keeps "
            f"one of {interval} steps, and fewer as the run grows (see log_interval)"
        )

    def evaluating(self, batch: int, batches: int) -> None:
        """An evaluation has come to a batch, of so many."""
        self._bar.say(f"evaluating {batch}/{batches}")
        self._bar.update(0)

    def evaluation(self, record: Record, is_best: bool) -> None:
        """An evaluation is done."""
        self._bar.say(*self._step)
        losses = [f"{n.replace('_', ' ')} {record[n]:.4f}" for n in _LOSSES if n in record]
        accuracy = [f"{n.replace('_', ' ')} {record[n]:.1%}" for n in _ACCURACIES if n in record]
        words = ", ".join(losses + accuracy[:1])  # so much goes in a line of 80
        self._bar.note(f"step {record['step']}: {words}{' (best)' if is_best else ''}")
