"""Everything a run needs to go on as if it had never stopped, as arrays and JSON, and back.

Dropout's generators are not among it: they are made anew for every step, from the seed and the
number of the step.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from minigpt.autograd import Array
from minigpt.training.archive import CheckpointError
from minigpt.training.best import Best
from minigpt.training.checkpoint import Checkpoint
from minigpt.training.config import TrainerConfig
from minigpt.training.history import History
from minigpt.training.rebuilding import PREFIX, describe_model

if TYPE_CHECKING:
    from minigpt.training.trainer import Trainer

FORMAT, VERSION = "minigpt.Trainer", 1
_OPTIMIZER, _BATCHES = "optimizer/", "batches/"

# Settings that may differ when a run goes on: they leave every step up to the present one as it is.
MAY_CHANGE = (
    "max_steps", "epochs", "eval_interval", "early_stopping_patience", "log_interval",
    "checkpoint_dir", "checkpoint_interval", "keep_checkpoints", "keep_best", "overwrite",
    "progress",
)  # fmt: skip


def take_snapshot(trainer: Trainer) -> tuple[dict[str, Array], dict[str, Any]]:
    """The arrays and the metadata of a trainer's checkpoint."""
    arrays = {PREFIX + name: array for name, array in trainer.model.state_dict().items()}
    optimizer = _split(trainer.optimizer.state_dict(), _OPTIMIZER, arrays)
    batches = _split(trainer.batches.state_dict(), _BATCHES, arrays)
    metadata = {
        "format": FORMAT,
        "version": VERSION,
        "step": trainer.step,
        "elapsed": trainer.elapsed,
        "run": trainer.run_id,
        "best": trainer.best.to_dict(),
        "model": describe_model(trainer.model),
        "optimizer": optimizer,
        "batches": batches,
        "evaluation_batches": {name: fixed.start for name, fixed in trainer.splits.items()},
        "texts": trainer.texts,
        "config": trainer.config.to_dict(),
        "tokenizer": None if trainer.tokenizer is None else trainer.tokenizer.to_dict(),
        "history": trainer.history.to_dict(),
    }
    return arrays, metadata


def _split(state: Mapping[str, Any], prefix: str, arrays: dict[str, Array]) -> dict[str, Any]:
    """What of a state goes to JSON; its arrays are put among ``arrays``, under the prefix."""
    arrays |= {prefix + name: v for name, v in state.items() if isinstance(v, np.ndarray)}
    return {name: v for name, v in state.items() if not isinstance(v, np.ndarray)}


def _joined(state: dict[str, Any], prefix: str, arrays: Mapping[str, Array]) -> dict[str, Any]:
    """A state with its arrays again."""
    return state | {
        name.removeprefix(prefix): array
        for name, array in arrays.items()
        if name.startswith(prefix)
    }


def put_back(trainer: Trainer, path: Path, checkpoint: Checkpoint) -> None:
    """Bring a new trainer, whose model has its parameters already, to where the snapshot was taken.

    Raises:
        CheckpointError: the parts of the checkpoint do not fit the trainer.
    """
    stored = checkpoint.metadata
    try:
        arrays = checkpoint.arrays
        trainer.optimizer.load_state_dict(_joined(stored["optimizer"], _OPTIMIZER, arrays))
        trainer.batches.load_state_dict(_joined(stored["batches"], _BATCHES, arrays))
        trainer.history = History.from_dict(stored["history"])
        trainer.step = int(stored["step"])
        trainer.elapsed = float(stored["elapsed"])
        trainer.run_id = str(stored["run"])
        trainer.best = Best.from_dict(stored["best"])
        for name, fixed in trainer.splits.items():
            fixed.start = stored["evaluation_batches"].get(name, fixed.start)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CheckpointError(path, f"the run cannot go on from it: {error}") from error


def stored_config(
    path: Path, metadata: Mapping[str, Any], changes: Mapping[str, Any]
) -> TrainerConfig:
    """The configuration of the run, with the changes that are allowed.

    Raises:
        CheckpointError: the file is not a Trainer's.
        ValueError: a change that would make it another run.
    """
    check_format(path, metadata)
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
    return dataclasses.replace(config, **changes)


def check_format(path: Path, metadata: Mapping[str, Any]) -> None:
    """Refuse files that are whole and not a Trainer's, or of a later version.

    Raises:
        CheckpointError: what it is instead.
    """
    if metadata.get("format") != FORMAT:
        raise CheckpointError(path, "it is a checkpoint, and not one that a Trainer saved")
    if metadata.get("version") != VERSION:
        raise CheckpointError(
            path, f"it is of version {metadata.get('version')!r:.20}, this minigpt reads {VERSION}"
        )
    needed = {"step", "config", "model", "texts", "tokenizer", "optimizer", "batches", "history"}
    if missing := sorted(needed - metadata.keys()):
        raise CheckpointError(path, f"it lacks {', '.join(missing)}")
    for name in ("config", "model", "texts", "optimizer"):
        if not isinstance(metadata[name], dict):
            raise CheckpointError(path, f"its {name} is no JSON object")
    for text in metadata["texts"].values():
        if text is not None and not (isinstance(text, dict) and {"tokens", "sha256"} <= set(text)):
            raise CheckpointError(path, "its texts are not described")
    if not {"class", "config"} <= metadata["model"].keys():
        raise CheckpointError(path, "its model is not described")
