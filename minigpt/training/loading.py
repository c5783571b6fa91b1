"""A trained model out of a checkpoint, ready to evaluate and to write."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from minigpt.training.archive import CheckpointError
from minigpt.training.checkpoint import load_checkpoint
from minigpt.training.folder import BEST, latest_checkpoint
from minigpt.training.rebuilding import check_same_model, fill_model, model_arrays, rebuild_model
from minigpt.training.snapshot import check_format


def load_model(
    path: str | os.PathLike[str], best: bool = False, model: Any = None
) -> tuple[Any, Any]:
    """The model of a checkpoint, in evaluation mode, and its tokenizer (None where it has none).

    Args:
        path: a checkpoint, or a run's folder: the newest whole one.
        best: of a folder, take the one with the lowest validation loss, if there is one.
        model: one to fill, of a class that minigpt does not know.

    Raises:
        FileNotFoundError: there is nothing there.
        CheckpointError: what is there is cut off, altered, or not a Trainer's.
    """
    path = find_checkpoint(path, best)
    checkpoint = load_checkpoint(path)
    check_format(path, checkpoint.metadata)
    if model is None:
        model = rebuild_model(path, checkpoint.metadata["model"], checkpoint.arrays)
    else:
        check_same_model(path, checkpoint.metadata["model"], model)
        fill_model(path, model, checkpoint.metadata["model"], model_arrays(checkpoint.arrays))
    model.eval()
    return model, stored_tokenizer(path, checkpoint.metadata["tokenizer"])


def find_checkpoint(path: str | os.PathLike[str], best: bool = False) -> Path:
    """``path`` itself, or of a folder the newest whole checkpoint, or the best.

    Raises:
        FileNotFoundError: there is nothing there.
        CheckpointError: a folder where no checkpoint is whole.
    """
    path = Path(path)
    if path.is_dir():
        return path / BEST if best and (path / BEST).exists() else latest_checkpoint(path)
    if not path.exists():
        raise FileNotFoundError(f"there is no checkpoint {path}, and no folder of that name")
    return path


def stored_tokenizer(path: Path, description: Any) -> Any:
    """The tokenizer that a checkpoint holds, or None.

    Raises:
        CheckpointError: it is not sound.
    """
    if description is None:
        return None
    from minigpt.tokenizers import tokenizer_from_dict

    try:
        return tokenizer_from_dict(description)
    except (ValueError, TypeError, KeyError) as error:
        raise CheckpointError(path, f"its tokenizer is not sound: {error}") from error
