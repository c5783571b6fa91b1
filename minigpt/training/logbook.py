"""What is kept of a run: the record of a step, of an evaluation, the checkpoint."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from minigpt.training.files import RunFiles, Snapshot
from minigpt.training.history import record_interval, thin
from minigpt.training.progress import Progress
from minigpt.training.ranks import Ranks
from minigpt.training.records import Record, Seen
from minigpt.training.run import Run


class Logbook:
    """Keeps a run's history and best, on the screen and on the disk, and tells the callbacks.

    Args:
        run: what is kept.
        ranks: who trains together: the first shows the bar, writes, and has the callbacks.
        take_snapshot: gives what a checkpoint of its present state holds.
        tell: calls the callbacks' method of a name.

    Attributes:
        files: the run's files.
        progress: what is shown.
    """

    def __init__(
        self,
        run: Run,
        ranks: Ranks,
        take_snapshot: Callable[[], Snapshot],
        tell: Callable[[str, Any], None],
    ) -> None:
        self.files = RunFiles(run, ranks, take_snapshot)
        self.progress = Progress()
        self._run, self._tell, self._ranks = run, tell, ranks
        self._unsaved = True  # whether the run's present state is not on the disk yet

    @contextlib.contextmanager
    def open(self) -> Iterator[None]:
        """The files are written and the bar is shown inside.

        Raises:
            OSError: the run's folder cannot be made or written to.
        """
        try:
            self._unsaved = not self.files.open()
            with self.progress.shown(self._run, self._ranks.is_first):
                yield
        finally:
            self.files.close()

    def tell(self, hook: str, what: Any) -> None:
        """Call the callbacks' method of a name, on the first rank."""
        if self._ranks.is_first:
            with self._ranks.by_itself(f"a callback's {hook}"):
                self._tell(hook, what)

    def step(
        self, loss: float, learning_rate: float, grad_norm: float, tokens: int, seconds: float
    ) -> None:
        """A step was taken."""
        run = self._run
        self._unsaved = True
        run.elapsed += seconds
        record = Seen(
            step=run.step,
            loss=loss,
            learning_rate=learning_rate,
            grad_norm=grad_norm,
            tokens_per_second=tokens / max(seconds, 1e-9),
            elapsed=run.elapsed,
        )
        interval = record_interval(run.config.log_interval, run.step)
        if run.step % interval == 0:
            if thin(run.history.steps, interval):
                self.files.rewrite_history()
                if interval == 2 * run.config.log_interval:
                    self.progress.thinning(run.step, interval)
            run.history.steps.append(record)
            self.files.append("step", record)
        self.progress.step(record)
        self.tell("on_step", record)

    def evaluation(self, metrics: Record, seconds: float) -> None:
        """The model was evaluated."""
        run = self._run
        self._unsaved = True
        run.elapsed += seconds
        record = Seen({"step": run.step, **metrics, "elapsed": run.elapsed})
        run.history.evaluations.append(record)
        self.files.append("evaluation", record)
        is_best = run.best.update(record)
        self.progress.evaluation(record, is_best)
        if is_best and (path := self.files.save_best()):
            self.tell("on_checkpoint", path)
        self.tell("on_evaluation", record)

    def save_if_due(self, ending: bool) -> None:
        """Save at the start, at every checkpoint_interval, and when the run is ending.

        Raises:
            OSError: the first or the last checkpoint could not be written.
        """
        first = self.files.newest is None
        at_interval = self._run.step % self._run.config.checkpoint_interval == 0
        if not self._unsaved or not (first or at_interval or ending):
            return
        if path := self.files.save(must_succeed=first or ending):
            self._unsaved = False
            self.tell("on_checkpoint", path)
