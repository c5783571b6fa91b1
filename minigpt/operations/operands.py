"""What an operation accepts, and how shapes that were broadcast come back.

The rule for types, everywhere in the library:

* a Tensor holds float32 or float64, nothing else;
* float32 and float64 do not mix: that is a TypeError that says so, never a silent conversion;
* a Python or NumPy number, and an array or list of integers or booleans, takes the dtype of the
  Tensor that it meets.

An operation of two operands takes anything that :func:`as_tensor` makes a Tensor of; all others
take Tensors, and say so by :func:`minigpt.checks.tensors`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Union

import numpy as np

from minigpt import checks, tensor
from minigpt.autograd import Array

if TYPE_CHECKING:
    from minigpt.tensor import Tensor

Operand = Union["Tensor", Array, float, Sequence[Any]]
FLOATS = (np.dtype(np.float32), np.dtype(np.float64))


def as_tensor(value: Operand, dtype: np.dtype[Any] | None = None, name: str = "operand") -> Tensor:
    """``value`` as a Tensor; what is not one yet becomes a constant of ``dtype``.

    Raises:
        TypeError: a float array or Tensor of another dtype than ``dtype``, or no numbers at all.
    """
    if isinstance(value, tensor.Tensor):
        if dtype is not None and value.data.dtype != dtype:
            raise TypeError(
                f"{value.data.dtype} and {dtype} tensors do not mix: convert one of them, for "
                f"example x.astype(np.{dtype})"
            )
        return value
    if dtype is None:
        return tensor.Tensor(tensor.floats(value, name))
    array = checks.regular(name, value, "a Tensor, an array or a number")
    if array.dtype.kind not in "biuf":
        raise checks.wrong_type(name, "a number, an array of numbers or a Tensor", value)
    is_float_array = isinstance(value, np.ndarray) and value.ndim > 0 and array.dtype.kind == "f"
    if is_float_array and array.dtype != dtype:
        raise TypeError(
            f"a {array.dtype} array and a {dtype} tensor do not mix: convert one of them, for "
            f"example array.astype(np.{dtype})"
        )
    return tensor.Tensor(array.astype(dtype, copy=False))


def operands(a: Operand, b: Operand) -> tuple[Tensor, Tensor]:
    """Both operands of a binary operation as Tensors of one dtype."""
    if isinstance(a, tensor.Tensor):
        b = as_tensor(b, a.data.dtype)
    elif isinstance(b, tensor.Tensor):
        a = as_tensor(a, b.data.dtype)
    else:
        a = as_tensor(a)
        b = as_tensor(b, a.data.dtype)
    return a, b


def broadcast(function: Callable[..., Any], *arrays: Array) -> Any:
    """``function(*arrays)``, NumPy's; shapes that do not broadcast are all named in the error."""
    try:
        return function(*arrays)
    except ValueError:
        shapes = " and ".join(str(array.shape) for array in arrays)
        raise ValueError(
            f"{function.__name__} of shapes {shapes}: they do not broadcast. Counted from the "
            "last, axes must have equal lengths, or length 1 in one of them: use reshape or None "
            "as an index to put axes of length 1 in"
        ) from None


def float_type(value: Any, name: str = "dtype") -> np.dtype[Any]:
    """``value`` as the dtype of float32 or float64."""
    try:
        dtype = np.dtype(value)
    except (TypeError, ValueError):
        dtype = np.dtype(object)
    if value is None or dtype not in FLOATS:  # None is float64 to NumPy
        raise checks.wrong_type(name, "np.float32 or np.float64", value)
    return dtype


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
