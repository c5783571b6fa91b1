"""The values that the header of a GGUF file is made of, all little-endian.

    integer     4 or 8 bytes
    text        its length in bytes (8), then UTF-8
    value       its type (4), then a number, a boolean, a text or an array
    array       the type of its items (4), how many there are (8), then the items

Every size is compared with what is left of the file before memory is taken for it. Texts and nested
arrays take more memory than bytes in the file, so there is also a bound on how many there may be.
"""

from __future__ import annotations

from io import BufferedReader
from typing import Any

import numpy as np

from minigpt.autograd import Array
from minigpt.interop.array_file import ArrayFile
from minigpt.interop.errors import PretrainedError

NUMBERS = {
    code: np.dtype(kind)
    for code, kind in {
        0: "u1", 1: "i1", 2: "<u2", 3: "<i2", 4: "<u4", 5: "<i4", 6: "<f4",
        10: "<u8", 11: "<i8", 12: "<f8",
    }.items()
}  # fmt: skip
BOOLEAN, TEXT, ARRAY = 7, 8, 9

# The largest published vocabularies take some 15 MB of header and 800,000 texts.
MAX_BYTES = 64 << 20
MAX_TEXTS = 1 << 21  # in arrays
MAX_ARRAYS = 1 << 16  # in arrays, which published files do not have
MAX_DEPTH = 4
MAX_NAME = 65_535  # bytes, as the format's description says of keys


class HeaderReader:
    """Reads values one after another, none of them beyond the end of the file.

    Args:
        source: the file, as it was when ``file`` was opened.
        file: the same, open at its beginning.

    Attributes:
        position: bytes read so far.
    """

    def __init__(self, source: ArrayFile, file: BufferedReader) -> None:
        self.position = 0
        self._source, self._file = source, file
        self._end = min(source.size, MAX_BYTES)
        self._texts_left, self._arrays_left = MAX_TEXTS, MAX_ARRAYS

    def integer(self, n_bytes: int, what: str) -> int:
        """An integer without a sign."""
        return int.from_bytes(self.take(n_bytes, what), "little")

    def count(self, least_bytes: int, most: int, what: str) -> int:
        """A number of things that take at least ``least_bytes`` each in what follows."""
        n = self.integer(8, f"the number of {what}")
        if n > most:
            raise self.refusal(f"it has {n:,} {what}, {most:,} are the most")
        self._reserve(n * least_bytes, f"{n:,} {what}")
        return n

    def text(self, what: str, most: int = MAX_BYTES) -> str:
        """A text of at most ``most`` bytes."""
        length = self.integer(8, f"the length of {what}")
        if length > most:
            raise self.refusal(f"{what} has {length:,} bytes, {most:,} are the most")
        return self._decoded(self.take(length, what), what)

    def value(self, what: str) -> Any:
        """A value of any type; arrays of numbers as NumPy arrays, other arrays as lists."""
        return self._value(self.integer(4, f"the type of {what}"), what, MAX_DEPTH)

    def take(self, n_bytes: int, what: str) -> bytes:
        """The next bytes."""
        self._reserve(n_bytes, what)
        self.position += n_bytes
        return self._file.read(n_bytes)

    def finish(self) -> None:
        """Make sure that every byte asked for was there."""
        if self._file.tell() != self.position:
            raise self._source.changed()

    def refusal(self, reason: str) -> PretrainedError:
        """The error for this file."""
        return PretrainedError(self._source.path, reason)

    def _value(self, kind: int, what: str, depth: int) -> Any:
        if kind == TEXT:
            return self.text(what)
        if kind == ARRAY:
            return self._array(what, depth)
        if kind == BOOLEAN:
            return bool(self._booleans(1, what)[0])
        if kind in NUMBERS:
            return self._numbers(NUMBERS[kind], 1, what)[0].item()
        raise self.refusal(f"{what} has the unknown type {kind}")

    def _array(self, what: str, depth: int) -> Array | list[Any]:
        if not depth:
            raise self.refusal(f"{what} has arrays nested more than {MAX_DEPTH} deep")
        kind = self.integer(4, f"the type of the items of {what}")
        n = self.integer(8, f"the number of items of {what}")
        if kind in NUMBERS:
            return self._numbers(NUMBERS[kind], n, what)
        if kind == BOOLEAN:
            return self._booleans(n, what)
        if kind == TEXT:
            return self._texts(n, what)
        if kind == ARRAY:
            return self._arrays(n, what, depth - 1)
        raise self.refusal(f"{what} has items of the unknown type {kind}")

    def _numbers(self, kind: np.dtype[Any], n: int, what: str) -> Array:
        self._reserve(n * kind.itemsize, what)
        self.position += n * kind.itemsize
        array = np.empty(n, kind)
        self._source.read_into(self._file, array)
        return array.astype(kind.newbyteorder("="), copy=False)

    def _booleans(self, n: int, what: str) -> Array:
        array = self._numbers(NUMBERS[0], n, what)
        if (array > 1).any():
            raise self.refusal(f"{what} is neither True nor False but {array.max()}")
        return array.view(np.bool_)

    def _texts(self, n: int, what: str) -> list[str]:
        """As ``text`` for each, in a loop short enough for a vocabulary."""
        self._reserve(8 * n, what)
        self._texts_left -= n
        if self._texts_left < 0:
            raise self.refusal(f"it has more than {MAX_TEXTS:,} texts in arrays, with {what}")
        read, left = self._file.read, self._end - self.position
        texts = []
        for _ in range(n):
            length = int.from_bytes(read(8), "little")
            left -= 8 + length
            if left < 0:
                self.position = self._end
                self._reserve(-left, f"an item of {what}")
            texts.append(self._decoded(read(length), what))
        self.position = self._end - left
        return texts

    def _arrays(self, n: int, what: str, depth: int) -> list[Any]:
        self._reserve(12 * n, what)
        self._arrays_left -= n
        if self._arrays_left < 0:
            raise self.refusal(f"it has more than {MAX_ARRAYS:,} arrays in arrays, with {what}")
        return [self._array(what, depth) for _ in range(n)]

    def _decoded(self, content: bytes, what: str) -> str:
        try:
            return content.decode("utf-8")
        except UnicodeDecodeError:
            raise self.refusal(f"{what} is not in UTF-8: {content!r:.40}") from None

    def _reserve(self, n_bytes: int, what: str) -> None:
        """Refuse what would go beyond the end."""
        if n_bytes <= self._end - self.position:
            return
        if self._end < self._source.size:
            raise self.refusal(f"its header has more than {MAX_BYTES:,} bytes, with {what}")
        raise self.refusal(
            f"{what} would end at byte {self.position + n_bytes:,}, and the file has "
            f"{self._end:,}: it is cut off or damaged"
        )
