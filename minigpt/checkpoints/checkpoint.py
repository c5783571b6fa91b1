"""Checkpoints: named arrays and JSON metadata in one ``.npz``, written wholly or not at all."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from minigpt import checks
from minigpt.autograd import Array
from minigpt.checkpoints.archive import (
    KINDS,
    METADATA,
    CheckpointError,
    read_archive,
    write_archive,
)
from minigpt.checkpoints.folder import newest_whole

_RESERVED = {METADATA, "file", "args", "kwds", "allow_pickle"}  # np.savez's own arguments


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint file holds: ``arrays`` by name, and ``metadata`` that JSON can carry.

    Example:
        >>> import numpy as np
        >>> Checkpoint(arrays={"w": np.eye(2)}, metadata={"step": 7}).arrays["w"].shape
        (2, 2)
    """

    arrays: dict[str, Array]
    metadata: dict[str, Any]


def save_checkpoint(
    path: str | os.PathLike[str], arrays: Mapping[str, Array], metadata: Mapping[str, Any]
) -> Path:
    """Write arrays and metadata to one ``.npz`` file, in place of what was there; its path.

    The file is written beside ``path``, forced onto the disk, then renamed: a reader, or a process
    killed at any moment, finds the whole old file or the whole new one. ``numpy.load`` reads it.

    Args:
        path: ends in ``.npz``.
        arrays: arrays by name.
        metadata: what else there is to know, made of what JSON can carry.

    Raises:
        ValueError: ``path`` does not end in ``.npz``, or a name, an array's dtype or the metadata
            cannot be stored.
        TypeError: ``arrays`` holds something other than arrays, or the metadata something that JSON
            cannot carry.
        OSError: the file could not be written.

    Example:
        >>> import numpy as np, tempfile
        >>> folder = tempfile.mkdtemp()
        >>> path = save_checkpoint(f"{folder}/a.npz", {"w": np.eye(2)}, {"step": 7})
        >>> load_checkpoint(path).metadata
        {'step': 7}
    """
    path = _checked_path(path)
    _check(arrays, metadata)
    write_archive(path, arrays, metadata)
    return path


def load_checkpoint(path: str | os.PathLike[str]) -> Checkpoint:
    """Read the checkpoint at ``path``, after making sure that it is whole.

    The file is not trusted: nothing of it is executed or unpickled, and the sizes it claims are
    held against its real size before memory is taken.

    Raises:
        CheckpointError: it is cut off, altered or not a checkpoint. The error names the newest
            whole checkpoint of the same folder, if there is one (``.previous``).
        OSError: there is no such file, or it may not be read.

    Example:
        >>> import numpy as np, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = save_checkpoint(f"{folder}/a.npz", {"w": np.ones(3)}, {"step": 7})
        ...     checkpoint = load_checkpoint(path)
        >>> checkpoint.arrays["w"], checkpoint.metadata["step"]
        (array([1., 1., 1.]), 7)
    """
    path = checks.path("path", path)
    try:
        return Checkpoint(*read_archive(path))
    except CheckpointError as error:
        previous = newest_whole(path.parent, other_than=path)
        raise CheckpointError(path, error.reason, previous) from error.__cause__


def under(prefix: str, arrays: Mapping[str, Array]) -> dict[str, Array]:
    """The arrays whose names begin so, by the rest of their names."""
    return {
        name.removeprefix(prefix): array
        for name, array in arrays.items()
        if name.startswith(prefix)
    }


def _check(arrays: object, metadata: object) -> None:
    if not isinstance(arrays, Mapping):
        raise checks.wrong_type("arrays", "a dict of arrays by name", arrays)
    if not isinstance(metadata, Mapping):
        raise checks.wrong_type("metadata", "a dict of what JSON can carry", metadata)
    for name, array in arrays.items():
        _check_array(name, array)


def _check_array(name: object, array: object) -> None:
    if not isinstance(name, str) or not _is_plain(name):
        raise ValueError(f"arrays: {checks.shown(name)} cannot name an array in a checkpoint")
    if not isinstance(array, np.ndarray):
        raise checks.wrong_type(f"arrays[{name!r}]", "a NumPy array", array)
    if array.dtype.kind not in KINDS:
        raise checks.wrong_value(f"arrays[{name!r}]", "of numbers", array)


def _checked_path(path: str | os.PathLike[str]) -> Path:
    path = checks.path("path", path)
    if path.suffix != ".npz":
        raise ValueError(f"path={str(path)!r} must name an .npz file, such as {path.name}.npz")
    if path.is_dir():
        raise IsADirectoryError(f"path={str(path)!r} is a folder: name a file in it")
    return path


def _is_plain(name: str) -> bool:
    """Whether a zip file gives the name back as it was: printable, and no backslash."""
    return bool(name) and name.isprintable() and "\\" not in name and name not in _RESERVED
