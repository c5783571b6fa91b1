"""Scaled dot-product attention (E1), with its derivative, and multi-head attention (E9).

    Attention(Q, K, V) = softmax(Q Kᵀ / √d_k) V                       (Vaswani et al. 2017, §3.2.1)

Composed from primitives, where autograd finds the derivative, it is :func:`plain.attention`. Here
it is one operation; ``attention_blocks.py`` has its arithmetic, and the derivative by hand.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minigpt import checks
from minigpt.autograd import Array, is_recorded, record
from minigpt.functional.attention_blocks import (
    attend,
    causal_bias,
    distance_bias,
    scaled_scores,
    softmax_of_scores,
)
from minigpt.operations.operands import Operand, as_tensor
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
        TypeError: dtypes that differ, a mask that is not boolean, dropout without ``rng``.

    Example:
        >>> import numpy as np, minigpt as mg
        >>> import minigpt.functional as F
        >>> x = mg.Tensor(np.eye(3, dtype=np.float32))
        >>> F.scaled_dot_product_attention(x, x, x, causal=True).numpy()[0]  # sees only itself
        array([1., 0., 0.], dtype=float32)
    """
    batch, mask, slopes = _check(q, k, v, mask, causal, dropout, rng, slopes)
    if not batch == q.shape[:-2] == k.shape[:-2] == v.shape[:-2]:
        q, k, v = (x.broadcast_to(batch + x.shape[-2:]) for x in (q, k, v))
    qd, kd, vd = q.data, k.data, v.data
    o = np.empty((*qd.shape[:-1], vd.shape[-1]), qd.dtype)
    recorded = is_recorded((q, k, v))
    backward = attend(qd, kd, vd, o, mask, causal, dropout, rng, recorded, slopes)

    def vjp(g: Array) -> tuple[Array, Array, Array]:
        gq, gk, gv = np.empty_like(qd), np.empty_like(kd), np.empty_like(vd)
        backward(g, gq, gk, gv)
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
        TypeError: a mask that is not boolean, dropout without ``rng``.
    """
    mask, slopes = _check_heads(qkv, n_head, mask, causal, dropout, rng, slopes)
    b, t, width = qkv.shape
    q, k, v = heads_of(qkv.data, n_head)  # (B, T, 3·C) -> 3 of (B, h, T, C/h)
    o = np.empty((b, t, width // 3), qkv.dtype)
    o_heads, recorded = split_heads(o, n_head), is_recorded((qkv,))
    backward = attend(q, k, v, o_heads, mask, causal, dropout, rng, recorded, slopes)

    def vjp(g: Array) -> tuple[Array]:
        g_qkv = np.empty((b, t, width), g.dtype)
        backward(split_heads(g, n_head), *heads_of(g_qkv, n_head))
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
        TypeError: dtypes that differ, a mask that is not boolean, dropout without ``rng``.
    """
    mask = _check_cross_heads(q, kv, n_head, mask, dropout, rng)
    q_shape, kv_shape = q.shape, kv.shape
    o = np.empty(q_shape, q.dtype)
    queries, o_heads = split_heads(q.data, n_head), split_heads(o, n_head)  # (B, h, T, C/h)
    k, v = heads_of(kv.data, n_head, 2)  # (B, S, 2·C) -> 2 of (B, h, S, C/h)
    recorded = is_recorded((q, kv))
    backward = attend(queries, k, v, o_heads, mask, False, dropout, rng, recorded)

    def vjp(g: Array) -> tuple[Array, Array]:
        gq, g_kv = np.empty(q_shape, g.dtype), np.empty(kv_shape, g.dtype)
        gk, gv = heads_of(g_kv, n_head, 2)
        backward(split_heads(g, n_head), split_heads(gq, n_head), gk, gv)
        return gq, g_kv

    return record(o, (q, kv), vjp)


def attention_weights(
    q: Operand,
    k: Operand,
    mask: Array | None = None,
    causal: bool = False,
    slopes: Array | None = None,
) -> Array:
    """P = softmax(Q Kᵀ / √d_k), to inspect: each row says where its query looks.

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
    queries, keys, mask, slopes = _check_weights(q, k, mask, causal, slopes)
    with np.errstate(over="ignore", invalid="ignore"):
        scores = scaled_scores(queries, keys)  # (..., T, d_k) @ (..., d_k, S) -> (..., T, S)
        if slopes is not None:
            scores += distance_bias(slopes.astype(scores.dtype), scores.shape[-1])
        if causal:
            scores += causal_bias(*scores.shape[-2:], scores.dtype.char)
        return softmax_of_scores(scores, mask)


def split_heads(x: Array, n_head: int) -> Array:
    """(B, T, C) -> (B, n_head, T, C / n_head), a view."""
    b, t, c = x.shape
    return x.reshape(b, t, n_head, c // n_head).transpose(0, 2, 1, 3)


def heads_of(qkv: Array, n_head: int, parts: int = 3) -> tuple[Array, ...]:
    """(B, T, parts·C) -> Q, K and V, or K and V, each a view (B, n_head, T, C / n_head)."""
    c = qkv.shape[-1] // parts
    return tuple(split_heads(qkv[..., i * c : (i + 1) * c], n_head) for i in range(parts))


# ── checks ────────────────────────────────────────────────────────────────────────────────────

Options = tuple[Array | None, Array | None]  # mask and slopes, as arrays


def _check(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    mask: Any,
    causal: bool,
    dropout: float,
    rng: Any,
    slopes: Any,
) -> tuple[tuple[int, ...], Array | None, Array | None]:
    """The leading axes that q, k and v broadcast to, and mask and slopes as arrays."""
    checks.tensors("scaled_dot_product_attention", q=q, k=k, v=v)
    batch = _fitting(causal, q=q, k=k, v=v)
    _check_dropout(dropout, rng)
    scores = (*batch, q.shape[-2], k.shape[-2])
    return batch, *_checked_options(mask, slopes, (*batch, *q.shape[-2:]), scores, causal)


def _check_heads(
    qkv: Tensor, n_head: int, mask: Any, causal: bool, dropout: float, rng: Any, slopes: Any
) -> Options:
    checks.tensors("multi_head_attention", qkv=qkv)
    checks.integer("n_head", n_head, least=1)
    checks.flag("causal", causal)
    if qkv.ndim != 3 or qkv.shape[-1] % (3 * n_head) or qkv.shape[-1] == 0:
        expected = f"of shape (B, T, 3·C) with C divisible by n_head={checks.shown(n_head)}"
        raise checks.wrong_value("multi_head_attention: qkv", expected, qkv)
    _check_dropout(dropout, rng)
    b, t, width = qkv.shape
    q_shape = b, n_head, t, width // (3 * n_head)
    return _checked_options(mask, slopes, q_shape, (b, n_head, t, t), causal)


def _check_cross_heads(
    q: Tensor, kv: Tensor, n_head: int, mask: Any, dropout: float, rng: Any
) -> Array | None:
    function = "multi_head_cross_attention"
    checks.tensors(function, q=q, kv=kv)
    checks.integer("n_head", n_head, least=1)
    if q.ndim != 3 or q.shape[-1] % n_head or q.shape[-1] == 0:
        expected = f"of shape (B, T, C) with C divisible by n_head={checks.shown(n_head)}"
        raise checks.wrong_value(f"{function}: q", expected, q)
    if kv.ndim != 3 or kv.shape[0] != q.shape[0] or kv.shape[2] != 2 * q.shape[2]:
        expected = f"of shape ({q.shape[0]}, S, {2 * q.shape[2]}), as q is {q.shape}"
        raise checks.wrong_value(f"{function}: kv", expected, kv)
    checks.same_dtype(function, q=q, kv=kv)
    _check_dropout(dropout, rng)
    return _checked_mask(mask, (q.shape[0], n_head, q.shape[1], kv.shape[1]))


def _check_weights(
    q: Operand, k: Operand, mask: Any, causal: bool, slopes: Any
) -> tuple[Array, Array, Array | None, Array | None]:
    queries, keys = as_tensor(q), as_tensor(k)
    batch = _fitting(causal, q=queries, k=keys)
    scores = (*batch, queries.shape[-2], keys.shape[-2])
    q_shape = (*batch, *queries.shape[-2:])
    return queries.data, keys.data, *_checked_options(mask, slopes, q_shape, scores, causal)


def _fitting(causal: bool, **named: Tensor) -> tuple[int, ...]:
    """The leading axes that Q, K and V, or Q and K, broadcast to, where they fit together."""
    q, k, v = named["q"], named["k"], named.get("v", named["k"])
    shapes = "attention: " + ", ".join(f"{name} {x.shape}" for name, x in named.items())
    if min(q.ndim, k.ndim, v.ndim) < 2:
        raise ValueError(f"{shapes}: each needs two axes at least, (places, features)")
    if q.shape[-1] != k.shape[-1]:
        raise ValueError(f"{shapes}: q and k differ in their last axis, d_k")
    if q.shape[-1] == 0:
        raise ValueError(f"{shapes}: q and k need at least one feature, d_k")
    if k.shape[-2] != v.shape[-2]:
        raise ValueError(f"{shapes}: k and v differ in their number of places")
    if checks.flag("causal", causal) and q.shape[-2] > k.shape[-2]:
        raise ValueError(
            f"attention: q has {q.shape[-2]} places and k {k.shape[-2]}: with causal=True the "
            "queries are the last of the keys' places, so there cannot be more of them"
        )
    checks.same_dtype("attention", **named)
    if q.shape[:-2] == k.shape[:-2] == v.shape[:-2]:
        return q.shape[:-2]
    try:
        return np.broadcast_shapes(q.shape[:-2], k.shape[:-2], v.shape[:-2])
    except ValueError:
        raise ValueError(f"{shapes}: the leading axes do not broadcast") from None


def _check_dropout(dropout: float, rng: Any) -> None:
    checks.probability("dropout", dropout)
    if dropout:
        checks.generator(rng)


def _checked_options(
    mask: Any, slopes: Any, q_shape: tuple[int, ...], scores: tuple[int, ...], causal: bool
) -> Options:
    return _checked_mask(mask, scores), _checked_slopes(slopes, q_shape, causal)


def _checked_mask(mask: Any, scores: tuple[int, ...]) -> Array | None:
    """The mask as booleans that broadcast to the shape of the scores."""
    if mask is None:
        return None
    mask = checks.booleans("mask", mask)
    if mask.ndim == 0:
        mend = "to hide what comes later, use causal=True"
        raise checks.wrong_type("mask", "an array of booleans", bool(mask), mend)
    last = scores[len(scores) - mask.ndim :]
    if len(last) != mask.ndim or any(
        n not in (1, m) for n, m in zip(mask.shape, last, strict=True)
    ):
        expected = f"of a shape that broadcasts to that of the scores, (..., T, S) = {scores}"
        raise checks.wrong_value("attention: mask", expected, mask)
    return mask


def _checked_slopes(slopes: Any, q_shape: tuple[int, ...], causal: bool) -> Array | None:
    """The slopes as an array, one for each head, of causal attention."""
    if slopes is None:
        return None
    slopes = checks.regular("slopes", slopes, "an array of numbers")
    if len(q_shape) < 3 or slopes.shape != q_shape[-3:-2] or slopes.dtype.kind not in "iuf":
        expected = f"one for each head of q (..., n_head, T, d_k), which has shape {q_shape}"
        raise checks.wrong_value("attention: slopes", expected, slopes)
    if not causal and q_shape[-2] > 1:
        mend = "distances count back in time"
        raise checks.wrong_value("causal", "True with slopes", causal, mend)
    return slopes
