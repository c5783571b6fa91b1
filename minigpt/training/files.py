"""What a run writes while it goes on: checkpoints, the best one, and the lines of its history."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import IO, TYPE_CHECKING

from minigpt.training.archive import is_whole
from minigpt.training.checkpoint import save_checkpoint
from minigpt.training.config import TrainerConfig
from minigpt.training.folder import RunFolder
from minigpt.training.history import Record, line
from minigpt.training.snapshot import take_snapshot

if TYPE_CHECKING:
    from minigpt.training.trainer import Trainer


class RunFiles:
    """The files of a run in its folder, or nothing at all where it has none.

    The first checkpoint must succeed, and the last; that one in between cannot be written (a full
    disk that is soon cleared) is a warning, since the run itself is not hurt.
    """

    def __init__(self, config: TrainerConfig) -> None:
        self.folder: RunFolder | None = None
        if config.checkpoint_dir is not None:
            self.folder = RunFolder(config.checkpoint_dir, config.keep_checkpoints)
        self.newest: Path | None = None  # the newest checkpoint that this run has written
        self._history: IO[str] | None = None

    def open(self, trainer: Trainer) -> bool:
        """Make the folder ready, and the history file equal to the history so far.

        Whether the trainer's present step is in the folder already.
        """
        if self.folder is None:
            return False
        self.folder.open(trainer.run_id, trainer.step, trainer.config.overwrite)
        self.newest = self.folder.newest
        trainer.history.write(self.folder.history)
        self._history = open(self.folder.history, "a", encoding="utf-8", newline="\n")  # noqa: SIM115
        return is_whole(self.folder.checkpoint(trainer.step))

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

    def save(self, trainer: Trainer, must_succeed: bool) -> Path | None:
        """Write a checkpoint and delete the oldest; its path, or None where it was not written."""
        if self.folder is None:
            return None
        path = self._write(trainer, self.folder.checkpoint(trainer.step), must_succeed)
        if path is not None:
            self.newest = path
            self.folder.prune()
        return path

    def save_best(self, trainer: Trainer) -> Path | None:
        """Write ``best.npz``; its path, or None where it was not written."""
        if self.folder is None or not trainer.config.keep_best:
            return None
        return self._write(trainer, self.folder.best, must_succeed=False)

    def close(self) -> None:
        """Close the history file."""
        if self._history is not None:
            history, self._history = self._history, None
            try:
                history.close()
            except OSError as error:
                self._warn(f"the end of the history file is missing ({error})")

    def _write(self, trainer: Trainer, path: Path, must_succeed: bool) -> Path | None:
        try:
            return save_checkpoint(path, *take_snapshot(trainer))
        except OSError as error:
            if must_succeed:
                raise
            self._warn(f"a checkpoint is missing, the run goes on ({error})")
            return None

    def _warn(self, text: str) -> None:
        warnings.warn(text, RuntimeWarning, stacklevel=3)
