"""A folder of files that belong together, written whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

_STAGING = re.compile(r"\.saving\.(\d+)\.[0-9a-f]{8}\.minigpt-tmp")


@contextlib.contextmanager
def replacing_files(folder: Path, last: str, stale: Iterable[str] = ()) -> Iterator[Path]:
    """A new folder to write files in, which take their places in ``folder`` once all are written.

    After an error ``folder`` is what it was. The file ``last``, without which nobody reads the
    folder, is taken away first and put back at the end: a process that is killed in between
    leaves a folder that is refused, and not one that is a mixture of two.

    Args:
        folder: made if it is not there.
        last: a name of a file.
        stale: patterns of other files' names, which describe what was there before. Those that are
            not written anew are removed.

    Raises:
        OSError: a file could not be written; names the file by the place it should have.
    """
    made = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    staging = folder / f".saving.{os.getpid()}.{secrets.token_hex(4)}.minigpt-tmp"
    try:
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
        _remove_left_behind(folder)
    except OSError as error:
        if isinstance(error.filename, str):
            error.filename = error.filename.replace(str(staging / "new"), str(folder))
        raise
    finally:
        shutil.rmtree(staging, ignore_errors=True)
        if made:
            with contextlib.suppress(OSError):  # it is not empty where all went well
                folder.rmdir()


def _exchange(folder: Path, staging: Path, new: list[str], old: list[str]) -> None:
    """Put the new files in the place of the old ones; after an error, the old ones back."""
    (staging / "old").mkdir()
    removed, placed = [], []
    try:
        for name in old:
            os.replace(folder / name, staging / "old" / name)
            removed.append(name)
        for name in new:
            os.replace(staging / "new" / name, folder / name)
            placed.append(name)
    except BaseException:
        for name in placed:
            (folder / name).unlink()
        for name in reversed(removed):
            os.replace(staging / "old" / name, folder / name)
        raise


def _remove_left_behind(folder: Path) -> None:
    """Remove what processes that were killed have left."""
    for path in folder.glob(".saving.*"):
        match = _STAGING.fullmatch(path.name)
        if match and not _is_running(int(match[1])):
            shutil.rmtree(path, ignore_errors=True)


def _is_running(process_id: int) -> bool:
    if os.name == "nt":  # there os.kill() would end it; and what is open cannot be removed
        return process_id == os.getpid()
    try:
        os.kill(process_id, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # it is another user's
        return True
    return True
