"""Whether what a Trainer is given fits together, said before the first step."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from minigpt.training.batches import Batches
from minigpt.training.config import TrainerConfig
from minigpt.training.parallel import auto_workers

_NEEDED = (
    "parameters", "named_parameters", "state_dict", "load_state_dict", "train", "eval", "loss",
)  # fmt: skip


def check_parts(
    model: Any, train_tokens: Any, val_tokens: Any, config: Any, tokenizer: Any
) -> None:
    """Refuse a model that cannot be trained, and parts that contradict each other.

    Raises:
        TypeError: a part is not what it should be.
        ValueError: parts do not fit each other.
    """
    if not isinstance(config, TrainerConfig):
        raise TypeError(f"config must be a TrainerConfig: got {type(config).__name__}")
    missing = [name for name in _NEEDED if not callable(getattr(model, name, None))]
    if isinstance(model, type) or missing:
        raise TypeError(
            f"model must be an object that can be trained: {_named(model)} lacks "
            f"{', '.join(missing) or 'nothing, but is a class'} "
            "(see minigpt.training.Trainable)"
        )
    if config.carry_state:
        check_carries_state(model)
        for name, tokens in (("train_tokens", train_tokens), ("val_tokens", val_tokens)):
            if hasattr(tokens, "next_batch"):
                raise ValueError(
                    f"carry_state=True makes batches of its own: {name} must be a stream of tokens"
                )
    if config.early_stopping_patience is not None and val_tokens is None:
        raise ValueError("early_stopping_patience needs val_tokens: give a validation text")
    if tokenizer is None:
        return
    if not callable(getattr(tokenizer, "to_dict", None)):
        raise TypeError(f"tokenizer must be one of minigpt's: got {type(tokenizer).__name__}")
    known = getattr(getattr(model, "config", None), "vocab_size", None)
    if known is not None and tokenizer.vocab_size > known:
        raise ValueError(
            f"tokenizer has {tokenizer.vocab_size} tokens, the model knows {known}: make the model "
            f"with vocab_size={tokenizer.vocab_size}"
        )


def check_carries_state(model: Any) -> None:
    """Refuse a model that remembers nothing from one batch to the next.

    Raises:
        ValueError: it has no ``new_state``.
    """
    if not callable(getattr(model, "new_state", None)):
        raise ValueError(
            f"carry_state=True needs a model with a state, such as an LSTMLanguageModel: "
            f"{_named(model)} has no new_state(batch_size); leave carry_state out"
        )


def _named(model: Any) -> str:
    return f"the class {model.__name__}" if isinstance(model, type) else type(model).__name__


def resolved(config: TrainerConfig, model: Any) -> tuple[TrainerConfig, int | None]:
    """The configuration with "auto" made a number, and the length of the sequences.

    Raises:
        ValueError: they are longer than the model's context.
    """
    if config.workers == "auto":
        config = dataclasses.replace(config, workers=auto_workers(config.batch_size))
    context = getattr(getattr(model, "config", None), "block_size", None)
    block_size = config.block_size or context
    if context is not None and block_size > context:
        raise ValueError(
            f"block_size={block_size} is more than the model's context, {context}: choose "
            f"block_size={context}, or leave it out"
        )
    return config, block_size


def steps_of_run(config: TrainerConfig, batches: Batches) -> int:
    """How many optimizer steps the run has.

    Raises:
        ValueError: the warm-up is longer.
    """
    if config.max_steps is not None:
        return config.max_steps
    assert config.epochs is not None
    steps = math.ceil(config.epochs * batches.batches_per_epoch / config.gradient_accumulation)
    if config.warmup_steps is not None and config.warmup_steps > steps:
        raise ValueError(
            f"warmup_steps={config.warmup_steps} is more than the {steps} steps of "
            f"epochs={config.epochs}: choose warmup_steps={steps // 10}, or leave it out"
        )
    return steps
