"""Layer normalisation (E5)."""

from __future__ import annotations

import numpy as np

from minigpt.autograd import Array, record
from minigpt.operations.operands import check_tensors
from minigpt.tensor import Tensor


def layer_norm(x: Tensor, weight: Tensor, bias: Tensor | None = None, eps: float = 1e-5) -> Tensor:
    """y = γ ∘ (x − μ)/√(σ² + ε) + β, over the last axis (Ba, Kiros & Hinton 2016).

    With x̂ = (x − μ)/√(σ² + ε) and gx̂ = g∘γ, and means over the last axis,

        ∂L/∂x = (gx̂ − mean(gx̂) − x̂·mean(gx̂∘x̂)) / √(σ² + ε),
        ∂L/∂γ = Σ g∘x̂,  ∂L/∂β = Σ g  over the rows.

    x̂ is kept for the derivative. y is not, where the next operation would keep it for its own:
    y = γ∘x̂ + β is cheap to compute again.

    Shapes:
        x and returns: (..., n)
        weight (γ), bias (β): (n,)

    Raises:
        ValueError: weight or bias does not have x's last size; eps is not positive.
        TypeError: an input is no Tensor, or the dtypes differ.
    """
    check_tensors("layer_norm", x=x, weight=weight)
    if bias is not None:
        check_tensors("layer_norm", bias=bias)
    n = x.shape[-1] if x.ndim else 0
    for name, vector in (("weight", weight), ("bias", bias)):
        if vector is not None and vector.shape != (n,):
            raise ValueError(
                f"layer_norm: {name} has shape {vector.shape}, x {x.shape}: expected ({n},)"
            )
        if vector is not None and vector.dtype != x.dtype:
            raise TypeError(f"layer_norm: x is {x.dtype}, {name} {vector.dtype}: use x.astype(...)")
    if not eps > 0:
        raise ValueError(f"layer_norm: eps={eps} must be positive")
    gamma, beta = weight.data, None if bias is None else bias.data
    normal = x.data - x.data.mean(axis=-1, keepdims=True)
    variance = np.einsum("...i,...i->...", normal, normal)[..., None] / n
    inverse = (1 / np.sqrt(variance + eps)).astype(x.dtype, copy=False)
    normal *= inverse

    def scaled() -> Array:
        y = normal * gamma
        if beta is not None:
            y += beta
        return y

    def vjp(g: Array) -> tuple[Array, ...]:
        g_normal = g * gamma
        gx = g_normal - g_normal.mean(axis=-1, keepdims=True)
        gx -= normal * (np.einsum("...i,...i->...", g_normal, normal)[..., None] / n)
        gx *= inverse
        rows = g.reshape(-1, n)
        g_weight = np.einsum("ri,ri->i", rows, normal.reshape(-1, n))
        return (gx, g_weight) if beta is None else (gx, g_weight, rows.sum(axis=0))

    inputs = (x, weight) if bias is None else (x, weight, bias)
    return record(scaled(), inputs, vjp, rebuild=scaled)
