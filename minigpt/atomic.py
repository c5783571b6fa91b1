"""Writing a file so that a reader finds the whole old one or the whole new one, never half."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from minigpt.file_lock import hold

_TEMPORARY = re.compile(r"^\..+\.[0-9a-f]{8}\.minigpt-tmp$")
_MENDS = {
    "ENOSPC": "make room on that disk, or name another folder",
    "EDQUOT": "make room within the quota, or name another folder",
    "EIO": "the disk may be damaged, name another folder",
    "EMFILE": "close some files, or allow more with ulimit -n",
    "ENFILE": "the whole system has too many files open, close some",
    "EFBIG": "the file system takes no larger file, name another folder",
}
_OTHER_MEND = "name another folder, that you may write to"
_LONG_AGO = 3600.0  # seconds after which a file is abandoned where locks cannot tell


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """A new file to write and read, which takes the place of ``path`` once the block is through.

    The bytes go to a temporary file in the same folder and are forced onto the disk before it is
    renamed, which is one indivisible act of the file system. After an error, or when the process
    is killed, ``path`` is what it was. Temporary files that killed processes left in the folder are
    deleted.

    Raises:
        OSError: the file could not be written (folder missing or read-only, disk full, …), as the
            subclass that fits, naming ``path`` and what to do.
    """
    if not path.parent.is_dir():
        raise FileNotFoundError(
            errno.ENOENT, f"the folder {path.parent} does not exist: make it first", str(path)
        )
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, "that is a folder: name a file in it", str(path))
    _remove_abandoned(path.parent)
    try:
        file, temporary = _new_temporary(path)
        try:
            with file:
                yield file
                file.flush()
                os.fsync(file.fileno())
                if os.name != "nt":
                    os.replace(temporary, path)  # while it is held
            if os.name == "nt":
                os.replace(temporary, path)  # Windows does not rename an open file
            sync_folder(path.parent)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise
    except OSError as error:
        named = error.filename if isinstance(error.filename, str) else ""
        if error.errno is None or (named and not _TEMPORARY.match(Path(named).name)):
            raise  # it is about another file, which it names, or about what was to be written
        raise not_written(path, error) from error


def not_written(path: Path, error: OSError, kept: str = "what was there is kept") -> OSError:
    """The error to raise where ``path`` could not be written: which file, why, and the mend."""
    mend = _MENDS.get(errno.errorcode.get(error.errno or 0, ""), _OTHER_MEND)
    reason = f"could not write it ({error.strerror or error}), {kept}: {mend}"
    return OSError(error.errno or 0, reason, str(path))


def _new_temporary(path: Path) -> tuple[IO[bytes], Path]:
    """A new file beside ``path``, held so that nobody takes it for abandoned."""
    while True:
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.minigpt-tmp")
        file = open(temporary, "x+b")  # noqa: SIM115
        if hold(file) is not False and os.fstat(file.fileno()).st_nlink > 0:
            return file, temporary
        file.close()  # another process took it for abandoned, before it was held


def _remove_abandoned(folder: Path) -> None:
    """Delete the temporary files in ``folder`` that belong to no process any more."""
    with contextlib.suppress(OSError):  # a folder that may be written to and not listed
        for entry in os.scandir(folder):
            if _TEMPORARY.match(entry.name) and entry.is_file(follow_symlinks=False):
                with contextlib.suppress(OSError):  # it is gone, or in use
                    _remove_if_abandoned(Path(entry.path))


def _remove_if_abandoned(path: Path) -> None:
    with open(path, "rb") as file:
        held = hold(file)
        age = time.time() - os.fstat(file.fileno()).st_mtime
        if held is False or ((held is None or os.name == "nt") and age < _LONG_AGO):
            return
        if os.name != "nt":
            path.unlink()  # while it is held
    if os.name == "nt":
        path.unlink()


def sync_folder(folder: Path) -> None:
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
