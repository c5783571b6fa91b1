"""How operations run on this thread: recorded or not, in training or in evaluation.

Both are modes of the call, not of a model: a model that one thread trains can write text in another
meanwhile, and neither notices the other.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import threading
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, TypeVar, cast

Function = TypeVar("Function", bound=Callable[..., Any])

_mode = threading.local()


def is_grad_enabled() -> bool:
    """Whether operations of this thread are recorded (False inside :class:`no_grad`)."""
    return getattr(_mode, "no_grad_depth", 0) == 0


def is_evaluating() -> bool:
    """Whether this thread is inside :class:`evaluation`: modules drop nothing then."""
    return getattr(_mode, "evaluation_depth", 0) > 0


class _Mode(contextlib.ContextDecorator):
    """A context manager and a decorator that can be entered again inside itself.

    A decorated generator runs in the mode from each ``yield`` to the next; whoever iterates over it
    is not affected.
    """

    def __enter__(self) -> None:
        raise TypeError(f"{type(self).__name__} defines no __enter__()")

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        raise TypeError(f"{type(self).__name__} defines no __exit__()")

    def __call__(self, function: Function) -> Function:
        if not inspect.isgeneratorfunction(function):
            return super().__call__(function)

        @functools.wraps(function)
        def generator(*args: Any, **kwargs: Any) -> Iterator[Any]:
            items = function(*args, **kwargs)
            try:
                while True:
                    with self:
                        try:
                            item = next(items)
                        except StopIteration as end:
                            return end.value
                    yield item
            finally:
                with self:
                    items.close()

        return cast(Function, generator)


class no_grad(_Mode):
    """Operations inside are not recorded: a context manager and a decorator, for one thread.

    Example:
        >>> import minigpt as mg
        >>> x = mg.Tensor([1.0, 2.0], requires_grad=True)
        >>> with mg.no_grad():
        ...     (x * 2).requires_grad
        False
    """

    def __enter__(self) -> None:
        _mode.no_grad_depth = getattr(_mode, "no_grad_depth", 0) + 1

    def __exit__(self, *exception: Any) -> None:
        _mode.no_grad_depth -= 1


class evaluation(_Mode):
    """A model as it is: nothing is dropped inside, and nothing recorded, on this thread.

    Example:
        >>> from minigpt.nn import Dropout
        >>> dropout = Dropout(0.5)
        >>> with evaluation():
        ...     dropout.training
        False
        >>> dropout.training
        True
    """

    def __enter__(self) -> None:
        _mode.evaluation_depth = getattr(_mode, "evaluation_depth", 0) + 1
        _mode.no_grad_depth = getattr(_mode, "no_grad_depth", 0) + 1

    def __exit__(self, *exception: Any) -> None:
        _mode.evaluation_depth -= 1
        _mode.no_grad_depth -= 1


@contextlib.contextmanager
def recording() -> Iterator[None]:
    """Operations inside are recorded, even within :class:`no_grad`."""
    depth, _mode.no_grad_depth = getattr(_mode, "no_grad_depth", 0), 0
    try:
        yield
    finally:
        _mode.no_grad_depth = depth
