"""The settings of a training run, validated when they are made."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, fields
from typing import Any, Literal, get_args

import numpy as np

from minigpt import checks
from minigpt.arguments import named_fields

Schedule = Literal["cosine", "linear", "trapezoid", "constant"]
OptimizerName = Literal["adamw", "adam", "sgd", "muon"]

LARGEST = 2**53  # an integer that every float holds
_MOST_BATCHES = 1_000_000  # that make one step


@named_fields
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
        optimizer: "adamw", "adam", "sgd", or "muon" (:class:`minigpt.optim.Muon` for the hidden
            matrices, AdamW for the rest; its steps are scaled to the size of AdamW's, so that one
            learning_rate and one weight_decay serve for both).
        learning_rate: the highest.
        learning_rate_scales: factors on the learning rate of some parameters, by the beginning of
            their names: ``{"backbone.": 0.1}`` lets a backbone move slowly under a new head. Where
            several fit a name, the longest counts; where none does, the factor is 1.
        min_learning_rate: the last; None: a tenth of the highest, or 0 with "trapezoid".
        schedule: what happens between them: "cosine", "linear", "trapezoid", which stays at
            learning_rate until the last decay_steps, or "constant", which stays there and neither
            warms up nor falls.
        warmup_steps: steps over which the learning rate first rises; None: a tenth of all steps,
            100 at most.
        decay_steps: steps over which a trapezoid falls at the end; None: a fifth of all steps.
        betas: AdamW's and Adam's decay of the two moments.
        eps: AdamW's and Adam's ε.
        momentum: SGD's and Muon's; None: 0.9 for sgd, 0.95 for muon.
        weight_decay: on matrices and embeddings (adamw, muon), or as L2 on all (adam, sgd); None:
            0.1 for adamw and muon, 0 for the others.
        grad_clip: the largest global norm of the gradient; None: no clipping.
        eval_interval: steps between two evaluations; there is one more at the end.
        eval_batches: batches of an evaluation, the same every time; None: the whole validation
            text, in order.
        early_stopping_patience: stop after that many evaluations without a lower validation loss;
            None: never.
        log_interval: steps between two records in the history. After 10,000 records it doubles, and
            every second record is dropped, again and again: neither memory, nor the history's file,
            nor a save grows with the length of the run. A callback's on_step sees every step.
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
        seed: of the batches and of dropout, an integer; the model has its own.
        progress: whether a bar and the evaluations are shown (on stderr).

    Raises:
        TypeError: a value of the wrong type (True and False are not numbers).
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
    momentum: float | None = None
    early_stopping_patience: int | None = None
    log_interval: int = 1
    keep_checkpoints: int = 2
    keep_best: bool = True
    overwrite: bool = False
    progress: bool = True
    carry_state: bool = False
    learning_rate_scales: Mapping[str, float] | None = None
    decay_steps: int | None = None

    def __post_init__(self) -> None:
        _check(self)

    def to_dict(self) -> dict[str, Any]:
        """Every setting by its name, for JSON."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


def _check(config: TrainerConfig) -> None:
    """Check every setting; what is right becomes a plain Python value, which goes to JSON."""

    def put(name: str, value: Any) -> None:
        object.__setattr__(config, name, value)  # frozen for everybody else

    def integers(
        *names: str, least: int, most: int | None = None, mend: str = "", also: str = ""
    ) -> None:
        for name in names:
            number = checks.integer(name, getattr(config, name), least, most, mend, also)
            if number > LARGEST:
                raise checks.wrong_value(name, f"at most {LARGEST}", number)
            put(name, number)

    def numbers(*names: str, **bounds: Any) -> None:
        for name in names:
            put(name, checks.number(name, getattr(config, name), **bounds))

    def given(*names: str) -> list[str]:
        return [name for name in names if getattr(config, name) is not None]

    if (config.max_steps is None) == (config.epochs is None):
        came = "none" if config.max_steps is None else "both"
        raise ValueError(f"give max_steps or epochs, one of them: got {came}")
    integers("batch_size", "eval_interval", "log_interval", least=1)
    integers("gradient_accumulation", least=1, most=_MOST_BATCHES)
    integers("checkpoint_interval", "keep_checkpoints", least=1)
    integers(*given("max_steps", "epochs"), least=1)
    integers(*given("block_size", "eval_batches"), least=1, also="None")
    integers(*given("early_stopping_patience"), least=1, also="None")
    integers(*given("warmup_steps", "decay_steps"), least=0, also="None")
    is_generator = isinstance(config.seed, np.random.Generator)
    integers("seed", least=0, mend="a checkpoint keeps an integer" if is_generator else "")
    if not isinstance(config.workers, str) or config.workers != "auto":
        integers("workers", least=1, also="'auto'")
    numbers("learning_rate", "eps", above=0)
    numbers(*given("momentum"), least=0, below=1, also="None")
    numbers(*given("grad_clip"), above=0, also="None")
    numbers(*given("min_learning_rate", "weight_decay"), least=0, also="None")
    put("betas", _betas(config.betas))
    if config.learning_rate_scales is not None:
        put("learning_rate_scales", _scales(config.learning_rate_scales))
    for name in ("keep_best", "overwrite", "progress", "carry_state"):
        put(name, checks.flag(name, getattr(config, name)))
    checks.one_of("schedule", config.schedule, get_args(Schedule))
    checks.one_of("optimizer", config.optimizer, get_args(OptimizerName))
    if config.checkpoint_dir is not None:
        put("checkpoint_dir", _folder(config.checkpoint_dir))
    _check_together(config)


def _check_together(config: TrainerConfig) -> None:
    """What two settings say together."""
    low, high = config.min_learning_rate, config.learning_rate
    if low is not None and low > high:
        raise ValueError(
            f"min_learning_rate={low} is above learning_rate={high}: choose "
            f"min_learning_rate={high / 10:g}, or leave it out"
        )
    warmup, steps = config.warmup_steps, config.max_steps
    if warmup is not None and steps is not None and warmup > steps:
        raise ValueError(
            f"warmup_steps={warmup} is more than max_steps={steps}: choose "
            f"warmup_steps={steps // 10}, or leave it out"
        )

    if config.decay_steps is not None and config.schedule != "trapezoid":
        raise ValueError(
            f'decay_steps={config.decay_steps} is of a trapezoid: add schedule="trapezoid", or '
            f"leave it out with schedule={config.schedule!r}"
        )
    if warmup is not None and steps is not None:
        check_level(config.decay_steps, warmup, steps)


def check_level(decay_steps: int | None, warmup_steps: int, total_steps: int) -> None:
    """Refuse a rise and a fall that overlap.

    Raises:
        ValueError: they are longer than the run.
    """
    if decay_steps is not None and warmup_steps + decay_steps > total_steps:
        raise ValueError(
            f"decay_steps={decay_steps} and warmup_steps={warmup_steps} are more than the run's "
            f"{total_steps} steps: choose decay_steps={total_steps // 5}, or leave it out"
        )


def _betas(betas: Any) -> tuple[float, float]:
    try:
        first, second = betas
    except (TypeError, ValueError):
        raise checks.wrong_type("betas", "two numbers, such as (0.9, 0.99)", betas) from None
    first = checks.number("betas[0]", first, least=0, below=1)
    return first, checks.number("betas[1]", second, least=0, below=1)


def _scales(scales: Any) -> dict[str, float]:
    if not isinstance(scales, Mapping) or not all(isinstance(name, str) for name in scales):
        expected = "a dict of factors by the beginning of a parameter's name"
        mend = 'such as {"backbone.": 0.1}'
        raise checks.wrong_type("learning_rate_scales", expected, scales, mend)
    mend = "parameters that are not to move at all are frozen with minigpt.nn.freeze"
    return {
        prefix: checks.number(f"learning_rate_scales[{prefix!r:.80}]", scale, above=0, mend=mend)
        for prefix, scale in scales.items()
    }


def _folder(path: Any) -> str:
    if not isinstance(path, (str, os.PathLike)):
        raise checks.wrong_type("checkpoint_dir", "the name of a folder, or None", path)
    if str(path) == "":  # as an environment variable that is not set
        mend = "leave it out to keep nothing, or write '.' for the working folder"
        raise checks.wrong_value("checkpoint_dir", "the name of a folder, or None", path, mend)
    return str(os.fspath(path))
