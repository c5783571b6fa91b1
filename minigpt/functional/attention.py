"""Scaled dot-product attention (E1), with its derivative.

    Attention(Q, K, V) = softmax(Q Kᵀ / √d_k) V                       (Vaswani et al. 2017, §3.2.1)

Composed from primitives, where autograd finds the derivative, it is :func:`plain.attention`. Here
it is one operation; ``attention_blocks.py`` has its arithmetic, and the derivative by hand.
"""

from __future__ import annotations

from typing import Any, NamedTuple

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
from minigpt.functional.attention_options import AttentionOptions
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
    grouped: bool = False,
) -> Tensor:
    """softmax(Q Kᵀ / √d_k) V, each query over the keys that it may see.

    Args:
        mask: booleans, True where a query may see a key, broadcast to (..., T, S).
        causal: the queries are the last T of S places, and none may see a later place. Combined
            with ``mask``, a key must be allowed by both.
        dropout: probability with which a weight is set to 0 (the others scaled up); needs ``rng``.
        slopes: of attention with linear biases (:func:`alibi_slopes`), with ``causal``: in head h a
            score loses slopes[h] for each place that the key lies before the query.
        grouped: q may have G times the heads of k and v: then G heads of it in a row share one of
            theirs (grouped-query attention, Ainslie et al. 2023, §2.2; with a single head of keys
            and values it is Shazeer's multi-query attention, 2019). No key or value is copied.

    A query that may see no key at all gets zeros.

    Shapes:
        q: (..., T, d_k)
        k: (..., S, d_k)
        v: (..., S, d_v)
        slopes: (n_head,), with q, k and v (..., n_head, T or S, d_k or d_v)
        grouped: q (..., n_head, T, d_k), k and v (..., n_head / G, S, d_k or d_v)
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
    fit, (mask, slopes) = _check(q, k, v, mask, causal, dropout, rng, slopes, grouped)
    if (q.shape[:-2], k.shape[:-2], v.shape[:-2]) != (fit.queries, fit.keys, fit.keys):
        q = q.broadcast_to(fit.queries + q.shape[-2:])
        k, v = (x.broadcast_to(fit.keys + x.shape[-2:]) for x in (k, v))
    qd, kd, vd = q.data, k.data, v.data
    o = np.empty((*qd.shape[:-1], vd.shape[-1]), qd.dtype)
    recorded = is_recorded((q, k, v))
    backward = attend(qd, kd, vd, o, mask, causal, dropout, rng, recorded, slopes, fit.group)

    def vjp(g: Array) -> tuple[Array, Array, Array]:
        gq, gk, gv = np.empty_like(qd), np.empty_like(kd), np.empty_like(vd)
        backward(g, gq, gk, gv)
        return gq, gk, gv

    return record(o, (q, k, v), vjp)


def attention_weights(
    q: Operand,
    k: Operand,
    mask: Array | None = None,
    causal: bool = False,
    slopes: Array | None = None,
    grouped: bool = False,
) -> Array:
    """P = softmax(Q Kᵀ / √d_k), to inspect: each row says where its query looks.

    Args:
        q, k: Tensors or arrays; no gradient passes through.
        mask, causal, slopes, grouped: as in :func:`scaled_dot_product_attention`.

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
    queries, keys, group, (mask, slopes) = _check_weights(q, k, mask, causal, slopes, grouped)
    with np.errstate(over="ignore", invalid="ignore"):
        scores = scaled_scores(queries, keys, group)  # (..., T, d_k) @ (..., d_k, S) -> (..., T, S)
        if slopes is not None:
            scores += distance_bias(slopes.astype(scores.dtype), scores.shape[-1])
        if causal:
            scores += causal_bias(*scores.shape[-2:], scores.dtype.char)
        return softmax_of_scores(scores, mask)


# ── checks ────────────────────────────────────────────────────────────────────────────────────


class Fit(NamedTuple):
    """The leading axes that q, and k and v, broadcast to; how many heads of q share one of k."""

    queries: tuple[int, ...]
    keys: tuple[int, ...]
    group: int


def _check(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    mask: Any,
    causal: bool,
    dropout: float,
    rng: Any,
    slopes: Any,
    grouped: bool,
) -> tuple[Fit, AttentionOptions]:
    """How q, k and v fit together, and mask and slopes as arrays."""
    checks.tensors("scaled_dot_product_attention", q=q, k=k, v=v)
    fit = _fitting(causal, grouped, q=q, k=k, v=v)
    q_shape, scores = (*fit.queries, *q.shape[-2:]), (*fit.queries, q.shape[-2], k.shape[-2])
    return fit, AttentionOptions.checked(mask, slopes, q_shape, scores, causal, dropout, rng)


def _check_weights(
    q: Operand, k: Operand, mask: Any, causal: bool, slopes: Any, grouped: bool
) -> tuple[Array, Array, int, AttentionOptions]:
    queries, keys = as_tensor(q, name="q"), as_tensor(k, name="k")
    fit = _fitting(causal, grouped, q=queries, k=keys)
    q_shape = (*fit.queries, *queries.shape[-2:])
    scores = (*q_shape[:-1], keys.shape[-2])
    options = AttentionOptions.checked(mask, slopes, q_shape, scores, causal)
    if fit.group == 1:
        return queries.data, keys.data, 1, options
    every_key = np.broadcast_to(keys.data, (*fit.keys, *keys.shape[-2:]))
    return np.broadcast_to(queries.data, q_shape), every_key, fit.group, options


def _fitting(causal: bool, grouped: bool, **named: Tensor) -> Fit:
    """How Q, K and V, or Q and K, fit together, where they do."""
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
    group = _group_of(shapes, q, k, v) if checks.flag("grouped", grouped) else 1
    axes = [x.shape[:-2] if group == 1 else x.shape[:-3] for x in (q, k, v)]
    try:
        batch = axes[0] if axes[0] == axes[1] == axes[2] else np.broadcast_shapes(*axes)
    except ValueError:
        raise ValueError(f"{shapes}: the leading axes do not broadcast") from None
    if group == 1:
        return Fit(batch, batch, 1)
    return Fit((*batch, q.shape[-3]), (*batch, k.shape[-3]), group)


def _group_of(shapes: str, q: Tensor, k: Tensor, v: Tensor) -> int:
    """How many heads of q share one of k and v."""
    if min(q.ndim, k.ndim, v.ndim) < 3:
        raise ValueError(f"{shapes}: with grouped=True each needs an axis of heads before the last")
    n_head, n_kv_head = q.shape[-3], k.shape[-3]
    if v.shape[-3] != n_kv_head:
        raise ValueError(f"{shapes}: k and v differ in their number of heads")
    if n_kv_head == 0 or n_head % n_kv_head:
        raise ValueError(
            f"{shapes}: the heads of q must be a multiple of those of k and v with grouped=True: "
            f"got {n_head} and {n_kv_head}"
        )
    return n_head // n_kv_head
