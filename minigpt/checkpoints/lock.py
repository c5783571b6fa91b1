"""One run at a time in a folder."""

from __future__ import annotations

import contextlib
import errno
import os
import platform
from pathlib import Path
from typing import IO

from minigpt.atomic import not_written
from minigpt.file_lock import hold

LOCK = "run.lock"


class FolderLock:
    """Keeps other runs out of a folder while one is at work in it.

    The file ``run.lock`` says who it is. It is held as long as the process lives, so that one that
    was killed keeps nobody out.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / LOCK
        self._file: IO[bytes] | None = None

    def acquire(self) -> None:
        """Hold the folder.

        Raises:
            BlockingIOError: another run is at work in it; says which process.
            OSError: the folder cannot be written to.
        """
        while True:
            try:
                file = open(self._path, "a+b")  # noqa: SIM115
            except OSError as error:
                raise not_written(self._path, error) from error
            if hold(file) is False:
                with file:
                    file.seek(0)
                    owner = file.read(100).decode(errors="replace").strip() or "another process"
                raise BlockingIOError(
                    errno.EAGAIN,
                    f"{owner} trains in this folder: wait until it is through, or name another "
                    "checkpoint_dir",
                    str(self._path.parent),
                )
            if self._is_there(file):
                break
            file.close()  # its last holder removed it, between the two lines above
        self._file = file
        try:
            file.truncate(0)
            file.write(f"process {os.getpid()} on {platform.node()}\n".encode())
            file.flush()
        except OSError as error:
            raise not_written(self._path, error) from error

    def release(self) -> None:
        """Let go of the folder."""
        if self._file is None:
            return
        file, self._file = self._file, None
        with contextlib.suppress(OSError):  # the folder is gone: so is the lock
            is_there = self._is_there(file)
            if os.name == "nt":
                file.close()  # Windows does not remove an open file
            if is_there:
                self._path.unlink()
        with contextlib.suppress(OSError):  # the disk is full, and what it should say is lost
            file.close()

    def _is_there(self, file: IO[bytes]) -> bool:
        """Whether the open file is the one of that name, and not one that was removed."""
        try:
            return os.path.samestat(os.stat(self._path), os.fstat(file.fileno()))
        except FileNotFoundError:
            return False
