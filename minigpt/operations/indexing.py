"""Indexing: with integers, slices, ``...``, ``None``, and arrays of integers or booleans."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from minigpt import checks
from minigpt.autograd import Array, record

if TYPE_CHECKING:
    from minigpt.tensor import Tensor


def getitem(x: Tensor, index: Any) -> Tensor:
    """y = x[index], as NumPy indexes.

    ∂L/∂x is zero but in the places that ``index`` names, and has g there; a place that an array
    of integers names several times gets the sum.

    Shapes:
        x: any
        returns: what NumPy gives for that index, as a copy or a view

    Raises:
        TypeError: the index is a Tensor.
        IndexError: the index is out of range, or not made of integers or booleans.

    Example:
        >>> import minigpt as mg
        >>> x = mg.Tensor([1.0, 2.0, 3.0], requires_grad=True)
        >>> x[[0, 0, 2]].sum().backward()
        >>> x.grad
        array([2., 0., 1.], dtype=float32)
    """
    parts = _check(x, index)
    names_each_place_once = all(
        part is None
        or part is Ellipsis
        or (isinstance(part, (slice, int, np.integer)) and not isinstance(part, bool))
        for part in parts
    )
    shape, dtype = x.shape, x.dtype

    def vjp(g: Array) -> tuple[Array]:
        gx = np.zeros(shape, dtype)
        if names_each_place_once:
            gx[index] = g
        else:
            np.add.at(gx, index, g)
        return (gx,)

    return record(_picked(x.data, index), (x,), vjp)


def _picked(a: Array, index: Any) -> Array:
    """a[index], where NumPy's IndexErrors say what is wrong, and other errors do not."""
    try:
        return a[index]
    except (ValueError, OverflowError):
        expected = "made of integers in range, slices, or arrays with rows of one length"
        raise IndexError(f"index must be {expected}: got {checks.shown(index)}") from None


def _check(x: Tensor, index: Any) -> tuple[Any, ...]:
    checks.tensors("getitem", x=x)
    parts = index if isinstance(index, tuple) else (index,)
    for part in parts:
        if hasattr(part, "node"):
            mend = "a Tensor holds floats and cannot index: use an array of integers"
            raise checks.wrong_type("index", "made of integers, slices or arrays", part, mend)
    return parts
