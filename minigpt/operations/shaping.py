"""Operations that move numbers without changing them; their derivatives move them back."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from minigpt.autograd import record
from minigpt.operations.operands import as_tensor, unbroadcast

if TYPE_CHECKING:
    from minigpt.tensor import Tensor


def reshape(x: Tensor, *shape: int | tuple[int, ...]) -> Tensor:
    """x in another shape of the same size: ``x.reshape(2, -1)`` or ``x.reshape((2, -1))``."""
    before = x.shape
    return record(x.data.reshape(*shape), (x,), lambda g: (g.reshape(before),))


def transpose(x: Tensor, *axes: int | tuple[int, ...]) -> Tensor:
    """x with its axes in the given order; reversed where none is given."""
    order: Any = axes[0] if len(axes) == 1 and isinstance(axes[0], tuple) else axes
    order = order or tuple(reversed(range(x.ndim)))
    value = x.data.transpose(order)
    back = np.argsort([i % x.ndim for i in order])
    return record(value, (x,), lambda g: (g.transpose(back),))


def swapaxes(x: Tensor, axis1: int, axis2: int) -> Tensor:
    """x with two axes swapped."""
    return record(x.data.swapaxes(axis1, axis2), (x,), lambda g: (g.swapaxes(axis1, axis2),))


def broadcast_to(x: Tensor, shape: tuple[int, ...]) -> Tensor:
    """x stretched to ``shape`` by NumPy's rules; the gradient is summed back."""
    before = x.shape
    return record(np.broadcast_to(x.data, shape), (x,), lambda g: (unbroadcast(g, before),))


def concatenate(tensors: Sequence[Tensor], axis: int = 0) -> Tensor:
    """The tensors joined along an axis that they have.

    Raises:
        ValueError: nothing to join, or shapes that do not fit.
        TypeError: tensors of different dtypes.
    """
    parts = _all_of_one_type(tensors)
    value = np.concatenate([t.data for t in parts], axis=axis)
    borders = np.cumsum([t.shape[axis] for t in parts])[:-1]
    return record(value, tuple(parts), lambda g: tuple(np.split(g, borders, axis=axis)))


def stack(tensors: Sequence[Tensor], axis: int = 0) -> Tensor:
    """The tensors, all of one shape, joined along a new axis."""
    parts = _all_of_one_type(tensors)
    value = np.stack([t.data for t in parts], axis=axis)
    return record(value, tuple(parts), lambda g: tuple(np.moveaxis(g, axis, 0)))


def split(x: Tensor, sections: int | Sequence[int], axis: int = 0) -> list[Tensor]:
    """x cut along ``axis``: into so many equal pieces, or at the given indices.

    Raises:
        ValueError: there is no such axis, or it cannot be cut into so many equal pieces.
    """
    if not -x.ndim <= axis < x.ndim:
        raise ValueError(f"axis {axis} is out of range for a tensor of {x.ndim} dimensions")
    n = x.shape[axis]
    if isinstance(sections, (int, np.integer)):
        if sections < 1 or n % sections:
            raise ValueError(
                f"axis {axis} has length {n}: it cannot be split in sections={sections}"
            )
        borders = [i * (n // int(sections)) for i in range(int(sections) + 1)]
    else:
        borders = [0, *sections, n]
    place = axis % x.ndim
    return [x[(slice(None),) * place + (slice(start, stop),)] for start, stop in pairwise(borders)]


def _all_of_one_type(tensors: Sequence[Tensor]) -> list[Tensor]:
    if len(tensors) == 0:
        raise ValueError("expected one tensor at least, got an empty sequence")
    first = as_tensor(tensors[0])
    return [first, *(as_tensor(t, first.data.dtype) for t in tensors[1:])]
