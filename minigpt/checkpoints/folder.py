"""The folder of a run: which checkpoints are in it, which is the newest whole one, which may go.

A run's folder holds

- ``step-00000250.npz``, ``step-00000500.npz``: its last few checkpoints;
- ``best.npz``: the one with the lowest validation loss;
- ``history.jsonl``: every recorded step and evaluation, one a line;
- ``previous-1/``: what an earlier run left there;
- ``run.lock``, while a process trains there.
"""

from __future__ import annotations

import os
import re
import warnings
from pathlib import Path

from minigpt import checks
from minigpt.checkpoints.archive import TOO_MANY_OPEN, CheckpointError, is_whole, read_metadata
from minigpt.checkpoints.lock import FolderLock

BEST = "best.npz"
HISTORY = "history.jsonl"
_STEP = re.compile(r"^step-(\d{8,})\.npz$")


def latest_checkpoint(folder: str | os.PathLike[str]) -> Path:
    """The newest whole checkpoint of a folder: the one of the highest step.

    Broken ones are skipped, with a warning that names them.

    Raises:
        FileNotFoundError: there is no such folder, or no checkpoint in it.
        CheckpointError: there are checkpoints, and none of them is whole.

    Example:
        >>> import tempfile
        >>> from minigpt.checkpoints import save_checkpoint
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     for step in (9, 10):
        ...         path = save_checkpoint(f"{folder}/step-{step:08}.npz", {}, {"step": step})
        ...     print(latest_checkpoint(folder).name)
        step-00000010.npz
    """
    folder = checks.path("folder", folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no folder {folder}")
    broken: list[str] = []
    for path in _newest_first(folder):
        if is_whole(path):
            if broken:
                names = ", ".join(broken)
                warnings.warn(
                    f"{folder}: passed over {names}, which is cut off or altered, "
                    f"and took {path.name}",
                    stacklevel=2,
                )
            return path
        broken.append(path.name)
    if broken:
        raise CheckpointError(folder, f"none of its checkpoints is whole: {', '.join(broken)}")
    raise FileNotFoundError(f"there is no checkpoint in {folder}")


def newest_whole(folder: Path, other_than: Path) -> Path | None:
    """The newest whole checkpoint of a folder besides ``other_than``; None if there is none."""
    if not folder.is_dir():
        return None
    others = (path for path in _newest_first(folder) if path.name != other_than.name)
    return next((path for path in others if is_whole(path)), None)


def is_run_checkpoint(path: Path) -> bool:
    """Whether a file is named as a run names its checkpoints: ``step-….npz`` or ``best.npz``."""
    return path.name == BEST or _STEP.match(path.name) is not None


class RunFolder:
    """The folder that a run writes to.

    Args:
        path: the folder; made by :meth:`open` where it is not there. Where it is given relative to
            the working folder, the one of now counts.
        keep: how many of the newest ``step-….npz`` stay.
    """

    def __init__(self, path: str | os.PathLike[str], keep: int) -> None:
        self.path = Path(path).absolute()
        self.keep = keep
        self._run = ""  # whose folder it is: the id of a run
        self._lock = FolderLock(self.path)

    @property
    def best(self) -> Path:
        """The checkpoint with the lowest validation loss."""
        return self.path / BEST

    @property
    def history(self) -> Path:
        """The run's history, one JSON object a line."""
        return self.path / HISTORY

    @property
    def newest(self) -> Path | None:
        """The ``step-….npz`` of the highest step, or None."""
        return self._steps()[-1][1] if self._steps() else None

    def checkpoint(self, step: int) -> Path:
        """The checkpoint taken after ``step`` steps."""
        return self.path / f"step-{step:08d}.npz"

    def open(self, run: str, step: int, overwrite: bool) -> None:
        """Make the folder ready for ``run``, which stands at ``step``, and keep others out of it.

        Two runs are never mixed. What another run left here is moved to a folder ``previous-N``
        inside, or with ``overwrite`` deleted. So are the run's own checkpoints that are later than
        ``step``, where it goes back to an earlier one.

        Raises:
            BlockingIOError: another process trains in it.
            OSError: the folder cannot be made or written to.
        """
        self.make()
        self._lock.acquire()
        self._run = run
        steps = self._steps()
        if self._is_ours():
            old = [path for at, path in steps if at > step]
        elif steps or self.best.exists():
            old = [path for _, path in steps]
            old += [path for path in (self.best, self.history) if path.exists()]
        else:
            return
        if overwrite:
            for path in old:
                path.unlink()
        elif old:
            self._set_aside(old)

    def close(self) -> None:
        """Let others in."""
        self._lock.release()

    def make(self) -> None:
        """Make the folder, where it is not there.

        Raises:
            OSError: that cannot be done.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            reason = f"checkpoint_dir cannot be made ({error.strerror}): name another folder"
            raise OSError(error.errno or 0, reason, str(self.path)) from error

    def _is_ours(self) -> bool:
        """Whether the newest checkpoint here is the run's."""
        newest_first = [path for _, path in reversed(self._steps())] + [self.best]
        runs = (_run_of(path) for path in newest_first)
        return next((run for run in runs if run is not None), None) == self._run

    def _set_aside(self, paths: list[Path]) -> None:
        number = 1
        while (aside := self.path / f"previous-{number}").exists():
            number += 1
        aside.mkdir()
        for path in paths:
            os.replace(path, aside / path.name)
        warnings.warn(
            f"{self.path}: what was there ({', '.join(path.name for path in paths)}) is not part "
            f"of this run and is now in {aside}",
            stacklevel=2,
        )

    def prune(self) -> None:
        """Delete all but the newest ``keep`` of the run's ``step-….npz``.

        Raises:
            OSError: one cannot be deleted.
        """
        for _, path in self._steps()[: -self.keep]:
            if _run_of(path) == self._run:
                path.unlink(missing_ok=True)

    def _steps(self) -> list[tuple[int, Path]]:
        """The ``step-….npz`` with their steps, oldest first."""
        matches = ((_STEP.match(path.name), path) for path in self.path.iterdir())
        return sorted((int(match[1]), path) for match, path in matches if match)


def _run_of(path: Path) -> str | None:
    """The id of the run that a checkpoint is of; None where it is not a whole one."""
    try:
        return str(read_metadata(path).get("run"))
    except CheckpointError:
        return None
    except OSError as error:
        if error.errno in TOO_MANY_OPEN:  # else it would be set aside as another run's
            raise
        return None


def _newest_first(folder: Path) -> list[Path]:
    """Every checkpoint of a folder, by its step; files that are not checkpoints are left out."""
    found = []
    # Since Python 3.13, glob finds nothing in a folder that cannot be read: too many open files.
    for path in (path for path in folder.iterdir() if path.suffix == ".npz"):
        match = _STEP.match(path.name)
        try:
            step = int(match[1]) if match else checks.integer("step", read_metadata(path)["step"])
        except (CheckpointError, OSError, KeyError, TypeError, ValueError):
            if path.name != BEST:
                continue
            step = -1
        found.append((step, is_run_checkpoint(path), path.name != BEST, path.name, path))
    return [entry[-1] for entry in sorted(found, reverse=True)]
