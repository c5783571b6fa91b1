"""Token streams on disk: standard ``.npy`` files of uint16 or uint32, mapped into memory.

The format is NumPy's (NEP 1, version 1.0), restricted to one dimension and two types, so that
``np.load`` reads such a file too. The reader here trusts nothing: it has its own parser for the one
header that it accepts, and checks it against the real size of the file before anything is mapped.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import chain, islice
from pathlib import Path
from typing import IO, Any

import numpy as np

from minigpt import checks
from minigpt.atomic import replacing
from minigpt.autograd import Array
from minigpt.datasets.errors import TokenFileError
from minigpt.regular_files import open_regular

MAGIC = b"\x93NUMPY\x01\x00"
HEADER_BYTES = 128  # what the writer makes: a multiple of 64, as the format asks for
MAX_HEADER_BYTES = 4096
HEADER = re.compile(
    r"\{'descr': '(?P<descr>[^']{1,20})', 'fortran_order': (?:True|False), "
    r"'shape': \((?P<shape>[0-9, ]{0,40})\), \} *\n"
)
IDS_AT_A_TIME = 1 << 16


def token_dtype(vocab_size: int) -> np.dtype[Any]:
    """uint16 where every id below ``vocab_size`` fits it, else uint32; little-endian.

    Example:
        >>> token_dtype(65536).itemsize, token_dtype(65537).itemsize
        (2, 4)
    """
    mend = "uint32 ids cannot tell more apart"
    vocab_size = checks.integer("vocab_size", vocab_size, least=1, most=2**32, mend=mend)
    return np.dtype("<u2" if vocab_size <= 2**16 else "<u4")


class TokenWriter:
    """Appends ids to the file of :func:`token_writer`; ``count`` tells how many so far.

    Args:
        file: open for writing, at its beginning.
        vocab_size: every id is below it.

    Example:
        >>> import io
        >>> file = io.BytesIO()
        >>> writer = TokenWriter(file, vocab_size=65)
        >>> writer.write([1, 2, 3])
        >>> writer.finish()
        >>> writer.count, np.load(io.BytesIO(file.getvalue()))
        (3, array([1, 2, 3], dtype=uint16))
    """

    def __init__(self, file: IO[bytes], vocab_size: int) -> None:
        self.dtype = token_dtype(vocab_size)
        self.vocab_size = int(vocab_size)
        self.count = 0
        self._file = file
        self._file.write(_header(self.dtype, 0))

    def write(self, ids: Iterable[int] | Array) -> None:
        """Append ``ids``, a list or a (n,) array.

        Raises:
            ValueError: an id is not 0 <= id < vocab_size, or the array is not 1-D.
        """
        expected = "a list or an array of integers"
        listed = ids if isinstance(ids, np.ndarray) else checks.items("ids", ids, expected)
        array = checks.regular("ids", listed, "a list of integers")
        if array.ndim != 1:
            raise checks.wrong_value("ids", "1-D", array)
        if array.size == 0:
            return
        array = checks.integers("ids", array)
        wrong = (array < 0) | (array >= self.vocab_size)
        if wrong.any():
            place = int(np.argmax(wrong))
            raise ValueError(
                f"id {array[place]} at position {self.count + place:,} is not between 0 and "
                f"{self.vocab_size - 1:,}, vocab_size={self.vocab_size:,}: "
                "pass the vocab_size of the tokenizer that made the ids"
            )
        self._file.write(array.astype(self.dtype).tobytes())
        self.count += array.size

    def finish(self) -> None:
        """Write the number of tokens into the header."""
        self._file.seek(0)
        self._file.write(_header(self.dtype, self.count))  # as long as the first one


@contextmanager
def token_writer(path: str | os.PathLike[str], vocab_size: int) -> Iterator[TokenWriter]:
    """A token file to be written piece by piece; it is at ``path`` once the block has ended well.

    On any error, Ctrl-C included, whatever was at ``path`` stays as it was.

    Args:
        path: where the file is to be; ``.npy`` is usual.
        vocab_size: every id is below it; up to 65,536 an id takes two bytes, above four.

    Raises:
        TypeError: ids are not integers.
        ValueError: an id is not 0 <= id < vocab_size, or none was written.
        OSError: the file cannot be written.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder, "tokens.npy")
        ...     with token_writer(path, vocab_size=65) as writer:
        ...         writer.write([1, 2, 3])
        ...         writer.write(np.array([64]))
        ...     np.load(path)
        array([ 1,  2,  3, 64], dtype=uint16)
    """
    with replacing(checks.path("path", path)) as file:
        writer = TokenWriter(file, vocab_size)
        yield writer
        if writer.count == 0:
            raise ValueError(f"ids is empty: there are no tokens to write to {os.fspath(path)}")
        writer.finish()


def write_tokens(
    path: str | os.PathLike[str],
    ids: Iterable[int] | Iterable[Array] | Array,
    vocab_size: int,
) -> int:
    """Write a stream of ids to a token file, never holding it in memory; returns their number.

    On any error, Ctrl-C included, whatever was at ``path`` stays as it was.

    Args:
        path: where the file is to be; ``.npy`` is usual.
        ids: an array, an iterable of ints, or an iterable of 1-D arrays (which is quicker).
        vocab_size: every id is below it; up to 65,536 an id takes two bytes, above four.

    Raises:
        TypeError: ids are not integers.
        ValueError: an id is not 0 <= id < vocab_size, or there are none.
        OSError: the file cannot be written.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_tokens(Path(folder, "tokens.npy"), iter([3, 1, 2]), vocab_size=4)
        3
    """
    with token_writer(path, vocab_size) as writer:
        for piece in _pieces(ids):
            writer.write(piece)
    return writer.count


def open_tokens(path: str | os.PathLike[str]) -> np.memmap[Any, np.dtype[Any]]:
    """The tokens of the file at ``path`` as a read-only memory map: only what is used is read.

    A file whose name ends with ``.bin`` and that is not a ``.npy`` file is what nanoGPT writes
    (``train.bin``): ids of two bytes each, little-endian, and nothing else.

    Shapes:
        Returns (N,) uint16 or uint32.

    Raises:
        FileNotFoundError: there is no such file.
        TokenFileError: it is not a token file, or is damaged (an OSError and a ValueError).

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder, "tokens.npy")
        ...     n_tokens = write_tokens(path, range(1000), vocab_size=1000)
        ...     tokens = open_tokens(path)
        ...     print(tokens.shape, tokens[500:503], tokens.flags.writeable)
        ...     del tokens  # Windows keeps a mapped file from being deleted
        (1000,) [500 501 502] False
    """
    path = checks.path("path", path)
    try:
        file = open_regular(path)
    except ValueError as error:
        raise TokenFileError(f"{path}: {error}; pass the path of a .npy file") from None
    with file:
        size = os.fstat(file.fileno()).st_size
        if size == 0:
            raise TokenFileError(f"{path} is empty: it is not a token file")
        if path.suffix == ".bin" and file.read(len(MAGIC)) != MAGIC:
            return _open_raw(file, path, size)
        file.seek(0)
        dtype, count, offset = _read_header(file, path)
        expected = offset + count * dtype.itemsize
        if size != expected:
            what = "it is cut off" if size < expected else "there is more after the tokens"
            raise TokenFileError(
                f"{path} has {size:,} bytes, but its header tells of {count:,} tokens, "
                f"{expected:,} bytes: {what}; write it again"
            )
        return np.memmap(file, dtype=dtype, mode="r", offset=offset, shape=(count,))


def _open_raw(file: IO[bytes], path: Path, size: int) -> np.memmap[Any, np.dtype[Any]]:
    if size % 2:
        raise TokenFileError(
            f"{path} has {size:,} bytes, an odd number: nanoGPT writes tokens of two bytes each"
        )
    return np.memmap(file, dtype=np.dtype("<u2"), mode="r", shape=(size // 2,))


def _header(dtype: np.dtype[Any], count: int) -> bytes:
    """The file's first 128 bytes, the same number for any count, so that it can be put in later."""
    text = f"{{'descr': '{dtype.str}', 'fortran_order': False, 'shape': ({count},), }}"
    length = HEADER_BYTES - len(MAGIC) - 2
    return MAGIC + length.to_bytes(2, "little") + text.ljust(length - 1).encode() + b"\n"


def _read_header(file: IO[bytes], path: Path) -> tuple[np.dtype[Any], int, int]:
    """The type, the number of tokens, and the offset of the first."""
    start = file.read(len(MAGIC) + 2)
    if len(start) < len(MAGIC) + 2 or start[: len(MAGIC)] != MAGIC:
        raise TokenFileError(
            f"{path} is not a token file (a .npy file, format 1.0): write one with write_tokens"
        )
    length = int.from_bytes(start[len(MAGIC) :], "little")
    header = file.read(min(length, MAX_HEADER_BYTES))
    match = HEADER.fullmatch(header.decode("latin-1"))
    if length > MAX_HEADER_BYTES or match is None:
        raise TokenFileError(
            f"{path} has a damaged header, or not that of a 1-D uint16 or uint32 array"
        )
    descr, shape = match["descr"], match["shape"]
    one_dimension = re.fullmatch(r"([0-9]{1,18}),", shape)
    if descr not in ("<u2", "<u4") or one_dimension is None:
        raise TokenFileError(
            f"{path} holds an array of type {descr!r} and shape ({shape}): "
            "tokens are 1-D, of type '<u2' (uint16) or '<u4' (uint32)"
        )
    count = int(one_dimension[1])
    if count == 0:
        raise TokenFileError(f"{path} holds no tokens")
    return np.dtype(descr), count, len(start) + length


def _pieces(ids: Any) -> Iterator[Any]:
    """Arrays out of an array, an iterable of arrays, or an iterable of ints."""
    if isinstance(ids, (str, bytes)):
        raise checks.wrong_type("ids", "integers", ids, "encode the text first")
    if isinstance(ids, np.ndarray):
        if ids.ndim != 1:
            raise checks.wrong_value("ids", "1-D", ids)
        for start in range(0, len(ids), IDS_AT_A_TIME):
            yield ids[start : start + IDS_AT_A_TIME]
        return
    if not isinstance(ids, Iterable):
        raise checks.wrong_type("ids", "integers, one after the other", ids)
    iterator = iter(ids)
    first = list(islice(iterator, 1))
    if first and isinstance(first[0], (np.ndarray, list, tuple)):
        yield from chain(first, iterator)
        return
    iterator = chain(first, iterator)
    while block := list(islice(iterator, IDS_AT_A_TIME)):
        yield block
