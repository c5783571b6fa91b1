"""A trained model out of a checkpoint that a Trainer saved, ready to evaluate and to write."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from minigpt import checks
from minigpt.checkpoints.adapters import FORMAT as ADAPTERS
from minigpt.checkpoints.archive import CheckpointError
from minigpt.checkpoints.checkpoint import Checkpoint, load_checkpoint
from minigpt.checkpoints.folder import BEST, latest_checkpoint
from minigpt.checkpoints.rebuilding import (
    check_same_model,
    fill_model,
    model_arrays,
    rebuild_model,
)

FORMAT, VERSION = "minigpt.Trainer", 2  # version 1 kept the history as JSON
_NEEDED = {"step", "config", "model", "texts", "tokenizer", "optimizer", "batches", "history"}
_PUBLISHED = ("*.safetensors", "*.safetensors.index.json", "pytorch_model*.bin", "*.gguf")


class LoadedModel(NamedTuple):
    """What a checkpoint gives: ``model, tokenizer = load_model(path)``.

    Attributes:
        model: in evaluation mode.
        tokenizer: the one it was trained with; None where the checkpoint holds none.

    Example:
        >>> import minigpt as mg
        >>> loaded = LoadedModel(mg.nn.Linear(2, 2, seed=0), tokenizer=None)
        >>> model, tokenizer = loaded
        >>> model is loaded.model
        True
    """

    model: Any
    tokenizer: Any

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(
            f"LoadedModel has no {name}: it is a model and its tokenizer; unpack it: "
            "model, tokenizer = load_model(path)"
        )


def load_model(path: str | os.PathLike[str], best: bool = False, model: Any = None) -> LoadedModel:
    """The model of a checkpoint, in evaluation mode, and its tokenizer (None where it has none).

    Args:
        path: a checkpoint, or a run's folder: the newest whole one.
        best: of a folder, take the one with the lowest validation loss, if there is one.
        model: one to fill, of a class that minigpt does not know.

    Raises:
        FileNotFoundError: there is nothing there.
        CheckpointError: what is there is cut off, altered, or not a Trainer's.

    Example:
        >>> import tempfile
        >>> import numpy as np, minigpt as mg
        >>> tokenizer = mg.CharTokenizer.train("to be or not to be")
        >>> model = mg.GPT(mg.GPTConfig(7, block_size=8, n_layer=1, n_head=1, n_embd=8), seed=0)
        >>> config = mg.TrainerConfig(max_steps=2, batch_size=2, progress=False)
        >>> tokens = tokenizer.encode_array("to be or not to be")
        >>> trainer = mg.Trainer(model, tokens, config=config, tokenizer=tokenizer)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     trainer.save(f"{folder}/model.npz")
        ...     again, its_tokenizer = load_model(f"{folder}/model.npz")
        >>> again.training, its_tokenizer.decode([6, 4])
        (False, 'to')
    """
    path, checkpoint = read_run(path, best)
    model = stored_model(path, checkpoint, model)
    model.eval()
    return LoadedModel(model, stored_tokenizer(path, checkpoint))


def read_run(path: str | os.PathLike[str], best: bool = False) -> tuple[Path, Checkpoint]:
    """The checkpoint of a Trainer at ``path``, or in a folder the newest whole one, or the best.

    Raises:
        FileNotFoundError: there is nothing there.
        CheckpointError: it is cut off, altered, not a Trainer's, or of a later version.
    """
    path = _find(checks.path("path", path), checks.flag("best", best))
    checkpoint = load_checkpoint(path)
    _check_format(path, checkpoint.metadata)
    return path, checkpoint


def stored_model(path: Path, checkpoint: Checkpoint, model: Any = None) -> Any:
    """The model that a checkpoint holds: made again, or ``model`` filled with its parameters.

    Raises:
        CheckpointError: it cannot be made, or ``model`` is another one.
    """
    description = checkpoint.metadata["model"]
    if model is None:
        return rebuild_model(path, description, checkpoint.arrays)
    check_same_model(path, description, model)
    fill_model(path, model, description, model_arrays(checkpoint.arrays))
    return model


def stored_tokenizer(path: Path, checkpoint: Checkpoint) -> Any:
    """The tokenizer that a checkpoint holds, or None.

    Raises:
        CheckpointError: it is not sound.
    """
    description = checkpoint.metadata["tokenizer"]
    if description is None:
        return None
    from minigpt.tokenizers import tokenizer_from_dict

    try:
        return tokenizer_from_dict(description)
    except (ValueError, TypeError, KeyError) as error:
        raise CheckpointError(path, f"its tokenizer is not sound: {error}") from error


def _find(path: Path, best: bool) -> Path:
    if path.is_dir():
        if best and (path / BEST).exists():
            return path / BEST
        try:
            return latest_checkpoint(path)
        except FileNotFoundError as error:
            if any(found for pattern in _PUBLISHED for found in path.glob(pattern)):
                raise FileNotFoundError(f"{error}, but {_way_to_published(path)}") from None
            raise
    if not path.exists():
        raise FileNotFoundError(f"there is no checkpoint {path}, and no folder of that name")
    if path.suffix in (".safetensors", ".gguf"):
        there = path if path.suffix == ".gguf" else path.parent
        raise CheckpointError(path, f"it is not a checkpoint, but {_way_to_published(there)}")
    return path


def _way_to_published(path: Path) -> str:
    return f"weights as Hugging Face keeps them: load them with GPT.from_pretrained({str(path)!r})"


def _check_format(path: Path, metadata: Mapping[str, Any]) -> None:
    """Refuse files that are whole and not a Trainer's, or of a later version."""
    if metadata.get("format") == ADAPTERS:
        way = "load_lora(path, model) puts them beside the matrices of their model"
        raise CheckpointError(path, f"it holds low-rank adapters and not the model: {way}")
    if metadata.get("format") != FORMAT:
        raise CheckpointError(path, "it is a checkpoint, and not one that a Trainer saved")
    version = metadata.get("version")
    if type(version) is not int or not 1 <= version <= VERSION:
        raise CheckpointError(
            path, f"it is of version {version!r:.20}, this minigpt reads those up to {VERSION}"
        )
    if missing := sorted(_NEEDED - metadata.keys()):
        raise CheckpointError(path, f"it lacks {', '.join(missing)}")
    for name in ("config", "model", "texts", "optimizer"):
        if not isinstance(metadata[name], dict):
            raise CheckpointError(path, f"its {name} is not a JSON object")
    for text in metadata["texts"].values():
        if text is not None and not (
            isinstance(text, dict)
            and type(text.get("tokens")) is int
            and type(text.get("sha256")) is str
        ):
            raise CheckpointError(path, "its texts are not described")
    if not {"class", "config"} <= metadata["model"].keys():
        raise CheckpointError(path, "its model is not described")
