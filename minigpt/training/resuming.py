"""A trainer out of a checkpoint, where the run was."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from minigpt.training.batches import check_same_text
from minigpt.training.checkpoint import load_checkpoint
from minigpt.training.folder import is_run_checkpoint
from minigpt.training.loading import find_checkpoint, stored_tokenizer
from minigpt.training.rebuilding import check_same_model, fill_model, model_arrays, rebuild_model
from minigpt.training.snapshot import put_back, stored_config

if TYPE_CHECKING:
    from minigpt.training.trainer import Trainer


def resume(
    trainer_class: type[Trainer],
    path: str | os.PathLike[str],
    train_tokens: Any,
    val_tokens: Any,
    model: Any,
    callbacks: Iterable[Any],
    changes: Mapping[str, Any],
) -> Trainer:
    """See :meth:`minigpt.training.Trainer.resume`."""
    path = find_checkpoint(path)
    checkpoint = load_checkpoint(path)
    stored = checkpoint.metadata
    settings = {"overwrite": False, **changes}
    if is_run_checkpoint(path):  # a run goes on in its folder, wherever that was moved
        settings = {"checkpoint_dir": path.parent, **settings}
    config = stored_config(path, stored, settings)
    check_same_text("train_tokens", stored["texts"].get("train"), train_tokens)
    check_same_text("val_tokens", stored["texts"].get("val"), val_tokens)
    if model is None:
        model = rebuild_model(path, stored["model"], checkpoint.arrays)
    else:
        check_same_model(path, stored["model"], model)
        fill_model(path, model, stored["model"], model_arrays(checkpoint.arrays))
    tokenizer = stored_tokenizer(path, stored["tokenizer"])
    trainer = trainer_class(
        model, train_tokens, val_tokens, config, tokenizer=tokenizer, callbacks=callbacks
    )
    put_back(trainer, path, checkpoint)
    return trainer
