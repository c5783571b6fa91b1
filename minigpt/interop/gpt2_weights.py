"""The weights of a GPT-2 folder as a minigpt.GPT's parameters, every one accounted for."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from minigpt.autograd import Array
from minigpt.interop.errors import PretrainedError
from minigpt.interop.gpt2_names import (
    HEAD,
    PREFIX,
    TOKEN_EMBEDDING,
    full_name,
    gpt2_parameters,
    is_mask,
    wrapper_prefix,
)
from minigpt.interop.safetensors import SafetensorsFile
from minigpt.interop.sharded import open_weights

_LISTED = 5  # names that an error shows at most


def read_gpt2_weights(
    folder: Path, fields: Mapping[str, Any], memory_map: bool = True
) -> dict[str, Array]:
    """minigpt's name of each parameter -> its array, of float32 or all of float64.

    Args:
        folder: holds ``model.safetensors``, or shards with an index.
        fields: of the GPTConfig that ``config.json`` describes.
        memory_map: as in :class:`~minigpt.interop.safetensors.SafetensorsFile`.

    Raises:
        PretrainedError: a file is damaged; or tensors are missing, unexpected, of another shape or
            of a type that cannot be read. Names them.

    Warns:
        RuntimeWarning: weights that are NaN or infinite.
    """
    files = _without_prefix(folder, open_weights(folder, memory_map))
    if fields["n_layer"] > len(files):  # a table of a billion layers is not made
        raise PretrainedError(
            folder, f"config.json has n_layer={fields['n_layer']}, the weights are {len(files)} "
            "tensors in all"
        )  # fmt: skip
    if fields["tie_head"] and HEAD in files:  # one matrix, stored under its other name only
        files.setdefault(TOKEN_EMBEDDING, files[HEAD])
    table = gpt2_parameters(fields)
    expected = {place.name: place.shape for place in table.values()}
    _check_names_and_shapes(folder, files, expected)
    arrays = {}
    for ours, place in table.items():
        file, name = files[place.name]
        array = file.read(name)
        _warn_unless_finite(file.path, name, array)
        arrays[ours] = np.ascontiguousarray(array.T) if place.transposed else array
    if len({array.dtype for array in arrays.values()}) > 1:
        raise PretrainedError(folder, "some of its tensors are stored as F64, others are not")
    if HEAD in files and HEAD not in expected:
        _check_tied(folder, files, arrays["token_embedding.weight"])
    return arrays


def gpt2_tensors(fields: Mapping[str, Any], arrays: Mapping[str, Array]) -> dict[str, Array]:
    """A GPT's parameters, by their own names, under GPT-2's.

    Raises:
        ValueError: they are not the parameters that the fields of a GPTConfig describe.
    """
    table = gpt2_parameters(fields)
    if table.keys() != arrays.keys():
        names = ", ".join(sorted(table.keys() ^ arrays.keys())[:_LISTED])
        raise ValueError(
            f"this is not the GPT that its config describes: {names} missing or too many"
        )
    return {
        full_name(place.name): arrays[ours].T if place.transposed else arrays[ours]
        for ours, place in table.items()
    }


Files = dict[str, tuple[SafetensorsFile, str]]


def _without_prefix(folder: Path, files: Mapping[str, SafetensorsFile]) -> Files:
    """Every tensor's name without prefixes -> its file and its name there; masks left out."""
    found: Files = {}
    wrapped = len(wrapper_prefix(files))
    for stored, file in files.items():
        name = stored[wrapped:].removeprefix(PREFIX)
        if is_mask(name):
            continue
        if name in found:
            raise PretrainedError(folder, f"it holds both {found[name][1]!r} and {stored!r}")
        found[name] = file, stored
    return found


def _check_names_and_shapes(
    folder: Path, files: Files, expected: Mapping[str, tuple[int, ...]]
) -> None:
    problems = [
        f"{name} {shape} is missing" for name, shape in expected.items() if name not in files
    ]
    for name, (file, stored) in files.items():
        shape = file.entries[stored].shape
        if name not in expected:
            if name != HEAD:  # a tied head may be there once more
                problems.append(f"{stored!r:.80} is not a parameter of a GPT-2")
        elif shape != expected[name]:
            problems.append(f"{name} is {shape}, by config.json it should be {expected[name]}")
    if problems:
        more = f"; and {len(problems) - _LISTED} more" if len(problems) > _LISTED else ""
        raise PretrainedError(
            folder, f"the weights do not fit config.json: {'; '.join(problems[:_LISTED])}{more}"
        )


def _check_tied(folder: Path, files: Files, token_embedding: Array) -> None:
    file, name = files[HEAD]
    if file.entries[name].shape != token_embedding.shape or not np.array_equal(
        file.read(name), token_embedding, equal_nan=True
    ):
        raise PretrainedError(
            folder, f"config.json ties the head to the token embedding, but {name} differs from it"
        )


def _warn_unless_finite(path: Path, name: str, array: Array) -> None:
    with np.errstate(over="ignore", invalid="ignore"):
        # NaN and ∞ show in the sum, which takes a pass and no memory; so may an overflow.
        if np.isfinite(array.sum()):
            return
    bad = array.size - int(np.isfinite(array).sum())
    if bad:
        warnings.warn(
            f"{path}: {bad:,} of {array.size:,} numbers of {name} are NaN or infinite, and so will "
            "be what the model computes",
            RuntimeWarning,
            stacklevel=4,  # where from_pretrained was called
        )
