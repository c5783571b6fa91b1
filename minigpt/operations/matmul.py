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
    """
    a, b = operands(a, b)
    if a.ndim == 0 or b.ndim == 0:
        raise ValueError(f"matmul of shapes {a.shape} and {b.shape}: a number has no axes, use *")
    inner = b.shape[-2] if b.ndim > 1 else b.shape[0]
    if a.shape[-1] != inner:
        raise ValueError(
            f"matmul of shapes {a.shape} and {b.shape}: the inner sizes differ, "
            f"{a.shape[-1]} and {inner}"
        )
    x, y = a.data, b.data
    try:
        value = x @ y
    except ValueError:
        raise ValueError(
            f"matmul of shapes {a.shape} and {b.shape}: the batch axes {a.shape[:-2]} and "
            f"{b.shape[:-2]} do not broadcast"
        ) from None
    rows = x[None, :] if x.ndim == 1 else x
    columns = y[:, None] if y.ndim == 1 else y
    needs_a, needs_b = a.requires_grad, b.requires_grad

    def vjp(g: Array) -> tuple[Array | None, Array | None]:
        if y.ndim == 1:
            g = g[..., None]
        if x.ndim == 1:
            g = np.expand_dims(g, -2)
        ga = gb = None
        if needs_a:
            ga = unbroadcast(g @ columns.swapaxes(-1, -2), rows.shape).reshape(x.shape)
        if needs_b:
            gb = unbroadcast(rows.swapaxes(-1, -2) @ g, columns.shape).reshape(y.shape)
        return ga, gb

    return record(value, (a, b), vjp)
