"""Arrays with a mask of their own, NumPy's ``numpy.ma``: refused, as operations would lose it."""

from __future__ import annotations

import sys

import numpy as np


def is_masked(value: object) -> bool:
    """Whether ``value`` is one; nobody has made one before NumPy has loaded the module for them.

    Example:
        >>> is_masked(np.ma.masked_equal([1, 2], 2)), is_masked(np.array([1, 2]))
        (True, False)
    """
    return "numpy.ma" in sys.modules and isinstance(value, np.ma.MaskedArray)
