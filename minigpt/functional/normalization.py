"""Layer normalisation (E5), and what it became: division by the root mean square only."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minigpt import checks
from minigpt.autograd import Array, record
from minigpt.functional.sums import column_sums, row_sums
from minigpt.tensor import Tensor


def layer_norm(x: Tensor, weight: Tensor, bias: Tensor | None = None, eps: float = 1e-5) -> Tensor:
    """y = γ ∘ (x − μ)/√(σ² + ε) + β, over the last axis (Ba, Kiros & Hinton 2016).

    With x̂ = (x − μ)/√(σ² + ε) and gx̂ = g∘γ, and means over the last axis,

        ∂L/∂x = (gx̂ − mean(gx̂) − x̂·mean(gx̂∘x̂)) / √(σ² + ε),
        ∂L/∂γ = Σ g∘x̂,  ∂L/∂β = Σ g  over the rows.

    x̂ is kept for the derivative. y is not kept: what needs it later recomputes γ∘x̂ + β.

    Args:
        x: a Tensor.
        weight, bias: γ and β; no β where None.
        eps: ε, above 0: a constant row is divided by √ε, not by 0.

    Shapes:
        x and returns: (..., n)
        weight (γ), bias (β): (n,)

    Raises:
        ValueError: weight or bias does not have x's last size; eps is not positive.
        TypeError: the dtypes differ.

    Example:
        >>> import minigpt as mg, minigpt.functional as F
        >>> x = mg.Tensor([[1.0, 2.0, 3.0], [10.0, 20.0, 30.0]])
        >>> F.layer_norm(x, weight=mg.Tensor([1.0, 1.0, 1.0])).numpy().round(3)
        array([[-1.225,  0.   ,  1.225],
               [-1.225,  0.   ,  1.225]], dtype=float32)
    """
    _check("layer_norm", x, weight, bias, eps)
    gamma, beta, n = weight.data, None if bias is None else bias.data, x.shape[-1]
    with np.errstate(over="ignore", invalid="ignore"):
        normal = x.data - row_sums(x.data) / n
        variance = np.einsum("...i,...i->...", normal, normal)[..., None] / n  # (..., 1)
        inverse = (1 / np.sqrt(variance + eps)).astype(x.dtype, copy=False)
        normal *= inverse  # x̂
    if not np.isfinite(variance).all():
        large = ~np.isfinite(variance[..., 0])
        _normalise_large(x.data, eps, large, normal, inverse, centred=True)

    needs_x, needs_weight = x.requires_grad, weight.requires_grad
    needs_bias = bias is not None and bias.requires_grad

    def scaled() -> Array:
        y = normal * gamma
        if beta is not None:
            y += beta
        return y

    def mean_with_gamma(a: Array) -> Array:  # mean(a∘γ): (..., n) -> (..., 1)
        return (a.reshape(-1, n) @ gamma / n).reshape(inverse.shape)

    def vjp(g: Array) -> tuple[Array | None, ...]:
        gx, product = None, g * normal  # g∘x̂
        g_weight = column_sums(product) if needs_weight else None
        g_bias = column_sums(g) if needs_bias else None
        if needs_x:
            mean, along = mean_with_gamma(g), mean_with_gamma(product)  # of gx̂, and of gx̂∘x̂
            gx = g * gamma
            gx -= mean
            gx -= np.multiply(normal, along, out=product)
            gx *= inverse
        return (gx, g_weight) if beta is None else (gx, g_weight, g_bias)

    inputs = (x, weight) if bias is None else (x, weight, bias)
    return record(scaled(), inputs, vjp, rebuild=scaled)


def rms_norm(x: Tensor, weight: Tensor, eps: float = 1e-5) -> Tensor:
    """y = γ ∘ x/√(mean(x²) + ε), over the last axis (Zhang & Sennrich 2019, §4).

    Layer norm without the mean: what counts is that x has one length, and not where its middle is.
    With x̂ = x/√(mean(x²) + ε) and gx̂ = g∘γ, and means over the last axis,

        ∂L/∂x = (gx̂ − x̂·mean(gx̂∘x̂)) / √(mean(x²) + ε),   ∂L/∂γ = Σ g∘x̂  over the rows.

    x̂ is kept for the derivative, and what needs y later recomputes γ∘x̂.

    Args:
        x: a Tensor.
        weight: γ.
        eps: ε, above 0.

    Shapes:
        x and returns: (..., n)
        weight (γ): (n,)

    Raises:
        ValueError: weight does not have x's last size; eps is not positive.
        TypeError: the dtypes differ.

    Example:
        >>> import minigpt as mg, minigpt.functional as F
        >>> F.rms_norm(mg.Tensor([3.0, -3.0, 3.0]), mg.Tensor([1.0, 1.0, 2.0])).numpy().round(3)
        array([ 1., -1.,  2.], dtype=float32)
    """
    _check("rms_norm", x, weight, None, eps)
    gamma, n = weight.data, x.shape[-1]
    normal, inverse = _root_mean_square_normal(x.data, eps)

    def scaled() -> Array:
        y: Array = normal * gamma
        return y

    needs_x, needs_weight = x.requires_grad, weight.requires_grad

    def vjp(g: Array) -> tuple[Array | None, Array | None]:
        gx = g_weight = None
        if needs_x:
            gx = _root_mean_square_gradient(g * gamma, normal, inverse)
        if needs_weight:
            g_weight = np.einsum("ri,ri->i", g.reshape(-1, n), normal.reshape(-1, n))
        return gx, g_weight

    return record(scaled(), (x, weight), vjp, rebuild=scaled)


def qk_norm(
    qkv: Tensor,
    query_weight: Tensor,
    key_weight: Tensor,
    n_head: int,
    n_kv_head: int,
    eps: float = 1e-5,
) -> Tensor:
    """The RMS norm of each head of Q and of K; V as it is.

        qᵢ <- γ_Q ∘ qᵢ/√(mean(qᵢ²) + ε),   kⱼ <- γ_K ∘ kⱼ/√(mean(kⱼ²) + ε)

    Scores are then at most √d·|γ_Q||γ_K|, however large the weights become, and softmax does not
    saturate (Henry et al. 2020; Dehghani et al. 2023, §2). All heads of Q share one γ, as do
    those of K. The derivative is that of :func:`rms_norm`.

    Args:
        qkv: the projections of all heads side by side.
        query_weight, key_weight: γ_Q and γ_K.
        n_head, n_kv_head: how many heads Q has, and K and V have.
        eps: ε, above 0.

    Shapes:
        qkv and returns: (B, T, (n_head + 2·n_kv_head)·d), heads of Q, then of K, then of V
        query_weight (γ_Q), key_weight (γ_K): (d,)

    Raises:
        ValueError: the shapes do not fit; eps is not positive.
        TypeError: the dtypes differ.

    Example:
        >>> import numpy as np, minigpt as mg, minigpt.functional as F
        >>> qkv = mg.Tensor(np.array([[[3.0, 4.0, 30.0, 40.0, 5.0, 6.0]]]))  # one head, d = 2
        >>> ones = mg.Tensor(np.ones(2))
        >>> F.qk_norm(qkv, ones, ones, n_head=1, n_kv_head=1).numpy().round(2)  # q = k now; v stays
        array([[[0.85, 1.13, 0.85, 1.13, 5.  , 6.  ]]])
    """
    _check_qk_norm(qkv, query_weight, key_weight, n_head, n_kv_head, eps)
    (b, t, width), d, normed = qkv.shape, query_weight.shape[0], n_head + n_kv_head
    heads = qkv.data.reshape(b, t, width // d, d)  # (B, T, h + 2·h_kv, d)
    gamma = np.repeat([query_weight.data, key_weight.data], [n_head, n_kv_head], axis=0)
    normal, inverse = _root_mean_square_normal(heads[:, :, :normed], eps)
    y = np.empty_like(heads)
    np.multiply(normal, gamma, out=y[:, :, :normed])
    y[:, :, normed:] = heads[:, :, normed:]

    needs_weights = query_weight.requires_grad or key_weight.requires_grad

    def vjp(g: Array) -> tuple[Array | None, ...]:
        g = g.reshape(heads.shape)
        gx = np.empty_like(g)
        g_normed = g[:, :, :normed]
        gx[:, :, :normed] = _root_mean_square_gradient(g_normed * gamma, normal, inverse)
        gx[:, :, normed:] = g[:, :, normed:]
        if not needs_weights:
            return gx.reshape(b, t, width), None, None
        g_gamma = np.einsum("bthd,bthd->hd", g_normed, normal)
        g_query, g_key = g_gamma[:n_head].sum(axis=0), g_gamma[n_head:].sum(axis=0)
        return gx.reshape(b, t, width), g_query, g_key

    return record(y.reshape(b, t, width), (qkv, query_weight, key_weight), vjp)


def _root_mean_square_normal(x: Array, eps: float) -> tuple[Array, Any]:
    """x̂ = x/√(mean(x²) + ε), and 1/√(mean(x²) + ε): (..., n), (..., 1) or of one row a number."""
    n = x.shape[-1]
    if x.size == n:  # as in each step of generation, where calls cost more than arithmetic
        row = x.reshape(n)
        mean_square = float(np.einsum("i,i->", row, row)) / n
        if mean_square < math.inf:
            root = x.dtype.type(1 / math.sqrt(mean_square + eps))
            return x * root, root
    inverse = np.einsum("...i,...i->...", x, x)[..., None]  # Σ x², which becomes
    inverse += n * eps
    np.sqrt(inverse, out=inverse)
    np.divide(math.sqrt(n), inverse, out=inverse)  # √n/√(Σ x² + n·ε)
    if inverse.min(initial=1) > 0:
        return x * inverse, inverse
    with np.errstate(invalid="ignore"):  # ∞·0
        normal = x * inverse
    _normalise_large(x, eps, ~(inverse[..., 0] > 0), normal, inverse, centred=False)
    return normal, inverse


def _root_mean_square_gradient(g_normal: Array, normal: Array, inverse: Array) -> Array:
    """∂L/∂x of x̂, in the place of ∂L/∂x̂."""
    mean = np.einsum("...i,...i->...", g_normal, normal)[..., None] / normal.shape[-1]
    g_normal -= normal * mean
    g_normal *= inverse
    return g_normal


def _normalise_large(
    x: Array, eps: float, rows: Array, normal: Array, inverse: Array, *, centred: bool
) -> None:
    """Write x̂ and 1/√(σ² + ε) of rows whose squares overflow; without the mean where not centred.

    With s the largest number of a row, x̂ = (x/s − μ/s)/√(σ²/s² + ε/s²). A row that holds ∞ or NaN
    has no x̂: it becomes NaN, quietly.
    """
    large = x[rows].astype(np.float64)  # (k, n)
    s = np.abs(large).max(axis=-1, keepdims=True)
    with np.errstate(invalid="ignore"):
        large /= s
        if centred:
            large -= large.mean(axis=-1, keepdims=True)
        variance = np.einsum("ri,ri->r", large, large)[:, None] / large.shape[-1]
        inverse_of_s = 1 / np.sqrt(np.maximum(variance + eps / s / s, np.finfo(np.float64).tiny))
        normal[rows] = large * inverse_of_s
        inverse[rows] = inverse_of_s / s


# ── checks ────────────────────────────────────────────────────────────────────────────────────


def _check(function: str, x: Tensor, weight: Tensor, bias: Tensor | None, eps: float) -> None:
    if bias is None and _fits(x, weight) and type(eps) is float and 0 < eps < math.inf:
        return  # as nearly always, and quicker than one look after the other
    checks.tensors(function, x=x, weight=weight)
    checks.number("eps", eps, above=0)
    if x.ndim == 0 or x.shape[-1] == 0:
        raise checks.wrong_value(f"{function}: x", "of shape (..., n) with n of at least 1", x)
    for name, vector in (("weight", weight), ("bias", bias)):
        if vector is None:
            continue
        checks.tensors(function, **{name: vector})
        if vector.shape != x.shape[-1:] or vector.dtype != x.dtype:
            why = f", as x is {x.shape}"
            checks.same_shape(f"{function}: {name}", vector, x.shape[-1:], why)
            checks.same_dtype(function, x=x, **{name: vector})


def _fits(x: Any, weight: Any) -> bool:
    if not (isinstance(x, Tensor) and isinstance(weight, Tensor)):
        return False
    a, gamma = x.data, weight.data
    return a.ndim > 0 and a.shape[-1] > 0 and gamma.shape == a.shape[-1:] and gamma.dtype == a.dtype


def _check_qk_norm(
    qkv: Tensor, query_weight: Tensor, key_weight: Tensor, n_head: int, n_kv_head: int, eps: float
) -> None:
    function = "qk_norm"
    checks.tensors(function, qkv=qkv, query_weight=query_weight, key_weight=key_weight)
    checks.sizes(n_head=n_head, n_kv_head=n_kv_head)
    checks.number("eps", eps, above=0)
    heads = n_head + 2 * n_kv_head
    if qkv.ndim != 3 or qkv.shape[-1] % heads or qkv.shape[-1] == 0:
        counts = f"n_head={n_head} and n_kv_head={n_kv_head}"
        expected = f"of shape (B, T, (n_head + 2·n_kv_head)·d) with {counts}"
        raise checks.wrong_value(f"{function}: qkv", expected, qkv)
    why = f", as qkv is {qkv.shape}"
    for name, vector in (("query_weight", query_weight), ("key_weight", key_weight)):
        checks.same_shape(f"{function}: {name}", vector, (qkv.shape[-1] // heads,), why)
        checks.same_dtype(function, qkv=qkv, **{name: vector})
