"""What an optimizer is given: parameters, or parameters with their names."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

import numpy as np

from minigpt.autograd import Array


class ParameterLike(Protocol):
    """All that an optimizer knows of a parameter: its values, and the gradient of the loss."""

    data: Array
    grad: Array | None


def as_list(name: str, params: Any) -> list[Any]:
    """``params`` as a list, unless it is one thing by itself that merely can be walked."""
    alone = isinstance(params, (str, bytes, dict)) or hasattr(params, "data")
    if alone or not isinstance(params, Iterable):
        raise TypeError(
            f"{name} is a {type(params).__name__}: give a list of Parameters, or of "
            "(name, Parameter) pairs, such as model.named_parameters()"
        )
    return list(params)


def named_parameters(params: Iterable[Any]) -> list[tuple[str, ParameterLike]]:
    """``params`` as (name, parameter) pairs; parameters without names are called "0", "1", …

    Args:
        params: Parameters, or (name, Parameter) pairs as ``model.named_parameters()`` gives them.

    Raises:
        TypeError: something else is among them, or some have names and some have none.
        ValueError: there is none, or a parameter or a name is there twice.
    """
    items = as_list("params", params)
    if not items:
        raise ValueError("params is empty: give at least one Parameter")
    are_named = [isinstance(item, tuple) for item in items]
    if any(are_named) and not all(are_named):
        raise TypeError(
            f"params[{are_named.index(not are_named[0])}] differs from params[0]: give names to "
            "all parameters, or to none"
        )
    pairs = items if are_named[0] else [(str(index), item) for index, item in enumerate(items)]
    for index, pair in enumerate(pairs):
        _check_pair(f"params[{index}]", pair)
    _refuse_doubles(pairs)
    return pairs


def _check_pair(where: str, pair: Any) -> None:
    if len(pair) != 2 or not isinstance(pair[0], str):
        raise TypeError(f"{where} is no (name, Parameter) pair but {pair!r:.80}")
    name, parameter = pair
    data = getattr(parameter, "data", None)
    if not isinstance(data, np.ndarray) or not hasattr(parameter, "grad"):
        raise TypeError(
            f"{where} ({name!r}) is a {type(parameter).__name__}, which is no Parameter: it needs "
            "an array .data and a .grad"
        )
    if data.dtype not in (np.float32, np.float64):
        raise TypeError(f"{where} ({name!r}) is {data.dtype}: parameters are float32 or float64")
    if not data.flags.writeable:
        raise ValueError(f"{where} ({name!r}) is read-only: give it a copy of its data")


def _refuse_doubles(pairs: list[tuple[str, ParameterLike]]) -> None:
    owner: dict[int, str] = {}
    names: set[str] = set()
    for name, parameter in pairs:
        if id(parameter) in owner:
            raise ValueError(
                f"the same parameter is in params twice, as {owner[id(parameter)]!r} and {name!r}: "
                "it would be updated twice a step"
            )
        if name in names:
            raise ValueError(f"the name {name!r} is in params twice: names must differ")
        owner[id(parameter)] = name
        names.add(name)
