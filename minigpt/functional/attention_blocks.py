"""The arithmetic of attention: the queries in blocks, each with the keys that it may see.

With S = Q Kᵀ/√d_k, P = softmax(S), O = P V and G = ∂L/∂O, the derivative is

    ∂L/∂V = Pᵀ G
    ∂L/∂P = G Vᵀ
    ∂L/∂S = P ∘ (∂L/∂P − D),  D = Σⱼ Pᵢⱼ (∂L/∂P)ᵢⱼ = Σ G∘O  over the features of row i
    ∂L/∂Q = ∂L/∂S K / √d_k,  ∂L/∂K = (∂L/∂S)ᵀ Q / √d_k

A causal mask hides about half of S. So the queries are taken in blocks of rows: a block whose last
query stands at place e needs the first e + 1 keys alone, and of its scores only the last square, on
the diagonal, has anything to hide. What lies above is never computed, nor kept for the derivative.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from minigpt.autograd import Array
from minigpt.functional.dropout import check_probability, keep_mask
from minigpt.operations.elementwise import as_condition

ROWS = 64  # queries in a block: fewer skip more of S, but make smaller matrix products


class Attention:
    """One attention on arrays: computed when made, and its derivative, which is taken once.

    Args:
        q, k, v: (..., T, d_k), (..., S, d_k), (..., S, d_v).
        o: (..., T, d_v), where the output is written.
        mask: True where a query may see a key, broadcast to (..., T, S).
        causal: the queries are the last T of S places, and see no later one.
        dropout: the probability of dropping a weight, drawn from ``rng``.
        differentiable: whether to keep what :meth:`backward` needs.
        slopes: (H,), with q (…, H, T, d_k): what a score loses for each place between query and
            key. It is a constant of the scores, so the derivative does not change.
    """

    def __init__(
        self,
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
    ) -> None:
        check_probability(dropout, "dropout")
        if dropout and rng is None:
            raise TypeError("attention with dropout needs rng=np.random.default_rng(seed)")
        self.q, self.k, self.v, self.o = q, k, v, o
        self.slopes = checked_slopes(slopes, q, causal)
        self.keep_scale = q.dtype.type(1 / (1 - dropout))
        self.kept: list[tuple[slice, int, Array, Array | None]] = []
        n_queries, n_keys = q.shape[-2], k.shape[-2]
        mask = checked_mask(mask, (*q.shape[:-1], n_keys))
        for start in range(0, n_queries, ROWS if causal else n_queries):
            rows = slice(start, min(start + ROWS, n_queries) if causal else n_queries)
            seen = n_keys - n_queries + rows.stop if causal else n_keys
            p = self._weights(rows, seen, mask, causal)
            alive = None
            if dropout and rng is not None:
                alive = keep_mask(p.shape, dropout, rng)
            o_rows = o[..., rows, :]
            np.matmul(_masked(p, alive), v[..., :seen, :], out=o_rows)
            if alive is not None:
                o_rows *= self.keep_scale
            if differentiable:
                self.kept.append((rows, seen, p, alive))

    def _weights(self, rows: slice, seen: int, mask: Array | None, causal: bool) -> Array:
        """P of a block of queries, over the first ``seen`` keys."""
        scores = scaled_scores(self.q[..., rows, :], self.k[..., :seen, :])
        if self.slopes is not None:
            scores += distance_bias(self.slopes, seen)
        if causal and rows.stop - rows.start > 1:
            square = rows.stop - rows.start
            scores[..., seen - square :] += causal_bias(square, square, scores.dtype.char)
        if mask is not None:
            if mask.ndim > 1 and mask.shape[-2] > 1:
                mask = mask[..., rows, :]
            if mask.shape[-1] > 1:
                mask = mask[..., :seen]
        return softmax_of_scores(scores, mask)

    def backward(self, g: Array, gq: Array, gk: Array, gv: Array) -> None:
        """Write ∂L/∂Q, ∂L/∂K and ∂L/∂V, given G = ∂L/∂O."""
        d = np.einsum("...d,...d->...", g, self.o)[..., None]
        scale = g.dtype.type(1 / math.sqrt(self.q.shape[-1]))
        first = True
        while self.kept:  # from the last block on, which sees all keys: it writes, the others add
            rows, seen, p, alive = self.kept.pop()
            g_rows = g[..., rows, :]
            if alive is not None:
                g_rows = g_rows * self.keep_scale
            gs = g_rows @ self.v[..., :seen, :].swapaxes(-1, -2)  # ∂L/∂P
            if alive is not None:
                gs *= alive
            gs -= d[..., rows, :]
            gs *= p
            gs *= scale
            np.matmul(gs, self.k[..., :seen, :], out=gq[..., rows, :])
            p_alive = _masked(p, alive).swapaxes(-1, -2)
            if first:
                np.matmul(gs.swapaxes(-1, -2), self.q[..., rows, :], out=gk)
                np.matmul(p_alive, g_rows, out=gv)
                first = False
            else:
                gk[..., :seen, :] += gs.swapaxes(-1, -2) @ self.q[..., rows, :]
                gv[..., :seen, :] += p_alive @ g_rows


def scaled_scores(q: Array, k: Array) -> Array:
    """S = Q Kᵀ / √d_k."""
    return (q * q.dtype.type(1 / math.sqrt(q.shape[-1]))) @ k.swapaxes(-1, -2)


def softmax_of_scores(scores: Array, mask: Array | None) -> Array:
    """softmax over the keys that ``mask`` allows (all where None), in place of the scores.

    A query that may see no key gets zeros.
    """
    if mask is not None:
        np.copyto(scores, -np.inf, where=~mask)
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


def checked_mask(mask: Array | None, shape: tuple[int, ...]) -> Array | None:
    """The mask as booleans that broadcast to ``shape``, or an error that says what is wrong."""
    if mask is None:
        return None
    mask = as_condition(mask)
    try:
        fits = np.broadcast_shapes(mask.shape, shape) == shape
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(
            f"attention: mask has shape {mask.shape}, which does not broadcast to that of the "
            f"scores, (..., T, S) = {shape}"
        )
    return mask


def checked_slopes(slopes: Array | None, q: Array, causal: bool) -> Array | None:
    """The slopes in the dtype of q, or an error: one for each head, of causal attention."""
    if slopes is None:
        return None
    slopes = np.asarray(slopes)
    if q.ndim < 3 or slopes.shape != q.shape[-3:-2]:
        raise ValueError(
            f"attention: slopes have shape {slopes.shape}, q {q.shape}: expected one for each head "
            "of q (..., n_head, T, d_k)"
        )
    if not causal and q.shape[-2] > 1:
        raise ValueError("attention: slopes are for causal=True: distances count back in time")
    return slopes.astype(q.dtype)


def distance_bias(slopes: Array, n_keys: int) -> Array:
    """m_h·(j − last) for each head h and key j: (H, 1, n_keys).

    It should be −m_h·(i − j) in the row of query i. The two differ by the same number for all keys
    of a row, of which softmax takes no notice; and this one is the same for all rows.
    """
    back = np.arange(1 - n_keys, 1, dtype=slopes.dtype)
    return slopes[:, None, None] * back


@lru_cache(maxsize=16)
def causal_bias(n_queries: int, n_keys: int, dtype: str) -> Array:
    """0 where query i may see key j, −∞ where j lies after it: (n_queries, n_keys)."""
    bias = np.triu(np.full((n_queries, n_keys), -np.inf, dtype), 1 + n_keys - n_queries)
    bias.setflags(write=False)
    return bias


def _masked(p: Array, alive: Array | None) -> Array:
    return p if alive is None else p * alive
