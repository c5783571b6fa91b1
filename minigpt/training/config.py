"""The settings of a training run, validated when they are made."""

from __future__ import annotations

import math
import operator
import os
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, fields
from typing import Any, Literal, SupportsFloat, get_args

import numpy as np

Schedule = Literal["cosine", "linear", "constant"]
OptimizerName = Literal["adamw", "adam", "sgd"]


@dataclass(frozen=True)
class TrainerConfig:
    """How to train: everything but the model and the text.

    The first dozen settings may be given by position, in the order of the signature; it is clearer
    to name them.

    Args:
        max_steps: optimizer steps to take. Batches are then drawn at random from the text.
        epochs: passes over the text, in place of max_steps. Every epoch takes the text's blocks
            once, in a new order.
        batch_size: sequences in a batch.
        block_size: tokens in a sequence; None: ``model.config.block_size``.
        carry_state: whether a recurrent model reads on from batch to batch, with the state that
            the batch before left in each row (truncated backpropagation through time). The text is
            then read in order, as batch_size streams side by side, in evaluations too.
        gradient_accumulation: batches whose gradients make one step; equal to a batch that many
            times larger, in the memory of one.
        optimizer: "adamw", "adam" or "sgd".
        learning_rate: the highest.
        learning_rate_scales: factors on the learning rate of some parameters, by the beginning of
            their names: ``{"backbone.": 0.1}`` lets a backbone move slowly under a new head. Where
            several fit a name, the longest counts; where none does, the factor is 1.
        min_learning_rate: the last; None: a tenth of the highest.
        schedule: what happens between them: "cosine", "linear", or "constant", which stays at
            learning_rate and neither warms up nor falls.
        warmup_steps: steps over which the learning rate first rises; None: a tenth of all steps,
            100 at most.
        betas: AdamW's and Adam's decay of the two moments.
        eps: AdamW's and Adam's ε.
        momentum: SGD's.
        weight_decay: on matrices and embeddings (adamw), or as L2 on all (adam, sgd); None: 0.1
            for adamw, 0 for the others.
        grad_clip: the largest global norm of the gradient; None: no clipping.
        eval_interval: steps between two evaluations; there is one more at the end.
        eval_batches: batches of an evaluation, the same every time; None: the whole validation
            text, in order.
        early_stopping_patience: stop after that many evaluations without a lower validation loss;
            None: never.
        log_interval: steps between two records in the history.
        checkpoint_dir: the run's folder; None: nothing is written.
        checkpoint_interval: steps between two checkpoints; there is one at the start and one at the
            end.
        keep_checkpoints: how many of the newest stay.
        keep_best: whether the one with the lowest validation loss is kept as ``best.npz``.
        overwrite: whether another run that is in checkpoint_dir is deleted; otherwise it is moved
            to a folder ``previous-N`` in there.
        workers: threads that share a batch between them; "auto": one a processor core, where
            threadpoolctl is installed (the ``fast`` extra). The numbers depend on it in the last
            bit, so a resumed run keeps what it started with.
        seed: of the batches and of dropout; the model has its own.
        progress: whether a bar and the evaluations are shown (on stderr).

    Raises:
        TypeError: a value of the wrong type (True and False are no numbers).
        ValueError: a value out of its range.

    Example:
        >>> config = TrainerConfig(max_steps=1000, batch_size=12)
        >>> config.learning_rate, config.schedule
        (0.001, 'cosine')
    """

    max_steps: int | None = None
    batch_size: int = 32
    learning_rate: float = 1e-3
    min_learning_rate: float | None = None
    warmup_steps: int | None = None
    weight_decay: float | None = None
    betas: tuple[float, float] = (0.9, 0.99)
    grad_clip: float | None = 1.0
    gradient_accumulation: int = 1
    eval_interval: int = 250
    eval_batches: int | None = 20
    checkpoint_dir: str | os.PathLike[str] | None = None
    checkpoint_interval: int = 250
    workers: int | Literal["auto"] = "auto"
    seed: int = 0
    _: KW_ONLY
    epochs: int | None = None
    block_size: int | None = None
    schedule: Schedule = "cosine"
    optimizer: OptimizerName = "adamw"
    eps: float = 1e-8
    momentum: float = 0.9
    early_stopping_patience: int | None = None
    log_interval: int = 1
    keep_checkpoints: int = 2
    keep_best: bool = True
    overwrite: bool = False
    progress: bool = True
    carry_state: bool = False
    learning_rate_scales: Mapping[str, float] | None = None

    def __post_init__(self) -> None:
        if (self.max_steps is None) == (self.epochs is None):
            given = "none" if self.max_steps is None else "both"
            raise ValueError(f"give max_steps or epochs, one of them: got {given}")
        for name in ("max_steps", "epochs", "block_size", "eval_batches"):
            self._integer(name, 1, optional=True)
        for name in ("batch_size", "gradient_accumulation", "eval_interval", "log_interval"):
            self._integer(name, 1)
        for name in ("checkpoint_interval", "keep_checkpoints"):
            self._integer(name, 1)
        self._integer("early_stopping_patience", 1, optional=True)
        self._integer("warmup_steps", 0, optional=True)
        self._integer("seed", 0)
        if self.workers != "auto":
            self._integer("workers", 1, instead=" or 'auto'")
        for name in ("learning_rate", "eps"):
            self._number(name, above=0)
        self._number("grad_clip", above=0, optional=True)
        self._number("min_learning_rate", least=0, optional=True)
        self._number("weight_decay", least=0, optional=True)
        self._number("momentum", least=0, below=1)
        self._betas()
        self._scales()
        for name in ("keep_best", "overwrite", "progress", "carry_state"):
            if not isinstance(getattr(self, name), bool):
                raise TypeError(f"{name} must be True or False: got {getattr(self, name)!r}")
        self._one_of("schedule", get_args(Schedule))
        self._one_of("optimizer", get_args(OptimizerName))
        if self.checkpoint_dir is not None:
            if not isinstance(self.checkpoint_dir, (str, os.PathLike)):
                raise TypeError(f"checkpoint_dir must name a folder: got {self.checkpoint_dir!r}")
            self._set("checkpoint_dir", os.fspath(self.checkpoint_dir))
        self._across()

    def to_dict(self) -> dict[str, Any]:
        """Every setting by its name, for JSON."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def _across(self) -> None:
        """What two settings say together."""
        low, high = self.min_learning_rate, self.learning_rate
        if low is not None and low > high:
            raise ValueError(
                f"min_learning_rate={low} is above learning_rate={high}: choose "
                f"min_learning_rate={high / 10:g}, or leave it out"
            )
        warmup, steps = self.warmup_steps, self.max_steps
        if warmup is not None and steps is not None and warmup > steps:
            raise ValueError(
                f"warmup_steps={warmup} is more than max_steps={steps}: choose "
                f"warmup_steps={steps // 10}, or leave it out"
            )

    def _integer(self, name: str, least: int, optional: bool = False, instead: str = "") -> None:
        value = getattr(self, name)
        if value is None and optional:
            return
        expected = f"an integer of at least {least}{' or None' if optional else instead}"
        if isinstance(value, (bool, np.bool_)):
            raise TypeError(f"{name}={value!r} must be {expected}")
        try:
            number = operator.index(value)
        except TypeError:
            raise TypeError(f"{name}={value!r} must be {expected}") from None
        if number < least:
            raise ValueError(f"{name}={number} must be {expected}")
        self._set(name, number)

    def _number(
        self,
        name: str,
        least: float = -math.inf,
        above: float = -math.inf,
        below: float = math.inf,
        optional: bool = False,
    ) -> None:
        value = getattr(self, name)
        if value is None and optional:
            return
        bounds = [f"of at least {least:g}"] * (least > -math.inf)
        bounds += [f"above {above:g}"] * (above > -math.inf)
        bounds += [f"below {below:g}"] * (below < math.inf)
        expected = f"a number {' and '.join(bounds)}{' or None' if optional else ''}"
        if isinstance(value, (bool, np.bool_, str, bytes)):
            raise TypeError(f"{name}={value!r} must be {expected}")
        try:
            number = float(value)
        except (TypeError, ValueError):
            raise TypeError(f"{name}={value!r} must be {expected}") from None
        if not (math.isfinite(number) and least <= number and above < number < below):
            raise ValueError(f"{name}={number} must be {expected}")
        self._set(name, number)

    def _betas(self) -> None:
        try:
            first, second = self.betas
        except (TypeError, ValueError):
            raise TypeError(f"betas={self.betas!r} must be two numbers, as (0.9, 0.99)") from None
        for beta in (first, second):
            if isinstance(beta, (bool, str)) or not 0 <= beta < 1:
                raise ValueError(f"betas={self.betas!r} must both be at least 0 and below 1")
        self._set("betas", (float(first), float(second)))

    def _scales(self) -> None:
        scales = self.learning_rate_scales
        if scales is None:
            return
        if not isinstance(scales, Mapping) or not all(isinstance(name, str) for name in scales):
            raise TypeError(
                f"learning_rate_scales={scales!r} must be a dict of factors by the beginning of a "
                'parameter\'s name, as {"backbone.": 0.1}'
            )
        checked = {}
        for prefix, scale in scales.items():
            what = f"learning_rate_scales[{prefix!r}]={scale!r}"
            if isinstance(scale, (bool, np.bool_, str)) or not isinstance(scale, SupportsFloat):
                raise TypeError(f"{what} must be a number above 0")
            checked[prefix] = float(scale)
            if not 0 < checked[prefix] < math.inf:
                raise ValueError(
                    f"{what} must be a number above 0; what shall not move at all is frozen with "
                    "minigpt.nn.freeze"
                )
        self._set("learning_rate_scales", checked)

    def _one_of(self, name: str, choices: tuple[str, ...]) -> None:
        if getattr(self, name) not in choices:
            known = ", ".join(map(repr, choices))
            raise ValueError(f"{name}={getattr(self, name)!r} is not known: choose one of {known}")

    def _set(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)
