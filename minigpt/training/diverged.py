"""What to say when a loss or a gradient is no longer a number."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from minigpt.training.run import Run

_SHOWN = 5


class TrainingDiverged(ArithmeticError):
    """The loss or its gradient is not finite; the step was not taken.

    Args:
        message: what happened.
        step, loss, gradient_norms, checkpoint: as below.

    Attributes:
        step: the step that could not be taken, or after which the evaluation failed.
        loss: the loss that was found.
        gradient_norms: the norm of every parameter's gradient by name, those that are not finite
            first, then from the largest down; empty for an evaluation.
        checkpoint: the run's last checkpoint, or None.

    Example:
        >>> import numpy as np, minigpt as mg
        >>> from minigpt.training import TrainingDiverged
        >>> model = mg.GPT(mg.GPTConfig(vocab_size=5, block_size=4, n_layer=1, n_head=1, n_embd=8))
        >>> model.final_norm.weight.data[:] = np.nan
        >>> config = mg.TrainerConfig(max_steps=9, batch_size=2, progress=False)
        >>> try:
        ...     mg.Trainer(model, np.arange(60) % 5, None, config).fit()
        ... except TrainingDiverged as error:
        ...     print(error.step, error.loss, error.checkpoint)
        1 nan None
    """

    def __init__(
        self,
        message: str,
        step: int = 0,
        loss: float = math.nan,
        gradient_norms: dict[str, float] | None = None,
        checkpoint: Path | None = None,
    ) -> None:
        super().__init__(message)
        self.step = step
        self.loss = loss
        self.gradient_norms = gradient_norms or {}
        self.checkpoint = checkpoint


def diverged(
    run: Run,
    model: Any,
    loss: float,
    norms: dict[str, float],
    learning_rate: float,
    checkpoint: Path | None,
    evaluated: str = "",
) -> TrainingDiverged:
    """The error for a run's next step, or for the metric ``evaluated`` after its last.

    Args:
        run: where it stands.
        model: that diverges.
        loss: what is not finite, or whose gradient is not.
        norms: of the gradients of the step that cannot be taken, the worst first.
        learning_rate: of that step.
        checkpoint: the run's last.
        evaluated: the name of a metric.
    """
    if evaluated:
        step = run.step
        message = f"after step {step}: {evaluated} is {loss:.4g}. "
    else:
        step = run.step + 1
        worst = ", ".join(f"{name}: {norm:.3g}" for name, norm in list(norms.items())[:_SHOWN])
        message = (
            f"step {step}: the loss is {loss:.4g}, the gradient's norm "
            f"{math.hypot(*norms.values()):.4g} (worst: {worst}). The step was not taken: the "
            f"parameters are those after step {step - 1}. "
        )
    hurt = [n for n, p in model.named_parameters() if not np.isfinite(p.data).all()]
    if hurt:
        message += f"{hurt[0]} itself is not finite: go back to a checkpoint. "
    if checkpoint is not None:
        message += f"The last checkpoint is {checkpoint}. "
    message += f"Try {_advice(run, learning_rate)}."
    return TrainingDiverged(message, step, loss, norms, checkpoint)


def _advice(run: Run, learning_rate: float) -> str:
    config = run.config
    tries = [f"a smaller learning_rate (it was {learning_rate:.3g} at this step)"]
    if config.schedule != "constant":
        tries.append("more warmup_steps")
    if config.grad_clip is None:
        tries.append("grad_clip=1.0 (there was none)")
    if config.optimizer != "sgd":
        tries.append(f"a smaller second beta than {config.betas[1]:g}")
    return ", ".join(tries)
