"""Layer normalisation (E5)."""

from __future__ import annotations

import numpy as np

from minigpt import checks
from minigpt.autograd import Array, record
from minigpt.tensor import Tensor


def layer_norm(x: Tensor, weight: Tensor, bias: Tensor | None = None, eps: float = 1e-5) -> Tensor:
    """y = γ ∘ (x − μ)/√(σ² + ε) + β, over the last axis (Ba, Kiros & Hinton 2016).

    With x̂ = (x − μ)/√(σ² + ε) and gx̂ = g∘γ, and means over the last axis,

        ∂L/∂x = (gx̂ − mean(gx̂) − x̂·mean(gx̂∘x̂)) / √(σ² + ε),
        ∂L/∂γ = Σ g∘x̂,  ∂L/∂β = Σ g  over the rows.

    x̂ is kept for the derivative. y is not kept: what needs it later recomputes γ∘x̂ + β.

    Shapes:
        x and returns: (..., n)
        weight (γ), bias (β): (n,)

    Raises:
        ValueError: weight or bias does not have x's last size; eps is not positive.
        TypeError: the dtypes differ.
    """
    _check(x, weight, bias, eps)
    gamma, beta, n = weight.data, None if bias is None else bias.data, x.shape[-1]
    with np.errstate(over="ignore", invalid="ignore"):
        normal = x.data - x.data.mean(axis=-1, keepdims=True)
        variance = np.einsum("...i,...i->...", normal, normal)[..., None] / n  # (..., 1)
        inverse = (1 / np.sqrt(variance + eps)).astype(x.dtype, copy=False)
        normal *= inverse  # x̂
    if not np.isfinite(variance).all():
        _normalise_large(x.data, eps, ~np.isfinite(variance[..., 0]), normal, inverse)

    needs_x, needs_weight = x.requires_grad, weight.requires_grad
    needs_bias = bias is not None and bias.requires_grad

    def scaled() -> Array:
        y = normal * gamma
        if beta is not None:
            y += beta
        return y

    def vjp(g: Array) -> tuple[Array | None, ...]:
        rows, gx, g_weight = g.reshape(-1, n), None, None
        if needs_x:
            g_normal = g * gamma
            gx = g_normal - g_normal.mean(axis=-1, keepdims=True)
            gx -= normal * (np.einsum("...i,...i->...", g_normal, normal)[..., None] / n)
            gx *= inverse
        if needs_weight:
            g_weight = np.einsum("ri,ri->i", rows, normal.reshape(-1, n))
        g_bias = rows.sum(axis=0) if needs_bias else None
        return (gx, g_weight) if beta is None else (gx, g_weight, g_bias)

    inputs = (x, weight) if bias is None else (x, weight, bias)
    return record(scaled(), inputs, vjp, rebuild=scaled)


def _normalise_large(x: Array, eps: float, rows: Array, normal: Array, inverse: Array) -> None:
    """Write x̂ and 1/√(σ² + ε) of rows whose squares overflow.

    With s the largest number of a row, x̂ = (x/s − μ/s)/√(σ²/s² + ε/s²). A row that holds ∞ or NaN
    has no x̂: it becomes NaN, quietly.
    """
    large = x[rows].astype(np.float64)  # (k, n)
    s = np.abs(large).max(axis=-1, keepdims=True)
    with np.errstate(invalid="ignore"):
        large /= s
        large -= large.mean(axis=-1, keepdims=True)
        variance = np.einsum("ri,ri->r", large, large)[:, None] / large.shape[-1]
        inverse_of_s = 1 / np.sqrt(np.maximum(variance + eps / s / s, np.finfo(np.float64).tiny))
        normal[rows] = large * inverse_of_s
        inverse[rows] = inverse_of_s / s


def _check(x: Tensor, weight: Tensor, bias: Tensor | None, eps: float) -> None:
    checks.tensors("layer_norm", x=x, weight=weight)
    checks.number("eps", eps, above=0)
    if x.ndim == 0 or x.shape[-1] == 0:
        raise checks.wrong_value("layer_norm: x", "of shape (..., n) with n of at least 1", x)
    for name, vector in (("weight", weight), ("bias", bias)):
        if vector is not None:
            checks.tensors("layer_norm", **{name: vector})
            checks.same_shape(f"layer_norm: {name}", vector, x.shape[-1:], f", as x is {x.shape}")
            checks.same_dtype("layer_norm", x=x, **{name: vector})
