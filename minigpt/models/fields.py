"""The fields that the configurations of all transformers share, checked in one place."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from minigpt.functional.dropout import check_probability
from minigpt.nn.attention import check_heads
from minigpt.nn.block import check_norm
from minigpt.nn.layers import check_size
from minigpt.nn.mlp import check_activation
from minigpt.nn.positions import check_positions


def check_transformer(
    config: Any,
    sizes: Iterable[str],
    flags: Iterable[str],
    norms: tuple[str, ...] = ("pre", "post", "none"),
    optional_sizes: Iterable[str] = ("n_inner",),
    probabilities: Iterable[str] = ("dropout",),
    positive: Iterable[str] = ("layer_norm_eps", "init_std"),
) -> None:
    """Check every field of a frozen configuration; what is right becomes a plain Python value.

    A NumPy number is as good as any, but would not go to JSON.

    Raises:
        ValueError, TypeError: name the field, what came and what was expected.
    """

    def put(name: str, value: object) -> None:
        object.__setattr__(config, name, value)  # frozen for everybody else

    for name in sizes:
        check_size(**{name: getattr(config, name)})
        put(name, int(getattr(config, name)))
    for name in optional_sizes:
        if getattr(config, name) is not None:
            check_size(**{name: getattr(config, name)})
            put(name, int(getattr(config, name)))
    check_heads(config.n_embd, config.n_head)
    for name in probabilities:
        check_probability(getattr(config, name), name)
        put(name, float(getattr(config, name)))
    check_activation(config.activation)
    check_norm(config.norm, norms)
    # An encoder has no field for it.
    check_positions(config.positions, config.n_embd, getattr(config, "causal", False) is True)
    for name in flags:
        if not isinstance(getattr(config, name), (bool, np.bool_)):
            raise TypeError(f"{name} must be True or False, got {getattr(config, name)!r}")
        put(name, bool(getattr(config, name)))
    for name in positive:
        value = getattr(config, name)
        if isinstance(value, bool) or not isinstance(value, (int, float, np.number)):
            raise TypeError(f"{name} must be a number, got {value!r}")
        if not 0 < value < float("inf"):
            raise ValueError(f"{name}={value!r} must be a positive number")
        put(name, float(value))
