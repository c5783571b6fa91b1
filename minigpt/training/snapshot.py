"""Everything a run needs to go on as if it had never stopped, as arrays and JSON, and back.

Dropout's generators are not among it: they are made anew for every step, from the seed and the
number of the step.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from minigpt.autograd import Array
from minigpt.checkpoints import Checkpoint, CheckpointError
from minigpt.checkpoints.checkpoint import under
from minigpt.checkpoints.folder import is_run_checkpoint
from minigpt.checkpoints.loading import (
    FORMAT,
    VERSION,
    read_run,
    stored_model,
    stored_tokenizer,
)
from minigpt.checkpoints.rebuilding import PREFIX, describe_model
from minigpt.optim.optimizer import Optimizer
from minigpt.training.batches import Batches, FixedBatches, check_same_text
from minigpt.training.config import TrainerConfig
from minigpt.training.history import History
from minigpt.training.run import Best, Run

_OPTIMIZER, _BATCHES, _HISTORY = "optimizer/", "batches/", "history/"

# Settings that may differ when a run goes on: they leave every step up to the present one as it is.
MAY_CHANGE = (
    "max_steps", "epochs", "eval_interval", "early_stopping_patience", "log_interval",
    "checkpoint_dir", "checkpoint_interval", "keep_checkpoints", "keep_best", "overwrite",
    "progress",
)  # fmt: skip


def take_snapshot(
    run: Run,
    model: Any,
    optimizer: Optimizer,
    batches: Batches,
    splits: Mapping[str, FixedBatches],
    texts: Mapping[str, Any],
    tokenizer: Any,
) -> tuple[dict[str, Array], dict[str, Any]]:
    """The arrays and the metadata of a run's checkpoint."""
    arrays = {PREFIX + name: array for name, array in model.state_dict().items()}
    columns, history = run.history.to_arrays()
    arrays |= {_HISTORY + name: array for name, array in columns.items()}
    metadata = {
        "format": FORMAT,
        "version": VERSION,
        "step": run.step,
        "elapsed": run.elapsed,
        "run": run.id,
        "best": run.best.to_dict(),
        "model": describe_model(model),
        "optimizer": _split(optimizer.state_dict(), _OPTIMIZER, arrays),
        "batches": _split(batches.state_dict(), _BATCHES, arrays),
        "evaluation_batches": {name: fixed.start for name, fixed in splits.items()},
        "texts": dict(texts),
        "config": run.config.to_dict(),
        "tokenizer": None if tokenizer is None else tokenizer.to_dict(),
        "history": history,
    }
    return arrays, metadata


def _put_back(
    path: Path,
    checkpoint: Checkpoint,
    run: Run,
    optimizer: Optimizer,
    batches: Batches,
    splits: Mapping[str, FixedBatches],
) -> None:
    """Bring a new run, whose model has its parameters already, to where the snapshot was taken.

    Raises:
        CheckpointError: the parts of the checkpoint do not fit.
    """
    stored, arrays = checkpoint.metadata, checkpoint.arrays
    try:
        optimizer.load_state_dict(_joined(stored["optimizer"], _OPTIMIZER, arrays))
        batches.load_state_dict(_joined(stored["batches"], _BATCHES, arrays))
        run.history = History.from_arrays(under(_HISTORY, arrays), stored["history"])
        run.step = int(stored["step"])
        run.elapsed = float(stored["elapsed"])
        run.id = str(stored["run"])
        run.best = Best.from_dict(stored["best"])
        for name, fixed in splits.items():
            fixed.start = stored["evaluation_batches"].get(name, fixed.start)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CheckpointError(path, f"the run cannot go on from it: {error}") from error


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
    config = _stored_config(path, stored, changes)
    check_same_text("train_tokens", stored["texts"].get("train"), train_tokens)
    check_same_text("val_tokens", stored["texts"].get("val"), val_tokens)
    model = stored_model(path, checkpoint, model)
    tokenizer = stored_tokenizer(path, checkpoint)
    trainer = trainer_class(
        model, train_tokens, val_tokens, config, tokenizer=tokenizer, callbacks=callbacks
    )
    _put_back(path, checkpoint, trainer.run, trainer.optimizer, trainer.batches, trainer.splits)
    return trainer


def _stored_config(
    path: Path, metadata: Mapping[str, Any], changes: Mapping[str, Any]
) -> TrainerConfig:
    """The configuration of the run, with the changes that are allowed.

    A run goes on in its folder, wherever that was moved.

    Raises:
        CheckpointError: the configuration is not sound.
        ValueError: a change that would make it another run.
    """
    for name in changes:
        if name not in MAY_CHANGE:
            raise ValueError(
                f"{name}=… cannot change when a run goes on (it can: {', '.join(MAY_CHANGE)}): "
                "start a new run with load_model(path) and Trainer(model, …)"
            )
    try:
        config = TrainerConfig(**metadata["config"])
    except (TypeError, ValueError) as error:
        raise CheckpointError(path, f"its configuration is not sound: {error}") from error
    for given, counts_in in (("max_steps", "epochs"), ("epochs", "max_steps")):
        if changes.get(given) is not None and getattr(config, counts_in) is not None:
            raise ValueError(f"{given}=… does not fit: this run counts in {counts_in}")
    here = {"checkpoint_dir": path.parent} if is_run_checkpoint(path) else {}
    return dataclasses.replace(config, **{"overwrite": False, **here, **changes})


def _split(state: Mapping[str, Any], prefix: str, arrays: dict[str, Array]) -> dict[str, Any]:
    """What of a state goes to JSON; its arrays are put among ``arrays``, under the prefix."""
    arrays |= {prefix + name: v for name, v in state.items() if isinstance(v, np.ndarray)}
    return {name: v for name, v in state.items() if not isinstance(v, np.ndarray)}


def _joined(state: dict[str, Any], prefix: str, arrays: Mapping[str, Array]) -> dict[str, Any]:
    """A state with its arrays again."""
    return state | under(prefix, arrays)
