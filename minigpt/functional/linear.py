"""The affine map, which most of a transformer's arithmetic is."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigpt import checks
from minigpt.autograd import Array, kept, record
from minigpt.functional.sums import column_sums
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
        TypeError: the dtypes differ.

    Example:
        >>> import minigpt as mg
        >>> import minigpt.functional as F
        >>> F.linear(mg.Tensor([[1.0, 2.0]]), mg.Tensor([[3.0], [4.0]]), mg.Tensor([5.0])).item()
        16.0
    """
    _check(x, weight, bias)
    (n_in, n_out), shape, w = weight.shape, x.shape, weight.data
    y = x.data.reshape(-1, n_in) @ w  # (rows, n_in) @ (n_in, n_out) -> (rows, n_out)
    if bias is not None:
        y += bias.data
    needs_x, needs_weight = x.requires_grad, weight.requires_grad
    needs_bias = bias is not None and bias.requires_grad
    x_again = kept(x) if needs_weight else None

    def vjp(g: Array) -> tuple[Array | None, ...]:
        g = g.reshape(-1, n_out)
        gx = gw = None
        if needs_x:  # (rows, n_out) @ (n_out, n_in) -> (rows, n_in)
            gx = np.empty(shape, g.dtype)
            np.matmul(g, w.T, out=gx.reshape(-1, n_in))
        if x_again is not None:  # (n_in, rows) @ (rows, n_out) -> (n_in, n_out)
            gw = x_again().reshape(-1, n_in).T @ g
        return (gx, gw) if bias is None else (gx, gw, column_sums(g) if needs_bias else None)

    inputs = (x, weight) if bias is None else (x, weight, bias)
    return record(y.reshape(*shape[:-1], n_out), inputs, vjp)


def _check(x: Tensor, weight: Tensor, bias: Tensor | None) -> None:
    if _fits(x, weight, bias):  # as nearly always, and quicker than one look after the other
        return
    checks.tensors("linear", x=x, weight=weight)
    if x.ndim == 0:
        raise checks.wrong_value("linear: x", "of shape (..., n_in)", x)
    if weight.ndim != 2 or x.shape[-1] != weight.shape[0]:
        expected = f"of shape (n_in, n_out) with n_in={x.shape[-1]}, as x is {x.shape}"
        raise checks.wrong_value("linear: weight", expected, weight)
    checks.same_dtype("linear", x=x, weight=weight)
    if bias is not None:
        checks.tensors("linear", bias=bias)
        why = f", as weight is {weight.shape}"
        checks.same_shape("linear: bias", bias, weight.shape[1:], why)
        checks.same_dtype("linear", x=x, bias=bias)


def _fits(x: Any, weight: Any, bias: Any) -> bool:
    if not (isinstance(x, Tensor) and isinstance(weight, Tensor) and weight.data.ndim == 2):
        return False
    w, dtype = weight.data, weight.data.dtype
    if bias is not None:
        if not isinstance(bias, Tensor) or bias.data.shape != w.shape[1:]:
            return False
        if bias.data.dtype != dtype:
            return False
    return x.data.shape[-1:] == w.shape[:1] and x.data.dtype == dtype
