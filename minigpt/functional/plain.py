"""The equations of a transformer on one page, composed from primitives, as the papers have them.

This is the place to start reading. Nothing here knows how to differentiate itself: autograd finds
the derivatives from those of the primitives. The functions of the same names elsewhere in
``minigpt.functional`` are the fast forms, with derivatives worked out by hand; tests hold each
equal to the one here, value and gradient.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from minigpt.autograd import Array
from minigpt.functional.dropout import keep_mask
from minigpt.operations import concatenate, maximum
from minigpt.tensor import Tensor


def softmax(x: Tensor, axis: int = -1) -> Tensor:
    """exp(xᵢ) / Σⱼ exp(xⱼ)."""
    e = (x - x.max(axis=axis, keepdims=True).detach()).exp()
    return e / e.sum(axis=axis, keepdims=True)


def log_softmax(x: Tensor, axis: int = -1) -> Tensor:
    """xᵢ − log Σⱼ exp(xⱼ)."""
    shifted = x - x.max(axis=axis, keepdims=True).detach()
    return shifted - shifted.exp().sum(axis=axis, keepdims=True).log()


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x W + b."""
    return x @ weight if bias is None else x @ weight + bias


def relu(x: Tensor) -> Tensor:
    """max(x, 0)."""
    return maximum(x, 0.0)


def gelu(x: Tensor) -> Tensor:
    """½·x·(1 + tanh(√(2/π)·(x + 0.044715·x³))): GPT-2's form (Hendrycks & Gimpel 2016)."""
    return 0.5 * x * (1 + (math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)).tanh())


def layer_norm(x: Tensor, weight: Tensor, bias: Tensor | None = None, eps: float = 1e-5) -> Tensor:
    """γ ∘ (x − μ)/√(σ² + ε) + β, over the features (E5)."""
    mean, variance = x.mean(axis=-1, keepdims=True), x.var(axis=-1, keepdims=True)
    y = weight * (x - mean) / (variance + eps).sqrt()
    return y if bias is None else y + bias


def embedding(ids: Array, weight: Tensor) -> Tensor:
    """W[ids]."""
    return weight[ids]


def dropout(x: Tensor, p: float, rng: np.random.Generator) -> Tensor:
    """x∘m/(1 − p), each mᵢ zero with probability p (E14)."""
    m = keep_mask(x.shape, p, rng)
    return x * m / (1 - p)


def attention(
    q: Tensor, k: Tensor, v: Tensor, mask: Array | None = None, causal: bool = False
) -> Tensor:
    """softmax(Q Kᵀ / √d_k) V (E1). Hidden scores become −∞, so that their weights are 0.

    Every query must be allowed to see one key at least.
    """
    d_k = q.shape[-1]
    scores = q @ k.swapaxes(-1, -2) / math.sqrt(d_k)
    if causal:
        t, s = scores.shape[-2:]
        scores = scores.masked_fill(~np.tri(t, s, s - t, dtype=bool), -np.inf)
    if mask is not None:
        scores = scores.masked_fill(~mask, -np.inf)
    return softmax(scores) @ v


def multi_head_attention(
    qkv: Tensor, n_head: int, mask: Array | None = None, causal: bool = False
) -> Tensor:
    """Concat(head₁, …, head_h) of Q, K and V that come side by side (E9).

    qkv: (B, T, 3·C) -> (B, T, C)
    """
    q, k, v = qkv.split(3, axis=-1)
    each_head = zip(*(x.split(n_head, axis=-1) for x in (q, k, v)), strict=True)
    mask = None if mask is None else mask[:, 0]  # the same for every head
    heads = [attention(qi, ki, vi, mask, causal) for qi, ki, vi in each_head]
    return concatenate(heads, axis=-1)


def feed_forward(
    x: Tensor,
    up: tuple[Tensor, Tensor | None],
    down: tuple[Tensor, Tensor | None],
    activation: Callable[[Tensor], Tensor] = gelu,
) -> Tensor:
    """f(x W₁ + b₁) W₂ + b₂, with f = GELU for a GPT, ReLU in Vaswani et al. 2017 (E10)."""
    return linear(activation(linear(x, *up)), *down)


def residual(x: Tensor, sublayer: Callable[[Tensor], Tensor]) -> Tensor:
    """x + F(x) (E11, He et al. 2016).

    Without the x, a deep stack passes gradients only through every F in turn, where they fade.
    """
    return x + sublayer(x)


def cross_entropy(logits: Tensor, targets: Array, ignore_index: int = -1) -> Tensor:
    """−mean log p(target) over the targets that count (E7)."""
    counted = targets != ignore_index
    rows = log_softmax(logits)[counted]
    return -rows[np.arange(len(rows)), targets[counted]].mean()


__all__ = [
    "attention",
    "cross_entropy",
    "dropout",
    "embedding",
    "feed_forward",
    "gelu",
    "layer_norm",
    "linear",
    "log_softmax",
    "multi_head_attention",
    "relu",
    "residual",
    "softmax",
]
