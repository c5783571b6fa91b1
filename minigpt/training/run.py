"""Where a training run stands: its step, its time, what it has seen, and its best evaluation."""

from __future__ import annotations

import math
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from minigpt import checks
from minigpt.training.batches import Batches
from minigpt.training.config import LARGEST, TrainerConfig, check_level
from minigpt.training.history import History
from minigpt.training.parallel import auto_workers
from minigpt.training.ranks import Ranks
from minigpt.training.records import Record


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
            best.step = checks.integer("best.step", stored["step"], least=0, most=LARGEST)
            best.val_loss = checks.number("best.val_loss", stored["val_loss"])
        since = stored["evaluations_since"]
        best.evaluations_since = checks.integer("evaluations_since", since, 0, LARGEST)
        return best

    def __repr__(self) -> str:
        loss = None if self.val_loss is None else f"{self.val_loss:.4f}"
        since = self.evaluations_since
        return f"Best(step={self.step}, val_loss={loss}, evaluations_since={since})"


@dataclass
class Run:
    """Where a run stands.

    Attributes:
        config: its settings.
        total_steps: optimizer steps of the whole run.
        step: optimizer steps done.
        elapsed: seconds of training and evaluation so far, those before a resumption included.
        history: what was seen so far.
        best: the lowest validation loss so far.
        id: tells this run's checkpoints from another's.
    """

    config: TrainerConfig
    total_steps: int
    step: int = 0
    elapsed: float = 0.0
    history: History = field(default_factory=History)
    best: Best = field(default_factory=Best)
    id: str = field(default_factory=lambda: secrets.token_hex(8))

    @property
    def finished(self) -> bool:
        """Whether all its steps are done, or it was stopped early for lack of gain."""
        patience = self.config.early_stopping_patience
        stopped_early = patience is not None and self.best.evaluations_since >= patience
        return self.step >= self.total_steps or stopped_early

    @property
    def evaluation_is_due(self) -> bool:
        """At every eval_interval and after the last step, unless that was done already."""
        last = self.history.evaluations[-1:]
        if last and last[0]["step"] == self.step:
            return False
        at_interval = self.step > 0 and self.step % self.config.eval_interval == 0
        return at_interval or self.step >= self.total_steps


def resolved(
    config: TrainerConfig, model: Any, ranks: Ranks | None = None
) -> tuple[TrainerConfig, int | None]:
    """The configuration with "auto" made a number, and the length of the sequences.

    Raises:
        ValueError: they are longer than the model's context.
    """
    if config.workers == "auto":
        config = replace(config, workers=auto_workers(config.batch_size, ranks))
    context = getattr(getattr(model, "config", None), "block_size", None)
    block_size = config.block_size or context
    if context is not None and block_size > context:
        raise ValueError(
            f"block_size={block_size} is more than the model's context, {context}: choose "
            f"block_size={context}, or leave it out"
        )
    return config, block_size


def begin(config: TrainerConfig, batches: Batches) -> Run:
    """A run at its first step.

    Raises:
        ValueError: the warm-up, with the fall of a trapezoid, is longer than the run.
    """
    steps = config.max_steps
    if steps is None:
        assert config.epochs is not None
        batches_of_run = config.epochs * batches.batches_per_epoch
        steps = math.ceil(batches_of_run / config.gradient_accumulation)
    if config.warmup_steps is not None and config.warmup_steps > steps:
        raise ValueError(
            f"warmup_steps={config.warmup_steps} is more than the {steps} steps of "
            f"epochs={config.epochs}: choose warmup_steps={steps // 10}, or leave it out"
        )
    config = with_warmup(config, steps)
    check_level(config.decay_steps, config.warmup_steps or 0, steps)
    return Run(config, steps)


def with_warmup(config: TrainerConfig, total_steps: int) -> TrainerConfig:
    """The configuration with the warm-up as a number of steps, which a longer run then keeps."""
    if config.warmup_steps is not None or config.schedule == "constant":
        return config
    return replace(config, warmup_steps=min(100, total_steps // 10))


def nothing_left(run: Run) -> str:
    """One line for whoever goes on with a run that is finished.

    Example:
        >>> print(nothing_left(Run(TrainerConfig(max_steps=6), total_steps=6, step=6)))
        the run was finished at step 6: Trainer.resume(…, max_steps=…) with a larger number goes on
    """
    if run.step < run.total_steps:
        ended, setting = "stopped early", "early_stopping_patience"
    else:
        ended, setting = "finished", "max_steps" if run.config.epochs is None else "epochs"
    return (
        f"the run was {ended} at step {run.step}: Trainer.resume(…, {setting}=…) with a larger "
        "number goes on"
    )


def check_steps_left(run: Run, changes: Mapping[str, Any]) -> None:
    """Refuse an end of the run that lies before the step where it is.

    Raises:
        ValueError: it has taken more steps than it should have in all.
    """
    for name in ("max_steps", "epochs"):
        if changes.get(name) is not None and run.total_steps < run.step:
            raise ValueError(
                f"{name}={changes[name]} ends the run after {run.total_steps} steps, and it has "
                f"taken {run.step}: choose more, as the steps taken count"
            )
