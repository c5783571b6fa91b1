"""What happens between two steps: the record, the evaluation, the checkpoint, the callbacks."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from minigpt.training.callbacks import Callbacks
from minigpt.training.config import TrainerConfig
from minigpt.training.diverged import diverged
from minigpt.training.evaluation import EvaluationCutShort, evaluate_splits
from minigpt.training.files import RunFiles
from minigpt.training.interrupt import Interrupt
from minigpt.training.progress import Progress

if TYPE_CHECKING:
    from minigpt.training.trainer import Trainer


class Logbook:
    """Keeps a trainer's history and best, on the screen and on the disk.

    Attributes:
        files: the run's files.
        interrupt: whether Ctrl-C was pressed.
        progress: what is shown.
        unsaved: whether the trainer's present state is not on the disk yet.
    """

    def __init__(self, config: TrainerConfig, callbacks: Iterable[Any]) -> None:
        self.files = RunFiles(config)
        self.interrupt = Interrupt()
        self.progress = Progress()
        self.unsaved = True
        self._callbacks = Callbacks(callbacks)

    def step(
        self,
        trainer: Trainer,
        loss: float,
        learning_rate: float,
        grad_norm: float,
        tokens: int,
        seconds: float,
    ) -> None:
        """A step was taken."""
        self.unsaved = True
        trainer.elapsed += seconds
        record = {
            "step": trainer.step,
            "loss": loss,
            "learning_rate": learning_rate,
            "grad_norm": grad_norm,
            "tokens_per_second": tokens / max(seconds, 1e-9),
            "elapsed": trainer.elapsed,
        }
        if trainer.step % trainer.config.log_interval == 0:
            trainer.history.steps.append(record)
            self.files.append("step", record)
        self.progress.step(record)
        self._callbacks.call("on_step", trainer, record)

    def evaluate_if_due(self, trainer: Trainer) -> None:
        """Evaluate at every eval_interval and after the last step, unless that was done already.

        Raises:
            TrainingDiverged: a loss is not finite.
        """
        step, last = trainer.step, trainer.history.evaluations[-1:]
        at_interval = step > 0 and step % trainer.config.eval_interval == 0
        if last and last[0]["step"] == step:
            return
        if not at_interval and step < trainer.total_steps:
            return
        started = time.perf_counter()
        try:
            metrics = evaluate_splits(
                trainer.model, trainer.splits, trainer.workers, lambda: self.interrupt.requested
            )
        except EvaluationCutShort:
            return  # the resumed run begins with it
        for name in (f"{split}_loss" for split in trainer.splits):
            if not math.isfinite(metrics[name]):
                raise diverged(trainer, metrics[name], evaluated=name)
        self.unsaved = True
        trainer.elapsed += time.perf_counter() - started
        record = {"step": step, **metrics, "elapsed": trainer.elapsed}
        trainer.history.evaluations.append(record)
        self.files.append("evaluation", record)
        is_best = trainer.best.update(record)
        self.progress.evaluation(record, is_best)
        if is_best and (path := self.files.save_best(trainer)):
            self._callbacks.call("on_checkpoint", trainer, path)
        self._callbacks.call("on_evaluation", trainer, record)

    def save_if_due(self, trainer: Trainer, ending: bool) -> None:
        """Save at the start, at every checkpoint_interval, and when the run is ending.

        Raises:
            OSError: the first or the last checkpoint could not be written.
        """
        first = self.files.newest is None
        at_interval = trainer.step % trainer.config.checkpoint_interval == 0
        if not self.unsaved or not (first or at_interval or ending):
            return
        if path := self.files.save(trainer, must_succeed=first or ending):
            self.unsaved = False
            self._callbacks.call("on_checkpoint", trainer, path)
