"""Multi-head self-attention, as a module."""

from __future__ import annotations

import math

import numpy as np

import minigpt.functional as F
from minigpt import checks
from minigpt.autograd import Array
from minigpt.checks import Seed
from minigpt.functional.attention import attention_weights, heads_of
from minigpt.nn.cache import KeyValueCache
from minigpt.nn.config import TransformerConfig, check_config
from minigpt.nn.layers import Dropout, Linear
from minigpt.nn.module import Module
from minigpt.tensor import Tensor


class CausalSelfAttention(Module):
    """Every token asks all tokens up to itself, in n_head ways at once.

        Q, K, V = x W_qkv + b_qkv
        headᵢ   = softmax(Qᵢ Kᵢᵀ / √d_k + causal mask) Vᵢ,  d_k = n_embd / n_head
        y       = Concat(head₁, …, head_h) W_out + b_out       (Vaswani et al. 2017, §3.2)

    Args:
        config: a model's, a :class:`~minigpt.nn.BlockConfig`, or any object with what is read of
            it: n_embd, n_head, dropout (on the attention weights, and on y), bias, causal (False
            lets every token see all others), slopes (how fast each head's scores fall with the
            distance of a token, or None), scale_attention (False leaves 1/√d_k out) and
            scale_attention_by_layer (True divides the scores by layer + 1), init_std and
            residual_std (of the initial W_qkv and W_out).
        layer: its place in the stack, from 0: where a cache keeps its keys and values.
        seed: of the projections, a number or a Generator.

    Shapes:
        x: (B, T, n_embd) -> (B, T, n_embd)
        mask: (B, 1 or n_head, 1 or T, S) booleans, True where a key may be seen; S = T, or with a
            cache the number of all tokens so far

    Example:
        >>> from minigpt.nn import BlockConfig
        >>> attention = CausalSelfAttention(BlockConfig(n_embd=8, n_head=2), seed=0)
        >>> attention(Tensor(np.ones((1, 3, 8), np.float32))).shape
        (1, 3, 8)
    """

    def __init__(self, config: TransformerConfig, layer: int = 0, *, seed: Seed) -> None:
        super().__init__()
        _check(config)
        c, rng = config, np.random.default_rng(checks.seed(seed))
        self.layer = checks.integer("layer", layer, least=0)
        self.n_head, self.causal, self.slopes = c.n_head, c.causal, c.slopes
        self.query_scale = 1.0 if c.scale_attention else math.sqrt(c.n_embd / c.n_head)
        self.query_scale /= layer + 1 if c.scale_attention_by_layer else 1
        self.attention_dropout = c.dropout
        qkv = (c.n_embd, c.n_embd, c.n_embd)  # the widths of Q, K and V
        self.qkv_proj = Linear(c.n_embd, sum(qkv), c.bias, std=c.init_std, parts=qkv, seed=rng)
        self.out_proj = Linear(c.n_embd, c.n_embd, c.bias, std=c.residual_std, seed=rng)
        self.residual_dropout = Dropout(c.dropout)

    def forward(
        self,
        x: Tensor,
        mask: Array | None = None,
        cache: KeyValueCache | None = None,
        rng: np.random.Generator | None = None,
    ) -> Tensor:
        """Attention of x to itself, and with a cache to the tokens before it.

        Args:
            x: (B, T, n_embd).
            mask: as the class has it.
            cache: holds the keys and values of the tokens before, and gets those of x. It is for
                generation: no gradient goes through, and no attention weight is dropped, not even
                in training mode.
            rng: of dropout, in training.
        """
        qkv = self._projected(x)  # (B, T, C) -> (B, T, 3·C)
        if cache is None:
            dropout = self.attention_dropout if self.training else 0.0
            heads = F.multi_head_attention(
                qkv, self.n_head, mask, self.causal, dropout, rng, self.slopes
            )  # (B, T, 3·C) -> (B, T, C)
        else:
            q, k, v = heads_of(qkv.data, self.n_head)  # (B, T, 3·C) -> 3 × (B, h, T, d)
            k, v = cache.extend(self.layer, k, v)  # (B, h, T, d) -> (B, h, S, d)
            heads = heads_over(q, k, v, mask, self.causal, self.slopes)  # -> (B, T, C)
        return self.residual_dropout(self.out_proj(heads), rng)  # (B, T, C) -> (B, T, C)

    def weights(self, x: Tensor, mask: Array | None = None) -> Array:
        """The attention weights, to inspect: where each token looks, in each head.

        Args:
            x: what :meth:`forward` takes; no gradient passes through, and nothing is dropped.
            mask: True where a key may be seen.

        Shapes:
            x: (B, T, n_embd)
            mask: (B, 1 or n_head, 1 or T, T)
            returns: (B, n_head, T, T), each row a distribution over the tokens
        """
        q, k, _ = heads_of(self._projected(x).data, self.n_head)
        return attention_weights(q, k, mask, self.causal, self.slopes)

    def _projected(self, x: Tensor) -> Tensor:
        """Q, K and V; Q takes in what the scores are to be scaled by other than 1/√d_k."""
        qkv: Tensor = self.qkv_proj(x)
        if self.query_scale == 1:
            return qkv
        scale = np.ones(qkv.shape[-1], qkv.dtype)
        scale[: len(scale) // 3] = self.query_scale
        return qkv * Tensor(scale)

    def extra_repr(self) -> str:
        causal = "" if self.causal else ", causal=False"
        causal += "" if self.query_scale == 1 else f", query_scale={self.query_scale:.3g}"
        slopes = "" if self.slopes is None else f", slopes={self.slopes}"
        return f"n_head={self.n_head}{causal}{slopes}"


def heads_over(
    q: Array,
    k: Array,
    v: Array,
    mask: Array | None = None,
    causal: bool = False,
    slopes: Array | None = None,
) -> Tensor:
    """Concat(head₁, …, head_h) of new tokens over the keys and values that a cache holds.

    Shapes:
        q: (B, h, T, d);  k, v: (B, h, S, d)
        returns: (B, T, h·d)
    """
    b, h, t, d = q.shape
    causal = causal and t > 1  # a single new token comes last and sees all
    heads = F.scaled_dot_product_attention(
        Tensor(q), Tensor(k), Tensor(v), mask, causal, slopes=slopes
    )
    return heads.swapaxes(1, 2).reshape(b, t, h * d)  # (B, h, T, d) -> (B, T, h·d)


def _check(config: object) -> None:
    check_config(
        config, "n_embd", "n_head", "dropout", "bias", "causal", "slopes", "scale_attention",
        "scale_attention_by_layer", "init_std", "residual_std",
    )  # fmt: skip
