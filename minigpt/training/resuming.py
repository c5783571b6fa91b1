"""A run that goes on from a checkpoint, and what of its settings may be others from then on."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from minigpt.checkpoints import CheckpointError
from minigpt.checkpoints.folder import is_run_checkpoint
from minigpt.checkpoints.loading import read_run, stored_model, stored_tokenizer
from minigpt.training.batches import check_same_text
from minigpt.training.config import TrainerConfig
from minigpt.training.run import check_steps_left, with_warmup
from minigpt.training.snapshot import put_back

# Settings that may differ when a run goes on, and leave every step up to then as it was …
MAY_CHANGE = (
    "max_steps", "epochs", "eval_interval", "eval_batches", "early_stopping_patience",
    "log_interval", "checkpoint_dir", "checkpoint_interval", "keep_checkpoints", "keep_best",
    "overwrite", "progress",
)  # fmt: skip
# … and those that make the steps from then on others than they would have been.
FROM_NOW_ON = (
    "learning_rate", "min_learning_rate", "learning_rate_scales", "schedule", "warmup_steps",
    "decay_steps", "weight_decay", "betas", "eps", "momentum", "grad_clip", "batch_size",
    "gradient_accumulation", "workers",
)  # fmt: skip


def resume(
    trainer_class: Any,
    path: str | os.PathLike[str],
    train_tokens: Any,
    val_tokens: Any,
    model: Any,
    callbacks: Iterable[Any],
    changes: Mapping[str, Any],
) -> Any:
    """See :meth:`minigpt.training.Trainer.resume`."""
    path, checkpoint = read_run(path)
    stored = checkpoint.metadata
    config = _stored_config(path, stored, changes, train_tokens)
    check_same_text("train_tokens", stored["texts"].get("train"), train_tokens)
    check_same_text("val_tokens", stored["texts"].get("val"), val_tokens)
    model = stored_model(path, checkpoint, model)
    tokenizer = stored_tokenizer(path, checkpoint)
    trainer = trainer_class(
        model, train_tokens, val_tokens, config, tokenizer=tokenizer, callbacks=callbacks
    )
    put_back(path, checkpoint, trainer.run, trainer.optimizer, trainer.batches, trainer.splits)
    check_steps_left(trainer.run, changes)
    return trainer


def _stored_config(
    path: Path, metadata: Mapping[str, Any], changes: Mapping[str, Any], train_tokens: Any
) -> TrainerConfig:
    """The configuration of the run, with the changes that are allowed.

    A run goes on in its folder, wherever that was moved.

    Raises:
        CheckpointError: the configuration is not sound.
        ValueError: a change that would make it another run.
    """
    for name in changes:
        if name not in MAY_CHANGE + FROM_NOW_ON:
            raise ValueError(
                f"{name}=… cannot change when a run goes on (it can: "
                f"{', '.join(MAY_CHANGE + FROM_NOW_ON)}): start a new run with load_model(path) "
                "and Trainer(model, …)"
            )
    try:
        config = TrainerConfig(**metadata["config"])
    except (TypeError, ValueError, OverflowError) as error:
        raise CheckpointError(path, f"its configuration is not sound: {error}") from error
    for given, counts_in in (("max_steps", "epochs"), ("epochs", "max_steps")):
        if changes.get(given) is not None and getattr(config, counts_in) is not None:
            raise ValueError(f"{given}=… does not fit: this run counts in {counts_in}")
    _check_batch_size(config, changes, train_tokens)
    if config.max_steps is not None:
        config = with_warmup(config, config.max_steps)  # checkpoints of version 1 lack it
    here = {"checkpoint_dir": path.parent} if is_run_checkpoint(path) else {}
    return dataclasses.replace(config, **{"overwrite": False, **here, **changes})


def _check_batch_size(config: TrainerConfig, changes: Mapping[str, Any], tokens: Any) -> None:
    """Refuse another batch size where the run's place in its text is told in batches of the old."""
    changed = {n for n in ("batch_size", "gradient_accumulation") if n in changes}
    changed = {n for n in changed if changes[n] != getattr(config, n)}
    if changed and config.epochs is not None:
        raise ValueError(f"{min(changed)}=… cannot change: this run counts in epochs")
    if "batch_size" in changed and config.carry_state:
        raise ValueError("batch_size=… cannot change: each row carries the state of its own text")
    if "batch_size" in changed and hasattr(tokens, "next_batch"):
        raise ValueError("batch_size=… cannot change: train_tokens are batches of their own")
