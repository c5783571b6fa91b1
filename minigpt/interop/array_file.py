"""A file with arrays in it, read piece by piece for as long as it stays the same file."""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import Any

import numpy as np

from minigpt.autograd import Array
from minigpt.interop.errors import PretrainedError


class ArrayFile:
    """A regular file, opened again each time something is read from it.

    Attributes:
        path: where it is.
        size: its bytes.

    Raises:
        FileNotFoundError: there is no such file.
        PretrainedError: it is a folder or a pipe.
    """

    def __init__(self, path: Path) -> None:
        if path.exists() and not path.is_file():  # a pipe would have no end
            raise PretrainedError(path, "it is not a file")
        self.path = path
        with open(path, "rb") as file:
            status = os.fstat(file.fileno())
        self.size = status.st_size
        self._identity = _identity(status)
        self._mapped: mmap.mmap | None = None

    @contextmanager
    def open(self) -> Iterator[BufferedReader]:
        """The file, if it is still the one that it was at first.

        Raises:
            PretrainedError: it was replaced or written to.
        """
        with open(self.path, "rb") as file:
            if _identity(os.fstat(file.fileno())) != self._identity:
                raise self.changed()
            yield file

    def read_into(self, file: BufferedReader, array: Array) -> None:
        """Fill a contiguous array with the bytes that come next."""
        if file.readinto(array.view(np.uint8).data) != array.nbytes:
            raise self.changed()

    def map(self, dtype: np.dtype[Any], count: int, start: int) -> Array:
        """Numbers where they lie in the file; writing to them changes a private copy."""
        return np.frombuffer(self.mapped(), dtype, count, start)

    def mapped(self) -> mmap.mmap:
        """The file's bytes, mapped once; they stay what they were where the file is replaced."""
        if self._mapped is None:
            with self.open() as file:
                self._mapped = mmap.mmap(file.fileno(), self.size, access=mmap.ACCESS_COPY)
        return self._mapped

    def changed(self) -> PretrainedError:
        """The error for a file that is no longer the one it was."""
        return PretrainedError(self.path, "it was changed while it was read: try again")


def _identity(status: os.stat_result) -> tuple[int, ...]:
    """What becomes another once the file of that name is replaced or written to."""
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
