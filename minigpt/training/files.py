"""What a run writes while it goes on: checkpoints, the best one, and the lines of its history."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from minigpt.atomic import not_written
from minigpt.autograd import Array
from minigpt.checkpoints import save_checkpoint
from minigpt.checkpoints.archive import is_whole
from minigpt.checkpoints.folder import RunFolder
from minigpt.training.history import line
from minigpt.training.ranks import Ranks
from minigpt.training.records import Record
from minigpt.training.run import Run

Snapshot = tuple[dict[str, Array], dict[str, Any]]  # arrays and metadata


class RunFiles:
    """The files of a run in its folder, or nothing at all where it has none.

    Failing to write the first or the last checkpoint is an error; one in between (a full disk that
    is soon cleared) only warns, since the run itself is not hurt. A folder, or a history, that is
    deleted meanwhile is made again.

    Where there are several ranks, the first writes, and tells the others what became of it; all
    call the same methods, since all have a part in a snapshot.

    Args:
        run: whose files they are.
        ranks: who trains together.
        take_snapshot: gives what a checkpoint of its present state holds.
    """

    def __init__(self, run: Run, ranks: Ranks, take_snapshot: Callable[[], Snapshot]) -> None:
        self._run, self._take_snapshot, self._ranks = run, take_snapshot, ranks
        self._folder: RunFolder | None = None
        if run.config.checkpoint_dir is not None:
            self._folder = RunFolder(run.config.checkpoint_dir, run.config.keep_checkpoints)
        self.newest: Path | None = None  # the newest checkpoint that this run has written
        self._history: IO[str] | None = None

    def open(self) -> bool:
        """Make the folder ready, and the history file equal to the history so far.

        Whether the run's present step is in the folder already.

        Raises:
            OSError: the folder cannot be made or written to, or another process trains in it.
        """
        if (folder := self._folder) is None:
            return False

        def begin() -> tuple[str | None, bool]:
            folder.open(self._run.id, self._run.step, self._run.config.overwrite)
            self._begin_history(folder)
            newest = None if folder.newest is None else str(folder.newest)
            return newest, is_whole(folder.checkpoint(self._run.step))

        newest, is_saved = self._ranks.on_first(begin)
        self.newest = None if newest is None else Path(newest)
        return is_saved

    def append(self, kind: str, record: Record) -> None:
        """Add one line to the history file."""
        if self._history is None:
            return
        try:
            self._history.write(line(kind, record))
            self._history.flush()
        except OSError as error:
            _warn(f"the history file is not written until the next checkpoint ({error})")
            self._end_history()

    def rewrite_history(self) -> None:
        """Make the history file equal to the history, where one is being written."""
        if self._history is not None and self._folder is not None:
            self._try_history(self._folder)

    def save(self, must_succeed: bool) -> Path | None:
        """Write a checkpoint and delete the oldest; its path, or None where it was not written."""
        if self._folder is None:
            return None
        path = self._write(self._folder, self._folder.checkpoint(self._run.step), must_succeed)
        if path is not None:
            self.newest = path
        if path is not None and self._ranks.is_first:
            try:
                self._folder.prune()
            except OSError as error:
                _warn(f"an old checkpoint is still there ({error})")
        return path

    def save_best(self) -> Path | None:
        """Write ``best.npz``; its path, or None where it was not written."""
        if self._folder is None or not self._run.config.keep_best:
            return None
        return self._write(self._folder, self._folder.best, must_succeed=False)

    def close(self) -> None:
        """Close the history file, and let other runs into the folder."""
        self._end_history()
        if self._folder is not None:
            self._folder.close()

    def _write(self, folder: RunFolder, path: Path, must_succeed: bool) -> Path | None:
        try:
            snapshot = self._take_snapshot()
            self._ranks.on_first(lambda: self._put(folder, path, snapshot))
        except (OSError, MemoryError) as error:
            if must_succeed or self._ranks.has_lost_others:
                raise
            if self._ranks.is_first:
                reason = str(error) or "not enough memory"
                _warn(f"a checkpoint is missing, the run goes on ({reason})")
            return None
        if self._ranks.is_first and (self._history is None or not folder.history.exists()):
            self._try_history(folder)
        return path

    @staticmethod
    def _put(folder: RunFolder, path: Path, snapshot: Snapshot) -> None:
        folder.make()  # somebody may have deleted it meanwhile
        save_checkpoint(path, *snapshot)

    def _try_history(self, folder: RunFolder) -> None:
        try:
            self._begin_history(folder)
        except OSError as error:
            _warn(f"the history file is not written until the next checkpoint ({error})")

    def _begin_history(self, folder: RunFolder) -> None:
        self._end_history()
        self._run.history.write(folder.history)
        try:
            self._history = open(folder.history, "a", encoding="utf-8", newline="\n")  # noqa: SIM115
        except OSError as error:
            raise not_written(folder.history, error) from error

    def _end_history(self) -> None:
        if self._history is not None:
            history, self._history = self._history, None
            try:
                history.close()
            except OSError as error:
                _warn(f"the end of the history file is missing ({error})")


def _warn(text: str) -> None:
    warnings.warn(text, RuntimeWarning, stacklevel=2)
