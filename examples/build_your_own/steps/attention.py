"""Step 7: attention(q, k, v), where every token asks those before it (causal, one head)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import minigpt.functional as F
from calling import Wrong, call
from comparing import check_operation, derivatives


def softmax(x: Any, axis: int = -1) -> Any:
    e = np.exp(x - np.max(x, axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def check(attention: Any) -> None:
    rng = np.random.default_rng(7)
    for shape in ((4, 3), (2, 4, 3), (2, 2, 4, 3)):  # (T, d), (B, T, d), (B, h, T, d)
        q, k, v, dy = (rng.standard_normal(shape) for _ in range(4))
        y, (dq, dk, dv) = derivatives(
            lambda q, k, v: F.scaled_dot_product_attention(q, k, v, causal=True), q, k, v, dy=dy
        )
        t = len(q[..., 0].T)
        past = np.tri(t, dtype=bool)
        scale = 1 / math.sqrt(3)
        raw = q @ k.swapaxes(-1, -2)

        def seen(scores: Any, mask: Any = past) -> Any:
            return np.where(mask, scores, -np.inf)

        with np.errstate(all="ignore"):
            strict = softmax(seen(raw * scale, np.tri(t, k=-1, dtype=bool))) @ v
            down_columns = softmax(seen(raw * scale), axis=-2)
        A = softmax(seen(raw * scale))
        dA = dy @ v.swapaxes(-1, -2)
        dS = A * (dA - (dA * A).sum(axis=-1, keepdims=True))
        of_dA = A * (dA - dA.sum(axis=-1, keepdims=True)) * scale
        check_operation(
            "attention",
            attention,
            {"q": q, "k": k, "v": v},
            (
                "y",
                y,
                {
                    "the mask is missing: each token sees those after it too, and could copy the "
                    "one it is to predict": softmax(raw * scale) @ v,
                    "the scores are not divided by √d": softmax(seen(raw)) @ v,
                    "the scores are divided by d, and should be by √d": softmax(seen(raw / 3)) @ v,
                    "the scores are divided by √T; d is the number of features, the last axis of "
                    "q": softmax(seen(raw / math.sqrt(t))) @ v,
                    "a token must see itself too: the mask hides what comes after it only": strict,
                    "each token sees the one after it too, and could copy it: np.tri(T), "
                    "without k": softmax(seen(raw * scale, np.tri(t, k=1, dtype=bool))) @ v,
                    "the scores are transposed, k qᵀ: row i holds the scores of query i, q kᵀ": (
                        softmax(seen(raw.swapaxes(-1, -2) * scale)) @ v
                    ),
                    "the mask is upside down: it lets each token see itself and what comes "
                    "after": softmax(seen(raw * scale, past.T)) @ v,
                    "hidden weights become 0 after softmax, so that rows no longer sum to 1: hide "
                    "the scores before it, as −∞": softmax(raw * scale) * past @ v,
                    "hidden scores become 0, which is a score like others: exp(0) is 1. They must "
                    "be −∞": softmax(raw * scale * past) @ v,
                    "softmax runs over the queries: it runs over the keys, the last axis": (
                        down_columns @ v
                    ),
                    "softmax is missing: the scores themselves weigh the values": raw
                    * scale
                    * past
                    @ v,
                },
            ),
            {
                "dq": (
                    dq,
                    {
                        "the factor 1/√d is missing: q reaches the scores through it": dq / scale,
                        "softmax's derivative is A ∘ (dA − Σ dA∘A), and the sum is missing": (
                            A * dA @ k * scale
                        ),
                        "the sum in A ∘ (dA − Σ dA∘A) is one of dA, and should be one of "
                        "dA∘A": of_dA @ k,
                        "softmax's derivative is missing: dS = A ∘ (dA − Σ dA∘A)": dA @ k * scale,
                        "the sum in A ∘ (dA − Σ dA∘A) runs over the queries: it runs over the "
                        "keys, the last axis": A
                        * (dA - (dA * A).sum(axis=-2, keepdims=True))
                        @ k
                        * scale,
                    },
                ),
                "dk": (
                    dk,
                    {
                        "the factor 1/√d is missing: k reaches the scores through it": dk / scale,
                        "dS must be transposed: a key's gradient comes from all queries that see "
                        "it, dk = dSᵀ q/√d": dS @ q * scale,
                        "the sum in A ∘ (dA − Σ dA∘A) is missing": (A * dA).swapaxes(-1, -2)
                        @ q
                        * scale,
                    },
                ),
                "dv": (
                    dv,
                    {
                        "A must be transposed: a value's gradient comes from all queries that "
                        "look at it, dv = Aᵀ dy": A @ dy,
                        "it is Aᵀ y, and should be Aᵀ dy": A.swapaxes(-1, -2) @ y,
                        "it is dy itself, and the weights A are missing: dv = Aᵀ dy": dy,
                        "dv = Aᵀ dy has the weights in it, not the scores": (
                            raw * scale * past
                        ).swapaxes(-1, -2)
                        @ dy,
                    },
                ),
            },
            dy,
        )
    _check_low_scores(attention)


def _check_low_scores(attention: Any) -> None:
    """A token whose own score is −900, before one that fits its query."""
    q, k, v = np.full((2, 1), 30.0), np.array([[-30.0], [30.0]]), np.array([[1.0], [2.0]])
    y, _ = call("attention", attention, {"q": q, "k": k, "v": v})
    if not np.allclose(y, v):
        raise Wrong(
            "a token whose own score is −900 sees the one after it: what is hidden needs a score "
            "below all others, −np.inf"
        )
