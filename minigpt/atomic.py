"""Writing a file so that a reader finds the whole old one or the whole new one, never half."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import IO

_TEMPORARY = re.compile(r"^\..+\.[0-9a-f]{8}\.minigpt-tmp$")


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """A new file to write and read, which takes the place of ``path`` once the block is through.

    The bytes go to a temporary file in the same folder and are forced onto the disk before it is
    renamed, which is one indivisible act of the file system. After an error, or when the process
    is killed, ``path`` is what it was.

    Raises:
        OSError: the file could not be written (folder missing or read-only, disk full, …), as the
            subclass that fits, naming ``path``.
    """
    if not path.parent.is_dir():
        raise FileNotFoundError(
            errno.ENOENT, f"the folder {path.parent} does not exist: make it first", str(path)
        )
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, "that is a folder: name a file in it", str(path))
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.minigpt-tmp")
    try:
        try:
            with open(temporary, "x+b") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
            _sync_folder(path.parent)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise
    except OSError as error:
        if error.filename is not None:  # it says itself which file it is about
            raise
        reason = f"could not write it ({error.strerror or error}), what was there is kept"
        raise OSError(error.errno or 0, reason, str(path)) from error


def remove_stale_temporaries(folder: Path) -> list[Path]:
    """Delete the temporary files that killed processes left in ``folder``; which ones they were."""
    removed = []
    for path in sorted(folder.iterdir()):
        if _TEMPORARY.match(path.name) and path.is_file() and not path.is_symlink():
            with contextlib.suppress(OSError):  # in use by another process: its business
                path.unlink()
                removed.append(path)
    return removed


def _sync_folder(folder: Path) -> None:
    """Force the new name itself onto the disk, on systems where a folder can be opened."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(descriptor)
    except OSError:
        pass
    finally:
        os.close(descriptor)
