"""From GPT-2 to Llama: what most models of today have in the places of GPT-2's parts.

The second page of plain equations, to be read after :mod:`~minigpt.functional.plain`, of whose
parts it takes the rest. Again everything is composed from primitives, and the functions of the same
names elsewhere in ``minigpt.functional`` are the fast forms, which tests hold equal.

layer_norm            ->  rms_norm                     Zhang & Sennrich 2019
                          γ ∘ x/√(mean(x²) + ε)
added positions       ->  rotary                       Su et al. 2021, §3.2.2
                          queries and keys at the place m turned by the angles m·θᵢ
feed_forward          ->  gated_feed_forward           Shazeer 2020
                          (f(x W_gate) ∘ x W_up) W_down, with f = SiLU
GELU                  ->  relu_squared, here and there           So et al. 2021
                          max(x, 0)²
multi_head_attention  ->  grouped_query_attention      Ainslie et al. 2023
                          one head of keys and values for several of queries
                          queries and keys normalised before they meet  Henry et al. 2020
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from minigpt.autograd import Array
from minigpt.functional.plain import (
    affine,
    attention,
    count_blocks,
    embedding,
    inside,
    linear,
    relu,
    residual,
    silu,
)
from minigpt.operations import concatenate
from minigpt.tensor import Tensor


def rms_norm(x: Tensor, weight: Tensor, eps: float = 1e-5) -> Tensor:
    """γ ∘ x/√(mean(x²) + ε), over the features (Zhang & Sennrich 2019)."""
    return weight * x / ((x * x).mean(axis=-1, keepdims=True) + eps).sqrt()


def rotary(x: Tensor, positions: Array, base: float = 10_000.0) -> Tensor:
    """(a, b) -> (a·cos mθᵢ − b·sin mθᵢ, b·cos mθᵢ + a·sin mθᵢ), θᵢ = base^(−2i/d) (Su et al. 2021).

    The pairs (a, b) are feature i of the first half with feature i of the second. x: (..., T, d),
    and m is in positions: (T,), or (..., T).
    """
    d = x.shape[-1]
    angles = positions[..., None] / base ** (np.arange(0, d, 2) / d)
    cos, sin = np.cos(angles).astype(x.dtype), np.sin(angles).astype(x.dtype)
    a, b = x.split(2, axis=-1)
    return concatenate([a * cos - b * sin, b * cos + a * sin], axis=-1)


def gated_feed_forward(
    x: Tensor,
    gate: tuple[Tensor, Tensor | None],
    up: tuple[Tensor, Tensor | None],
    down: tuple[Tensor, Tensor | None],
    activation: Callable[[Tensor], Tensor] = silu,
) -> Tensor:
    """(f(x W_gate) ∘ x W_up) W_down: SwiGLU, as f is SiLU (Shazeer 2020)."""
    return linear(activation(linear(x, *gate)) * linear(x, *up), *down)


def relu_squared(x: Tensor) -> Tensor:
    """max(x, 0)² (So et al. 2021)."""
    return relu(x) ** 2


def grouped_query_attention(
    qkv: Tensor,
    n_head: int,
    n_kv_head: int,
    mask: Array | None = None,
    causal: bool = False,
    of_query: Callable[[Tensor], Tensor] = lambda q: q,
    of_key: Callable[[Tensor], Tensor] = lambda k: k,
) -> Tensor:
    """Concat(head₁, …, head_h), G = n_head/n_kv_head heads of Q in a row sharing one of K and V.

    headᵢ = Attention(Qᵢ, Kⱼ, Vⱼ), j = ⌊i/G⌋ (Ainslie et al. 2023, §2.2). ``of_query`` and
    ``of_key`` are what a head of Q and of K becomes before they meet.

    qkv: (B, T, (n_head + 2·n_kv_head)·d) -> (B, T, n_head·d)
    """
    every_head = qkv.split(n_head + 2 * n_kv_head, axis=-1)
    q = [of_query(head) for head in every_head[:n_head]]
    k = [of_key(head) for head in every_head[n_head : n_head + n_kv_head]]
    v, group = every_head[n_head + n_kv_head :], n_head // n_kv_head
    mask = None if mask is None else mask[:, 0]  # the same for every head
    heads = [attention(q[i], k[i // group], v[i // group], mask, causal) for i in range(n_head)]
    return concatenate(heads, axis=-1)


# ── the whole model ───────────────────────────────────────────────────────────────────────────


def llama_block(
    x: Tensor,
    parameters: Mapping[str, Tensor],
    n_head: int,
    n_kv_head: int,
    mask: Array | None = None,
) -> Tensor:
    """x ← x + Attention(Norm(x)), x ← x + MLP(Norm(x)): a layer of Llama (Touvron et al. 2023).

    The two lines of :func:`block`, of other parts. Queries and keys are turned by their places; and
    normalised before, where there are parameters for it (Henry et al. 2020; Qwen 3).
    """
    places = np.arange(x.shape[1])

    def turned(head: Tensor, norm: str) -> Tensor:
        weight = parameters.get(f"attention.{norm}.weight")
        return rotary(head if weight is None else rms_norm(head, weight), places)

    def attend(x: Tensor) -> Tensor:
        qkv = linear(x, *affine(parameters, "attention.qkv_proj"))  # -> (B, T, (h + 2·h_kv)·d)
        heads = grouped_query_attention(
            qkv, n_head, n_kv_head, mask, causal=True,
            of_query=lambda q: turned(q, "query_norm"), of_key=lambda k: turned(k, "key_norm"),
        )  # fmt: skip
        return linear(heads, *affine(parameters, "attention.out_proj"))

    def mlp(x: Tensor) -> Tensor:
        gate, up, down = (affine(parameters, f"mlp.{part}_proj") for part in ("gate", "up", "down"))
        return gated_feed_forward(x, gate, up, down)

    x = residual(x, lambda x: attend(rms_norm(x, parameters["attention_norm.weight"])))
    return residual(x, lambda x: mlp(rms_norm(x, parameters["mlp_norm.weight"])))


def llama(
    ids: Array,
    parameters: Mapping[str, Tensor],
    n_head: int,
    n_kv_head: int,
    mask: Array | None = None,
) -> Tensor:
    """Logits of the token after each place, by a Llama (Touvron et al. 2023).

    The embedding of the token, to which no place is added, the blocks, a last norm, and a head of
    its own where it is not the embedding again.

    ids: (B, T) -> (B, T, V)
    """
    token_embedding = parameters["token_embedding.weight"]
    x = embedding(ids, token_embedding)
    for i in range(count_blocks(parameters)):
        x = llama_block(x, inside(parameters, f"blocks.{i}"), n_head, n_kv_head, mask)
    head = parameters.get("head.weight", token_embedding.T)
    return linear(rms_norm(x, parameters["final_norm.weight"]), head)


__all__ = [
    "gated_feed_forward",
    "grouped_query_attention",
    "llama",
    "llama_block",
    "relu_squared",
    "rms_norm",
    "rotary",
]
