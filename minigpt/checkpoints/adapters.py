"""Low-rank adapters in a file of their own: what fine-tuning found, without the model it is for."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from minigpt import checks
from minigpt.autograd import Array
from minigpt.checkpoints.adaptation import describe_adaptation, read_settings
from minigpt.checkpoints.archive import CheckpointError
from minigpt.checkpoints.checkpoint import load_checkpoint, save_checkpoint
from minigpt.nn import Linear, Module
from minigpt.nn.freezing import freeze, trainable
from minigpt.nn.lora import AdapterSettings, lora_layers, plain_linears, put_adapters

FORMAT, VERSION = "minigpt.LoRA", 1


def save_lora(path: str | os.PathLike[str], model: Module) -> Path:
    """Write a model's adapters to one small ``.npz``, in place of what was there; its path.

    The file holds A, B, the rank and α of every layer that has an adapter, whatever else in the
    model is not frozen (the new head of a classifier, say), and a fingerprint of the matrices that
    the adapters were learned beside.

    Args:
        path: ends in ``.npz``.
        model: one with adapters, from :func:`minigpt.nn.add_lora`.

    Raises:
        ValueError: the model has no adapters, or ``path`` does not end in ``.npz``.
        OSError: the file could not be written.

    Example:
        >>> import tempfile
        >>> import minigpt as mg
        >>> config = mg.GPTConfig(vocab_size=9, block_size=8, n_layer=1, n_head=1, n_embd=4)
        >>> model, again = mg.GPT(config, seed=0), mg.GPT(config, seed=0)
        >>> names = mg.nn.add_lora(model, rank=2)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = save_lora(f"{folder}/adapters.npz", model)
        ...     load_lora(path, again) == names
        True
    """
    layers = _check_has_adapters(path, model)
    adapters = {f"{name}.{part}" for name in layers for part in ("lora_a", "lora_b")}
    own, learning = dict(model.named_parameters()), {*trainable(model)}
    metadata = {
        "format": FORMAT,
        "version": VERSION,
        "lora": describe_adaptation(model)["lora"],
        "weights": fingerprint(layers),
    }
    return save_checkpoint(
        path, {n: own[n].data for n in own if n in adapters | learning}, metadata
    )


def load_lora(
    path: str | os.PathLike[str], model: Module, *, other_weights: bool = False
) -> list[str]:
    """Put the adapters of a file beside the matrices of a model, and freeze all else in it.

    The model is then what it was when :func:`save_lora` wrote the file: it can be used, trained on,
    or made an ordinary one by :func:`minigpt.nn.merge_lora`.

    Args:
        path: what :func:`save_lora` wrote.
        model: the one that the adapters were learned beside, as it was without them; changed in
            place.
        other_weights: let the matrices be others, of the same sizes: those of the same model out
            of a more roughly rounded file, say.

    Returns:
        the names of the layers that have adapters now.

    Raises:
        FileNotFoundError: there is no such file.
        CheckpointError: it is cut off, altered, or does not hold adapters; or they do not fit the
            model, or were learned beside other matrices. The model is then what it was.
        ValueError: the model has adapters already.

    Example:
        >>> import tempfile, minigpt as mg
        >>> config = mg.GPTConfig(vocab_size=9, block_size=8, n_layer=1, n_head=1, n_embd=4)
        >>> tuned, published = mg.GPT(config, seed=0), mg.GPT(config, seed=0)
        >>> names = mg.nn.add_lora(tuned, rank=2, targets=["qkv_proj"])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     load_lora(save_lora(f"{folder}/adapters.npz", tuned), published)
        ['blocks.0.attention.qkv_proj']
    """
    _check_has_none(model, other_weights)
    path = checks.path("path", path)
    stored = load_checkpoint(path)
    settings = _settings(path, stored.metadata)
    _check_fits(path, model, settings, stored.arrays)
    known = plain_linears(model)
    if not other_weights:
        _check_weights(path, stored.metadata["weights"], {name: known[name] for name in settings})
    try:
        put_adapters(model, settings)
    except (ValueError, TypeError) as error:
        raise CheckpointError(path, f"its adapters do not fit this model: {error}") from error
    freeze(model)
    own = dict(model.named_parameters())
    for name, array in stored.arrays.items():
        own[name].assign(array)
        own[name].requires_grad = True
    return [*settings]


def fingerprint(layers: Mapping[str, Linear]) -> str:
    """The SHA-256 of the matrices of some layers, in float32 and in the order of their names."""
    digest = hashlib.sha256()
    for name in sorted(layers):
        digest.update(np.ascontiguousarray(layers[name].weight.data, dtype="<f4").data)
    return digest.hexdigest()


def _settings(path: Path, metadata: Mapping[str, Any]) -> dict[str, AdapterSettings]:
    """Rank, α and dropout of each layer, as the file says; put_adapters checks the values."""
    if metadata.get("format") != FORMAT:
        raise CheckpointError(path, "it does not hold low-rank adapters that save_lora wrote")
    if metadata.get("version") != VERSION:
        raise CheckpointError(
            path, f"it is of version {metadata.get('version')!r:.20}, this minigpt reads {VERSION}"
        )
    try:
        settings = {name: read_settings(each) for name, each in metadata["lora"].items()}
        checks.text("weights", metadata["weights"])
    except (KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(path, f"its adapters are not described: {error!r:.80}") from error
    if not settings:
        raise CheckpointError(path, "it describes no adapters")
    return settings


def _check_has_adapters(path: Any, model: Any) -> dict[str, Any]:
    if isinstance(path, Module):
        raise checks.wrong_type("path", "a path", path, "the order is save_lora(path, model)")
    checks.instance("model", model, Module)
    layers = lora_layers(model)
    if not layers:
        raise ValueError(
            f"{type(model).__name__} has no adapters to save: minigpt.nn.add_lora(model) makes "
            "some; a Trainer's save(path) keeps a whole model"
        )
    return layers


def _check_has_none(model: Any, other_weights: object) -> None:
    checks.flag("other_weights", other_weights)
    if adapted := [*lora_layers(model)]:
        raise ValueError(
            f"{type(model).__name__} has adapters already, beside {adapted[0]!r}: fold them into "
            "its matrices first, minigpt.nn.merge_lora(model)"
        )


def _check_fits(
    path: Path,
    model: Module,
    settings: Mapping[str, AdapterSettings],
    arrays: Mapping[str, Array],
) -> None:
    """Every array has its place in the model, and the shape and dtype of that place."""
    known, own = plain_linears(model), dict(model.named_parameters())
    expected: dict[str, tuple[tuple[Any, ...], Any]] = {}
    for name, (rank, *_) in settings.items():
        if name not in known:
            kind = type(model).__name__
            raise CheckpointError(path, f"its {name!r:.80} is not a linear layer of this {kind}")
        (n_in, n_out), dtype = known[name].weight.shape, known[name].weight.dtype
        expected[f"{name}.lora_a"] = ((n_in, rank), dtype)
        expected[f"{name}.lora_b"] = ((rank, n_out), dtype)
    if missing := sorted(expected.keys() - arrays.keys()):
        raise CheckpointError(path, f"it lacks {missing[0]}")
    expected |= {n: (own[n].shape, own[n].dtype) for n in arrays.keys() & own.keys()}
    for name, array in arrays.items():
        if name not in expected:
            raise CheckpointError(path, f"its {name!r:.80} has no place in this model")
        shape, dtype = expected[name]
        if (array.shape, array.dtype) != (shape, dtype):
            raise CheckpointError(
                path, f"its {name} is {array.dtype} of shape {array.shape}, which does not fit the "
                f"{dtype} of shape {shape} that this model takes"
            )  # fmt: skip


def _check_weights(path: Path, stored: str, layers: Mapping[str, Linear]) -> None:
    if fingerprint(layers) != stored:
        raise CheckpointError(
            path, "its adapters were learned beside other weights than this model has: load the "
            "model that they are for, or pass other_weights=True"
        )  # fmt: skip
