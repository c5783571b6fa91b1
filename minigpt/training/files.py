"""What a run writes while it goes on: checkpoints, the best one, and the lines of its history."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from minigpt.autograd import Array
from minigpt.checkpoints import save_checkpoint
from minigpt.checkpoints.archive import is_whole
from minigpt.checkpoints.folder import RunFolder
from minigpt.training.history import line
from minigpt.training.records import Record
from minigpt.training.run import Run

Snapshot = tuple[dict[str, Array], dict[str, Any]]  # arrays and metadata


class RunFiles:
    """The files of a run in its folder, or nothing at all where it has none.

    Failing to write the first or the last checkpoint is an error; one in between (a full disk that
    is soon cleared) only warns, since the run itself is not hurt.

    Args:
        run: whose files they are.
        take_snapshot: gives what a checkpoint of its present state holds.
    """

    def __init__(self, run: Run, take_snapshot: Callable[[], Snapshot]) -> None:
        self._run, self._take_snapshot = run, take_snapshot
        self._folder: RunFolder | None = None
        if run.config.checkpoint_dir is not None:
            self._folder = RunFolder(run.config.checkpoint_dir, run.config.keep_checkpoints)
        self.newest: Path | None = None  # the newest checkpoint that this run has written
        self._history: IO[str] | None = None

    def open(self) -> bool:
        """Make the folder ready, and the history file equal to the history so far.

        Whether the run's present step is in the folder already.
        """
        if self._folder is None:
            return False
        run = self._run
        self._folder.open(run.id, run.step, run.config.overwrite)
        self.newest = self._folder.newest
        run.history.write(self._folder.history)
        self._history = open(self._folder.history, "a", encoding="utf-8", newline="\n")  # noqa: SIM115
        return is_whole(self._folder.checkpoint(run.step))

    def append(self, kind: str, record: Record) -> None:
        """Add one line to the history file."""
        if self._history is None:
            return
        try:
            self._history.write(line(kind, record))
            self._history.flush()
        except OSError as error:
            self._warn(f"the history file is no longer written ({error})")
            self.close()

    def save(self, must_succeed: bool) -> Path | None:
        """Write a checkpoint and delete the oldest; its path, or None where it was not written."""
        if self._folder is None:
            return None
        path = self._write(self._folder.checkpoint(self._run.step), must_succeed)
        if path is not None:
            self.newest = path
            self._folder.prune()
        return path

    def save_best(self) -> Path | None:
        """Write ``best.npz``; its path, or None where it was not written."""
        if self._folder is None or not self._run.config.keep_best:
            return None
        return self._write(self._folder.best, must_succeed=False)

    def close(self) -> None:
        """Close the history file."""
        if self._history is not None:
            history, self._history = self._history, None
            try:
                history.close()
            except OSError as error:
                self._warn(f"the end of the history file is missing ({error})")

    def _write(self, path: Path, must_succeed: bool) -> Path | None:
        try:
            return save_checkpoint(path, *self._take_snapshot())
        except OSError as error:
            if must_succeed:
                raise
            self._warn(f"a checkpoint is missing, the run goes on ({error})")
            return None

    def _warn(self, text: str) -> None:
        warnings.warn(text, RuntimeWarning, stacklevel=3)
