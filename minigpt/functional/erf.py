"""The error function, which NumPy does not have and the exact GELU needs."""

from __future__ import annotations

import numpy as np

from minigpt import checks
from minigpt.autograd import Array
from minigpt.masked_arrays import is_masked

# Rational Chebyshev approximations, relative error below 1e-16: W. J. Cody 1969, "Rational
# Chebyshev Approximations for the Error Function", Mathematics of Computation 23. Coefficients of
# numerator and denominator, highest power first.
_SMALL = (  # erf(x)/x in x², for |x| ≤ 0.46875
    (1.85777706184603153e-1, 3.16112374387056560, 113.864154151050156,
     377.485237685302021, 3209.37758913846947),
    (1.0, 23.6012909523441209, 244.024637934444173, 1282.61652607737228, 2844.23683343917062),
)  # fmt: skip
_MIDDLE = (  # erfc(x)·exp(x²) in x, for 0.46875 < x ≤ 4
    (2.15311535474403846e-8, 5.64188496988670089e-1, 8.88314979438837594, 66.1191906371416295,
     298.635138197400131, 881.952221241769090, 1712.04761263407058, 2051.07837782607147,
     1230.33935479799725),
    (1.0, 15.7449261107098347, 117.693950891312499, 537.181101862009858, 1621.38957456669019,
     3290.79923573345963, 4362.61909014324716, 3439.36767414372164, 1230.33935480374942),
)  # fmt: skip
_LARGEST = 6.0  # |erf(x)| rounds to 1 in float64 from here on
# P in erf(x) = tanh(x·P(x²)) for float32: atanh(erf(x))/x fitted by least squares for 0 < x < 4.2,
# weighted so that the relative error of erf is about the same everywhere: at most 1e-7.
_INSIDE_TANH = (
    1.418411324e-07, -5.668265369e-06, 8.763592434e-05, -6.197805764e-04, -1.918359999e-04,
    1.027690583e-01, 1.128379274,
)  # fmt: skip


def erf(x: Array) -> Array:
    """erf(x) = (2/√π) ∫₀ˣ exp(−t²) dt, to the last few bits of x's own float type.

    Shapes:
        x and returns: any, the same

    Raises:
        TypeError: x is not an array of floats.

    Example:
        >>> import math, numpy as np
        >>> bool(abs(erf(np.array([0.5]))[0] - math.erf(0.5)) < 1e-15)
        True
    """
    _check(x)
    return _single(x) if x.dtype == np.float32 else _double(x)


def _single(x: Array) -> Array:
    """tanh(x·P(x²)), for float32: a quarter of the passes over x that :func:`_double` makes.

    From erf to 1 it is ever less far, and what P is off counts ever less: so seven numbers do.
    """
    with np.errstate(over="ignore"):  # ∞ becomes 1
        square = x * x
        highest, *others, lowest = map(x.dtype.type, _INSIDE_TANH)
        inside = square * highest
        for c in others:
            inside += c
            inside *= square
        inside += lowest
        inside *= x
    return np.asarray(np.tanh(inside))


def _double(x: Array) -> Array:
    """Cody's approximations, each where it holds."""
    z = np.minimum(np.abs(x), x.dtype.type(_LARGEST))
    square = z * z
    tail = 1 - np.exp(-square) * _ratio(_MIDDLE, z)
    return np.where(z <= 0.46875, x * _ratio(_SMALL, np.minimum(square, 1)), np.copysign(tail, x))


def _ratio(coefficients: tuple[tuple[float, ...], tuple[float, ...]], x: Array) -> Array:
    """P(x)/Q(x), by Horner's rule."""
    numerator, denominator = (np.full_like(x, c[0]) for c in coefficients)
    for c in coefficients[0][1:]:
        numerator *= x
        numerator += c
    for c in coefficients[1][1:]:
        denominator *= x
        denominator += c
    return numerator / denominator


def _check(x: Array) -> None:
    if not isinstance(x, np.ndarray) or x.dtype.kind != "f" or is_masked(x):
        raise checks.wrong_type("erf: x", "an array of floats", x)
