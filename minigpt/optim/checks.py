"""Numbers that an optimizer or a schedule is given, checked once, with errors that name them."""

from __future__ import annotations

import math
import operator
from numbers import Real
from typing import Any

import numpy as np


def real(name: str, value: Any) -> float:
    """``value`` as a Python float, so that arithmetic with it keeps an array's dtype.

    Raises:
        TypeError: no number, or a bool.
        ValueError: NaN or infinite.
    """
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, Real):
        raise TypeError(f"{name}={value!r} is a {type(value).__name__}: give a number")
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{name}={number} is not finite")
    return number


def not_negative(name: str, value: Any) -> float:
    """``value`` as a finite float of 0 or more."""
    number = real(name, value)
    if number < 0:
        raise ValueError(f"{name}={number} is negative: give 0 or more")
    return number


def positive(name: str, value: Any) -> float:
    """``value`` as a finite float above 0."""
    number = real(name, value)
    if number <= 0:
        raise ValueError(f"{name}={number} is not positive: give a number above 0")
    return number


def fraction(name: str, value: Any) -> float:
    """``value`` as a float in [0, 1)."""
    number = real(name, value)
    if not 0 <= number < 1:
        raise ValueError(f"{name}={number} is outside [0, 1)")
    return number


def count(name: str, value: Any) -> int:
    """``value`` as an int of 0 or more (NumPy's integers too, bools not)."""
    if isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name}={value!r} is a bool: give an integer")
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name}={value!r} is a {type(value).__name__}: give an integer") from None
    if number < 0:
        raise ValueError(f"{name}={number} is negative: give 0 or more")
    return number
