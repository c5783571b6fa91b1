"""The public callables: what the packages' ``__all__`` name, and the public methods of classes."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator
from typing import Any, get_origin

import minigpt

# From the ground up, so that a name is known by the lowest room that has it; the face comes last.
ROOMS = (
    "operations", "functional", "nn", "optim", "tokenizers", "datasets", "interop", "metrics",
    "models", "checkpoints", "sampling", "training", "tasks", "drawing", "viz", "viz.explorer", "",
)  # fmt: skip
Parameters = dict[str, inspect.Parameter]


def callables() -> dict[str, Callable[..., Any]]:
    """Every public callable that takes an argument, by its name: ``nn.Linear.forward``.

    A method is named once, by the public class that it is defined in or first inherited by.
    """
    named: dict[str, Any] = {}
    for room in ROOMS:
        package = importlib.import_module(f"minigpt.{room}".rstrip("."))
        named |= {
            f"{room}.{name}".lstrip("."): value
            for name in package.__all__
            if _is_call(value := getattr(package, name)) and value not in named.values()
        }
    classes = {value: name for name, value in named.items() if isinstance(value, type)}
    known = {id(value) for value in named.values()}
    for kind, name in classes.items():
        for method, function in _methods(kind):
            plain = getattr(function, "__func__", function)
            owner = next(c for c in kind.__mro__ if method in vars(c))
            inherited = owner is not kind and owner in classes
            if not inherited and id(plain) not in known:  # Tensor.exp is operations.exp
                known.add(id(plain))
                named[f"{name}.{method}"] = function
    return {name: function for name, function in named.items() if parameters(function)}


def rooms_of_the_library() -> set[str]:
    """Every package that says what is public in it; the face is the empty name."""
    walked = pkgutil.walk_packages(minigpt.__path__, "minigpt.")
    packages = ["minigpt", *(module.name for module in walked if module.ispkg)]
    return {
        name.removeprefix("minigpt").lstrip(".")
        for name in packages
        if hasattr(importlib.import_module(name), "__all__")
    }


def parameters(function: Callable[..., Any]) -> Parameters:
    """The parameters of a callable by name, ``self`` left out."""
    named = inspect.signature(function).parameters
    return {name: p for name, p in named.items() if name != "self"}


def _is_call(value: object) -> bool:
    """A function or a class that one would call: no module, table, protocol or error."""
    if isinstance(value, type):
        return not (issubclass(value, BaseException) or getattr(value, "_is_protocol", False))
    return callable(value) and not inspect.ismodule(value) and get_origin(value) is None


def _methods(kind: type) -> Iterator[tuple[str, Callable[..., Any]]]:
    """The public methods of a class that are the library's own, each with its name."""
    for name in dir(kind):
        method = getattr(kind, name)
        ours = str(getattr(method, "__module__", "")).startswith("minigpt")
        if not name.startswith("_") and inspect.isroutine(method) and ours:
            yield name, method
