"""A model out of a checkpoint: the same class, configuration and parameters."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from minigpt.autograd import Array
from minigpt.checkpoints.adaptation import (
    describe_adaptation,
    freeze_as_stored,
    put_stored_adapters,
)
from minigpt.checkpoints.archive import CheckpointError
from minigpt.checkpoints.checkpoint import under
from minigpt.models import build_model

PREFIX = "model/"
_MAX_TABLE = 1 << 28  # numbers in a table that only the configuration tells of


def describe_model(model: Any) -> dict[str, Any]:
    """The name of a model's class, and its configuration where that is a dataclass.

    Beside them, where there are any: its low-rank adapters, and its frozen parameters.
    """
    config = getattr(model, "config", None)
    fields = None
    if dataclasses.is_dataclass(config) and not isinstance(config, type):
        fields = dataclasses.asdict(config)
    return {"class": type(model).__name__, "config": fields, **describe_adaptation(model)}


def rebuild_model(path: Path, description: Mapping[str, Any], arrays: Mapping[str, Array]) -> Any:
    """The model that a checkpoint describes, with its parameters.

    Raises:
        CheckpointError: it is of a class that minigpt does not know, or its parts do not fit.
    """
    name, config = description["class"], description["config"]
    if not isinstance(name, str) or not isinstance(config, dict):
        raise CheckpointError(
            path, f"minigpt cannot build its model {name!r:.80} without its configuration: "
            "make it yourself and pass model="
        )  # fmt: skip
    parameters = model_arrays(arrays)
    _check_sizes(path, config, parameters)
    try:
        model = build_model(name, config)
    except (ValueError, TypeError, MemoryError) as error:
        raise CheckpointError(
            path, f"its model cannot be built ({error}); make it yourself and pass model="
        ) from error
    fill_model(path, model, description, parameters)
    return model


def fill_model(
    path: Path, model: Any, description: Mapping[str, Any], parameters: Mapping[str, Array]
) -> None:
    """Put stored parameters into a model, which takes over their dtype, and what is frozen.

    Raises:
        CheckpointError: they are not this model's parameters.
    """
    put_stored_adapters(path, model, description, parameters)
    stored = {array.dtype for array in parameters.values()}
    own = {parameter.data.dtype for parameter in model.parameters()}
    if len(stored) == 1 and stored != own and hasattr(model, "astype"):
        model.astype(stored.pop())
    try:
        model.load_state_dict(dict(parameters))
    except (ValueError, TypeError, KeyError) as error:
        raise CheckpointError(path, f"its parameters do not fit this model ({error})") from error
    freeze_as_stored(path, model, description)


def check_same_model(path: Path, description: Mapping[str, Any], model: Any) -> None:
    """Refuse a model that the caller brings and that is configured otherwise than the stored one.

    Raises:
        CheckpointError: it names the first field that differs.
    """
    own = describe_model(model)
    if own["class"] != description["class"]:
        raise CheckpointError(
            path, f"it holds a {description['class']!r:.80}, the model given is a {own['class']}"
        )
    if own["config"] is None or not isinstance(description["config"], dict):
        return
    for name, here in own["config"].items():
        there = description["config"].get(name, here)
        same = list(there) == list(here) if isinstance(here, tuple) else there == here
        if not same:
            raise CheckpointError(
                path, f"its model has {name}={there!r:.80}, the model given has {name}={here!r}"
            )


def model_arrays(arrays: Mapping[str, Array]) -> dict[str, Array]:
    """The model's parameters among a checkpoint's arrays."""
    return under(PREFIX, arrays)


def _check_sizes(path: Path, config: Mapping[str, Any], parameters: Mapping[str, Array]) -> None:
    """A model is only built if the file can hold its parameters: building it takes their memory."""
    total = sum(int(np.prod(array.shape)) for array in parameters.values())
    nested = [value for value in config.values() if isinstance(value, dict)]
    fields = [item for part in (config, *nested) for item in part.items()]

    def size(name: str) -> int:
        """The largest field of that name; ``source_…``, ``target_…``, a backbone's included."""
        found = [value for field, value in fields if field.endswith(name)]
        return max([1, *(value for value in found if isinstance(value, int))])

    width = size("n_hidden" if "n_hidden" in config else "n_embd")  # an LSTM's, or a transformer's
    claims = [
        (size("vocab_size") * size("n_embd"), total),
        (size("n_embd") * width, total),
        (width**2, total),
        (size("n_classes") * size("n_embd"), total),
        (size("n_inner") * size("n_embd"), total),
        (size("n_head") * size("head_width") * size("n_embd"), total),
        (size("_layer"), len(parameters)),
        (size("block_size") * size("n_embd"), max(total, _MAX_TABLE)),
    ]
    if any(claimed > held for claimed, held in claims):
        raise CheckpointError(
            path, f"its model's configuration claims more than its {total} numbers"
        )
