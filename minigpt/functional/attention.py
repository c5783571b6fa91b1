"""Scaled dot-product attention (E1), with its derivative, and multi-head attention (E9).

    Attention(Q, K, V) = softmax(Q Kᵀ / √d_k) V                       (Vaswani et al. 2017, §3.2.1)

Composed from primitives, where autograd finds the derivative, it is :func:`plain.attention`. Here
it is one operation; ``attention_blocks.py`` has its arithmetic, and the derivative by hand.
"""

from __future__ import annotations

import numpy as np

from minigpt.autograd import Array, is_recorded, record
from minigpt.functional.attention_blocks import (
    Attention,
    causal_bias,
    checked_mask,
    checked_slopes,
    distance_bias,
    scaled_scores,
    softmax_of_scores,
)
from minigpt.operations.operands import Operand, as_tensor, check_tensors
from minigpt.tensor import Tensor


def scaled_dot_product_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    mask: Array | None = None,
    causal: bool = False,
    dropout: float = 0.0,
    rng: np.random.Generator | None = None,
    slopes: Array | None = None,
) -> Tensor:
    """softmax(Q Kᵀ / √d_k) V, each query over the keys that it may see.

    Args:
        mask: booleans, True where a query may see a key, broadcast to (..., T, S).
        causal: the queries are the last T of S places, and none may see a later place. Combined
            with ``mask``, a key must be allowed by both.
        dropout: probability with which a weight is set to 0 (the others scaled up); needs ``rng``.
        slopes: of attention with linear biases (:func:`alibi_slopes`), with ``causal``: in head h a
            score loses slopes[h] for each place that the key lies before the query.

    A query that may see no key at all gets zeros.

    Shapes:
        q: (..., T, d_k)
        k: (..., S, d_k)
        v: (..., S, d_v)
        slopes: (n_head,), with q, k and v (..., n_head, T or S, d_k or d_v)
        returns: (..., T, d_v)

    Raises:
        ValueError: shapes that do not fit, or more queries than keys with ``causal``.
        TypeError: an input that is no Tensor, dtypes that differ, a mask that is not boolean,
            dropout without ``rng``.

    Example:
        >>> import numpy as np, minigpt as mg
        >>> import minigpt.functional as F
        >>> x = mg.Tensor(np.eye(3, dtype=np.float32))
        >>> F.scaled_dot_product_attention(x, x, x, causal=True).numpy()[0]  # sees itself alone
        array([1., 0., 0.], dtype=float32)
    """
    check_tensors("scaled_dot_product_attention", q=q, k=k, v=v)
    batch = check_shapes(q, k, v, causal)
    if not batch == q.shape[:-2] == k.shape[:-2] == v.shape[:-2]:
        q, k, v = (x.broadcast_to(batch + x.shape[-2:]) for x in (q, k, v))
    qd, kd, vd = q.data, k.data, v.data
    o = np.empty((*qd.shape[:-1], vd.shape[-1]), qd.dtype)
    recorded = is_recorded((q, k, v))
    attention = Attention(qd, kd, vd, o, mask, causal, dropout, rng, recorded, slopes)

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
    slopes: Array | None = None,
) -> Tensor:
    """Concat(head₁, …, head_h), headᵢ = Attention(Qᵢ, Kᵢ, Vᵢ) (Vaswani et al. 2017, §3.2.2).

    The projected Q, K and V of all heads come side by side in one array. The heads are views of
    it, and their gradients are written to views of one array too: nothing is copied to and fro.

    Shapes:
        qkv: (B, T, 3·C): C features of Q, then of K, then of V, each cut in n_head heads
        mask: as in :func:`scaled_dot_product_attention`, broadcast to (B, n_head, T, T)
        slopes: (n_head,), as in :func:`scaled_dot_product_attention`
        returns: (B, T, C)

    Raises:
        ValueError: the last axis is not 3·C with C divisible by n_head, or a mask that does not
            broadcast.
        TypeError: qkv is no Tensor, a mask that is not boolean, dropout without ``rng``.
    """
    check_tensors("multi_head_attention", qkv=qkv)
    if n_head < 1 or qkv.ndim != 3 or qkv.shape[-1] % (3 * n_head):
        raise ValueError(
            f"multi_head_attention: qkv has shape {qkv.shape}: expected (B, T, 3·C) with C "
            f"divisible by n_head={n_head}"
        )
    b, t, width = qkv.shape
    q, k, v = heads_of(qkv.data, n_head)
    o = np.empty((b, t, width // 3), qkv.dtype)
    heads = split_heads(o, n_head)
    recorded = is_recorded((qkv,))
    attention = Attention(q, k, v, heads, mask, causal, dropout, rng, recorded, slopes)

    def vjp(g: Array) -> tuple[Array]:
        g_qkv = np.empty((b, t, width), g.dtype)
        attention.backward(split_heads(g, n_head), *heads_of(g_qkv, n_head))
        return (g_qkv,)

    return record(o, (qkv,), vjp)


def multi_head_cross_attention(
    q: Tensor,
    kv: Tensor,
    n_head: int,
    mask: Array | None = None,
    dropout: float = 0.0,
    rng: np.random.Generator | None = None,
) -> Tensor:
    """Concat(head₁, …, head_h), with the queries of one sequence and keys and values of another.

    As :func:`multi_head_attention`, and as sparing of copies; nothing is causal between two
    sequences (Vaswani et al. 2017, §3.2.3).

    Shapes:
        q: (B, T, C), to be cut in n_head heads
        kv: (B, S, 2·C): C features of K, then of V
        mask: True where a query may see a key, broadcast to (B, n_head, T, S)
        returns: (B, T, C)

    Raises:
        ValueError: shapes that do not fit, C not divisible by n_head, or a mask that does not
            broadcast.
        TypeError: q or kv is no Tensor, dtypes that differ, a mask that is not boolean, dropout
            without ``rng``.
    """
    check_tensors("multi_head_cross_attention", q=q, kv=kv)
    fits = q.ndim == kv.ndim == 3 and q.shape[0] == kv.shape[0] and kv.shape[2] == 2 * q.shape[2]
    if n_head < 1 or not fits or q.shape[2] % n_head:
        raise ValueError(
            f"multi_head_cross_attention: q has shape {q.shape}, kv {kv.shape}: expected (B, T, C) "
            f"and (B, S, 2·C) with C divisible by n_head={n_head}"
        )
    if q.dtype != kv.dtype:
        raise TypeError(f"attention: q is {q.dtype}, kv {kv.dtype}: use astype")
    q_shape, kv_shape = q.shape, kv.shape
    o = np.empty(q_shape, q.dtype)
    queries, heads = split_heads(q.data, n_head), split_heads(o, n_head)
    k, v = heads_of(kv.data, n_head, 2)
    recorded = is_recorded((q, kv))
    attention = Attention(queries, k, v, heads, mask, False, dropout, rng, recorded)

    def vjp(g: Array) -> tuple[Array, Array]:
        gq, g_kv = np.empty(q_shape, g.dtype), np.empty(kv_shape, g.dtype)
        gk, gv = heads_of(g_kv, n_head, 2)
        attention.backward(split_heads(g, n_head), split_heads(gq, n_head), gk, gv)
        return gq, g_kv

    return record(o, (q, kv), vjp)


def attention_weights(
    q: Operand,
    k: Operand,
    mask: Array | None = None,
    causal: bool = False,
    slopes: Array | None = None,
) -> Array:
    """P = softmax(Q Kᵀ / √d_k), for looking at: each row says where its query looks.

    Args:
        q, k: Tensors or arrays; no gradient passes through.
        mask, causal, slopes: as in :func:`scaled_dot_product_attention`.

    Shapes:
        q: (..., T, d_k)
        k: (..., S, d_k)
        returns: (..., T, S), rows that sum to 1 (or of zeros, where a query may see no key)

    Raises:
        ValueError: shapes that do not fit, or more queries than keys with ``causal``.
        TypeError: dtypes that differ, or a mask that is not boolean.

    Example:
        >>> import numpy as np, minigpt.functional as F
        >>> F.attention_weights(np.zeros((3, 2)), np.zeros((3, 2)), causal=True).round(2)
        array([[1.  , 0.  , 0.  ],
               [0.5 , 0.5 , 0.  ],
               [0.33, 0.33, 0.33]])
    """
    queries, keys = as_tensor(q), as_tensor(k)
    check_shapes(queries, keys, causal=causal)
    scores = scaled_scores(queries.data, keys.data)
    if (slopes := checked_slopes(slopes, queries.data, causal)) is not None:
        scores += distance_bias(slopes, scores.shape[-1])
    if causal:
        scores += causal_bias(*scores.shape[-2:], scores.dtype.char)
    return softmax_of_scores(scores, checked_mask(mask, scores.shape))


def split_heads(x: Array, n_head: int) -> Array:
    """(B, T, C) -> (B, n_head, T, C / n_head), a view."""
    b, t, c = x.shape
    return x.reshape(b, t, n_head, c // n_head).transpose(0, 2, 1, 3)


def heads_of(qkv: Array, n_head: int, parts: int = 3) -> tuple[Array, ...]:
    """(B, T, parts·C) -> Q, K and V, or K and V, each a view (B, n_head, T, C / n_head)."""
    c = qkv.shape[-1] // parts
    return tuple(split_heads(qkv[..., i * c : (i + 1) * c], n_head) for i in range(parts))


def check_shapes(
    q: Tensor, k: Tensor, v: Tensor | None = None, causal: bool = False
) -> tuple[int, ...]:
    """The leading axes that Q, K and V broadcast to; raise unless they fit together."""
    shapes = f"q {q.shape}, k {k.shape}" + ("" if v is None else f", v {v.shape}")
    v = k if v is None else v
    if min(q.ndim, k.ndim, v.ndim) < 2:
        raise ValueError(f"attention: {shapes}: each needs two axes at least, (places, features)")
    if q.shape[-1] != k.shape[-1]:
        raise ValueError(f"attention: {shapes}: q and k differ in their last axis, d_k")
    if k.shape[-2] != v.shape[-2]:
        raise ValueError(f"attention: {shapes}: k and v differ in their number of places")
    if causal and q.shape[-2] > k.shape[-2]:
        raise ValueError(
            f"attention: q has {q.shape[-2]} places and k {k.shape[-2]}: with causal=True the "
            "queries are the last of the keys' places, so there cannot be more of them"
        )
    if not q.dtype == k.dtype == v.dtype:
        raise TypeError(f"attention: q is {q.dtype}, k {k.dtype}, v {v.dtype}: use astype")
    try:
        return np.broadcast_shapes(q.shape[:-2], k.shape[:-2], v.shape[:-2])
    except ValueError:
        raise ValueError(f"attention: {shapes}: the leading axes do not broadcast") from None
