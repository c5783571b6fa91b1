"""The matrix product, over any batch shapes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from minigpt.autograd import Array, record
from minigpt.operations.operands import Operand, operands, unbroadcast

if TYPE_CHECKING:
    from minigpt.tensor import Tensor


def matmul(a: Operand, b: Operand) -> Tensor:
    """y = A B over the last two axes, with ∂L/∂A = G Bᵀ and ∂L/∂B = Aᵀ G.

    Batch axes broadcast; a vector on the left is a row and on the right a column, as in NumPy.

    Shapes:
        a: (..., n, k), or (k,)
        b: (..., k, m), or (k,)
        returns: (..., n, m), without the axis that a vector does not have

    Raises:
        ValueError: the inner sizes differ, an operand is a single number, or the batch shapes do
            not broadcast.

    Example:
        >>> import minigpt as mg, minigpt.functional as F
        >>> A = mg.Tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
        >>> y = F.matmul(A, mg.Tensor([1.0, 10.0]))  # or A @ b
        >>> y.sum().backward()
        >>> y.numpy(), A.grad.tolist()
        (array([21., 43.], dtype=float32), [[1.0, 10.0], [1.0, 10.0]])
    """
    a, b = _check(a, b)
    x, y = a.data, b.data
    rows = x[None, :] if x.ndim == 1 else x  # (..., n, k)
    columns = y[:, None] if y.ndim == 1 else y  # (..., k, m)
    needs_a, needs_b = a.requires_grad, b.requires_grad

    def vjp(g: Array) -> tuple[Array | None, Array | None]:
        if y.ndim == 1:
            g = g[..., None]
        if x.ndim == 1:
            g = np.expand_dims(g, -2)
        ga = gb = None
        if needs_a:  # (..., n, m) @ (..., m, k) -> (..., n, k)
            ga = unbroadcast(g @ columns.swapaxes(-1, -2), rows.shape).reshape(x.shape)
        if needs_b:  # (..., k, n) @ (..., n, m) -> (..., k, m)
            gb = unbroadcast(rows.swapaxes(-1, -2) @ g, columns.shape).reshape(y.shape)
        return ga, gb

    return record(x @ y, (a, b), vjp)


def _check(a: Operand, b: Operand) -> tuple[Tensor, Tensor]:
    a, b = operands(a, b)
    shapes = f"matmul of shapes {a.shape} and {b.shape}"
    if a.ndim == 0 or b.ndim == 0:
        raise ValueError(f"{shapes}: a number has no axes, use *")
    inner = b.shape[-2] if b.ndim > 1 else b.shape[0]
    if a.shape[-1] != inner:
        raise ValueError(f"{shapes}: the inner sizes differ, {a.shape[-1]} and {inner}")
    batch = a.shape[:-2], b.shape[:-2]
    try:
        if batch[0] != batch[1]:
            np.broadcast_shapes(*batch)
    except ValueError:
        message = f"{shapes}: the batch axes {batch[0]} and {batch[1]} do not broadcast"
        raise ValueError(message) from None
    return a, b
