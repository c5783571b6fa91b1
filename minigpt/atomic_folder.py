"""A folder of files that belong together, written whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import fnmatch
import os
import re
import secrets
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from minigpt.atomic import not_written, sync_folder

_STAGING = re.compile(r"\.saving\.(\d+)\.[0-9a-f]{8}\.minigpt-tmp")
_in_use: set[str] = set()  # names of such folders: by this process


@contextlib.contextmanager
def replacing_files(folder: Path, last: str, stale: Iterable[str] = ()) -> Iterator[Path]:
    """A new folder to write files in, which take their places in ``folder`` once all are written.

    After an error ``folder`` is what it was. The file ``last``, without which nobody reads the
    folder, is taken away first and put back at the end: a process that is killed in between
    leaves a folder that is refused, and not one that is a mixture of two. So does a disk that
    fails twice, when the old files cannot be put back either: the error says where they are.

    Args:
        folder: made if it is not there.
        last: a name of a file.
        stale: patterns of other files' names, which describe what was there before. Those that are
            not written anew are removed.

    Raises:
        OSError: a file could not be written; names the file by the place it should have.
    """
    made, stale = not folder.exists(), tuple(stale)
    staging = folder / f".saving.{os.getpid()}.{secrets.token_hex(4)}.minigpt-tmp"
    through = False
    _in_use.add(staging.name)
    try:
        with _told_of(folder):
            folder.mkdir(parents=True, exist_ok=True)
            (staging / "new").mkdir(parents=True)
        yield staging / "new"
        new = {path.name for path in (staging / "new").iterdir()}
        old = {path.name for pattern in stale for path in folder.glob(pattern)}
        old |= {name for name in new if (folder / name).exists()}
        for name in sorted(old):
            if (folder / name).is_dir() and not (folder / name).is_symlink():
                reason = "that is a folder, and a file is to have its name"
                raise IsADirectoryError(errno.EISDIR, reason, str(folder / name))
        _exchange(folder, staging, sorted(new, key=last.__eq__), sorted(old, key=last.__ne__))
        through = True
        with contextlib.suppress(OSError):  # it cannot be listed
            _remove_left_behind(folder, stale)
    except OSError as error:
        if isinstance(error.filename, str):
            error.filename = error.filename.replace(str(staging / "new"), str(folder))
        raise
    finally:
        _in_use.discard(staging.name)
        if through or not _names(staging / "old"):
            shutil.rmtree(staging, ignore_errors=True)
        if made:
            with contextlib.suppress(OSError):  # it is not empty where all went well
                folder.rmdir()


def left_by_a_stopped_save(folder: Path) -> str:
    """What to say of a folder that lacks a file because a save was killed; else nothing."""
    for path in sorted(folder.glob(".saving.*")):
        if _STAGING.fullmatch(path.name) and _names(path / "old"):
            return f"a save was stopped while files changed places, the old are in {path / 'old'}"
    return ""


def _exchange(folder: Path, staging: Path, new: list[str], old: list[str]) -> None:
    """Put the new files in the place of the old ones; after an error, the old ones back."""
    with _told_of(folder):
        (staging / "old").mkdir()
    try:
        for name in old:
            with _told_of(folder / name):
                os.replace(folder / name, staging / "old" / name)
        for name in new:
            with _told_of(folder / name):
                os.replace(staging / "new" / name, folder / name)
        sync_folder(folder)
    except BaseException:
        try:
            for name in new:
                if not (staging / "new" / name).exists():
                    (folder / name).unlink()
            for name in reversed(old):
                if (staging / "old" / name).exists():
                    os.replace(staging / "old" / name, folder / name)
        except OSError as error:
            if _names(staging / "old"):
                where = f"what was there is in {staging / 'old'}"
                raise not_written(folder, error, where) from error
        raise


@contextlib.contextmanager
def _told_of(path: Path) -> Iterator[None]:
    """An error inside is one about ``path``, whatever temporary names it speaks of."""
    try:
        yield
    except OSError as error:
        raise not_written(path, error) from error


def _remove_left_behind(folder: Path, stale: Iterable[str]) -> None:
    """Remove what earlier saves have left: those that were killed, or could not tidy up.

    Old files that could not be put back stay until there are new ones in their place.
    """
    for path in folder.glob(".saving.*"):
        match = _STAGING.fullmatch(path.name)
        if not match or path.name in _in_use or _is_running(int(match[1])):
            continue
        if all(
            (folder / name).exists() or any(fnmatch.fnmatch(name, pattern) for pattern in stale)
            for name in _names(path / "old")
        ):
            shutil.rmtree(path, ignore_errors=True)


def _names(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


def _is_running(process_id: int) -> bool:
    """Whether it is another process, and still there."""
    if process_id == os.getpid() or os.name == "nt":  # there os.kill() would end it
        return False  # and what is open cannot be removed
    try:
        os.kill(process_id, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # it is another user's
        return True
    return True
