"""How many threads the BLAS under NumPy's matrix products uses, where threadpoolctl can say so.

The number belongs to the whole process, so it is held in one place: while anybody holds it at one,
it is one, and when the last has let go it is what it was before the first.

Why one? Every product waits for all of its threads. Where the cores have nothing else to do, that
costs microseconds. Where another program runs on one of them, the thread there may wait for a whole
slice of that program's time, in each product: a small one then takes a hundred times as long.
"""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable
from contextlib import ContextDecorator
from types import TracebackType
from typing import Any

SMALL_PRODUCT = 2**27  # multiplications: 2 to 4 ms of one core; beyond, a second one is worth it
SMALL_MODEL = 2**24  # weights: 67 MB of float32, about what a processor's cache holds

_lock = threading.Lock()
_mine = threading.local()  # .depth: how often this thread holds it
_holders = 0
_said = False  # what threadpoolctl would bring
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


class MatrixProducts:
    """The matrix products of a model with its weights, and whether they are small.

    They are small where a second thread can save little: the weights fit the cache (larger ones
    come from main memory, for which two cores are faster than one), and a product of n tokens with
    one of the matrices, n·|W| multiplications on the average, is over in a few milliseconds.

    Args:
        model: with ``parameters()``; what has none is not known to be small.

    Attributes:
        n_weights: the numbers in all matrices.

    Example:
        >>> import minigpt as mg
        >>> small = mg.GPT(mg.GPTConfig(65, 64, n_layer=4, n_head=4, n_embd=128))
        >>> MatrixProducts(small).are_small(n_tokens=64), MatrixProducts(small).are_small(10_000)
        (True, False)
    """

    def __init__(self, model: Any) -> None:
        every: list[Any] = model.parameters() if hasattr(model, "parameters") else []
        sizes = [parameter.data.size for parameter in every if parameter.data.ndim > 1]
        self.n_weights = sum(sizes)
        self._mean_size = self.n_weights / max(len(sizes), 1)

    def size(self, n_tokens: int) -> int:
        """Multiplications in the product of so many tokens with one matrix, on the average."""
        return round(n_tokens * self._mean_size)

    def are_small(self, n_tokens: int) -> bool:
        """Whether the products of so many tokens are best done on one thread."""
        in_cache = 0 < self.n_weights <= SMALL_MODEL
        return in_cache and self.size(n_tokens) <= SMALL_PRODUCT


def can_be_controlled() -> bool:
    """Whether threadpoolctl is installed, as the ``fast`` extra has it."""
    import importlib.util

    return importlib.util.find_spec("threadpoolctl") is not None


def available_cores() -> int:
    """The processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def say_what_is_missing(note: Callable[[str], object]) -> None:
    """Once in a process: what threadpoolctl would bring, where it would bring something."""
    global _said
    told = any(os.environ.get(name) == "1" for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"))
    if _said or told or can_be_controlled() or available_cores() == 1:
        return
    _said = True
    note(
        "threadpoolctl is not installed: with it, small matrix products stay on one thread, which "
        'is many times faster while other programs use the cores (pip install "minigpt[fast]"); '
        "OPENBLAS_NUM_THREADS=1 keeps all products on one"
    )


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
