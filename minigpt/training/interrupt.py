"""Ctrl-C, and a request of the system to end, as a request honoured between two steps."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType, TracebackType
from typing import Any

from minigpt.training.run import Run

# Ctrl-C; kill, and a queue whose time is up; a terminal that goes away (not on Windows).
_SIGNALS = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
]


class Interrupt:
    """While it is entered, a signal to stop sets a flag in place of tearing the program from work.

    Ctrl-C ends the training; SIGTERM and SIGHUP, which without a handler end the process, still
    do so, only later. A second Ctrl-C raises KeyboardInterrupt at once. The others may come more
    than once, as a terminal that is closed sends two: whoever cannot wait has SIGKILL.

    Outside the main thread, where Python does not let signals be handled, where they are ignored
    (as in the background jobs of a shell, or under nohup), and where the program has a handler of
    its own for SIGTERM or SIGHUP, nothing changes.

    Attributes:
        requested: whether somebody asked to stop.
        by: how: "Ctrl-C", or the signal's name.
        ends_process: whether the process should end, and not only the training.
    """

    def __init__(self) -> None:
        self.requested = False
        self.by = "Ctrl-C"
        self.ends_process = False
        self._number = int(signal.SIGTERM)
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> Interrupt:
        self.requested = self.ends_process = False
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                previous = signal.getsignal(number)
                is_free = previous is signal.SIG_DFL or number == signal.SIGINT
                # None: set by something other than Python
                if is_free and previous not in (None, signal.SIG_IGN):
                    signal.signal(number, self._handle)
                    self._previous[number] = previous
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        while self._previous:
            signal.signal(*self._previous.popitem())

    def end_process_if_asked(self, another_rank_was: bool) -> None:
        """Do now what was put off.

        Raises:
            SystemExit: with 128 + the number of the signal, as a shell tells signals.
        """
        if self.ends_process or another_rank_was:
            raise SystemExit(128 + self._number)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if number != signal.SIGINT:
            self.by = signal.Signals(number).name
            self.ends_process, self._number = True, number
        elif self.requested:
            raise KeyboardInterrupt
        else:
            self.by = "Ctrl-C"
        self.requested = True


def how_to_go_on(run: Run, interrupt: Interrupt, ends_process: bool) -> str:
    """One line for whoever stopped a run."""
    by = interrupt.by if interrupt.requested else "a signal to another rank"
    stopped = f"stopped by {by} after step {run.step} of {run.total_steps}"
    if run.config.checkpoint_dir is None:
        if ends_process:
            return f"{stopped}: nothing of it is kept, a run with a checkpoint_dir can go on"
        return f"{stopped}: trainer.fit() goes on, trainer.save(path) keeps it for later"
    folder = os.fspath(run.config.checkpoint_dir)
    return f"{stopped}: Trainer.resume({folder!r}, train_tokens, val_tokens).fit() goes on"
