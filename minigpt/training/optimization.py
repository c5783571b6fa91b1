"""The optimizer and the learning rate that a configuration asks for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from minigpt.optim import SGD, Adam, AdamW, Muon, plain
from minigpt.optim.optimizer import Optimizer
from minigpt.training.config import TrainerConfig
from minigpt.training.trainable import Trainable

SHARED_FROM = 2_000_000  # numbers: with fewer, waking the threads takes longer than AdamW's step


def make_optimizer(config: TrainerConfig, model: Trainable) -> Optimizer:
    """The optimizer over the model's parameters that require a gradient.

    Raises:
        ValueError: none does, a prefix of ``learning_rate_scales`` begins no name of theirs, or
            Muon has no matrix to work on.
    """
    named = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
    if not named:
        mend = "minigpt.nn.unfreeze(model) lets all learn, after merge_lora too"
        if not any(True for _ in model.named_parameters()):
            mend = "keep what it learns in Parameters, as attributes of its modules"
        raise ValueError(
            f"model has no parameter that requires a gradient: nothing to train; {mend}"
        )
    parameters = _scaled(named, config.learning_rate_scales)
    lr, decay, momentum = config.learning_rate, config.weight_decay, config.momentum
    if decay is None:
        decay = 0.1 if config.optimizer in ("adamw", "muon") else 0.0
    if momentum is None:
        momentum = 0.95 if config.optimizer == "muon" else 0.9
    if config.optimizer == "adamw":
        return AdamW(parameters, lr, config.betas, config.eps, weight_decay=decay)
    if config.optimizer == "adam":
        return Adam(parameters, lr, config.betas, config.eps, weight_decay=decay)
    if config.optimizer == "sgd":
        return SGD(parameters, lr, momentum=momentum, weight_decay=decay)
    return Muon(
        parameters, lr, decay, momentum,
        adjust_lr_fn="match_rms_adamw", adamw_betas=config.betas, adamw_eps=config.eps,
    )  # fmt: skip


def worth_sharing(optimizer: Optimizer) -> bool:
    """Whether several threads finish a step sooner than one; Muon's products take milliseconds."""
    is_large = sum(slot.parameter.data.size for slot in optimizer.slots) > SHARED_FROM
    return is_large or isinstance(optimizer, Muon)


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
    last, fall = config.min_learning_rate, config.decay_steps
    corners: dict[str, Any] = {
        "learning_rate": config.learning_rate,
        "min_learning_rate": config.learning_rate / 10 if last is None else last,
        "warmup_steps": config.warmup_steps or 0,
        "max_steps": total_steps,
    }
    if config.schedule == "trapezoid":
        corners["min_learning_rate"] = 0.0 if last is None else last
        level = total_steps - corners["warmup_steps"]
        corners["decay_steps"] = min(total_steps // 5, level) if fall is None else fall
        return partial(plain.trapezoid, **corners)
    schedule = {"cosine": plain.warmup_cosine, "linear": plain.warmup_linear}
    return partial(schedule[config.schedule], **corners)
