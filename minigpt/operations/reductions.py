"""Reductions over any axes: sum, mean, variance and maximum."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from minigpt import checks
from minigpt.autograd import Array, record

if TYPE_CHECKING:
    from minigpt.tensor import Tensor

Axis = int | tuple[int, ...] | None


def sum(x: Tensor, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """y = Σ x over ``axis`` (all axes where None); each term has derivative 1.

    Args:
        x: what is summed.
        axis: one axis or several, counted from either end; None for all.
        keepdims: whether the axes summed over stay, with length 1, so that y broadcasts with x.

    Shapes:
        x: any
        returns: x's shape without ``axis``, or with length 1 there

    Raises:
        ValueError: there is no such axis, or it is named twice.
        TypeError: ``axis`` is not made of integers.

    Example:
        >>> import minigpt as mg
        >>> mg.Tensor([[1.0, 2.0], [3.0, 4.0]]).sum(axis=0).numpy()
        array([4., 6.], dtype=float32)
    """
    axes = _check("sum", x, axis, keepdims)
    shape, value = x.shape, x.data.sum(axis=axes, keepdims=keepdims)
    return record(value, (x,), lambda g: (np.broadcast_to(_restored(g, axes, keepdims), shape),))


def mean(x: Tensor, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """y = (1/n) Σ x over ``axis`` (all axes where None), n numbers each; dy/dx = 1/n.

    Args and Shapes as in :func:`sum`.

    Raises:
        ValueError: there is no such axis, it is named twice, or there are no numbers to average.
        TypeError: ``axis`` is not made of integers.

    Example:
        >>> import minigpt as mg, minigpt.functional as F
        >>> x = mg.Tensor([[1.0, 2.0, 6.0]], requires_grad=True)
        >>> F.mean(x).backward()  # or x.mean()
        >>> x.grad.round(3)
        array([[0.333, 0.333, 0.333]], dtype=float32)
    """
    n = _check_count("mean", x, axis, keepdims)
    return sum(x, axis, keepdims) * (1.0 / n)


def var(x: Tensor, axis: Axis = None, keepdims: bool = False, correction: int = 0) -> Tensor:
    """σ² = Σ(x − μ)² / (n − correction) over ``axis``; dσ²/dx = 2(x − μ) / (n − correction).

    Args and Shapes as in :func:`sum`; ``correction=1`` is the estimate from a sample.

    Raises:
        ValueError: there is no such axis, it is named twice, or ``correction`` leaves nothing to
            divide by.
        TypeError: ``axis`` is not made of integers.

    Example:
        >>> import minigpt as mg, minigpt.functional as F
        >>> x = mg.Tensor([[1.0, 3.0], [5.0, 5.0]])
        >>> F.var(x, axis=1).numpy(), F.var(x, axis=1, correction=1).numpy()
        (array([1., 0.], dtype=float32), array([2., 0.], dtype=float32))
    """
    n = _check_count("var", x, axis, keepdims, correction)
    axes = _axes(axis, x.ndim)
    scale = x.dtype.type(2 / n)
    centred = x.data - x.data.mean(axis=axes, keepdims=True)
    value = np.asarray((centred * centred).sum(axis=axes, keepdims=keepdims) / n)
    return record(
        value.astype(x.dtype, copy=False),
        (x,),
        lambda g: (_restored(g, axes, keepdims) * scale * centred,),
    )


def max(x: Tensor, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """y = max x over ``axis``; entries that are equally large share the gradient evenly.

    Args and Shapes as in :func:`sum`.

    Raises:
        ValueError: there is no such axis, it is named twice, or there are no numbers.
        TypeError: ``axis`` is not made of integers.

    Example:
        >>> import minigpt as mg, minigpt.functional as F
        >>> x = mg.Tensor([[1.0, 4.0, 4.0]], requires_grad=True)
        >>> F.max(x, axis=1).backward()
        >>> x.grad
        array([[0. , 0.5, 0.5]], dtype=float32)
    """
    axes = _check_not_empty("max", x, axis, keepdims)
    a = x.data
    top = a.max(axis=axes, keepdims=True)

    def vjp(g: Array) -> tuple[Array]:
        is_top = (a == top).astype(g.dtype)
        return (_restored(g, axes, keepdims) * is_top / is_top.sum(axis=axes, keepdims=True),)

    return record(top if keepdims else a.max(axis=axes), (x,), vjp)


def _restored(g: Array, axes: tuple[int, ...], keepdims: bool) -> Array:
    """``g`` with the reduced axes back in place, of length 1."""
    return g if keepdims else np.expand_dims(g, axes)


def _axes(axis: Axis, ndim: int) -> tuple[int, ...]:
    """``axis`` as a tuple of non-negative numbers."""
    if axis is None:
        return tuple(range(ndim))
    return tuple(i % ndim for i in (axis if isinstance(axis, tuple) else (axis,)))


# ── checks ────────────────────────────────────────────────────────────────────────────────────


def _check(function: str, x: Tensor, axis: Any, keepdims: bool) -> tuple[int, ...]:
    """The axes that are reduced, as non-negative numbers."""
    checks.tensors(function, x=x)
    checks.flag("keepdims", keepdims)
    if isinstance(axis, list):
        expected = "an integer, a tuple of integers or None"
        raise checks.wrong_type("axis", expected, axis, f"axis={tuple(axis)}")
    if axis is not None:
        for i in axis if isinstance(axis, tuple) else (axis,):
            checks.axis(i, x.ndim)
    axes = _axes(axis, x.ndim)
    if len(set(axes)) != len(axes):
        raise checks.wrong_value("axis", "made of different axes", axis)
    return axes


def _check_not_empty(function: str, x: Tensor, axis: Axis, keepdims: bool) -> tuple[int, ...]:
    """The axes of a maximum, none of which may be of length 0 where there is a result."""
    axes = _check(function, x, axis, keepdims)
    if x.size == 0 and any(x.shape[i] == 0 for i in axes):
        raise ValueError(f"{function}: no numbers to choose from: shape {x.shape} over axes {axes}")
    return axes


def _check_count(function: str, x: Tensor, axis: Axis, keepdims: bool, correction: int = 0) -> int:
    """How many numbers are averaged over, less ``correction``."""
    axes = _check(function, x, axis, keepdims)
    n = math.prod(x.shape[i] for i in axes)
    if n == 0:
        raise ValueError(f"{function}: no numbers to average: shape {x.shape} over axes {axes}")
    if n <= checks.integer("correction", correction, least=0):
        expected = f"below {n}, the number of values that the variance is of"
        raise checks.wrong_value("correction", expected, correction)
    return n - correction
