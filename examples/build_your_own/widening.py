"""Which of the reader's functions turn float32 into float64, and so make training slow."""

from __future__ import annotations

from typing import Any

import numpy as np

from steps import STEPS

C = 4
SHAPES = {"norm 1": (C,), "norm 2": (C,), "up": (C, 4 * C), "down": (4 * C, C)}


def widened_by(own: Any) -> list[str]:
    """The names of the functions that do, without those that only call one of them."""
    rng = np.random.default_rng(0)

    def array(*shape: int) -> Any:
        return rng.standard_normal(shape).astype(np.float32)

    x, square, gain, ids = array(1, 2, C), array(C, C), array(C), np.array([[1, 2]])
    names = ("norm 1", "query", "key", "value", "out", "norm 2", "up", "down")
    arguments: dict[str, tuple[Any, ...]] = {
        "softmax": (x,),
        "cross_entropy": (x, ids),
        "linear": (x, square),
        "embedding": (ids, square),
        "gelu": (x,),
        "layer_norm": (x, gain),
        "attention": (x, x, x),
        "multi_head_attention": (x, x, x, 2),
        "block": (x, {name: array(*SHAPES.get(name, (C, C))) for name in names}, 2),
        "adamw": (square, square, square, abs(square), 1, 0.1, 0.1),
    }
    found: list[str] = []
    calling: set[str] = set()  # these, and all that call them
    for step in STEPS:
        if step.name not in arguments or calling & {*step.built_of}:
            calling.add(step.name)
            continue
        result = getattr(own, step.name)(*arguments[step.name])
        if isinstance(result, (tuple, list)) and callable(result[1]):
            y, backward = result
            result = y, backward(1.0 if np.ndim(y) == 0 else array(*y.shape))
        if any(a.dtype == np.float64 for a in arrays_in(result)):
            found.append(step.name)
            calling.add(step.name)
    return found


def arrays_in(value: Any) -> list[Any]:
    """All arrays with axes in tuples, lists and dicts."""
    if isinstance(value, np.ndarray):
        return [value] if value.ndim else []
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, (tuple, list)):
        return []
    return [array for part in value for array in arrays_in(part)]
