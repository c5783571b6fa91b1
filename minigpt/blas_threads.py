"""How many threads the BLAS under NumPy's matrix products uses, where threadpoolctl can say so.

The number belongs to the whole process, so it is held in one place: while anybody holds it at one,
it is one, and when the last has let go it is what it was before the first.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import threading
from collections.abc import Callable
from contextlib import ContextDecorator
from types import TracebackType
from typing import Any

_lock = threading.Lock()
_mine = threading.local()  # .depth: how often this thread holds it
_holders = 0
_restore: list[Callable[[], Any]] = []  # what puts back the numbers from before


class one_blas_thread(ContextDecorator):
    """Matrix products inside run on the thread that asks for them; those of other threads, too.

    A context manager and a decorator, which may be entered inside itself and by several threads at
    once. Entering costs some microseconds. Without threadpoolctl nothing changes.

    Args:
        wanted: False changes nothing, for a block that wants it only where its products are small.

    Example:
        >>> import numpy as np
        >>> with one_blas_thread():
        ...     float(np.ones(4) @ np.ones(4))
        4.0
    """

    def __init__(self, wanted: bool = True) -> None:
        self._wanted = wanted

    def __enter__(self) -> None:
        global _holders
        if not self._wanted:
            return
        with _lock:
            if _holders == 0:
                _set_to_one()
            _holders += 1
            _mine.depth = getattr(_mine, "depth", 0) + 1

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        global _holders
        if not self._wanted:
            return
        with _lock:
            _mine.depth -= 1
            _holders -= 1
            if _holders == 0:
                _put_back()


def can_be_controlled() -> bool:
    """Whether threadpoolctl is installed, as the ``fast`` extra has it."""
    return importlib.util.find_spec("threadpoolctl") is not None


def _set_to_one() -> None:
    for library in _libraries():
        # threadpoolctl 3.8 lets only the first thread that asked change the number. Whoever is the
        # last to let go here must be able to put it back, so that rule is stepped over.
        change = getattr(library, "_real_set_num_threads", library.set_num_threads)
        _restore.append(functools.partial(change, library.get_num_threads()))
        change(1)


def _put_back() -> None:
    while _restore:
        _restore.pop()()


@functools.cache
def _libraries() -> list[Any]:
    if not can_be_controlled():
        return []
    import threadpoolctl

    every = threadpoolctl.ThreadpoolController().lib_controllers
    return [library for library in every if library.user_api == "blas"]


def _in_the_child_of_a_fork() -> None:
    """Only the thread that forked lives on there: what others held is let go."""
    global _lock, _holders
    _lock = threading.Lock()
    _holders = getattr(_mine, "depth", 0)
    if _holders == 0:
        _put_back()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_in_the_child_of_a_fork)
