"""The files of a collection that was downloaded: out of a folder, a ``.zip`` or a ``.tar.gz``.

Nothing is unpacked: the files that are asked for are read into memory. A collection from outside is
never trusted: every size is checked before memory is taken for it, in what an archive unpacks to as
well as in the archive, so that a small file cannot become a large one.
"""

from __future__ import annotations

import gzip
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

from minigpt.datasets.corpora.text import folder_files
from minigpt.json_files import read_bytes
from minigpt.regular_files import open_regular

MOST_FILES = 10_000  # that are asked for
MOST_BYTES = 1 << 22  # of a file
MOST_BYTES_IN_ALL = 1 << 30  # of what a tar.gz unpacks to, and of the files that are read
Wanted = Callable[[PurePosixPath], bool]


def collection_files(collection: Path, wanted: Wanted) -> Iterator[tuple[PurePosixPath, bytes]]:
    """The files that are wanted, by their paths in the collection, in the order in which they come.

    Args:
        collection: a folder, a ``.zip``, a ``.tar.gz`` or ``.tgz``.
        wanted: whether a path is that of a file to be read. A folder's own path stands before those
            of its files, so that it may be asked for the folders around them.

    Raises:
        FileNotFoundError: the collection is not there.
        ValueError: it is not a folder or such an archive, it is damaged, a file in it is too large,
            there are too many, or one comes twice.
    """
    seen: set[PurePosixPath] = set()
    total = 0
    try:
        for path, content in _reader_of(collection)(collection, wanted):
            total += len(content)
            if path in seen:
                raise ValueError(f"it holds {path} twice")
            if len(seen) == MOST_FILES or total > MOST_BYTES_IN_ALL:
                raise ValueError(
                    f"it holds more than {MOST_FILES:,} such files, or {MOST_BYTES_IN_ALL:,} bytes"
                )
            seen.add(path)
            yield path, content
    except (ValueError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(f"{collection}: {error}") from None
    except (tarfile.TarError, zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        raise ValueError(f"{collection}: the archive cannot be read: {error}") from None


Reader = Callable[[Path, Wanted], Iterator[tuple[PurePosixPath, bytes]]]


def _reader_of(collection: Path) -> Reader:
    if collection.is_dir():
        return _from_folder
    with open_regular(collection) as file:
        start = file.read(4)
    if start[:2] == b"\x1f\x8b":
        return _from_tar
    if start == b"PK\x03\x04":
        return _from_zip
    raise ValueError("it is not a folder, a .zip or a .tar.gz")


def _from_folder(folder: Path, wanted: Wanted) -> Iterator[tuple[PurePosixPath, bytes]]:
    parent = PurePosixPath(folder.resolve().as_posix())
    for file in folder_files(folder):
        path = parent / file.relative_to(folder).as_posix()
        if wanted(path):
            try:
                yield path, read_bytes(file, MOST_BYTES)
            except ValueError as error:
                raise ValueError(f"{file.relative_to(folder)}: {error}") from None


def _from_zip(archive: Path, wanted: Wanted) -> Iterator[tuple[PurePosixPath, bytes]]:
    with zipfile.ZipFile(archive) as opened:
        for info in opened.infolist():
            path = PurePosixPath(info.filename)
            if info.is_dir() or not wanted(path):
                continue
            if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise ValueError(f"{path} is packed in a rare way, which may take any memory")
            _check_size(path, info.file_size)
            with opened.open(info) as file:
                content = file.read(MOST_BYTES + 1)  # what it says of its size may be untrue
            _check_size(path, len(content))
            yield path, content


def _from_tar(archive: Path, wanted: Wanted) -> Iterator[tuple[PurePosixPath, bytes]]:
    with (
        open_regular(archive) as packed,
        gzip.GzipFile(fileobj=packed) as unpacked,
    ):
        stream = _Bounded(unpacked)
        with tarfile.open(fileobj=stream, mode="r:") as opened:  # type: ignore[call-overload]
            for member in opened:
                if member.size < 0:  # the next header would be sought before this one
                    raise ValueError(f"{member.name!r:.80} has a negative size")
                path = PurePosixPath(member.name)
                if member.isreg() and not member.issparse() and wanted(path):
                    _check_size(path, member.size)
                    file = opened.extractfile(member)
                    assert file is not None  # it is a regular file
                    yield path, file.read()
                opened.members = []  # it would keep them all
                stream.left = _AT_ONCE
        # A tar file ends where its headers end to make sense: the checksum comes after all.
        for _ in range(MOST_BYTES_IN_ALL // _AT_ONCE):
            if not unpacked.read(_AT_ONCE):
                return
        raise ValueError(f"it unpacks to more than {MOST_BYTES_IN_ALL:,} bytes")


_AT_ONCE = 2 * MOST_BYTES  # of a file in a tar.gz, with its headers


class _Bounded:
    """What tarfile reads from: so much for each file, and so much in all.

    The headers of a tar file say how long their names, attributes and tables are, and tarfile takes
    the memory for them.
    """

    def __init__(self, file: gzip.GzipFile) -> None:
        self._file = file
        self.left = _AT_ONCE

    def read(self, n_bytes: int = -1) -> bytes:
        if not 0 <= n_bytes <= self.left:
            raise ValueError(f"its headers take more than {_AT_ONCE:,} bytes")
        self.left -= n_bytes
        return self._file.read(n_bytes)

    def seek(self, place: int) -> int:
        if not self.tell() <= place <= MOST_BYTES_IN_ALL:
            raise ValueError(f"it goes back, or unpacks to more than {MOST_BYTES_IN_ALL:,} bytes")
        return self._file.seek(place)

    def tell(self) -> int:
        return self._file.tell()


def _check_size(path: PurePosixPath, n_bytes: int) -> None:
    if n_bytes > MOST_BYTES:
        raise ValueError(f"{path} has more than {MOST_BYTES:,} bytes")
