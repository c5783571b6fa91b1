"""Multi-head attention (E9): every head by itself, all of them in one array.

Heads are views of the array of their projections, and their gradients are written to views of one
array too: nothing is copied to and fro.
"""

from __future__ import annotations

from itertools import accumulate
from typing import Any

import numpy as np

from minigpt import checks
from minigpt.autograd import Array, is_recorded, record
from minigpt.functional.attention_blocks import attend
from minigpt.functional.attention_options import AttentionOptions
from minigpt.functional.rotary import turn_heads
from minigpt.tensor import Tensor


def multi_head_attention(
    qkv: Tensor,
    n_head: int,
    mask: Array | None = None,
    causal: bool = False,
    dropout: float = 0.0,
    rng: np.random.Generator | None = None,
    slopes: Array | None = None,
    n_kv_head: int | None = None,
    rotation: Array | None = None,
    overwrite_qkv: bool = False,
) -> Tensor:
    """Concat(head₁, …, head_h), headᵢ = Attention(Qᵢ, Kᵢ, Vᵢ) (Vaswani et al. 2017, §3.2.2).

    The projected Q, K and V of all heads come side by side in one array. With fewer heads of keys
    and values, G heads of queries in a row share one of them: headᵢ = Attention(Qᵢ, Kⱼ, Vⱼ) with
    j = ⌊i/G⌋, G = n_head/n_kv_head (Ainslie et al. 2023, §2.2).

    Args:
        qkv: the projections of all heads.
        n_head: h, how many heads Q has.
        mask, causal, dropout, rng, slopes: as in :func:`scaled_dot_product_attention`.
        n_kv_head: how many heads K and V have; n_head where None.
        rotation: turns queries and keys by their places before they meet: what
            :func:`rotation_at` gives (Su et al. 2021).
        overwrite_qkv: the rotation may be written to the array of ``qkv``, which nobody else reads.

    Shapes:
        qkv: (B, T, (n_head + 2·n_kv_head)·d): d features of each head of Q, then of K, then of V
        mask: as in :func:`scaled_dot_product_attention`, broadcast to (B, n_head, T, T)
        slopes: (n_head,), as in :func:`scaled_dot_product_attention`
        rotation: (T, 2, d) or (B, T, 2, d)
        returns: (B, T, n_head·d)

    Raises:
        ValueError: the last axis does not hold so many heads, n_kv_head does not divide n_head, or
            a mask or a rotation does not broadcast.
        TypeError: a mask that is not boolean, dropout without ``rng``.

    Example:
        >>> import numpy as np, minigpt as mg, minigpt.functional as F
        >>> v = [[1.0, 10.0], [3.0, 30.0]]  # of two tokens; two heads, each with d = 1
        >>> qkv = mg.Tensor(np.concatenate([np.zeros((2, 4)), v], axis=1)[None])  # Q = K = 0
        >>> F.multi_head_attention(qkv, n_head=2, causal=True).numpy()[0]  # means of each head's v
        array([[ 1., 10.],
               [ 2., 20.]])
    """
    n_kv_head, (mask, slopes) = _check_heads(
        qkv, n_head, n_kv_head, mask, causal, dropout, rng, slopes, rotation
    )
    heads, group = (n_head, n_kv_head, n_kv_head), n_head // n_kv_head
    b, t, width = qkv.shape
    array = qkv.data
    if rotation is not None:
        array = array if overwrite_qkv else array.copy()
        turn_heads(turned_heads(array, n_head, n_kv_head), rotation)  # (B, T, h + h_kv, d)
    q, k, v = heads_of(array, *heads)  # (B, T, …) -> (B, h, T, d), twice (B, h_kv, T, d)
    o = np.empty((b, t, width // sum(heads) * n_head), array.dtype)
    o_heads, recorded = split_heads(o, n_head), is_recorded((qkv,))
    backward = attend(q, k, v, o_heads, mask, causal, dropout, rng, recorded, slopes, group)

    def vjp(g: Array) -> tuple[Array]:
        g_qkv = np.empty((b, t, width), g.dtype)
        backward(split_heads(g, n_head), *heads_of(g_qkv, *heads))
        if rotation is not None:
            turn_heads(turned_heads(g_qkv, n_head, n_kv_head), rotation, back=True)
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

        headᵢ = softmax(Qᵢ Kᵢᵀ / √d) Vᵢ,  d = C / h       (Vaswani et al. 2017, §3.2.3)

    As :func:`multi_head_attention`, and as sparing of copies; nothing is causal between two
    sequences.

    Args:
        q: the queries of all heads.
        kv: keys and values of all heads.
        n_head: h.
        mask, dropout, rng: as in :func:`scaled_dot_product_attention`.

    Shapes:
        q: (B, T, C), to be cut in n_head heads
        kv: (B, S, 2·C): C features of K, then of V
        mask: True where a query may see a key, broadcast to (B, n_head, T, S)
        returns: (B, T, C)

    Raises:
        ValueError: shapes that do not fit, C not divisible by n_head, or a mask that does not
            broadcast.
        TypeError: dtypes that differ, a mask that is not boolean, dropout without ``rng``.

    Example:
        >>> import numpy as np, minigpt as mg, minigpt.functional as F
        >>> q = mg.Tensor(np.array([[[0.0], [9.0]]]))  # two queries, of three keys 0, 0 and 1
        >>> kv = mg.Tensor(np.array([[[0.0, 3.0], [0.0, 6.0], [1.0, 9.0]]]))
        >>> F.multi_head_cross_attention(q, kv, n_head=1).numpy().round(3)  # the mean; nearly 9
        array([[[6.   ],
                [8.999]]])
    """
    mask = _check_cross_heads(q, kv, n_head, mask, dropout, rng)
    q_shape, kv_shape = q.shape, kv.shape
    o = np.empty(q_shape, q.dtype)
    queries, o_heads = split_heads(q.data, n_head), split_heads(o, n_head)  # (B, h, T, C/h)
    k, v = heads_of(kv.data, n_head, n_head)  # (B, S, 2·C) -> 2 of (B, h, S, C/h)
    recorded = is_recorded((q, kv))
    backward = attend(queries, k, v, o_heads, mask, False, dropout, rng, recorded)

    def vjp(g: Array) -> tuple[Array, Array]:
        gq, g_kv = np.empty(q_shape, g.dtype), np.empty(kv_shape, g.dtype)
        gk, gv = heads_of(g_kv, n_head, n_head)
        backward(split_heads(g, n_head), split_heads(gq, n_head), gk, gv)
        return gq, g_kv

    return record(o, (q, kv), vjp)


def split_heads(x: Array, n_head: int) -> Array:
    """(B, T, C) -> (B, n_head, T, C / n_head), a view."""
    b, t, c = x.shape
    return x.reshape(b, t, n_head, c // n_head).transpose(0, 2, 1, 3)


def heads_of(x: Array, *heads: int) -> tuple[Array, ...]:
    """The heads side by side in one array: as many as each number says, each time a view.

    Shapes:
        x: (B, T, Σh·d) -> (B, h, T, d) for each number h
    """
    every = split_heads(x, sum(heads))
    ends = accumulate(heads)
    return tuple([every[:, end - h : end] for h, end in zip(heads, ends, strict=True)])


def turned_heads(qkv: Array, n_head: int, n_kv_head: int) -> Array:
    """Those of Q and K, which rotary positions turn: (B, T, …) -> (B, T, h + h_kv, d), a view."""
    b, t, width = qkv.shape
    every = qkv.reshape(b, t, n_head + 2 * n_kv_head, width // (n_head + 2 * n_kv_head))
    return every[:, :, : n_head + n_kv_head]


# ── checks ────────────────────────────────────────────────────────────────────────────────────


def _check_heads(
    qkv: Tensor,
    n_head: int,
    n_kv_head: int | None,
    mask: Any,
    causal: bool,
    dropout: float,
    rng: Any,
    slopes: Any,
    rotation: Any,
) -> tuple[int, AttentionOptions]:
    """How many heads K and V have, and mask and slopes as arrays."""
    checks.tensors("multi_head_attention", qkv=qkv)
    checks.integer("n_head", n_head, least=1)
    checks.flag("causal", causal)
    if n_kv_head is None:
        n_kv_head, of_heads = n_head, f"3·C) with C divisible by n_head={checks.shown(n_head)}"
    else:
        checks.integer("n_kv_head", n_kv_head, least=1)
        if n_head % n_kv_head:
            raise ValueError(f"n_head={n_head} is not divisible by n_kv_head={n_kv_head}")
        of_heads = f"(n_head + 2·n_kv_head)·d) with n_head={n_head} and n_kv_head={n_kv_head}"
    every = n_head + 2 * n_kv_head
    if qkv.ndim != 3 or qkv.shape[-1] % every or qkv.shape[-1] == 0:
        raise checks.wrong_value("multi_head_attention: qkv", f"of shape (B, T, {of_heads}", qkv)
    b, t, width = qkv.shape
    if rotation is not None:
        _check_rotation(rotation, qkv, width // every)
    q_shape = b, n_head, t, width // every
    scores = b, n_head, t, t
    options = AttentionOptions.checked(mask, slopes, q_shape, scores, causal, dropout, rng)
    return n_kv_head, options


def _check_rotation(rotation: Any, qkv: Tensor, d: int) -> None:
    b, t, _ = qkv.shape
    name, shape = "multi_head_attention: rotation", getattr(rotation, "shape", None)
    if shape not in ((t, 2, d), (b, t, 2, d)):
        expected = f"of shape {(t, 2, d)} or {(b, t, 2, d)}, as qkv is {qkv.shape}"
        raise checks.wrong_value(name, expected, rotation, "make it with F.rotation_at(…)")
    if d % 2:
        raise checks.wrong_value(name, "of an even number of features", rotation)
    checks.same_dtype("multi_head_attention", qkv=qkv, rotation=rotation)


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
    scores = q.shape[0], n_head, q.shape[1], kv.shape[1]
    return AttentionOptions.checked(mask, None, q.shape, scores, False, dropout, rng).mask
