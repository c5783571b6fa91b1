"""The arithmetic of attention: the queries in blocks, each with the keys that it may see.

With S = Q Kᵀ/√d_k, P = softmax(S), O = P V and G = ∂L/∂O, the derivative is

    ∂L/∂V = Pᵀ G
    ∂L/∂P = G Vᵀ
    ∂L/∂S = P ∘ (∂L/∂P − D),  D = Σⱼ Pᵢⱼ (∂L/∂P)ᵢⱼ = Σ G∘O  over the features of row i
    ∂L/∂Q = ∂L/∂S K / √d_k,  ∂L/∂K = (∂L/∂S)ᵀ Q / √d_k

Several heads of queries may share one of keys and values (grouped-query attention: Ainslie et al.
2023). To that head they are more queries: the rows of a group's heads are stacked, nothing of K and
V is repeated, and the products of the derivative add up over the group by themselves.

A causal mask hides about half of S. So the queries are taken in blocks of rows: a block whose last
query stands at place e needs only the first e + 1 keys, and of its scores only the last square, on
the diagonal, has anything to hide. What lies above is never computed, nor kept for the derivative.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np

from minigpt.autograd import Array
from minigpt.functional.dropout import keep_mask
from minigpt.functional.sums import row_sums

SAFE = 60.0  # e⁶⁰ = 10²⁶ and e⁻⁶⁰ = 10⁻²⁶, where float32 ends at 10³⁸ and 10⁻³⁸
ROWS = 64  # queries in a block: fewer skip more of S, but make smaller matrix products

Backward = Callable[[Array, Array, Array, Array], None]


def attend(
    q: Array,
    k: Array,
    v: Array,
    o: Array,
    mask: Array | None,
    causal: bool,
    dropout: float,
    rng: np.random.Generator | None,
    differentiable: bool,
    slopes: Array | None = None,
    group: int = 1,
) -> Backward:
    """Write O = softmax(Q Kᵀ/√d_k) V, and return how to write its derivative, once.

    Args:
        q, k, v: (..., T, d_k), (..., S, d_k), (..., S, d_v).
        o: (..., T, d_v), where the output is written.
        mask: True where a query may see a key, broadcast to (..., T, S).
        causal: the queries are the last T of S places, and see no later one.
        dropout: the probability of dropping a weight, drawn from ``rng``.
        differentiable: whether to keep what the derivative needs.
        slopes: (H,), with q (…, H, T, d_k): what a score loses for each place between query and
            key. It is a constant of the scores, so the derivative does not change.
        group: G, how many heads of q in a row share one of k and v: q is then (…, h, T, d_k), k and
            v (…, h/G, S, d).

    Returns:
        ``backward(g, gq, gk, gv)``, which takes G = ∂L/∂O and writes ∂L/∂Q, ∂L/∂K and ∂L/∂V. What
        it needs of a block is let go as soon as the block is done.
    """
    n_queries, n_keys = q.shape[-2], k.shape[-2]
    keep_scale = q.dtype.type(1 / (1 - dropout))
    blocks: list[tuple[slice, int, Array, Array | None]] = []
    with np.errstate(over="ignore", invalid="ignore"):  # ∞ − ∞ and 0·∞: NaN, quietly
        for start in range(0, n_queries, ROWS if causal else max(1, n_queries)):
            rows = slice(start, min(start + ROWS, n_queries) if causal else n_queries)
            seen = n_keys - n_queries + rows.stop if causal else n_keys
            # (..., rows, d_k) @ (..., d_k, seen) -> (..., rows, seen)
            p = _weights(q[..., rows, :], k[..., :seen, :], rows, mask, causal, slopes, group)
            alive = keep_mask(p.shape, dropout, rng) if dropout and rng is not None else None
            o_rows = o[..., rows, :]
            # (..., rows, seen) @ (..., seen, d_v) -> (..., rows, d_v)
            _write_product(_dropped(p, alive), v[..., :seen, :], o_rows, group)
            if alive is not None:
                o_rows *= keep_scale
            if differentiable:
                blocks.append((rows, seen, p, alive))

    def backward(g: Array, gq: Array, gk: Array, gv: Array) -> None:
        with np.errstate(over="ignore", invalid="ignore"):  # as above
            d = np.einsum("...d,...d->...", g, o)[..., None]  # D: (..., T, 1)
            scale = g.dtype.type(1 / math.sqrt(q.shape[-1]))
            first = True
            while blocks:  # from the last block on, which sees all keys: it writes, the others add
                rows, seen, p, alive = blocks.pop()
                q_rows, g_rows = q[..., rows, :], g[..., rows, :]
                if alive is not None:
                    g_rows = g_rows * keep_scale
                # ∂L/∂P: (..., rows, d_v) @ (..., d_v, seen) -> (..., rows, seen)
                g_rows = _stacked(g_rows, group)
                gs = (g_rows @ v[..., :seen, :].swapaxes(-1, -2)).reshape(p.shape)
                if alive is not None:
                    gs *= alive
                gs -= d[..., rows, :]
                gs *= p  # ∂L/∂S
                gs *= scale
                # (..., rows, seen) @ (..., seen, d_k) -> (..., rows, d_k)
                _write_product(gs, k[..., :seen, :], gq[..., rows, :], group)
                # (..., seen, rows) @ (..., rows, d) -> (..., seen, d), summed over a group
                q_rows, p = _stacked(q_rows, group), _stacked(_dropped(p, alive), group)
                gs, p = _stacked(gs, group).swapaxes(-1, -2), p.swapaxes(-1, -2)
                if first:
                    np.matmul(gs, q_rows, out=gk)
                    np.matmul(p, g_rows, out=gv)
                    first = False
                else:
                    gk[..., :seen, :] += gs @ q_rows
                    gv[..., :seen, :] += p @ g_rows
            if first:  # no query, no gradient
                gk[...], gv[...] = 0, 0

    return backward


def _stacked(x: Array, group: int) -> Array:
    """(..., h, T, d) -> (..., h/G, G·T, d): the heads of a group as rows of one."""
    if group == 1:
        return x
    *batch, h, t, d = x.shape
    return x.reshape(*batch, h // group, group * t, d)


def _write_product(a: Array, b: Array, out: Array, group: int) -> None:
    """out = A B, with A (..., h, T, s) stacked in groups and B (..., h/G, s, d)."""
    if group == 1:
        np.matmul(a, b, out=out)
    else:
        out[...] = (_stacked(a, group) @ b).reshape(out.shape)


def _weights(
    q: Array,
    k: Array,
    rows: slice,
    mask: Array | None,
    causal: bool,
    slopes: Array | None,
    group: int,
) -> Array:
    """P of a block of queries, over the first keys, of which its last query sees all."""
    scores = scaled_scores(q, k, group)
    seen, shift = scores.shape[-1], slopes is not None or not _is_safe(scores)
    if slopes is not None:
        scores += distance_bias(slopes.astype(q.dtype), seen)
    if causal and rows.stop - rows.start > 1:
        square = rows.stop - rows.start
        scores[..., seen - square :] += causal_bias(square, square, scores.dtype.char)
    if mask is not None:
        if mask.ndim > 1 and mask.shape[-2] > 1:
            mask = mask[..., rows, :]
        if mask.shape[-1] > 1:
            mask = mask[..., :seen]
    return softmax_of_scores(scores, mask, shift)


def scaled_scores(q: Array, k: Array, group: int = 1) -> Array:
    """S = Q Kᵀ / √d_k: (..., T, d_k) @ (..., d_k, S) -> (..., T, S)."""
    scaled = q * q.dtype.type(1 / math.sqrt(q.shape[-1]))
    scores: Array = _stacked(scaled, group) @ k.swapaxes(-1, -2)
    return scores if group == 1 else scores.reshape(*q.shape[:-1], k.shape[-2])


def softmax_of_scores(scores: Array, mask: Array | None, shift: bool = True) -> Array:
    """softmax over the keys that ``mask`` allows (all where None), in place of the scores.

    A query that may see no key gets zeros. Without ``shift``, the largest score of a row is not
    subtracted from it first: that cancels out, and is for exponentials that would overflow.
    """
    if mask is not None:
        np.copyto(scores, -np.inf, where=~mask)
    if shift:
        top = scores.max(axis=-1, keepdims=True, initial=-np.inf)  # −∞ where there is no key
        if mask is not None:  # a query that may see nothing: exp(−∞ − 0) = 0 everywhere
            top[np.isneginf(top)] = 0
        scores -= top
    p = np.exp(scores, out=scores)
    total = row_sums(p)
    if mask is not None:
        total[total == 0] = 1
    p /= total
    return p


def _is_safe(scores: Array) -> bool:
    """Whether all exponentials, and their sums, are normal numbers of float32.

    To look is faster than to shift: two sweeps over all scores, where each row by itself has a
    largest one to be found, and to be subtracted.
    """
    return scores.size > 0 and float(scores.min()) >= -SAFE and float(scores.max()) <= SAFE


def distance_bias(slopes: Array, n_keys: int) -> Array:
    """m_h·(j − last) for each head h and key j: (H, 1, n_keys).

    It should be −m_h·(i − j) in the row of query i. The two differ by the same number for all keys
    of a row, of which softmax takes no notice; and this one is the same for all rows.
    """
    back = np.arange(1 - n_keys, 1, dtype=slopes.dtype)
    return slopes[:, None, None] * back  # (H, 1, 1) · (n_keys,) -> (H, 1, n_keys)


@lru_cache(maxsize=16)
def causal_bias(n_queries: int, n_keys: int, dtype: str) -> Array:
    """0 where query i may see key j, −∞ where j lies after it: (n_queries, n_keys)."""
    bias = np.triu(np.full((n_queries, n_keys), -np.inf, dtype), 1 + n_keys - n_queries)
    bias.setflags(write=False)
    return bias


def _dropped(p: Array, alive: Array | None) -> Array:
    return p if alive is None else p * alive
