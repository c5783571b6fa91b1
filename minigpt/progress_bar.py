"""A progress bar that may fail: what cannot be shown never ends the work that it shows."""

from __future__ import annotations

import contextlib
import os
import sys
import textwrap
import time
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Any, TypeVar

from minigpt import checks

T = TypeVar("T")

INTERVAL = 0.2  # seconds between two pictures of a bar
_INTERVAL_IN_FILES = 2.0  # where stderr is a file, a line every other second is enough
_LAYOUT = "{l_bar}{bar}| {n_fmt}/{total_fmt} [{elapsed}<{remaining}{postfix}]"
_LAYOUT_WITH_RATE = _LAYOUT.replace("{remaining}", "{remaining}, {rate_fmt}")


class ProgressBar:
    """A bar on stderr, or a widget in a notebook; one that is not ``shown`` does nothing.

    Where stderr is closed, full, a broken pipe or a terminal that went away, the bar goes silent
    and the work goes on.

    Args:
        total: how many units there are; None: nobody knows.
        description: what stands before the bar.
        unit: what is counted.
        shown: whether there is a bar at all.
        initial: units that were done before.
        large: whether counts are shown as 12.3k.
        with_rate: whether units a second are shown.

    Example:
        >>> with ProgressBar(3, "counting", shown=False) as bar:
        ...     [number * number for number in bar.over([1, 2, 3])]
        [1, 4, 9]
    """

    def __init__(
        self,
        total: int | None,
        description: str = "",
        unit: str = "it",
        *,
        shown: bool = True,
        initial: int = 0,
        large: bool = False,
        with_rate: bool = True,
    ) -> None:
        checks.flag("progress", shown)
        self._bar: Any = None
        self._fields: tuple[str, ...] = ()
        self._waiting = 0  # units that are done and not shown yet
        self._shown_at = time.monotonic()
        self._interval = INTERVAL if _is_terminal(sys.stderr) else _INTERVAL_IN_FILES
        if shown and sys.stderr is not None:
            with contextlib.suppress(Exception):
                from tqdm.auto import tqdm  # not before it is needed: importing it takes a while

                in_notebook = any(c.__module__ == "tqdm.notebook" for c in tqdm.__mro__)
                self._bar = _made(
                    tqdm,
                    total=total,
                    desc=description or None,
                    unit=unit,
                    initial=initial,
                    unit_scale=large,
                    file=_Forgiving(sys.stdout if in_notebook else sys.stderr),
                    ncols=None if in_notebook else _width(sys.stderr),
                    bar_format=_layout(total, with_rate, in_notebook),
                )

    def update(self, count: int = 1) -> None:
        """So many more units are done."""
        if self._bar is None:
            return
        self._waiting += count
        if time.monotonic() - self._shown_at >= self._interval:
            self.refresh()

    def say(self, *fields: str) -> None:
        """Words after the bar, the most important first: where there is no room, the last go."""
        self._fields = fields

    def refresh(self) -> None:
        """Show how things stand, now."""
        if self._bar is None:
            return
        with contextlib.suppress(Exception):
            self._shown_at = time.monotonic()
            if self._bar.ncols is not None:  # the window may have changed
                self._bar.ncols = _width(sys.stderr) or self._bar.ncols
            self._bar.n += self._waiting
            self._waiting = 0
            self._bar.set_postfix_str(", ".join(self._fitting()), refresh=True)

    def over(self, items: Iterable[T]) -> Iterator[T]:
        """The items, each of them one unit."""
        for item in items:
            yield item
            self.update()

    def note(self, text: str) -> None:
        """A sentence above the bar, where there is a bar; on a terminal, folded at its width."""
        if self._bar is not None:
            with contextlib.suppress(Exception):
                if width := _width(sys.stderr):
                    text = textwrap.fill(text, width, break_on_hyphens=False)
                self._bar.write(text, file=self._bar.fp)

    def close(self) -> None:
        """Leave the bar as it is now, and end it."""
        if self._bar is not None:
            self.refresh()
            bar, self._bar = self._bar, None
            with contextlib.suppress(Exception):
                bar.close()

    def __enter__(self) -> ProgressBar:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _fitting(self) -> list[str]:
        """The first fields that leave ten characters for the bar."""
        state = self._bar.format_dict
        if not state["ncols"]:
            return list(self._fields)
        without = self._bar.format_meter(**{**state, "postfix": "", "ncols": None})
        room = state["ncols"] - len(without)
        fitting = []
        for field in self._fields:
            room -= len(field) + 2
            if room < 0:
                break
            fitting.append(field)
        return fitting


def say(*values: object, to_stdout: bool = False) -> None:
    """``print`` on stderr or stdout, above every bar that is shown, and silent where it fails."""
    stream = sys.stdout if to_stdout else sys.stderr
    if stream is None:
        return
    text = " ".join(map(str, values))
    with contextlib.suppress(Exception):
        if "tqdm" in sys.modules:  # else there is no bar
            from tqdm import tqdm

            tqdm.write(text, file=_Forgiving(stream))
        else:
            print(text, file=stream, flush=True)


class _Forgiving:
    """A stream whose writes never fail.

    Nothing may be raised inside tqdm, which would keep its lock: other bars would wait for ever.
    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with contextlib.suppress(Exception):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(Exception):
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def __eq__(self, other: object) -> bool:  # tqdm asks whether two bars share a screen
        return bool(self._stream == getattr(other, "_stream", other))

    def __hash__(self) -> int:
        return hash(self._stream)


def _made(kind: Any, **options: Any) -> Any:
    """A bar of tqdm's. Older ones complain when a bar goes that was only half made: not here."""
    bar = kind.__new__(kind, **options)
    try:
        bar.__init__(**options)
    except Exception:
        bar.disable = True
        raise
    return bar


def _is_terminal(stream: Any) -> bool:
    try:
        return bool(stream.isatty())
    except Exception:  # closed, None, or something that somebody put in its place
        return False


def _width(stream: Any) -> int | None:
    """How many characters go in a line of a terminal; None where there is no terminal."""
    try:
        columns = int(os.environ.get("COLUMNS") or os.get_terminal_size(stream.fileno()).columns)
    except (OSError, ValueError, AttributeError):
        return None
    return columns - 1  # a cursor in the last column would begin a new line


def _layout(total: int | None, with_rate: bool, in_notebook: bool) -> str | None:
    """The order of what is shown; a widget, and a bar without an end, have tqdm's own."""
    if total is None or in_notebook:
        return None
    return _LAYOUT_WITH_RATE if with_rate else _LAYOUT
