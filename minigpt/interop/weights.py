"""The weights of a published model as a minigpt.GPT's parameters, every one accounted for."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from minigpt.autograd import Array
from minigpt.interop.array_file import TensorFile
from minigpt.interop.errors import PretrainedError
from minigpt.interop.names import (
    Names,
    Stored,
    Table,
    halves_of_neighbours,
    parameter_table,
    shape_of,
    views,
    wrapper_prefix,
)
from minigpt.progress_bar import ProgressBar

_LISTED = 5  # names that an error shows at most
_FOR_A_BAR = 1 << 24  # numbers: fewer take less than a tenth of a second

Files = dict[str, tuple[TensorFile, str]]  # a name without prefixes -> its file and its name there


def read_weights(
    path: Path,
    files: Mapping[str, TensorFile],
    fields: Mapping[str, Any],
    names: Names,
    progress: bool = False,
) -> dict[str, Array]:
    """minigpt's name of each parameter -> its array, of float32 or all of float64.

    What does not lie in a mapped file as it lies in memory is widened and turned, a piece at a
    time, straight into its place in one new array, which takes its memory in large pages: several
    times as fast as an array for each.

    Args:
        path: the folder or file that errors speak of.
        files: the name of each tensor -> the file that it is in.
        fields: of the GPTConfig that the model's files describe.
        names: their family's.
        progress: show a bar where there is much to do.

    Raises:
        PretrainedError: a file is damaged; or tensors are missing, unexpected, of another shape or
            of a type that cannot be read. Names them.

    Warns:
        RuntimeWarning: weights that are NaN or infinite.
    """
    found = _by_plain_names(path, files, names)
    if fields["n_layer"] > len(found):  # a table of a billion layers is not made
        raise PretrainedError(
            path, f"by its configuration n_layer={fields['n_layer']}, and the weights are "
            f"{len(found)} tensors in all"
        )  # fmt: skip
    head, embedding = f"{names.head}.weight", f"{names.token_embedding}.weight"
    if fields["tie_head"] and head in found:  # one matrix, stored under its other name only
        found.setdefault(embedding, found[head])
    table = parameter_table(fields, names)
    expected = {part.name: part.shape for parts in table.values() for part in parts}
    _check_names_and_shapes(path, found, expected, head)
    dtype = _one_dtype(path, found, expected)
    arrays, new = {}, _room_for(table, found, dtype)
    total = sum(array.size for array in new.values())
    with ProgressBar(
        total, "reading weights", "", shown=progress and total >= _FOR_A_BAR, large=True
    ) as bar:
        for ours, parts in table.items():
            if ours in new:
                arrays[ours] = _fill(new[ours], parts, found)
                bar.update(new[ours].size)
            else:
                file, name = found[parts[0].name]
                arrays[ours] = file.read(name)
            _warn_unless_finite(path, parts, arrays[ours])
    if head in found and head not in expected:
        _check_tied(path, *found[head], arrays["token_embedding.weight"])
    return arrays


def stored_tensors(
    arrays: Mapping[str, Array], fields: Mapping[str, Any], names: Names
) -> dict[str, Array]:
    """A GPT's parameters, by its own names, as the tensors of a language model's file.

    Raises:
        ValueError: they are not the parameters that the fields of a GPTConfig describe.
    """
    table = parameter_table(fields, names)
    if table.keys() != arrays.keys():
        wrong = ", ".join(sorted(table.keys() ^ arrays.keys())[:_LISTED])
        raise ValueError(
            f"this is not the GPT that its config describes: {wrong} missing or too many"
        )
    return {
        names.full(part.name): view
        for ours, parts in table.items()
        for part, view in views(parts, arrays[ours])
    }


def _by_plain_names(path: Path, files: Mapping[str, TensorFile], names: Names) -> Files:
    """Every tensor's name without prefixes -> its file and its name there; no masks and tables."""
    found: Files = {}
    wrapped = len(wrapper_prefix(files))
    for stored, file in files.items():
        name = stored[wrapped:].removeprefix(names.prefix)
        if names.is_ignored(name):
            continue
        if name in found:
            raise PretrainedError(path, f"it holds both {found[name][1]!r:.80} and {stored!r:.80}")
        found[name] = file, stored
    return found


def _room_for(table: Table, found: Files, dtype: Any) -> dict[str, Array]:
    """A place for every parameter that cannot be left in its file, all in one new array."""
    shapes = {
        ours: shape_of(parts) for ours, parts in table.items() if not _left_in_file(parts, found)
    }
    memory = np.empty(sum(map(math.prod, shapes.values())), dtype)
    places, start = {}, 0
    for ours, shape in shapes.items():
        stop = start + math.prod(shape)
        places[ours] = memory[start:stop].reshape(shape)
        start = stop
    return places


def _left_in_file(parts: tuple[Stored, ...], found: Files) -> bool:
    if len(parts) > 1 or parts[0].transposed:
        return False
    file, name = found[parts[0].name]
    return file.lies_as_in_memory(name)


def _fill(parameter: Array, parts: tuple[Stored, ...], found: Files) -> Array:
    """A parameter's numbers, each part of it where it belongs."""
    for part, view in views(parts, parameter):
        file, name = found[part.name]
        file.read_into(name, view)
        if part.paired_heads:
            view[...] = halves_of_neighbours(view, part.paired_heads)
    return parameter


def _one_dtype(path: Path, found: Files, expected: Mapping[str, Any]) -> Any:
    dtypes = {found[name][0].dtype(found[name][1]) for name in expected}
    if len(dtypes) > 1:
        raise PretrainedError(path, "some of its tensors are stored as F64, others are not")
    return dtypes.pop()


def _check_names_and_shapes(
    path: Path, found: Files, expected: Mapping[str, tuple[int, ...]], head: str
) -> None:
    problems = [
        f"{name} {shape} is missing" for name, shape in expected.items() if name not in found
    ]
    for name, (file, stored) in found.items():
        shape = file.tensors[stored].shape
        if name not in expected:
            if name != head:  # a tied head may be there once more
                problems.append(f"{stored!r:.80} is not a parameter of such a model")
        elif shape != expected[name]:
            problems.append(f"{name} is {shape}, by the configuration it is {expected[name]}")
    if problems:
        more = f"; and {len(problems) - _LISTED} more" if len(problems) > _LISTED else ""
        raise PretrainedError(
            path,
            f"its weights do not fit its configuration: {'; '.join(problems[:_LISTED])}{more}",
        )


def _check_tied(path: Path, file: TensorFile, name: str, token_embedding: Array) -> None:
    if file.tensors[name].shape != token_embedding.shape or not np.array_equal(
        file.read(name), token_embedding, equal_nan=True
    ):
        raise PretrainedError(
            path, f"its configuration ties the head to the token embedding, but {name} differs"
        )


def _warn_unless_finite(path: Path, parts: tuple[Stored, ...], array: Array) -> None:
    with np.errstate(over="ignore", invalid="ignore"):
        # NaN and ∞ show in the sum, which takes a pass and no memory; so may an overflow.
        if np.isfinite(array.sum()):
            return
    bad = array.size - int(np.isfinite(array).sum())
    if bad:
        warnings.warn(
            f"{path}: {bad:,} of {array.size:,} numbers of "
            f"{', '.join(part.name for part in parts)} are NaN or infinite, and so will be what "
            "the model computes",
            RuntimeWarning,
            stacklevel=5,  # where from_pretrained was called
        )
