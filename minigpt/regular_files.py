"""Opening a file to read it to its end: a regular one, which keeps no reader waiting for ever."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import IO


def open_regular(path: Path) -> IO[bytes]:
    """A regular file, opened to be read with :func:`read_now`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is a folder, a pipe or a device; the message goes after the file's name.
    """
    if path.is_dir():
        raise ValueError("it is not a regular file")
    try:
        file = open(path, "rb", opener=_without_waiting)  # noqa: SIM115
    except FileNotFoundError:
        raise FileNotFoundError(f"there is no file {path}") from None
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise ValueError("it is not a regular file")
    return file


def read_now(file: IO[bytes], n_bytes: int) -> bytes:
    """At most so many bytes, as ``file.read(n_bytes)``.

    Raises:
        ValueError: there are none yet: the kernel shows some of its devices, such as
            ``/proc/kmsg``, as regular files.
    """
    try:
        content: bytes | None = file.read(n_bytes)
    except BlockingIOError:
        content = None
    if content is None:
        raise ValueError("it has nothing to read now, as a device: save its text to a file first")
    return content


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
