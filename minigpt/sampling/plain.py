"""Sampling on one page: from a model's logits to a text, token by token (E6, E12).

This is the place to start reading. The model reads all it may see again for every token, one row at
a time, and nothing is remembered. :class:`~minigpt.sampling.Sampler` is the fast form, with caches,
batches and more options; a test holds both equal, token by token.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from minigpt.autograd import Array
from minigpt.grad_mode import evaluation
from minigpt.sampling.protocols import LanguageModel


def softmax(z: Array) -> Array:
    """pᵢ = exp(zᵢ) / Σⱼ exp(zⱼ)."""
    e = np.exp(z.astype(np.float64) - z.max())
    return e / e.sum()


def greedy(z: Array) -> int:
    """argmaxᵢ zᵢ: the likeliest token; of equal ones the first."""
    return int(z.argmax())


def temperature(z: Array, t: float) -> Array:
    """zᵢ / T: sharper below 1, flatter above (Ackley et al. 1985)."""
    return z / t


def top_k(z: Array, k: int) -> Array:
    """Only the k largest logits (Fan et al. 2018, §5.1); those equal to the last of them stay."""
    kth_largest = np.sort(z)[-min(k, len(z))]
    return np.where(z >= kth_largest, z, -np.inf)


def top_p(z: Array, p: float) -> Array:
    """Only the likeliest tokens that together hold the mass p (Holtzman et al. 2020, §3.1).

    Sorted by falling probability, a token stays where those before it hold less: p₁ + … + pᵢ₋₁ < p.
    """
    falling = np.argsort(-z, kind="stable")
    probabilities = softmax(z[falling])
    mass_before = probabilities.cumsum() - probabilities
    kept = falling[mass_before < p]
    filtered = np.full_like(z, -np.inf)
    filtered[kept] = z[kept]
    return filtered


def draw(p: Array, rng: np.random.Generator) -> int:
    """The token i with p₁ + … + pᵢ₋₁ ≤ u < p₁ + … + pᵢ, where u is uniform in [0, 1)."""
    cumulative = p.cumsum()
    u = rng.random() * cumulative[-1]  # which rounding leaves a little off 1
    return int((cumulative <= u).sum())


def generate(
    model: LanguageModel,
    prompt: Sequence[int],
    max_new_tokens: int,
    *,
    t: float = 1.0,
    k: int | None = None,
    p: float | None = None,
    seed: int = 0,
) -> list[int]:
    """The prompt with its continuation: logits of the last place, filters, a draw, append, repeat.

    The model sees the last ``block_size`` tokens. With ``t=0`` nothing is drawn.

    Example:
        >>> import minigpt as mg
        >>> model = mg.GPT(mg.GPTConfig(11, block_size=8, n_layer=1, n_head=1, n_embd=8), seed=0)
        >>> ids = generate(model, [1, 2], 20, t=0.8, k=5, seed=3)
        >>> fast = mg.Sampler(model).generate_ids([1, 2], 20, temperature=0.8, top_k=5, seed=3)
        >>> ids == fast[0].tolist()
        True
    """
    ids = list(prompt)
    rng = np.random.default_rng([seed, 0, len(ids), *ids])  # the Sampler's, of a first sample
    for _ in range(max_new_tokens):
        seen = ids[-model.config.block_size :] if model.config.block_size else ids
        with evaluation():
            z = model(np.array([seen])).data[0, -1]  # (1, T, V) -> (V,)
        if t == 0:
            ids.append(greedy(z))
            continue
        z = temperature(z, t)
        z = z if k is None else top_k(z, k)
        z = z if p is None else top_p(z, p)
        ids.append(draw(softmax(z), rng))
    return ids
