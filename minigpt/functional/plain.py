"""The equations of the models on one page, composed from primitives, as the papers have them.

This is the place to start reading. Nothing here knows how to differentiate itself: autograd finds
the derivatives from those of the primitives. The functions of the same names elsewhere in
``minigpt.functional`` are the fast forms, with derivatives worked out by hand; tests hold each
equal to the one here, value and gradient.

The labels E1 to E15 are cited all over the library. What is not on this page is named with its
place.

E1   softmax(Q Kᵀ / √d_k) V                            Vaswani et al. 2017, §3.2.1
     attention
E2   E1 with numbers: Q = X W_Q, K = X W_K, V = X W_V of three tokens, one output row for each
     the example attention_by_hand
E3   the weights of "sat" over "The cat sat on the mat", with the causal mask and without
     the example attention_by_hand, functional.attention_weights
E4   PE(pos, 2i) = sin(pos/10000^(2i/d)), PE(pos, 2i+1) = cos of the same angle
     functional.sinusoidal_positions                   Vaswani et al. 2017, §3.5
E5   γ ∘ (x − μ)/√(σ² + ε) + β                         Ba, Kiros & Hinton 2016
     layer_norm
E6   P(y|x) = ∏ₜ p(yₜ | y₍<ₜ₎, x); perplexity = exp(−mean log p)       the chain rule, exact
     functional.log_likelihood, sampling.scoring
E7   −mean log p(next token)                           Radford et al. 2018, §3.1
     cross_entropy
E8   −mean log p(hidden token | all others)            Devlin et al. 2018, §3.1
     cross_entropy, with targets of datasets.masking
E9   Concat(head₁, …, head_h) W_O                      Vaswani et al. 2017, §3.2.2
     multi_head_attention, and the linear map after it in block
E10  f(x W₁ + b₁) W₂ + b₂, f = GELU                    Vaswani et al. 2017, §3.3; Hendrycks & Gimpel
     feed_forward, gelu                                2016
E11  x + F(x)                                          He et al. 2016, §3.2
     residual
E12  next token ~ softmax(logits / temperature), of the likeliest ones      Holtzman et al. 2020
     sampling.plain, sampling.filters
E13  Adam, AdamW                                       Kingma & Ba 2015; Loshchilov & Hutter 2019
     optim.plain
E14  x∘m/(1 − p), each mᵢ zero with probability p      Srivastava et al. 2014
     dropout; its companions are weight decay (E13) and early stopping (training)
E15  padding: a mask over keys, together with the causal one; texts longer than the context
     the mask of attention, sampling.context
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

from minigpt.autograd import Array
from minigpt.functional.dropout import keep_mask
from minigpt.operations import concatenate, maximum, stack, where
from minigpt.tensor import Tensor


def softmax(x: Tensor, axis: int = -1) -> Tensor:
    """exp(xᵢ) / Σⱼ exp(xⱼ)."""
    e = (x - x.max(axis=axis, keepdims=True).detach()).exp()
    return e / e.sum(axis=axis, keepdims=True)


def log_softmax(x: Tensor, axis: int = -1) -> Tensor:
    """xᵢ − log Σⱼ exp(xⱼ)."""
    shifted = x - x.max(axis=axis, keepdims=True).detach()
    return shifted - shifted.exp().sum(axis=axis, keepdims=True).log()


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x W + b."""
    return x @ weight if bias is None else x @ weight + bias


def relu(x: Tensor) -> Tensor:
    """max(x, 0)."""
    return maximum(x, 0.0)


def gelu(x: Tensor) -> Tensor:
    """½·x·(1 + tanh(√(2/π)·(x + 0.044715·x³))): GPT-2's form (Hendrycks & Gimpel 2016)."""
    return 0.5 * x * (1 + (math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)).tanh())


def silu(x: Tensor) -> Tensor:
    """x·σ(x) (Hendrycks & Gimpel 2016, §2)."""
    return x * x.sigmoid()


def layer_norm(x: Tensor, weight: Tensor, bias: Tensor | None = None, eps: float = 1e-5) -> Tensor:
    """γ ∘ (x − μ)/√(σ² + ε) + β, over the features (E5)."""
    mean, variance = x.mean(axis=-1, keepdims=True), x.var(axis=-1, keepdims=True)
    y = weight * (x - mean) / (variance + eps).sqrt()
    return y if bias is None else y + bias


def short_convolution(x: Tensor, weight: Tensor) -> Tensor:
    """yₜ = Σₖ wₖ ∘ xₜ₋ₖ, with 0 before the first token (So et al. 2021, §3)."""
    n_taps, n_tokens = len(weight), x.shape[1]
    before = Tensor(np.zeros((x.shape[0], n_taps - 1, x.shape[2]), x.dtype))
    longer = concatenate([before, x], axis=1)  # (B, K − 1 + T, C): xₜ stands at K − 1 + t
    shifted = [longer[:, n_taps - 1 - k :][:, :n_tokens] for k in range(n_taps)]
    return sum((weight[k] * x_k for k, x_k in enumerate(shifted)), start=Tensor(0 * x.data))


def embedding(ids: Array, weight: Tensor) -> Tensor:
    """W[ids]."""
    return weight[ids]


def dropout(x: Tensor, p: float, rng: np.random.Generator) -> Tensor:
    """x∘m/(1 − p), each mᵢ zero with probability p (E14)."""
    m = keep_mask(x.shape, p, rng)
    return x * m / (1 - p)


def attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    mask: Array | None = None,
    causal: bool = False,
    slope: float = 0.0,
) -> Tensor:
    """softmax(Q Kᵀ / √d_k) V (E1). Hidden scores become −∞, so that their weights are 0.

    Every query must be allowed to see one key at least. With a slope, a score loses it for each
    place that the key lies before the query (ALiBi, Press et al. 2022).
    """
    d_k = q.shape[-1]
    scores = q @ k.swapaxes(-1, -2) / math.sqrt(d_k)
    t, s = scores.shape[-2:]
    if slope:
        distances = np.arange(s - t, s)[:, None] - np.arange(s)
        scores = scores - slope * distances.astype(scores.dtype)
    if causal:
        scores = scores.masked_fill(~np.tri(t, s, s - t, dtype=bool), -np.inf)
    if mask is not None:
        scores = scores.masked_fill(~mask, -np.inf)
    return softmax(scores) @ v


def multi_head_attention(
    qkv: Tensor, n_head: int, mask: Array | None = None, causal: bool = False
) -> Tensor:
    """Concat(head₁, …, head_h) of Q, K and V that come side by side (E9).

    qkv: (B, T, 3·C) -> (B, T, C)
    """
    q, k, v = qkv.split(3, axis=-1)
    each_head = zip(*(x.split(n_head, axis=-1) for x in (q, k, v)), strict=True)
    mask = None if mask is None else mask[:, 0]  # the same for every head
    heads = [attention(qi, ki, vi, mask, causal) for qi, ki, vi in each_head]
    return concatenate(heads, axis=-1)


def multi_head_cross_attention(
    q: Tensor, kv: Tensor, n_head: int, mask: Array | None = None
) -> Tensor:
    """Concat(head₁, …, head_h), each with queries of one sequence, keys and values of another.

    q: (B, T, C), kv: (B, S, 2·C) -> (B, T, C)
    """
    k, v = kv.split(2, axis=-1)
    each_head = zip(*(x.split(n_head, axis=-1) for x in (q, k, v)), strict=True)
    mask = None if mask is None else mask[:, 0]  # the same for every head
    return concatenate([attention(qi, ki, vi, mask) for qi, ki, vi in each_head], axis=-1)


def feed_forward(
    x: Tensor,
    up: tuple[Tensor, Tensor | None],
    down: tuple[Tensor, Tensor | None],
    activation: Callable[[Tensor], Tensor] = gelu,
) -> Tensor:
    """f(x W₁ + b₁) W₂ + b₂, with f = GELU for a GPT, ReLU in Vaswani et al. 2017 (E10)."""
    return linear(activation(linear(x, *up)), *down)


def residual(x: Tensor, sublayer: Callable[[Tensor], Tensor]) -> Tensor:
    """x + F(x) (E11, He et al. 2016).

    Without the x, a deep stack passes gradients only through every F in turn, where they fade.
    """
    return x + sublayer(x)


def lstm_cell(
    x: Tensor, h: Tensor, c: Tensor, weight_ih: Tensor, weight_hh: Tensor, bias: Tensor
) -> tuple[Tensor, Tensor]:
    """One step of an LSTM: c ← f∘c + i∘g, h ← o∘tanh(c), with gates of x and h.

    i, f, o = σ(…) and g = tanh(…), each of x W_ih + h W_hh + b with weights of its own, which come
    side by side (Hochreiter & Schmidhuber 1997; the forget gate f: Gers et al. 2000).
    """
    i, f, g, o = (x @ weight_ih + h @ weight_hh + bias).split(4, axis=-1)
    c = f.sigmoid() * c + i.sigmoid() * g.tanh()
    return o.sigmoid() * c.tanh(), c


def lstm(
    x: Tensor,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias: Tensor,
    h: Tensor,
    c: Tensor,
    mask: Array | None = None,
) -> tuple[Tensor, Tensor]:
    """The cell at every step of (B, T, n_in): all h, and the last c. Where not mask, no step."""
    states = []
    for t in range(x.shape[1]):
        next_h, next_c = lstm_cell(x[:, t], h, c, weight_ih, weight_hh, bias)
        step = np.ones((x.shape[0], 1), bool) if mask is None else mask[:, t, None]
        h, c = where(step, next_h, h), where(step, next_c, c)
        states.append(h)
    return stack(states, axis=1), c


def cross_entropy(
    logits: Tensor, targets: Array, ignore_index: int = -1, label_smoothing: float = 0.0
) -> Tensor:
    """−mean Σᵥ qᵥ log pᵥ over the targets that count (E7), q = (1 − ε)·onehot(target) + ε/V."""
    counted = targets != ignore_index
    rows = log_softmax(logits)[counted]
    of_targets = rows[np.arange(len(rows)), targets[counted]]
    return -((1 - label_smoothing) * of_targets + label_smoothing * rows.mean(axis=-1)).mean()


# ── the whole model ───────────────────────────────────────────────────────────────────────────


def block(
    x: Tensor, parameters: Mapping[str, Tensor], n_head: int, mask: Array | None = None
) -> Tensor:
    """x ← x + Attention(LN(x)), x ← x + MLP(LN(x)): a layer of GPT-2 (Radford et al. 2019, §2.3).

    The parameters have the names that a block of :class:`minigpt.GPT` gives them.
    """

    def attend(x: Tensor) -> Tensor:
        qkv = linear(x, *affine(parameters, "attention.qkv_proj"))  # (B, T, C) -> (B, T, 3·C)
        heads = multi_head_attention(qkv, n_head, mask, causal=True)
        return linear(heads, *affine(parameters, "attention.out_proj"))

    def mlp(x: Tensor) -> Tensor:
        return feed_forward(
            x, affine(parameters, "mlp.up_proj"), affine(parameters, "mlp.down_proj")
        )

    x = residual(x, lambda x: attend(layer_norm(x, *affine(parameters, "attention_norm"))))
    return residual(x, lambda x: mlp(layer_norm(x, *affine(parameters, "mlp_norm"))))


def gpt(
    ids: Array, parameters: Mapping[str, Tensor], n_head: int, mask: Array | None = None
) -> Tensor:
    """Logits of the token after each place (Radford et al. 2018, §3.1; 2019, §2.3).

    The embedding of the token plus that of its place, the blocks, a last layer norm; and the token
    embedding once more, which gives each token of the vocabulary its score.

    ids: (B, T) -> (B, T, V)

    Example:
        >>> import minigpt as mg
        >>> model = mg.GPT(mg.GPTConfig(vocab_size=9, block_size=4, n_layer=2, n_head=2, n_embd=8))
        >>> gpt(np.array([[1, 2, 3]]), dict(model.named_parameters()), n_head=2).shape
        (1, 3, 9)
    """
    places = np.arange(ids.shape[1])
    token_embedding = parameters["token_embedding.weight"]
    x = embedding(ids, token_embedding) + embedding(places, parameters["position_embedding.weight"])
    for i in range(count_blocks(parameters)):
        x = block(x, inside(parameters, f"blocks.{i}"), n_head, mask)
    return linear(layer_norm(x, *affine(parameters, "final_norm")), token_embedding.T)


def count_blocks(parameters: Mapping[str, Tensor]) -> int:
    """How many blocks have parameters."""
    return len({name.split(".")[1] for name in parameters if name.startswith("blocks.")})


def inside(parameters: Mapping[str, Tensor], part: str) -> dict[str, Tensor]:
    """The parameters of a part of the model, by their names within it."""
    start = f"{part}."
    return {n.removeprefix(start): p for n, p in parameters.items() if n.startswith(start)}


def affine(parameters: Mapping[str, Tensor], part: str) -> tuple[Tensor, Tensor | None]:
    """Weight and bias (None where there is none) of a linear map or a layer norm."""
    return parameters[f"{part}.weight"], parameters.get(f"{part}.bias")


__all__ = [
    "attention",
    "block",
    "cross_entropy",
    "dropout",
    "embedding",
    "feed_forward",
    "gelu",
    "gpt",
    "layer_norm",
    "linear",
    "log_softmax",
    "lstm",
    "lstm_cell",
    "multi_head_attention",
    "multi_head_cross_attention",
    "relu",
    "residual",
    "silu",
    "softmax",
]
