"""The affine map, which most of a transformer's arithmetic is."""

from __future__ import annotations

import numpy as np

from minigpt.autograd import Array, kept, record
from minigpt.operations.operands import check_tensors
from minigpt.tensor import Tensor


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """y = X W + b, with ∂L/∂X = G Wᵀ, ∂L/∂W = Xᵀ G and ∂L/∂b = Σ G over the rows.

    All leading axes are rows of one large matrix product, which is faster than one product for
    each sequence of the batch.

    Shapes:
        x: (..., n_in)
        weight: (n_in, n_out)
        bias: (n_out,)
        returns: (..., n_out)

    Raises:
        ValueError: the sizes do not fit.
        TypeError: an input is no Tensor, or the dtypes differ.

    Example:
        >>> import minigpt as mg
        >>> import minigpt.functional as F
        >>> F.linear(mg.Tensor([[1.0, 2.0]]), mg.Tensor([[3.0], [4.0]]), mg.Tensor([5.0])).item()
        16.0
    """
    check_tensors("linear", x=x, weight=weight)
    if bias is not None:
        check_tensors("linear", bias=bias)
    if weight.ndim != 2 or x.ndim == 0 or x.shape[-1] != weight.shape[0]:
        raise ValueError(
            f"linear: x has shape {x.shape} and weight {weight.shape}: the last axis of x must be "
            "weight's first, (..., n_in) and (n_in, n_out)"
        )
    n_in, n_out = weight.shape
    if bias is not None and bias.shape != (n_out,):
        raise ValueError(f"linear: bias has shape {bias.shape}, expected ({n_out},)")
    for name, other in (("weight", weight), ("bias", bias)):
        if other is not None and other.dtype != x.dtype:
            raise TypeError(f"linear: x is {x.dtype} and {name} {other.dtype}: use x.astype(...)")
    shape, w = x.shape, weight.data
    rows = x.data.reshape(-1, n_in)
    y = rows @ w
    if bias is not None:
        y += bias.data
    needs_x, needs_weight = x.requires_grad, weight.requires_grad
    x_again = kept(x) if needs_weight else None

    def vjp(g: Array) -> tuple[Array | None, ...]:
        g = g.reshape(-1, n_out)
        gx = None
        if needs_x:
            gx = np.empty(shape, g.dtype)
            np.matmul(g, w.T, out=gx.reshape(-1, n_in))
        gw = x_again().reshape(-1, n_in).T @ g if x_again is not None else None
        return (gx, gw) if bias is None else (gx, gw, g.sum(axis=0))

    inputs = (x, weight) if bias is None else (x, weight, bias)
    return record(y.reshape(*shape[:-1], n_out), inputs, vjp)
