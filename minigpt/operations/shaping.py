"""Operations that move numbers without changing them; their derivatives move them back."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from minigpt import checks
from minigpt.autograd import record
from minigpt.operations.operands import as_tensor, unbroadcast

if TYPE_CHECKING:
    from minigpt.tensor import Tensor


def reshape(x: Tensor, *shape: int | tuple[int, ...]) -> Tensor:
    """x in another ``shape`` of the same size: ``x.reshape(2, -1)`` or ``x.reshape((2, -1))``.

    One length may be −1: it is what the others leave.

    Shapes:
        x: any
        returns: ``shape``, its numbers in the same order

    Raises:
        ValueError: the shape has another size.

    Example:
        >>> import minigpt as mg
        >>> mg.Tensor([1.0, 2.0, 3.0, 4.0]).reshape(2, -1).shape
        (2, 2)
    """
    after = _check_reshape(x, shape)
    before = x.shape
    return record(x.data.reshape(after), (x,), lambda g: (g.reshape(before),))


def transpose(x: Tensor, *axes: int | tuple[int, ...]) -> Tensor:
    """x with its axes in the given order; reversed where none is given.

    Shapes:
        x: (n₀, n₁, n₂, …)
        returns: axis i is x's axis ``axes[i]``: ``x.transpose(0, 2, 1)`` is (n₀, n₂, n₁)

    Raises:
        ValueError: the axes are not all of x's, each once.

    Example:
        >>> import numpy as np, minigpt as mg
        >>> x = mg.Tensor(np.zeros((2, 3, 4), np.float32))  # (B, T, C)
        >>> x.transpose(0, 2, 1).shape, x.transpose().shape
        ((2, 4, 3), (4, 3, 2))
    """
    order = _check_transpose(x, axes)
    back = np.argsort(order)
    return record(x.data.transpose(order), (x,), lambda g: (g.transpose(back),))


def swapaxes(x: Tensor, axis1: int, axis2: int) -> Tensor:
    """x with ``axis1`` and ``axis2`` swapped.

    Shapes:
        x: (…, m, …, n, …)
        returns: (…, n, …, m, …)

    Raises:
        ValueError: there is no such axis.
        TypeError: an axis is not an integer.

    Example:
        >>> import numpy as np, minigpt as mg
        >>> heads = mg.Tensor(np.zeros((2, 7, 3, 4), np.float32))  # (B, T, h, d)
        >>> heads.swapaxes(1, 2).shape  # each head by itself
        (2, 3, 7, 4)
    """
    _check_axes("swapaxes", x, axis1=axis1, axis2=axis2)
    return record(x.data.swapaxes(axis1, axis2), (x,), lambda g: (g.swapaxes(axis1, axis2),))


def broadcast_to(x: Tensor, shape: tuple[int, ...]) -> Tensor:
    """x stretched to ``shape`` by NumPy's rules; the gradient is summed back.

    Shapes:
        x: lengths of 1 where it is to be stretched; axes may be missing on the left
        returns: ``shape``

    Raises:
        ValueError: x does not broadcast to that shape.

    Example:
        >>> import minigpt as mg, minigpt.functional as F
        >>> row = mg.Tensor([1.0, 2.0], requires_grad=True)
        >>> F.broadcast_to(row, (3, 2)).sum().backward()
        >>> row.grad  # each number stood in three rows
        array([3., 3.], dtype=float32)
    """
    after = _check_broadcast_to(x, shape)
    before = x.shape
    return record(np.broadcast_to(x.data, after), (x,), lambda g: (unbroadcast(g, before),))


def concatenate(tensors: Sequence[Tensor], axis: int = 0) -> Tensor:
    """The tensors joined along an axis that they have.

    Args:
        tensors: a list of them, of one dtype.
        axis: the axis that grows.

    Shapes:
        tensors: (…, nᵢ, …), with nᵢ at ``axis`` and equal lengths elsewhere
        returns: (…, Σ nᵢ, …)

    Raises:
        ValueError: nothing to join, no such axis, or shapes that differ elsewhere.
        TypeError: tensors of different dtypes, or an axis that is not an integer.

    Example:
        >>> import minigpt as mg, minigpt.functional as F
        >>> parts = [mg.Tensor([[1.0, 2.0]]), mg.Tensor([[3.0]])]
        >>> F.concatenate(parts, axis=1).numpy()
        array([[1., 2., 3.]], dtype=float32)
    """
    parts = _check_concatenate(tensors, axis)
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
        TypeError: tensors of different dtypes, or an axis that is not an integer.

    Example:
        >>> import minigpt as mg, minigpt.functional as F
        >>> F.stack([mg.Tensor([1.0, 2.0]), mg.Tensor([3.0, 4.0])], axis=1).numpy()
        array([[1., 3.],
               [2., 4.]], dtype=float32)
    """
    parts = _check_stack(tensors, axis)
    value = np.stack([t.data for t in parts], axis=axis)
    return record(value, tuple(parts), lambda g: tuple(np.moveaxis(g, axis, 0)))


def split(x: Tensor, sections: int | Sequence[int], axis: int = 0) -> list[Tensor]:
    """x cut along ``axis``: into so many equal pieces, or before the given indices.

    Args:
        x: a Tensor.
        sections: how many pieces; or the indices at which pieces begin, after the first.
        axis: the axis that is cut.

    Shapes:
        x: (…, n, …), with n at ``axis``
        returns: a list of (…, nᵢ, …), with Σ nᵢ = n

    Raises:
        ValueError: there is no such axis, it cannot be cut into so many equal pieces, or the
            indices fall or lie outside it.
        TypeError: ``axis`` or an index is not an integer.

    Example:
        >>> import minigpt as mg
        >>> [piece.shape for piece in mg.Tensor([1.0, 2.0, 3.0, 4.0]).split([1, 3])]
        [(1,), (2,), (1,)]
    """
    borders = _check_split(x, sections, axis)
    before = (slice(None),) * (axis % x.ndim)
    return [x[(*before, slice(start, stop))] for start, stop in pairwise(borders)]


# ── checks ────────────────────────────────────────────────────────────────────────────────────


def _lengths(name: str, value: Sequence[Any], least: int) -> tuple[int, ...]:
    """``(2, 3)``, or the ``((2, 3),)`` that a call with one tuple becomes, as lengths of axes."""
    if len(value) == 1 and isinstance(value[0], (tuple, list)):
        value = value[0]
    if all(type(n) is int and n >= least for n in value):
        return tuple(value)
    return tuple(checks.integer(f"{name}[{i}]", n, least) for i, n in enumerate(value))


def _check_reshape(x: Tensor, shape: Sequence[Any]) -> tuple[int, ...]:
    checks.tensors("reshape", x=x)
    after = _lengths("shape", shape, least=-1)
    known = math.prod(n for n in after if n >= 0)
    n_left_open = after.count(-1)
    fits = known == x.size if n_left_open == 0 else known > 0 and x.size % known == 0
    if n_left_open > 1 or not fits:
        expected = f"a shape of {x.size} numbers, as x is {x.shape}, with one −1 at the most"
        raise checks.wrong_value("reshape: shape", expected, after)
    return after


def _check_transpose(x: Tensor, axes: Sequence[Any]) -> tuple[int, ...]:
    checks.tensors("transpose", x=x)
    order = _lengths("axes", axes, least=-x.ndim) or tuple(reversed(range(x.ndim)))
    if sorted(i % x.ndim if i < x.ndim else i for i in order) != list(range(x.ndim)):
        expected = f"each of the {x.ndim} axes of x once, as x is {x.shape}"
        raise checks.wrong_value("transpose: axes", expected, order)
    return tuple(i % x.ndim for i in order)


def _check_axes(function: str, x: Tensor, **axes: object) -> None:
    checks.tensors(function, x=x)
    for name, axis in axes.items():
        checks.axis(axis, x.ndim, name)


def _check_broadcast_to(x: Tensor, shape: Any) -> tuple[int, ...]:
    checks.tensors("broadcast_to", x=x)
    if not isinstance(shape, (tuple, list)):
        raise checks.wrong_type("broadcast_to: shape", "a tuple of integers", shape)
    after = _lengths("shape", (shape,), least=0)
    last = after[len(after) - x.ndim :]
    if len(after) < x.ndim or any(n not in (1, m) for n, m in zip(x.shape, last, strict=True)):
        expected = f"a shape that x, {x.shape}, stretches to"
        mend = "only axes of length 1 stretch, and new ones come first"
        raise checks.wrong_value("broadcast_to: shape", expected, after, mend)
    return after


def _check_concatenate(tensors: Sequence[Any], axis: int) -> list[Tensor]:
    parts = _all_of_one_type("concatenate", tensors)
    place = checks.axis(axis, parts[0].ndim)

    def elsewhere(t: Tensor) -> tuple[int, ...]:
        return tuple(n for i, n in enumerate(t.shape) if i != place % parts[0].ndim)

    for i, part in enumerate(parts):
        if part.ndim != parts[0].ndim or elsewhere(part) != elsewhere(parts[0]):
            expected = f"of the shape of tensors[0], {parts[0].shape}, but for axis {place}"
            raise checks.wrong_value(f"concatenate: tensors[{i}]", expected, part)
    return parts


def _check_stack(tensors: Sequence[Any], axis: int) -> list[Tensor]:
    parts = _all_of_one_type("stack", tensors)
    checks.axis(axis, parts[0].ndim + 1)
    for i, part in enumerate(parts):
        why = ", as all must have that of tensors[0]"
        checks.same_shape(f"stack: tensors[{i}]", part, parts[0].shape, why)
    return parts


def _all_of_one_type(function: str, tensors: Sequence[Any]) -> list[Tensor]:
    if hasattr(tensors, "node") or not isinstance(tensors, (list, tuple)):
        raise checks.wrong_type(f"{function}: tensors", "a list of Tensors", tensors)
    if not tensors:
        raise checks.wrong_value(f"{function}: tensors", "one Tensor at least", tensors)
    first = as_tensor(tensors[0], name="tensors[0]")
    others = enumerate(tensors[1:], start=1)
    return [first, *(as_tensor(t, first.data.dtype, f"tensors[{i}]") for i, t in others)]


def _check_split(x: Tensor, sections: Any, axis: int) -> list[int]:
    """Where the pieces begin and end, from 0 to the length of the axis."""
    _check_axes("split", x, axis=axis)
    n = x.shape[axis]
    if isinstance(sections, (list, tuple)) or (isinstance(sections, np.ndarray) and sections.ndim):
        indices = [checks.integer(f"sections[{i}]", at) for i, at in enumerate(sections)]
        borders = [0, *indices, n]
        if borders != sorted(borders):
            expected = f"indices that rise from 0 to {n}, the length of axis {axis}"
            raise checks.wrong_value("split: sections", expected, indices)
        return borders
    pieces = checks.integer("split: sections", sections, least=1)
    if n % pieces:
        expected = f"a divisor of {n}, the length of axis {axis}, or indices to cut at"
        raise checks.wrong_value("split: sections", expected, pieces)
    return [i * (n // pieces) for i in range(pieces + 1)]
