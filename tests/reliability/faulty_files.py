"""A file system that fails when it is told to: every operation below a folder is counted.

    with FaultyFiles(folder, DISK_FULL, at=7) as files:
        save(folder)                 # its 7th operation fails
    files.operations                 # what was done: "open a.npz", "write a.npz", "fsync a.npz", …

It stands where Python calls the system: in place of ``open``, of a raw file's ``write``, and of
``os.fsync``, ``os.replace``, ``os.mkdir``, ``os.unlink`` and ``os.rmdir``. What is above them
(buffers, NumPy, zipfile, Pillow, matplotlib) is the real one. A flush is the write of a buffer.
"""

from __future__ import annotations

import builtins
import errno
import io
import os
import signal
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

WRITING = {"open", "write", "fsync", "replace", "mkdir"}
ANY = WRITING | {"unlink", "rmdir"}


@dataclass(frozen=True)
class Fault:
    """What goes wrong with one operation, or with it and all after it.

    Attributes:
        number: the errno; None: nothing is wrong, only fewer bytes are written than were given.
        operations: those that it can strike.
        lasts: whether what comes after the first one fails too.
        short: whether half of the bytes are written first, where it is a write.
        kills: whether the process is killed, in place of the operation.
    """

    number: int | None
    operations: frozenset[str]
    lasts: bool = False
    short: bool = False
    kills: bool = False


FAULTS = {
    "no space once": Fault(errno.ENOSPC, frozenset(WRITING)),
    "no space from then on": Fault(errno.ENOSPC, frozenset(WRITING), lasts=True),
    "EIO once": Fault(errno.EIO, frozenset(ANY)),
    "EIO from then on": Fault(errno.EIO, frozenset(ANY), lasts=True),
    "half a write, then the rest": Fault(None, frozenset({"write"}), short=True),
    "half a write, then no space": Fault(errno.ENOSPC, frozenset({"write"}), True, short=True),
    "read-only from then on": Fault(errno.EROFS, frozenset(ANY), lasts=True),
    "not allowed from then on": Fault(
        errno.EACCES, frozenset({"open", "replace", "mkdir", "unlink", "rmdir"}), lasts=True
    ),
    "no descriptors from then on": Fault(errno.EMFILE, frozenset({"open"}), lasts=True),
    "killed": Fault(None, frozenset(ANY), kills=True),
}


class FaultyFiles:
    """While it is entered, the operations below ``folder`` are counted, and the ``at``-th fails.

    Only operations that the fault can strike are counted; ``at=0`` never fails.

    Attributes:
        operations: all that were counted, in their order.
        struck: the first one that failed; None before that.
    """

    def __init__(self, folder: Path, fault: Fault, at: int = 0) -> None:
        self.folder, self.fault, self.at = str(folder), fault, at
        self.operations: list[str] = []
        self.struck: str | None = None
        self._files: list[_File] = []
        self._names: dict[int, str] = {}  # of open descriptors
        self._patches = ExitStack()

    def __enter__(self) -> FaultyFiles:
        patched: dict[tuple[Any, str], Callable[..., Any]] = {
            (builtins, "open"): self._open,
            (io, "open"): self._open,
            (os, "open"): self._os_open,
            (os, "fsync"): self._fsync,
            (os, "replace"): self._two_names("replace", os.replace),
            (os, "rename"): self._two_names("replace", os.rename),
            (os, "mkdir"): self._one_name("mkdir", os.mkdir),
            (os, "unlink"): self._one_name("unlink", os.unlink),
            (os, "remove"): self._one_name("unlink", os.remove),
            (os, "rmdir"): self._one_name("rmdir", os.rmdir),
        }
        self._real_open, self._real_os_open, self._real_fsync = open, os.open, os.fsync
        for (module, name), function in patched.items():
            self._patches.enter_context(mock.patch.object(module, name, function))
        return self

    def __exit__(self, *exc: object) -> None:
        self._patches.close()

    @property
    def left_open(self) -> list[str]:
        """The files that were opened for writing and never closed."""
        return [os.path.basename(str(file.name)) for file in self._files if not file.closed]

    def operation(self, what: str, name: str) -> OSError | None:
        """Count an operation; the error with which it fails, or None."""
        if what not in self.fault.operations:
            return None
        self.operations.append(f"{what} {os.path.basename(name)}")
        count = len(self.operations)
        if not self.at or count < self.at or (count > self.at and not self.fault.lasts):
            return None
        self.struck = self.struck or self.operations[-1]
        if self.fault.kills:
            os.kill(os.getpid(), signal.SIGKILL)
        number = self.fault.number
        return OSError(0, "short") if number is None else OSError(number, os.strerror(number))

    def _fail(self, what: str, name: str, other: str | None = None, named: bool = True) -> None:
        if (error := self.operation(what, name)) is not None:
            if not named:
                raise error
            raise OSError(error.errno, error.strerror, name, None, other)

    def _is_ours(self, path: Any) -> bool:
        if isinstance(path, int):
            return False
        return os.path.abspath(os.fspath(path)).startswith(self.folder + os.sep) or (
            os.path.abspath(os.fspath(path)) == self.folder
        )

    def _open(
        self,
        file: Any,
        mode: str = "r",
        buffering: int = -1,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
        closefd: bool = True,
        opener: Any = None,
    ) -> Any:
        if not self._is_ours(file) or not set(mode) & set("wax+"):
            return self._real_open(
                file, mode, buffering, encoding, errors, newline, closefd, opener
            )
        self._fail("open", os.fspath(file))
        raw = _File(self, os.fspath(file), mode.replace("b", "").replace("t", ""))
        self._files.append(raw)
        self._names[raw.fileno()] = str(raw.name)
        buffer = io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw)
        return buffer if "b" in mode else io.TextIOWrapper(buffer, encoding, errors, newline)

    def _os_open(self, path: Any, flags: int, mode: int = 0o777, *, dir_fd: Any = None) -> int:
        ours = dir_fd in self._names if dir_fd is not None else self._is_ours(path)
        if ours and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            self._fail("open", os.fspath(path))
        descriptor = self._real_os_open(path, flags, mode, dir_fd=dir_fd)
        if ours:
            self._names[descriptor] = os.fspath(path)
        return descriptor

    def _fsync(self, descriptor: int) -> None:
        if descriptor in self._names:
            self._fail("fsync", self._names[descriptor], named=False)
            return  # the test does not wait for the disk
        self._real_fsync(descriptor)

    def _one_name(self, what: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def function(path: Any, *rest: Any, dir_fd: int | None = None) -> None:
            if dir_fd in self._names if dir_fd is not None else self._is_ours(path):
                self._fail(what, os.fspath(path))
            real(path, *rest, dir_fd=dir_fd)

        return function

    def _two_names(self, what: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def function(source: Any, target: Any, **options: Any) -> None:
            if self._is_ours(target):
                self._fail(what, os.fspath(source), os.fspath(target))
            real(source, target, **options)

        return function


class _File(io.FileIO):
    """A raw file whose writes are counted."""

    def __init__(self, files: FaultyFiles, path: str, mode: str) -> None:
        super().__init__(path, mode)
        self._files_ = files

    def write(self, data: Any) -> int:
        error = self._files_.operation("write", str(self.name))
        if error is None:
            return super().write(data) or 0
        if self._files_.fault.short and len(self._files_.operations) == self._files_.at:
            return super().write(memoryview(data).cast("B")[: (memoryview(data).nbytes + 1) // 2])
        if self._files_.fault.number is None:
            return super().write(data) or 0
        raise error
