"""The optimizer and the learning rate that a configuration asks for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from minigpt.optim import SGD, Adam, AdamW, plain
from minigpt.optim.optimizer import Optimizer
from minigpt.training.config import TrainerConfig
from minigpt.training.trainable import Trainable


def make_optimizer(config: TrainerConfig, model: Trainable) -> Optimizer:
    """The optimizer over the model's parameters that require a gradient.

    Raises:
        ValueError: none does, or a prefix of ``learning_rate_scales`` begins no name of theirs.
    """
    named = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
    if not named:
        raise ValueError("model has no parameter that requires a gradient: nothing to train")
    parameters = _scaled(named, config.learning_rate_scales)
    lr, decay = config.learning_rate, config.weight_decay
    if config.optimizer == "adamw":
        decay = 0.1 if decay is None else decay
        return AdamW(parameters, lr, config.betas, config.eps, weight_decay=decay)
    decay = 0.0 if decay is None else decay
    if config.optimizer == "adam":
        return Adam(parameters, lr, config.betas, config.eps, weight_decay=decay)
    return SGD(parameters, lr, momentum=config.momentum, weight_decay=decay)


def _scaled(
    named: list[tuple[str, Any]], scales: Mapping[str, float] | None
) -> list[tuple[str, Any]] | list[dict[str, Any]]:
    """The parameters in groups, each with its factor on the learning rate."""
    if not scales:
        return named
    groups: dict[float, list[tuple[str, Any]]] = {}
    unused = set(scales)
    for name, parameter in named:
        fitting = [prefix for prefix in scales if name.startswith(prefix)]
        unused -= set(fitting)
        scale = scales[max(fitting, key=len)] if fitting else 1.0
        groups.setdefault(scale, []).append((name, parameter))
    if unused:
        first = sorted({name.split(".")[0] for name, _ in named})
        raise ValueError(
            f"learning_rate_scales names {', '.join(map(repr, sorted(unused)))}, with which no "
            f"name of a parameter to train begins: they begin with {', '.join(first)}"
        )
    return [{"params": members, "lr_scale": scale} for scale, members in groups.items()]


def learning_rate_of(config: TrainerConfig, total_steps: int) -> Callable[[int], float]:
    """The learning rate η of a step, counted from 0, as the configuration has it."""
    if config.schedule == "constant":
        return lambda step: config.learning_rate
    schedule = {"cosine": plain.warmup_cosine, "linear": plain.warmup_linear}
    last = config.min_learning_rate
    return partial(
        schedule[config.schedule],
        learning_rate=config.learning_rate,
        min_learning_rate=config.learning_rate / 10 if last is None else last,
        warmup_steps=config.warmup_steps or 0,
        max_steps=total_steps,
    )
