"""Ctrl-C as a request, honoured between two steps."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType, TracebackType
from typing import Any

from minigpt.training.run import Run


class Interrupt:
    """While it is entered, Ctrl-C sets a flag in place of tearing the program from its work.

    A second Ctrl-C raises KeyboardInterrupt at once. Outside the main thread, where Python does
    not let signals be handled, and where they are ignored (as in the background jobs of a shell),
    nothing changes.
    """

    def __init__(self) -> None:
        self.requested = False
        self._previous: Any = None

    def __enter__(self) -> Interrupt:
        self.requested = False
        if threading.current_thread() is threading.main_thread():
            previous = signal.getsignal(signal.SIGINT)
            if previous not in (None, signal.SIG_IGN):  # None: set by something other than Python
                signal.signal(signal.SIGINT, self._handle)
                self._previous = previous
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._previous is not None:
            signal.signal(signal.SIGINT, self._previous)
            self._previous = None

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True


def how_to_go_on(run: Run) -> str:
    """One line for whoever pressed Ctrl-C."""
    stopped = f"stopped by Ctrl-C after step {run.step} of {run.total_steps}"
    if run.config.checkpoint_dir is None:
        return f"{stopped}: trainer.fit() goes on, trainer.save(path) keeps it for later"
    folder = os.fspath(run.config.checkpoint_dir)
    return f"{stopped}: Trainer.resume({folder!r}, train_tokens, val_tokens).fit() goes on"
