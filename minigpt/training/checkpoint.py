"""Checkpoints: named arrays and JSON metadata in one ``.npz``, written wholly or not at all."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from minigpt.training.archive import (
    Array,
    CheckpointError,
    read_archive,
    read_member,
    write_archive,
)

METADATA = "__metadata__"
_RESERVED = {METADATA, "file", "args", "kwds", "allow_pickle"}  # np.savez's own arguments
_MAX_METADATA_BYTES = 1 << 30


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint file holds: ``arrays`` by name, and ``metadata`` that JSON can carry."""

    arrays: dict[str, Array]
    metadata: dict[str, Any]


def save_checkpoint(
    path: str | os.PathLike[str], arrays: Mapping[str, Array], metadata: Mapping[str, Any]
) -> Path:
    """Write arrays and metadata to one ``.npz`` file, in place of what was there; its path.

    The file is written beside ``path``, forced onto the disk, then renamed: a reader, or a process
    killed at any moment, finds the whole old file or the whole new one. ``numpy.load`` reads it.

    Raises:
        ValueError: ``path`` does not end in ``.npz``, or a name, an array's dtype or the metadata
            cannot be stored.
        TypeError: ``arrays`` holds something else than arrays, or the metadata is no JSON.
        OSError: the file could not be written.

    Example:
        >>> import numpy as np, tempfile
        >>> folder = tempfile.mkdtemp()
        >>> path = save_checkpoint(f"{folder}/a.npz", {"w": np.eye(2)}, {"step": 7})
        >>> load_checkpoint(path).metadata
        {'step': 7}
    """
    path = _checked_path(path)
    members: dict[str, Array] = {METADATA: _encode(metadata)}
    for name, array in arrays.items():
        if not isinstance(name, str) or not _is_plain(name):
            raise ValueError(f"arrays: {name!r} cannot name an array in a checkpoint")
        if not isinstance(array, np.ndarray):
            raise TypeError(f"arrays[{name!r}] must be a NumPy array, got {type(array).__name__}")
        if array.dtype.kind not in "biufc":
            raise ValueError(f"arrays[{name!r}] is of type {array.dtype}, not of numbers")
        members[name] = array
    write_archive(path, members)
    return path


def load_checkpoint(path: str | os.PathLike[str]) -> Checkpoint:
    """Read a checkpoint, after making sure that it is whole.

    The file is not trusted: nothing of it is executed or unpickled, and the sizes it claims are
    held against its real size before memory is taken.

    Raises:
        CheckpointError: it is cut off, altered or no checkpoint. The error names the newest whole
            checkpoint of the same folder, if there is one (``.previous``).
        OSError: there is no such file, or it may not be read.
    """
    path = Path(path)
    try:
        arrays = read_archive(path)
        if METADATA not in arrays:
            raise CheckpointError(path, "it holds no metadata, so it is no checkpoint")
        return Checkpoint(metadata=_decode(path, arrays.pop(METADATA)), arrays=arrays)
    except CheckpointError as error:
        from minigpt.training.folder import newest_whole  # which reads checkpoints in turn

        previous = newest_whole(path.parent, other_than=path)
        raise CheckpointError(path, error.reason, previous) from error.__cause__


def read_metadata(path: Path) -> dict[str, Any]:
    """The metadata alone, without checking or reading the arrays.

    Raises:
        CheckpointError: the file is cut off, or no checkpoint.
        OSError: there is no such file, or it may not be read.
    """
    return _decode(path, read_member(path, METADATA))


def _encode(metadata: Mapping[str, Any]) -> Array:
    try:
        text = json.dumps(metadata, allow_nan=False, separators=(",", ":"))
    except TypeError as error:
        raise TypeError(f"metadata must be made of what JSON can carry: {error}") from None
    except ValueError as error:
        raise ValueError(f"metadata must be made of what JSON can carry: {error}") from None
    return np.frombuffer(text.encode(), dtype=np.uint8)


def _decode(path: Path, encoded: Array) -> dict[str, Any]:
    if encoded.dtype != np.uint8 or encoded.ndim != 1 or encoded.size > _MAX_METADATA_BYTES:
        raise CheckpointError(path, "its metadata is not stored as bytes")
    try:
        metadata = json.loads(encoded.tobytes())
    except (ValueError, RecursionError) as error:
        raise CheckpointError(path, f"its metadata is no JSON ({error})") from None
    if not isinstance(metadata, dict):
        raise CheckpointError(path, "its metadata is no JSON object")
    return metadata


def _checked_path(path: str | os.PathLike[str]) -> Path:
    path = Path(path)
    if path.suffix != ".npz":
        raise ValueError(f"path={str(path)!r} must name an .npz file, such as {path.name}.npz")
    if path.is_dir():
        raise IsADirectoryError(f"path={str(path)!r} is a folder: name a file in it")
    return path


def _is_plain(name: str) -> bool:
    """Whether a zip file gives the name back as it was: printable, and no backslash."""
    return bool(name) and name.isprintable() and "\\" not in name and name not in _RESERVED
