"""What the values given to filters and sampler must be, and what to say if they are not."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from minigpt.autograd import Array


def check_integer(name: str, value: object, minimum: int, mend: str = "") -> int:
    """``value`` as an int of at least ``minimum``; booleans and floats are no integers.

    Raises:
        TypeError: ``value`` is not an integer.
        ValueError: it is below ``minimum``.
    """
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{name}={value!r} is {_a(value)}: pass an integer >= {minimum}{mend}")
    if value < minimum:
        raise ValueError(f"{name}={value} is too small: pass an integer >= {minimum}{mend}")
    return int(value)


def check_flag(name: str, value: object) -> bool:
    """``value`` as a bool.

    Raises:
        TypeError: ``value`` is neither True nor False.
    """
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name}={value!r} is {_a(value)}: pass True or False")
    return bool(value)


def check_temperature(value: object) -> float:
    """A finite number >= 0."""
    return _number("temperature", value, lambda t: t >= 0, "a finite number >= 0 (0 is greedy)")


def check_top_k(value: object) -> int:
    """An integer >= 1."""
    return check_integer("top_k", value, 1, ", or None to keep every token")


def check_top_p(value: object) -> float:
    """A number in (0, 1]."""
    return _number("top_p", value, lambda p: 0 < p <= 1, "a number with 0 < top_p <= 1")


def check_min_p(value: object) -> float:
    """A number in (0, 1]."""
    return _number("min_p", value, lambda p: 0 < p <= 1, "a number with 0 < min_p <= 1")


def check_repetition_penalty(value: object) -> float:
    """A finite number > 0."""
    expected = "a finite number > 0 (1 changes nothing, above 1 makes repeating less likely)"
    return _number("repetition_penalty", value, lambda x: x > 0, expected)


def check_length_penalty(value: object) -> float:
    """A number in [-10, 10], so that no power of a length overflows."""
    expected = "a number from -10 to 10 (0 compares probabilities, 1 means per token)"
    return _number("length_penalty", value, lambda x: -10 <= x <= 10, expected)


def check_early_stopping(value: object) -> bool | str:
    """True, False or "never"."""
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    if value == "never":
        return "never"
    error = ValueError if isinstance(value, str) else TypeError
    raise error(f'early_stopping={value!r} is unknown: pass True, False or "never"')


def check_logits(logits: object) -> Array:
    """``logits`` if it is a float32 or float64 array (…, V) that a token can be drawn from.

    Raises:
        TypeError: ``logits`` is no array, or one of another type.
        ValueError: the last axis is missing or empty, or a row holds NaN or +inf, or only -inf.
    """
    if not isinstance(logits, np.ndarray):
        mend = "logits.data" if hasattr(logits, "data") else "np.asarray(logits, dtype=np.float32)"
        raise TypeError(f"logits is {_a(logits)}, not a NumPy array: pass {mend}")
    if logits.dtype not in (np.float32, np.float64):
        raise TypeError(f"logits has dtype {logits.dtype}: use logits.astype(np.float32)")
    if logits.ndim == 0 or logits.shape[-1] == 0:
        raise ValueError(f"logits has shape {logits.shape}: expected (..., V) with V >= 1")
    peak = logits.max(axis=-1)  # NaN where the row has a NaN, so one pass finds all three
    if np.isnan(peak).any():
        raise ValueError(
            "logits contain NaN: check that the model's parameters are finite "
            "(a diverged training run leaves NaN behind)"
        )
    if np.isposinf(peak).any():
        raise ValueError("logits contain +inf: the softmax over them is undefined, clip them first")
    if np.isneginf(peak).any():
        raise ValueError("a row of logits is -inf everywhere: no token is left to draw")
    return logits


def _number(name: str, value: object, valid: Callable[[float], bool], expected: str) -> float:
    if isinstance(value, (bool, np.bool_)) or not isinstance(
        value, (int, float, np.integer, np.floating)
    ):
        raise TypeError(f"{name}={value!r} is {_a(value)}: pass {expected}")
    number = float(value)
    if not (math.isfinite(number) and valid(number)):
        raise ValueError(f"{name}={value} is out of range: pass {expected}")
    return number


def _a(value: object) -> str:
    name = type(value).__name__
    return f"{'an' if name[0].lower() in 'aeiou' else 'a'} {name}"
