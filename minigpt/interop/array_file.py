"""Files with arrays in them, read piece by piece for as long as they stay the same files."""

from __future__ import annotations

import math
import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from minigpt import checks
from minigpt.autograd import Array
from minigpt.chunks import CHUNK, chunk_slices
from minigpt.interop.errors import PretrainedError
from minigpt.interop.quantization import FORMATS, BlockFormat
from minigpt.masked_arrays import is_masked


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
        if not path.exists():
            raise FileNotFoundError(f"there is no file {path}")
        if not path.is_file():  # a pipe would have no end
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

    def read_numbers(self, start: int, stored: BlockFormat, x: Array) -> None:
        """Fill ``x`` with the numbers that the blocks from the byte ``start`` on stand for.

        Blocks are read and widened a piece at a time: beside ``x``, which may be a view with any
        strides, this takes a fixed amount of memory of less than 1 MB.
        """
        contiguous = x.flags.c_contiguous
        if contiguous:
            flat = x.reshape(-1)
            pieces = [flat[piece] for piece in chunk_slices(x.size)]
        else:
            rows = max(1, CHUNK // x.shape[-1])
            pieces = [x[first : first + rows] for first in range(0, len(x), rows)]
        most = max((piece.size for piece in pieces), default=0)
        blocks = np.empty(most // stored.size, stored.layout)
        widened = None if contiguous else np.empty(most, x.dtype)
        with self.open() as file:
            file.seek(start)
            for piece in pieces:
                read = blocks[: piece.size // stored.size]
                self.read_into(file, read)
                if widened is None:
                    stored.fill(read, piece)
                else:
                    numbers = widened[: piece.size]
                    stored.fill(read, numbers)
                    piece[...] = numbers.reshape(piece.shape)

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


@dataclass(frozen=True)
class TensorInfo:
    """What a header says of one tensor."""

    type: str  # how its numbers are stored: "F32", "BF16", "Q4_0", …
    shape: tuple[int, ...]  # in NumPy's order: (rows, columns)
    start: int  # in the file, in bytes
    stop: int


class TensorFile:
    """Named tensors in one file, each read when it is asked for; a format of files adds the header.

    Attributes:
        path: where it is.
        tensors: name -> type, shape and place of each tensor.
    """

    READABLE: ClassVar[tuple[str, ...]] = tuple(FORMATS)

    tensors: dict[str, TensorInfo]

    def __init__(self, path: str | os.PathLike[str], memory_map: bool) -> None:
        self.path = checks.path("path", path)
        self._file = ArrayFile(self.path)
        self._memory_map = checks.flag("memory_map", memory_map)

    def read(self, name: str) -> Array:
        """A tensor's numbers as float32, or as float64 where they are stored so.

        Raises:
            PretrainedError: there is no such tensor, it is stored as a type that is not read, or
                the file was changed meanwhile.
        """
        tensor, stored = self._stored(name)
        if self.lies_as_in_memory(name):
            count = math.prod(tensor.shape)
            return self._file.map(stored.layout, count, tensor.start).reshape(tensor.shape)
        x = np.empty(tensor.shape, stored.dtype)
        self._file.read_numbers(tensor.start, stored, x)
        return x

    def read_into(self, name: str, x: Array) -> None:
        """Fill ``x``, of the tensor's shape and any strides, without another array of its size.

        Raises:
            PretrainedError: as for ``read``.
        """
        tensor, stored = self._stored(name)
        _check_target(x, tensor, stored)
        self._file.read_numbers(tensor.start, stored, x)

    def dtype(self, name: str) -> type[np.floating[Any]]:
        """The type in which a tensor is read: float32 or float64."""
        return self._stored(name)[1].dtype

    def lies_as_in_memory(self, name: str) -> bool:
        """Whether ``read`` gives the file's own bytes: floats in this processor's byte order.

        NumPy copies arrays that do not begin at a multiple of their numbers' size, over and over.
        """
        tensor, stored = self._stored(name)
        layout = stored.layout
        return (
            self._memory_map
            and layout.kind == "f"
            and layout.itemsize >= 4
            and layout.isnative
            and not tensor.start % layout.itemsize
        )

    def _stored(self, name: str) -> tuple[TensorInfo, BlockFormat]:
        tensor = self.tensors.get(checks.text("name", name))
        if tensor is None:
            first = ", ".join(f"{known!r:.40}" for known in list(self.tensors)[:3]) or "none"
            raise PretrainedError(
                self.path,
                f"it has no tensor {name!r:.80}: the first of its {len(self.tensors):,} are "
                f"{first}",
            )
        if tensor.type not in self.READABLE:
            raise PretrainedError(
                self.path,
                f"tensor {name!r:.80} is stored as {tensor.type}: expected "
                f"{', '.join(self.READABLE)}",
            )
        return tensor, FORMATS[tensor.type]


def _check_target(x: object, tensor: TensorInfo, stored: BlockFormat) -> None:
    """An array that the tensor's numbers can be written to."""
    expected = f"a writable {np.dtype(stored.dtype)} array of shape {tensor.shape}"
    if not isinstance(x, np.ndarray) or is_masked(x):
        raise checks.wrong_type("x", expected, x)
    if x.shape != tensor.shape or x.dtype != stored.dtype or not x.flags.writeable:
        raise checks.wrong_value("x", expected, x)
