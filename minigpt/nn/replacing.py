"""Exchanging modules in a network that is there already."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from minigpt.nn.module import Module


def replace_modules(model: Module, new: Mapping[int, Module]) -> None:
    """Put ``new[id(old)]`` wherever a module ``old`` is kept: in attributes, lists, tuples, dicts.

    Example:
        >>> from minigpt.nn import MLP, BlockConfig, Identity
        >>> mlp = MLP(BlockConfig(n_embd=4, n_head=1), seed=0)
        >>> replace_modules(mlp, {id(mlp.up_proj): Identity()})
        >>> mlp.up_proj
        Identity()
    """
    for _, module in list(model.named_modules()):
        for name, value in vars(module).items():
            setattr(module, name, _replaced(value, new))


def _replaced(value: Any, new: Mapping[int, Module]) -> Any:
    if isinstance(value, Module):
        return new.get(id(value), value)
    if isinstance(value, list):
        value[:] = [_replaced(item, new) for item in value]
    elif isinstance(value, tuple) and type(value) is tuple:
        return tuple(_replaced(item, new) for item in value)
    elif isinstance(value, dict):
        value.update({key: _replaced(item, new) for key, item in value.items()})
    return value
