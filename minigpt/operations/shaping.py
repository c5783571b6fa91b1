"""Operations that move numbers without changing them; their derivatives move them back."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from operator import index
from typing import TYPE_CHECKING, Any

import numpy as np

from minigpt.autograd import record
from minigpt.operations.operands import as_tensor, check_axis, check_tensors, unbroadcast

if TYPE_CHECKING:
    from minigpt.tensor import Tensor


def reshape(x: Tensor, *shape: int | tuple[int, ...]) -> Tensor:
    """x in another shape of the same size: ``x.reshape(2, -1)`` or ``x.reshape((2, -1))``.

    One length may be −1: it is what the others leave.

    Raises:
        ValueError: the shape has another size.

    Example:
        >>> import minigpt as mg
        >>> mg.Tensor([1.0, 2.0, 3.0, 4.0]).reshape(2, -1).shape
        (2, 2)
    """
    check_tensors("reshape", x=x)
    before = x.shape
    return record(x.data.reshape(*shape), (x,), lambda g: (g.reshape(before),))


def transpose(x: Tensor, *axes: int | tuple[int, ...]) -> Tensor:
    """x with its axes in the given order; reversed where none is given.

    Shapes:
        x: (n₀, n₁, n₂, …)
        returns: axis i is x's axis ``axes[i]``: ``x.transpose(0, 2, 1)`` is (n₀, n₂, n₁)

    Raises:
        ValueError: the axes are not all of x's, each once.
    """
    check_tensors("transpose", x=x)
    order: Any = axes[0] if len(axes) == 1 and isinstance(axes[0], tuple) else axes
    order = order or tuple(reversed(range(x.ndim)))
    value = x.data.transpose(order)
    back = np.argsort([i % x.ndim for i in order])
    return record(value, (x,), lambda g: (g.transpose(back),))


def swapaxes(x: Tensor, axis1: int, axis2: int) -> Tensor:
    """x with two axes swapped.

    Raises:
        ValueError: there is no such axis.
        TypeError: an axis is no integer.
    """
    check_tensors("swapaxes", x=x)
    check_axis(axis1, x.ndim)
    check_axis(axis2, x.ndim)
    return record(x.data.swapaxes(axis1, axis2), (x,), lambda g: (g.swapaxes(axis1, axis2),))


def broadcast_to(x: Tensor, shape: tuple[int, ...]) -> Tensor:
    """x stretched to ``shape`` by NumPy's rules; the gradient is summed back.

    Raises:
        ValueError: x does not broadcast to that shape.
    """
    check_tensors("broadcast_to", x=x)
    before = x.shape
    return record(np.broadcast_to(x.data, shape), (x,), lambda g: (unbroadcast(g, before),))


def concatenate(tensors: Sequence[Tensor], axis: int = 0) -> Tensor:
    """The tensors joined along an axis that they have.

    Raises:
        ValueError: nothing to join, no such axis, or shapes that differ elsewhere.
        TypeError: tensors of different dtypes, or an axis that is no integer.
    """
    parts = _all_of_one_type(tensors)
    check_axis(axis, parts[0].ndim)
    value = np.concatenate([t.data for t in parts], axis=axis)
    borders = np.cumsum([t.shape[axis] for t in parts])[:-1]
    return record(value, tuple(parts), lambda g: tuple(np.split(g, borders, axis=axis)))


def stack(tensors: Sequence[Tensor], axis: int = 0) -> Tensor:
    """The tensors, all of one shape, joined along a new axis.

    Shapes:
        tensors: N of (…)
        returns: (N, …), or with the N at ``axis``

    Raises:
        ValueError: nothing to join, shapes that differ, or no such axis in what is returned.
        TypeError: tensors of different dtypes, or an axis that is no integer.

    Example:
        >>> import minigpt as mg, minigpt.functional as F
        >>> F.stack([mg.Tensor([1.0, 2.0]), mg.Tensor([3.0, 4.0])], axis=1).numpy()
        array([[1., 3.],
               [2., 4.]], dtype=float32)
    """
    parts = _all_of_one_type(tensors)
    check_axis(axis, parts[0].ndim + 1)
    value = np.stack([t.data for t in parts], axis=axis)
    return record(value, tuple(parts), lambda g: tuple(np.moveaxis(g, axis, 0)))


def split(x: Tensor, sections: int | Sequence[int], axis: int = 0) -> list[Tensor]:
    """x cut along ``axis``: into so many equal pieces, or before the given indices.

    Raises:
        ValueError: there is no such axis, it cannot be cut into so many equal pieces, or the
            indices fall or lie outside it.
        TypeError: ``axis`` or an index is no integer.

    Example:
        >>> import minigpt as mg
        >>> [piece.shape for piece in mg.Tensor([1.0, 2.0, 3.0, 4.0]).split([1, 3])]
        [(1,), (2,), (1,)]
    """
    check_tensors("split", x=x)
    check_axis(axis, x.ndim)
    n = x.shape[axis]
    if isinstance(sections, (int, np.integer)):
        if sections < 1 or n % sections:
            raise ValueError(
                f"axis {axis} has length {n}: it cannot be split in sections={sections}"
            )
        borders = [i * (n // int(sections)) for i in range(int(sections) + 1)]
    else:
        borders = [0, *map(index, sections), n]
        if borders != sorted(borders):
            raise ValueError(
                f"axis {axis} has length {n}: it cannot be split at {list(sections)}, expected "
                f"indices that rise from 0 to {n}"
            )
    place = axis % x.ndim
    return [x[(slice(None),) * place + (slice(start, stop),)] for start, stop in pairwise(borders)]


def _all_of_one_type(tensors: Sequence[Tensor]) -> list[Tensor]:
    if len(tensors) == 0:
        raise ValueError("expected one tensor at least, got an empty sequence")
    first = as_tensor(tensors[0])
    return [first, *(as_tensor(t, first.data.dtype) for t in tensors[1:])]
