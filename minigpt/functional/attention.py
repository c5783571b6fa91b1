"""Scaled dot-product attention (E1), with its derivative, and multi-head attention (E9).

    Attention(Q, K, V) = softmax(Q Kᵀ / √d_k) V                       (Vaswani et al. 2017, §3.2.1)

Composed from primitives, where autograd finds the derivative, it is :func:`plain.attention`. Here
it is one operation: the same equation on arrays, and the derivative worked out by hand. With
S = Q Kᵀ/√d_k, P = softmax(S), O = P V and G = ∂L/∂O,

    ∂L/∂V = Pᵀ G
    ∂L/∂P = G Vᵀ
    ∂L/∂S = P ∘ (∂L/∂P − D),  D = Σⱼ Pᵢⱼ (∂L/∂P)ᵢⱼ = Σ G∘O  over the features of row i
    ∂L/∂Q = ∂L/∂S K / √d_k,  ∂L/∂K = (∂L/∂S)ᵀ Q / √d_k
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from minigpt.autograd import Array, record
from minigpt.functional.dropout import check_probability, keep_mask
from minigpt.operations.elementwise import as_condition
from minigpt.tensor import Tensor


def scaled_dot_product_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    mask: Array | None = None,
    causal: bool = False,
    dropout: float = 0.0,
    rng: np.random.Generator | None = None,
) -> Tensor:
    """softmax(Q Kᵀ / √d_k) V, each query over the keys that it may see.

    Args:
        mask: booleans, True where a query may see a key, broadcast to (..., T, S).
        causal: the queries are the last T of S places, and none may see a later place. Combined
            with ``mask``, a key must be allowed by both.
        dropout: probability with which a weight is set to 0 (the others scaled up); needs ``rng``.

    A query that may see no key at all gets zeros.

    Shapes:
        q: (..., T, d_k)
        k: (..., S, d_k)
        v: (..., S, d_v)
        returns: (..., T, d_v)

    Raises:
        ValueError: shapes that do not fit, or more queries than keys with ``causal``.
        TypeError: dtypes that differ, a mask that is not boolean, dropout without ``rng``.

    Example:
        >>> import numpy as np, minigpt as mg
        >>> import minigpt.functional as F
        >>> x = mg.Tensor(np.eye(3, dtype=np.float32))
        >>> F.scaled_dot_product_attention(x, x, x, causal=True).numpy()[0]  # sees itself alone
        array([1., 0., 0.], dtype=float32)
    """
    batch = check_shapes(q, k, v)
    if causal and q.shape[-2] > k.shape[-2]:
        raise ValueError(
            f"attention: q has {q.shape[-2]} places and k {k.shape[-2]}: with causal=True the "
            "queries are the last of the keys' places, so there cannot be more of them"
        )
    if not batch == q.shape[:-2] == k.shape[:-2] == v.shape[:-2]:
        q, k, v = (x.broadcast_to(batch + x.shape[-2:]) for x in (q, k, v))
    qd, kd, vd = q.data, k.data, v.data
    o = np.empty((*qd.shape[:-1], vd.shape[-1]), qd.dtype)
    attention = Attention(qd, kd, vd, mask, causal, dropout, rng, out=o)

    def vjp(g: Array) -> tuple[Array, Array, Array]:
        gq, gk, gv = np.empty_like(qd), np.empty_like(kd), np.empty_like(vd)
        attention.backward(g, gq, gk, gv)
        return gq, gk, gv

    return record(o, (q, k, v), vjp)


def multi_head_attention(
    qkv: Tensor,
    n_head: int,
    mask: Array | None = None,
    causal: bool = False,
    dropout: float = 0.0,
    rng: np.random.Generator | None = None,
) -> Tensor:
    """Concat(head₁, …, head_h), headᵢ = Attention(Qᵢ, Kᵢ, Vᵢ) (Vaswani et al. 2017, §3.2.2).

    The projected Q, K and V of all heads come side by side in one array. The heads are views of
    it, and their gradients are written to views of one array too: nothing is copied to and fro.

    Shapes:
        qkv: (B, T, 3·C): C features of Q, then of K, then of V, each cut in n_head heads
        mask: as in :func:`scaled_dot_product_attention`, broadcast to (B, n_head, T, T)
        returns: (B, T, C)

    Raises:
        ValueError: the last axis is not 3·C with C divisible by n_head.
    """
    if n_head < 1 or qkv.ndim != 3 or qkv.shape[-1] % (3 * n_head):
        raise ValueError(
            f"multi_head_attention: qkv has shape {qkv.shape}: expected (B, T, 3·C) with C "
            f"divisible by n_head={n_head}"
        )
    b, t, width = qkv.shape
    q, k, v = heads_of(qkv.data, n_head)
    o = np.empty((b, t, width // 3), qkv.dtype)
    attention = Attention(q, k, v, mask, causal, dropout, rng, out=split_heads(o, n_head))

    def vjp(g: Array) -> tuple[Array]:
        g_qkv = np.empty((b, t, width), g.dtype)
        attention.backward(split_heads(g, n_head), *heads_of(g_qkv, n_head))
        return (g_qkv,)

    return record(o, (qkv,), vjp)


def attention_weights(q: Array, k: Array, mask: Array | None = None, causal: bool = False) -> Array:
    """P = softmax(Q Kᵀ / √d_k), for looking at: each row says where its query looks."""
    scores = (q * q.dtype.type(1 / math.sqrt(q.shape[-1]))) @ k.swapaxes(-1, -2)
    if causal:
        scores += causal_bias(q.shape[-2], k.shape[-2], scores.dtype.char)
    if mask is not None:
        mask = as_condition(mask)
        try:
            np.copyto(scores, -np.inf, where=~mask)
        except ValueError:
            raise ValueError(
                f"attention: mask has shape {mask.shape}, which does not broadcast to that of the "
                f"scores, (..., T, S) = {scores.shape}"
            ) from None
    top = scores.max(axis=-1, keepdims=True)
    if mask is not None:  # a query that may see nothing: exp(−∞ − 0) = 0 everywhere
        top[np.isneginf(top)] = 0
    scores -= top
    p = np.exp(scores, out=scores)
    total = p.sum(axis=-1, keepdims=True)
    if mask is not None:
        total[total == 0] = 1
    p /= total
    return p


class Attention:
    """One attention on arrays: computed when made, and its derivative, which is taken once."""

    def __init__(
        self,
        q: Array,
        k: Array,
        v: Array,
        mask: Array | None,
        causal: bool,
        dropout: float,
        rng: np.random.Generator | None,
        out: Array,
    ) -> None:
        check_probability(dropout, "dropout")
        self.q, self.k, self.v, self.o = q, k, v, out
        self.p = attention_weights(q, k, mask, causal)
        self.kept: Array | None = None
        if dropout:
            if rng is None:
                raise TypeError("attention with dropout needs rng=np.random.default_rng(seed)")
            self.kept = keep_mask(self.p.shape, dropout, rng)
            self.keep_scale = q.dtype.type(1 / (1 - dropout))
        np.matmul(self._dropped(self.p), v, out=out)

    def _dropped(self, p: Array) -> Array:
        return p if self.kept is None else p * self.kept * self.keep_scale

    def backward(self, g: Array, gq: Array, gk: Array, gv: Array) -> None:
        """Write ∂L/∂Q, ∂L/∂K and ∂L/∂V, given G = ∂L/∂O."""
        p = self.p
        np.matmul(self._dropped(p).swapaxes(-1, -2), g, out=gv)
        gs = self._dropped(g @ self.v.swapaxes(-1, -2))  # ∂L/∂P
        gs -= np.einsum("...d,...d->...", g, self.o)[..., None]
        gs *= p
        gs *= g.dtype.type(1 / math.sqrt(self.q.shape[-1]))
        np.matmul(gs, self.k, out=gq)
        np.matmul(gs.swapaxes(-1, -2), self.q, out=gk)


def split_heads(x: Array, n_head: int) -> Array:
    """(B, T, C) -> (B, n_head, T, C / n_head), a view."""
    b, t, c = x.shape
    return x.reshape(b, t, n_head, c // n_head).transpose(0, 2, 1, 3)


def heads_of(qkv: Array, n_head: int) -> tuple[Array, Array, Array]:
    """(B, T, 3·C) -> Q, K and V of every head, each a view (B, n_head, T, C / n_head)."""
    c = qkv.shape[-1] // 3
    q, k, v = (split_heads(qkv[..., i * c : (i + 1) * c], n_head) for i in range(3))
    return q, k, v


@lru_cache(maxsize=16)
def causal_bias(n_queries: int, n_keys: int, dtype: str) -> Array:
    """0 where query i may see key j, −∞ where j lies after it: (n_queries, n_keys)."""
    bias = np.triu(np.full((n_queries, n_keys), -np.inf, dtype), 1 + n_keys - n_queries)
    bias.setflags(write=False)
    return bias


def check_shapes(q: Tensor, k: Tensor, v: Tensor) -> tuple[int, ...]:
    """The leading axes that Q, K and V broadcast to; raise unless they fit together."""
    shapes = f"q {q.shape}, k {k.shape}, v {v.shape}"
    if min(q.ndim, k.ndim, v.ndim) < 2:
        raise ValueError(f"attention: {shapes}: each needs two axes at least, (places, features)")
    if q.shape[-1] != k.shape[-1]:
        raise ValueError(f"attention: {shapes}: q and k differ in their last axis, d_k")
    if k.shape[-2] != v.shape[-2]:
        raise ValueError(f"attention: {shapes}: k and v differ in their number of places")
    if not q.dtype == k.dtype == v.dtype:
        raise TypeError(f"attention: q is {q.dtype}, k {k.dtype}, v {v.dtype}: use astype")
    try:
        return np.broadcast_shapes(q.shape[:-2], k.shape[:-2], v.shape[:-2])
    except ValueError:
        raise ValueError(f"attention: {shapes}: the leading axes do not broadcast") from None
