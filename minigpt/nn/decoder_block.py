"""A decoder block that also reads a source: self-attention, cross-attention, feed-forward."""

from __future__ import annotations

import numpy as np

from minigpt.autograd import Array
from minigpt.nn.attention import CausalSelfAttention
from minigpt.nn.block import check_norm
from minigpt.nn.cross_attention import CrossAttention
from minigpt.nn.decoder_cache import DecoderCache
from minigpt.nn.layers import LayerNorm, Seed, check_seed
from minigpt.nn.mlp import MLP
from minigpt.nn.module import Module
from minigpt.tensor import Tensor


class DecoderBlock(Module):
    """One layer of the decoder of an encoder–decoder (Vaswani et al. 2017, §3.1).

        norm="pre":   x = x + SelfAttention(LN(x)); x = x + CrossAttention(LN(x), m);
                      x = x + MLP(LN(x))
        norm="post":  x = LN(x + SelfAttention(x)); x = LN(x + CrossAttention(x, m));
                      x = LN(x + MLP(x))

    m is what the encoder made of the source. Self-attention is causal, cross-attention sees all
    of m.

    Args:
        n_embd, n_head, n_inner, activation, dropout, bias, eps, std, out_std, seed: as of
            :class:`~minigpt.nn.Block`.
        norm: "pre" or "post".

    Shapes:
        x: (B, T, n_embd), memory: (B, S, n_embd) -> (B, T, n_embd)
        mask: over the target, as in :class:`~minigpt.nn.CausalSelfAttention`
        memory_mask: over the source, as in :class:`~minigpt.nn.CrossAttention`

    Raises:
        ValueError: ``norm`` is neither "pre" nor "post", n_head does not divide n_embd, or there
            is no activation of that name.
    """

    def __init__(
        self,
        n_embd: int,
        n_head: int,
        n_inner: int | None = None,
        activation: str = "gelu_tanh",
        norm: str = "pre",
        dropout: float = 0.0,
        bias: bool = True,
        eps: float = 1e-5,
        *,
        std: float | None = None,
        out_std: float | None = None,
        seed: Seed,
    ) -> None:
        super().__init__()
        check_norm(norm, ("pre", "post"))
        check_seed(seed)
        rng = np.random.default_rng(seed)
        self.norm = norm
        self.attention_norm = LayerNorm(n_embd, bias, eps)
        self.attention = CausalSelfAttention(
            n_embd, n_head, dropout, bias, std=std, out_std=out_std, seed=rng
        )
        self.cross_attention_norm = LayerNorm(n_embd, bias, eps)
        self.cross_attention = CrossAttention(
            n_embd, n_head, dropout, bias, std=std, out_std=out_std, seed=rng
        )
        self.mlp_norm = LayerNorm(n_embd, bias, eps)
        self.mlp = MLP(
            n_embd, n_inner, activation, dropout, bias, std=std, out_std=out_std, seed=rng
        )

    def forward(
        self,
        x: Tensor,
        memory: Tensor | None,
        mask: Array | None = None,
        memory_mask: Array | None = None,
        cache: DecoderCache | None = None,
        layer: int = 0,
        rng: np.random.Generator | None = None,
    ) -> Tensor:
        """The block's output; with a cache the memory is the one that the cache holds.

        Args:
            x: (B, T, n_embd), the target; with a cache its new tokens alone.
            memory: (B, S, n_embd), the source; None with a cache.
            mask, memory_mask: as the class has them.
            cache: of the tokens before, and of the source; for generation, without gradients.
            layer: which of the cache's layers this is.
            rng: of dropout, in training.
        """

        def read(x: Tensor) -> Tensor:
            if cache is not None:
                return self.cross_attention.over(x, *cache.memory[layer], cache.memory_mask)
            y: Tensor = self.cross_attention(x, memory, memory_mask, rng)
            return y

        x = self._after_self_attention(x, mask, cache, layer, rng)
        if self.norm == "pre":
            x = x + read(self.cross_attention_norm(x))
            return x + self.mlp(self.mlp_norm(x), rng)
        x = self.cross_attention_norm(x + read(x))
        return self.mlp_norm(x + self.mlp(x, rng))

    def cross_attention_weights(
        self, x: Tensor, memory: Tensor, memory_mask: Array | None = None
    ) -> Array:
        """Where in the memory each token looks, for looking at: (B, n_head, T, S)."""
        x = self._after_self_attention(x)
        seen = self.cross_attention_norm(x) if self.norm == "pre" else x
        return self.cross_attention.weights(seen, memory, memory_mask)

    def _after_self_attention(
        self,
        x: Tensor,
        mask: Array | None = None,
        cache: DecoderCache | None = None,
        layer: int = 0,
        rng: np.random.Generator | None = None,
    ) -> Tensor:
        if self.norm == "pre":
            return x + self.attention(self.attention_norm(x), mask, cache, layer, rng)
        y: Tensor = self.attention_norm(x + self.attention(x, mask, cache, layer, rng))
        return y

    def extra_repr(self) -> str:
        return f"norm={self.norm!r}"
