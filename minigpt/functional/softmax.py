"""Softmax: from scores to probabilities."""

from __future__ import annotations

import numpy as np

from minigpt import checks
from minigpt.autograd import Array, record
from minigpt.tensor import Tensor


def softmax(x: Tensor, axis: int = -1) -> Tensor:
    """yᵢ = exp(xᵢ) / Σⱼ exp(xⱼ), with ∂L/∂x = y ∘ (g − Σ g∘y).

    The largest xⱼ is subtracted from all first: it cancels out, and no exponential overflows.

    Shapes:
        x and returns: any, normalised along ``axis``

    Raises:
        ValueError: there is no such axis.

    Example:
        >>> import minigpt as mg
        >>> import minigpt.functional as F
        >>> F.softmax(mg.Tensor([0.0, 0.0])).numpy()
        array([0.5, 0.5], dtype=float32)
    """
    _check("softmax", x, axis)
    y = softmax_in_place(_shifted(x.data, axis), axis)

    def vjp(g: Array) -> tuple[Array]:
        return (y * (g - (g * y).sum(axis=axis, keepdims=True)),)

    return record(y, (x,), vjp)


def log_softmax(x: Tensor, axis: int = -1) -> Tensor:
    """Log yᵢ = xᵢ − log Σⱼ exp(xⱼ), with ∂L/∂x = g − softmax(x)·Σ g.

    Computed directly: the logarithm of a softmax would be −∞ where the probability underflows.

    Shapes:
        x and returns: any, normalised along ``axis``

    Raises:
        ValueError: there is no such axis.

    Example:
        >>> import minigpt as mg, minigpt.functional as F
        >>> F.log_softmax(mg.Tensor([0.0, -1000.0])).numpy()  # where the softmax is 0
        array([    0., -1000.], dtype=float32)
    """
    _check("log_softmax", x, axis)
    y = _shifted(x.data, axis)
    if y.size:  # there is no logarithm of a sum of nothing
        y -= np.log(np.exp(y).sum(axis=axis, keepdims=True))

    def vjp(g: Array) -> tuple[Array]:
        return (g - np.exp(y) * g.sum(axis=axis, keepdims=True),)

    return record(y, (x,), vjp)


def softmax_in_place(shifted: Array, axis: int = -1) -> Array:
    """Softmax written over scores that were shifted already, so that the largest is 0."""
    np.exp(shifted, out=shifted)
    shifted /= shifted.sum(axis=axis, keepdims=True)
    return shifted


def _shifted(x: Array, axis: int) -> Array:
    """x, less the largest along the axis, 0 to −∞; where that is +∞ there is no answer: NaN."""
    with np.errstate(over="ignore", invalid="ignore"):
        return np.asarray(x - x.max(axis=axis, keepdims=True, initial=-np.inf))


def _check(function: str, x: Tensor, axis: int) -> None:
    checks.tensors(function, x=x)
    checks.axis(axis, x.ndim or 1)  # a number is a row of one
