"""A call of the reader's function: what it raises, changes or forgets, put in words."""

from __future__ import annotations

import _thread
import inspect
import signal
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import numpy as np


class Wrong(Exception):
    """What is wrong, in words for the reader."""


def call(
    name: str,
    function: Callable[..., Any],
    arguments: Mapping[str, Any],
    besides: Mapping[str, Any] | None = None,
) -> Any:
    """What the reader's function gives; what it raises, or changes, is put in words.

    Args:
        name: what the function is called.
        function: the reader's.
        arguments: handed over in this order.
        besides: what else it sees, as ``backward`` does, for the sentence about an error.

    Raises:
        Wrong: it takes other arguments, raises an error, is empty, returns nothing, or writes into
            its arguments.
    """
    _check_parameters(name, function, tuple(arguments))
    copies = {key: copied(value) for key, value in arguments.items()}
    try:
        with np.errstate(all="ignore"), _nan_in_new_memory():
            result = function(*copies.values())
            if isinstance(result, Iterator):
                result = tuple(result)
    except NotImplementedError:
        raise Wrong("it is empty: read its page, and replace the line `raise …`") from None
    except Exception as error:
        said = str(error).strip()
        seen = _seen({**(besides or {}), **arguments})
        raise Wrong(f"{_where(error, function)}{type(error).__name__}: {said}{seen}") from None
    if result is None:
        raise Wrong(f"{name} returns nothing: is the `return` missing?")
    for key, value in arguments.items():
        if isinstance(value, np.ndarray) and not np.array_equal(value, copies[key]):
            raise Wrong(
                f"it writes into its argument {key}, which the caller still needs: "
                f"`{key} = {key} - …` makes a new array, `{key} -= …` writes into the old one"
            )
    return result


@contextmanager
def time_limit(seconds: float, function: Callable[..., Any]) -> Iterator[None]:
    """Stop what takes longer, as Ctrl-C does.

    Raises:
        Wrong: it took longer; the sentence says in which line of the reader's.
    """
    late = threading.Event()

    def stop() -> None:
        late.set()
        _thread.interrupt_main()

    timer = threading.Timer(seconds, stop)
    timer.daemon = True
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # it may be ignored
    timer.start()
    try:
        yield
    except KeyboardInterrupt as interrupt:
        if not late.is_set():
            raise
        where = _where(interrupt, function)
        raise Wrong(
            f"{where}it has not ended after {seconds:g} seconds: is there a loop that never ends?"
        ) from None
    finally:
        timer.cancel()
        signal.signal(signal.SIGINT, before or signal.SIG_DFL)


def shown(value: Any) -> str:
    """A value for a sentence."""
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape}"
    if isinstance(value, (tuple, list, dict)):
        return f"a {type(value).__name__} of {len(value)}"
    return f"{type(value).__name__} {value!r:.40}"


def copied(value: Any) -> Any:
    """An array's copy, and anything else as it is."""
    return value.copy() if isinstance(value, np.ndarray) else value


@lru_cache(maxsize=16)  # one function may be called a thousand times
def _check_parameters(name: str, function: Callable[..., Any], expected: tuple[str, ...]) -> None:
    """Other names are the reader's choice; the number and the order are not."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # something that is not written in Python
        return
    own = list(signature.parameters)
    moved = [key for i, key in enumerate(expected) if key in own and own.index(key) != i]
    try:
        signature.bind(*expected)
    except TypeError:
        moved = [*expected]
    if moved:
        raise Wrong(f"{name} takes ({', '.join(own)}), and must take ({', '.join(expected)})")


@contextmanager
def _nan_in_new_memory() -> Iterator[None]:
    """np.empty gives NaN in place of what happens to be in memory, which may well be 0."""

    def filled(make: Callable[..., Any]) -> Callable[..., Any]:
        def new(*args: Any, **kwargs: Any) -> Any:
            array = make(*args, **kwargs)
            if array.dtype.kind == "f":
                array.fill(np.nan)
            return array

        return new

    originals: dict[str, Any] = {"empty": np.empty, "empty_like": np.empty_like}
    vars(np).update({key: filled(make) for key, make in originals.items()})
    try:
        yield
    finally:
        vars(np).update(originals)


def _where(error: BaseException, function: Callable[..., Any]) -> str:
    """The lines of the reader's file that the error came through: the step's own, and the last."""
    file = getattr(getattr(function, "__code__", None), "co_filename", None)
    own = [f for f in traceback.extract_tb(error.__traceback__) if f.filename == file]
    lines = [f"line {f.lineno} of {f.name}, `{f.line}`" for f in own]
    return ", which calls ".join(dict.fromkeys(lines[:1] + lines[-1:])) + (": " if lines else "")


def _seen(arguments: Mapping[str, Any]) -> str:
    """Shapes and plain values, as in " (with x (2, 3), temperature=0)"."""
    words = [
        f"{key} {value.shape}" if isinstance(value, np.ndarray) else f"{key}={value!r}"
        for key, value in arguments.items()
        if value is None or isinstance(value, (np.ndarray, int, float))
    ]
    return f" (with {', '.join(words)})" if words else ""
