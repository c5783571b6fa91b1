"""What an optimizer is given: parameters, with names or without, in groups or not."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

import numpy as np

from minigpt import checks
from minigpt.autograd import Array

GROUP_KEYS = ("lr", "lr_scale", "params", "weight_decay")


class ParameterLike(Protocol):
    """All that an optimizer knows of a parameter: its values, and the gradient of the loss."""

    @property
    def data(self) -> Array:
        """Its values, which are changed in place."""

    grad: Array | None
    version: int | None


def as_list(name: str, params: Any) -> list[Any]:
    """``params`` as a list, refusing single objects that happen to be iterable."""
    single = isinstance(params, (str, bytes, dict, np.ndarray)) or hasattr(params, "data")
    if single or not isinstance(params, Iterable):
        expected = "a list of Parameters or of (name, Parameter) pairs"
        mend = "such as model.named_parameters()"
        raise checks.wrong_type(name, expected, params, mend)
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
        raise checks.wrong_value("params", "a list of at least one Parameter", items)
    are_named = [isinstance(item, tuple) for item in items]
    if any(are_named) and not all(are_named):
        index = are_named.index(not are_named[0])
        mend = "give names to all parameters, or to none"
        expected = f"{'a (name, Parameter) pair' if are_named[0] else 'a Parameter'}, as params[0]"
        raise checks.wrong_type(f"params[{index}]", expected, items[index], mend)
    pairs = items if are_named[0] else [(str(index), item) for index, item in enumerate(items)]
    for index, pair in enumerate(pairs):
        _check_pair(f"params[{index}]", pair)
    _check_doubles(pairs)
    return pairs


def as_groups(params: Iterable[Any], keys: tuple[str, ...] = GROUP_KEYS) -> list[dict[str, Any]]:
    """``params`` as groups: dicts of parameters with settings of their own, named in ``keys``.

    Raises:
        TypeError: some are groups and some are not, or a group has no parameters.
        ValueError: a group has a key that groups do not have.
    """
    items = as_list("params", params)
    if not any(isinstance(item, dict) for item in items):
        return [{"params": items}]
    for index, group in enumerate(items):
        if not isinstance(group, dict) or "params" not in group:
            expected = 'a group, a dict with "params", as others are'
            raise checks.wrong_type(f"params[{index}]", expected, group)
        for key in group:
            checks.one_of(f"params[{index}]: a key", key, keys)
    return items


def _check_pair(where: str, pair: Any) -> None:
    if len(pair) != 2 or not isinstance(pair[0], str):
        raise checks.wrong_type(where, "a (name, Parameter) pair", pair)
    name, parameter = pair
    where = f"{where} ({name!r})"
    data = getattr(parameter, "data", None)
    if not isinstance(data, np.ndarray) or not hasattr(parameter, "grad"):
        expected = "a Parameter, with an array .data and a .grad"
        raise checks.wrong_type(where, expected, parameter)
    if data.dtype not in (np.float32, np.float64):
        raise checks.wrong_type(where, "float32 or float64", data)
    if not data.flags.writeable:
        mend = "give it a copy of its data"
        raise checks.wrong_value(where, "writable", data, mend)


def _check_doubles(pairs: list[tuple[str, ParameterLike]]) -> None:
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
