"""What an operation accepts beside a Tensor, and how shapes that were broadcast come back.

The rule for types, everywhere in the library:

* a Tensor holds float32 or float64, nothing else;
* float32 and float64 do not mix: that is a TypeError that says so, never a silent conversion;
* a Python or NumPy number, and an array or list of integers or booleans, takes the dtype of the
  Tensor that it meets.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Union

import numpy as np

from minigpt.autograd import Array

if TYPE_CHECKING:
    from minigpt.tensor import Tensor

Operand = Union["Tensor", Array, float, Sequence[Any]]
FLOATS = (np.dtype(np.float32), np.dtype(np.float64))


def as_tensor(value: Operand, dtype: np.dtype[Any] | None = None) -> Tensor:
    """``value`` as a Tensor; what is not one yet becomes a constant of ``dtype``.

    Raises:
        TypeError: a float array or Tensor of another dtype than ``dtype``, or no numbers at all.
    """
    from minigpt.tensor import Tensor  # one floor up

    if isinstance(value, Tensor):
        if dtype is not None and value.data.dtype != dtype:
            raise TypeError(
                f"{value.data.dtype} and {dtype} tensors do not mix: convert one of them, for "
                f"example x.astype(np.{dtype})"
            )
        return value
    if dtype is None:
        return Tensor(value)
    array = np.asarray(value)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"expected numbers or a Tensor, got {type(value).__name__}")
    is_float_array = isinstance(value, np.ndarray) and value.ndim > 0 and array.dtype.kind == "f"
    if is_float_array and array.dtype != dtype:
        raise TypeError(
            f"a {array.dtype} array and a {dtype} tensor do not mix: convert one of them, for "
            f"example array.astype(np.{dtype})"
        )
    return Tensor(array.astype(dtype, copy=False))


def operands(a: Operand, b: Operand) -> tuple[Tensor, Tensor]:
    """Both operands of a binary operation as Tensors of one dtype, checked to broadcast."""
    from minigpt.tensor import Tensor  # one floor up

    if isinstance(a, Tensor):
        b = as_tensor(b, a.data.dtype)
    elif isinstance(b, Tensor):
        a = as_tensor(a, b.data.dtype)
    else:
        a = as_tensor(a)
        b = as_tensor(b, a.data.dtype)
    return a, b


def unbroadcast(gradient: Array, shape: tuple[int, ...]) -> Array:
    """Sum ``gradient`` back to ``shape``: the transpose of NumPy's broadcasting.

    An axis that was stretched fed each of its copies, so its gradient is the sum over them.
    """
    if gradient.shape == shape:
        return gradient
    extra = gradient.ndim - len(shape)
    stretched = tuple(
        axis + extra for axis, n in enumerate(shape) if n == 1 and gradient.shape[axis + extra] != 1
    )
    return gradient.sum(axis=tuple(range(extra)) + stretched, keepdims=True).reshape(shape)
