"""Errors for arguments that a function does not have, with the name that was probably meant."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable
from typing import Any, TypeVar, cast

Function = TypeVar("Function", bound=Callable[..., Any])
Class = TypeVar("Class", bound=type)


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """A question after the one of some names that it abbreviates, or the nearest; else "".

    Example:
        >>> did_you_mean("temprature", ["temperature", "top_k"])
        'did you mean temperature?'
        >>> did_you_mean("lr", ["learning_rate", "eps"]), did_you_mean("x", ["eps"])
        ('did you mean learning_rate?', '')
    """
    import difflib

    known = list(names)
    near = [n for n in known if name == "".join(word[:1] for word in n.split("_"))]
    near += [n for n in known if name in n.split("_")]
    near += difflib.get_close_matches(name, known, n=1)
    return f"did you mean {near[0]}?" if near else ""


def named_arguments(mend: str = "") -> Callable[[Function], Function]:
    """A method refuses arguments that it does not have by name, with the nearest that it has.

    Args:
        mend: what to do where none is near, or where too many came by position.

    Example:
        >>> class Writer:
        ...     @named_arguments()
        ...     def __init__(self, temperature=1.0):
        ...         self.temperature = temperature
        >>> Writer(temprature=0.5)
        Traceback (most recent call last):
        ...
        TypeError: Writer has no argument temprature: did you mean temperature?
    """

    def decorated(method: Function) -> Function:
        parameters = inspect.signature(method).parameters
        places = [n for n, p in parameters.items() if p.kind is p.POSITIONAL_OR_KEYWORD]

        @functools.wraps(method)
        def call(self: Any, *args: Any, **kwargs: Any) -> Any:
            for name in kwargs:
                if name not in parameters:
                    raise _unknown(_named(self, method), name, list(parameters)[1:], mend)
            if len(args) >= len(places):
                raise _too_many(_named(self, method), len(places) - 1, len(args), mend)
            return method(self, *args, **kwargs)

        return cast(Function, call)

    return decorated


def named_fields(cls: Class) -> Class:
    """A dataclass refuses fields that it does not have by name, with the nearest that it has."""
    cls.__init__ = named_arguments()(cls.__init__)  # type: ignore[misc]
    return cls


def _named(owner: Any, method: Callable[..., Any]) -> str:
    kind = type(owner).__name__
    return kind if method.__name__ == "__init__" else f"{kind}.{method.__name__}"


def _unknown(function: str, name: str, names: list[str], mend: str) -> TypeError:
    way = did_you_mean(name, names) or mend or f"it has {', '.join(names)}"
    return TypeError(f"{function} has no argument {name}: {way}")


def _too_many(function: str, most: int, came: int, mend: str) -> TypeError:
    arguments = f"{most} positional argument{'s' * (most != 1)}"
    return TypeError(f"{function} takes {arguments}: got {came}; {mend or 'name the others'}")
