"""A function of one's own that changes the logits, before a token is drawn from them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from minigpt import checks
from minigpt.autograd import Array

LogitsProcessor = Callable[[Array, Array], Array]


def processed(processor: LogitsProcessor, logits: Array, ids: Array, mask: Array | None) -> Array:
    """What the processor makes of the logits (A, V); it sees each row without its padding."""
    if mask is None:
        return _result(processor, logits, ids)
    rows = [
        _result(processor, logits[i : i + 1], ids[i : i + 1, real]) for i, real in enumerate(mask)
    ]
    return np.concatenate(rows)


def _result(processor: LogitsProcessor, logits: Array, ids: Array) -> Array:
    name = "the result of logits_processor"
    result: object = processor(ids.copy(), logits.copy())
    if not isinstance(result, np.ndarray) or result.dtype not in (np.float32, np.float64):
        raise checks.wrong_type(name, "an array of float32 or float64", result)
    checks.same_shape(name, result, logits.shape, ", other than the logits")
    if not (result < np.inf).all():
        raise ValueError(f"{name} contains NaN or +inf: use -inf to rule a token out")
    return result


def check_processor(value: object) -> object:
    """``value`` if it can be a processor, or None."""
    if value is not None and (isinstance(value, type) or not callable(value)):
        expected = "a function (ids, logits) -> logits, or None"
        raise checks.wrong_type("logits_processor", expected, value)
    return value
