"""The file under a checkpoint: an uncompressed ``.npz`` of NumPy's with a seal at its end.

It holds arrays of numbers by name and one JSON object, the metadata, as an array of bytes. The seal
is the SHA-256 of every byte before it, kept in the comment field that closes a zip file, so
``numpy.load`` reads the file as it reads any other. One flipped bit anywhere, or one byte missing,
breaks it. The seal finds damage, not malice: anyone can compute one. Therefore what a sealed file
claims about itself is checked against its real size before memory is taken.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import stat
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from minigpt.atomic import replacing
from minigpt.autograd import Array
from minigpt.json_files import parse_json
from minigpt.wording import brief

if TYPE_CHECKING:
    import zipfile

METADATA = "__metadata__"
TOO_MANY_OPEN = {errno.EMFILE, errno.ENFILE}
KINDS = "biufc"  # dtypes that are plain numbers: booleans, integers, floats, complex numbers

_SEAL = b"minigpt sha256 "
_SEAL_BYTES = len(_SEAL) + 64
_END = struct.Struct("<4s4H2LH")  # the zip format's end of central directory
_END64_LOCATOR = struct.Struct("<4sLQL")
_END64 = struct.Struct("<4sQ2H2L4Q")
_MAX_ARRAYS = 20_000  # a GPT-2 of 1.5 billion parameters and its Adam have 1,743
_MAX_DIRECTORY_BYTES = 4 << 20
_MAX_METADATA_BYTES = 1 << 30


class CheckpointError(ValueError):
    """A file is not a whole checkpoint, or not one that fits what is asked of it.

    Args:
        path: the file.
        reason: what is wrong with it.
        previous: the newest whole checkpoint beside it, or None.

    Attributes:
        path: the file.
        previous: the newest whole checkpoint beside it, or None.

    Example:
        >>> import tempfile
        >>> from minigpt.checkpoints import CheckpointError, load_checkpoint, save_checkpoint
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     for step in (1, 2):
        ...         path = save_checkpoint(f"{folder}/step-{step:08}.npz", {}, {"step": step})
        ...     _ = path.write_bytes(path.read_bytes()[:-1])  # the disk was full
        ...     try:
        ...         load_checkpoint(path)
        ...     except CheckpointError as error:
        ...         print(error.path.name, "is broken, and", error.previous.name, "is whole")
        step-00000002.npz is broken, and step-00000001.npz is whole
    """

    def __init__(self, path: Path, reason: str, previous: Path | None = None) -> None:
        offer = f" The newest whole checkpoint beside it is {previous}." if previous else ""
        super().__init__(f"{path}: {brief(reason)}.{offer}")
        self.path = path
        self.reason = reason
        self.previous = previous


def write_archive(path: Path, arrays: Mapping[str, Array], metadata: Mapping[str, Any]) -> None:
    """Write arrays of numbers and metadata to one sealed ``.npz``, in place of what was there.

    Raises:
        TypeError, ValueError: the metadata is not made of what JSON can carry.
        OSError: the file could not be written.
    """
    members = {METADATA: _encode(metadata), **arrays}
    if len(members) > _MAX_ARRAYS:
        raise ValueError(f"{len(arrays)} arrays are more than the {_MAX_ARRAYS} of a checkpoint")
    with replacing(path) as file:
        # np.savez would pickle arrays of objects; the caller has refused them.
        np.savez(file, **members)  # type: ignore[arg-type]
        file.seek(-2, os.SEEK_END)
        file.write(struct.pack("<H", _SEAL_BYTES))  # the length of the comment, which was 0
        file.write(_SEAL + _digest(file, file.tell()).encode())


def read_archive(path: Path) -> tuple[dict[str, Array], dict[str, Any]]:
    """All arrays of a sealed file, and its metadata.

    Raises:
        CheckpointError: the file is cut off, altered, or not a checkpoint.
        OSError: there is no such file, or it may not be read.
    """
    with _checked(path, seal=True) as (archive, members):
        metadata = _metadata(archive, members)
        return {n: _read(archive, info) for n, info in members.items() if n != METADATA}, metadata


def read_metadata(path: Path) -> dict[str, Any]:
    """Only the metadata of a sealed file, without the time it takes to check the seal.

    Raises:
        CheckpointError: the file is cut off, or not a checkpoint.
        OSError: there is no such file, or it may not be read.
    """
    with _checked(path, seal=False) as (archive, members):
        return _metadata(archive, members)


def is_whole(path: Path) -> bool:
    """Whether the file is there, sealed, and the seal unbroken.

    Raises:
        OSError: no file at all can be opened now, which says nothing about this one.
    """
    try:
        with _checked(path, seal=True):
            return True
    except CheckpointError:
        return False
    except OSError as error:
        if error.errno in TOO_MANY_OPEN:
            raise
        return False


@contextlib.contextmanager
def _checked(path: Path, seal: bool) -> Iterator[tuple[zipfile.ZipFile, dict[str, Any]]]:
    """The open file with everything it claims held against its real size."""
    import zipfile

    if path.exists() and not stat.S_ISREG(path.stat().st_mode):
        raise CheckpointError(path, "it is not a file")
    with open(path, "rb") as file:
        try:
            size = os.fstat(file.fileno()).st_size
            _check_end(file, size)
            if seal:
                _check_seal(file, size)
            with zipfile.ZipFile(file) as archive:
                yield archive, _check_members(archive, size)
        except CheckpointError:
            raise
        except _Damaged as damage:
            raise CheckpointError(path, str(damage)) from None
        except MemoryError:
            raise
        except Exception as error:  # whatever zipfile and NumPy say to bytes that make no sense
            raise CheckpointError(path, f"it cannot be read as an .npz file ({error})") from error


def _encode(metadata: Mapping[str, Any]) -> Array:
    try:
        text = json.dumps(metadata, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError) as error:
        raise type(error)(f"metadata must be made of what JSON can carry: {error}") from None
    return np.frombuffer(text.encode(), dtype=np.uint8)


def _metadata(archive: zipfile.ZipFile, members: Mapping[str, zipfile.ZipInfo]) -> dict[str, Any]:
    if METADATA not in members:
        raise _Damaged("it holds no metadata, so it is not a checkpoint")
    encoded = _read(archive, members[METADATA])
    if encoded.dtype != np.uint8 or encoded.ndim != 1 or encoded.size > _MAX_METADATA_BYTES:
        raise _Damaged("its metadata is not stored as bytes")
    try:
        metadata = parse_json(encoded.tobytes())
    except ValueError as error:
        raise _Damaged(f"its metadata cannot be used: {error}") from None
    if not isinstance(metadata, dict):
        raise _Damaged("its metadata is not a JSON object")
    return metadata


class _Damaged(Exception):
    """Why a file is refused, before its name is added."""


def _check_end(file: IO[bytes], size: int) -> None:
    """The zip file's end is where the seal says, and its directory of a sensible size."""
    end_at = size - _SEAL_BYTES - _END.size
    if size == 0:
        raise _Damaged("it is empty")
    file.seek(max(0, end_at))
    end, seal = file.read(_END.size), file.read()
    if end_at < 0 or end[:4] != b"PK\5\6" or not seal.startswith(_SEAL):
        raise _Damaged(
            f"its end is not a checkpoint's end: the file was cut off (it has {size} bytes), "
            "altered, or is not a checkpoint of minigpt"
        )
    directory_bytes, _, comment_bytes = _END.unpack(end)[5:]
    locator_at = end_at - _END64_LOCATOR.size
    if locator_at >= _END64.size:
        file.seek(locator_at - _END64.size)
        end64, locator = file.read(_END64.size), file.read(_END64_LOCATOR.size)
        if locator[:4] == b"PK\6\7":  # a file of more than 2 GB
            if end64[:4] != b"PK\6\6":
                raise _Damaged("its zip directory is damaged")
            directory_bytes = _END64.unpack(end64)[8]
    if comment_bytes != _SEAL_BYTES:
        raise _Damaged("its zip directory is damaged")
    if directory_bytes > min(size, _MAX_DIRECTORY_BYTES):
        raise _Damaged(f"its zip directory claims {directory_bytes} bytes")


def _check_seal(file: IO[bytes], size: int) -> None:
    file.seek(size - 64)
    expected = file.read(64)
    if _digest(file, size - 64 - len(_SEAL)).encode() != expected:
        raise _Damaged("its contents do not match its checksum: it was damaged or altered")


def _digest(file: IO[bytes], length: int) -> str:
    """SHA-256 of the first ``length`` bytes, a block at a time; the file is left at their end."""
    digest = hashlib.sha256()
    file.seek(0)
    while length > 0 and (block := file.read(min(length, 1 << 20))):
        digest.update(block)
        length -= len(block)
    return digest.hexdigest()


def _check_members(archive: zipfile.ZipFile, size: int) -> dict[str, zipfile.ZipInfo]:
    """Every member by its array's name: stored plainly, once, and no larger than the file."""
    from zipfile import ZIP_STORED

    members: dict[str, zipfile.ZipInfo] = {}
    total = 0
    if len(archive.infolist()) > _MAX_ARRAYS:
        raise _Damaged(f"it claims {len(archive.infolist())} arrays, {_MAX_ARRAYS} are the most")
    for info in archive.infolist():
        name = info.filename.removesuffix(".npy")
        if info.compress_type != ZIP_STORED or info.compress_size != info.file_size:
            raise _Damaged(f"its member {name!r} is compressed, a checkpoint's are not")
        if info.flag_bits & 0x1:
            raise _Damaged(f"its member {name!r} is encrypted")
        if name in members or name == info.filename:
            raise _Damaged(f"its member {info.filename!r} is there twice, or is not an array")
        total += info.file_size
        if total > size:
            raise _Damaged(f"its members claim {total} bytes, the file has {size}")
        _check_header(archive, info)
        members[name] = info
    return members


def _check_header(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> None:
    """The array that a member announces is of numbers, and as large as the member really is."""
    readers = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    with archive.open(info) as file:
        version = np.lib.format.read_magic(file)
        if version not in readers:
            raise _Damaged(f"its member {info.filename!r} has an unknown format {version}")
        try:
            shape, _, dtype = readers[version](file)
        except MemoryError:  # of Python's parser, which "~~~…" is too deep for
            raise _Damaged(f"its member {info.filename!r} has no sensible header") from None
        header_bytes = file.tell()
    if dtype.hasobject or dtype.kind not in KINDS:
        raise _Damaged(f"its member {info.filename!r} is of type {dtype}, not of numbers")
    count = 1
    for length in shape:
        if isinstance(length, bool) or length < 0:
            raise _Damaged(f"its member {info.filename!r} has the shape {shape}")
        count *= int(length)
    if header_bytes + count * dtype.itemsize != info.file_size:
        raise _Damaged(
            f"its member {info.filename!r} announces {dtype}{list(shape)}, "
            f"and holds {info.file_size - header_bytes} bytes"
        )


def _read(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Array:
    with archive.open(info) as file:
        array: Array = np.lib.format.read_array(file, allow_pickle=False)
    return array
