"""Names of a package that are loaded when they are first asked for (PEP 562).

A program that trains a GPT should not wait for encoders, metrics and adapters that it never uses.
A package tells type checkers all its names by imports, and Python where to find the others later:

    if TYPE_CHECKING:
        from minigpt.nn.lstm import LSTM
    else:
        __getattr__, __dir__ = on_first_use(__name__, {"lstm": ["LSTM"]})
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any


def on_first_use(
    package: str, names: Mapping[str, Sequence[str]]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """The ``__getattr__`` and ``__dir__`` of a package.

    Args:
        package: its ``__name__``.
        names: which names each of its modules gives to the package. A module is itself one.

    Example:
        >>> load, listed = on_first_use("minigpt.metrics", {"rouge": ["rouge_l"]})
        >>> load("rouge_l").__module__, "rouge_l" in listed()
        ('minigpt.metrics.rouge', True)
        >>> load("rouge_2")
        Traceback (most recent call last):
        ...
        AttributeError: module 'minigpt.metrics' has no attribute 'rouge_2'
    """
    home = {name: module for module, given in names.items() for name in given}

    def load(name: str) -> Any:
        if name in names:
            return importlib.import_module(f"{package}.{name}")
        if name not in home:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(f"{package}.{home[name]}"), name)
        setattr(sys.modules[package], name, value)  # the next time it is simply there
        return value

    def listed() -> list[str]:
        modules = [name for name in names if "." not in name]
        return sorted({*vars(sys.modules[package]), *modules, *home})

    return load, listed
