"""A decoder block that also reads a source: self-attention, cross-attention, feed-forward."""

from __future__ import annotations

import numpy as np

from minigpt import checks
from minigpt.autograd import Array
from minigpt.checks import Seed
from minigpt.grad_mode import evaluation
from minigpt.nn.attention import CausalSelfAttention
from minigpt.nn.block import ResidualBlock, norm_of
from minigpt.nn.config import TransformerConfig
from minigpt.nn.cross_attention import CrossAttention
from minigpt.nn.decoder_cache import DecoderCache
from minigpt.nn.mlp import MLP
from minigpt.tensor import Tensor


class DecoderBlock(ResidualBlock):
    """One layer of the decoder of an encoder–decoder (Vaswani et al. 2017, §3.1).

        norm="pre":   x = x + SelfAttention(LN(x));  x = x + CrossAttention(LN(x), m);
                      x = x + MLP(LN(x))
        norm="post":  x = LN(x + SelfAttention(x));  x = LN(x + CrossAttention(x, m));
                      x = LN(x + MLP(x))

    m is what the encoder made of the source. Self-attention is causal, cross-attention sees all
    of m.

    Args:
        config: as :class:`~minigpt.nn.Block` takes it.
        layer: its place in the stack, from 0: where a cache keeps its keys and values.
        seed: of the projections, a number or a Generator.

    Shapes:
        x: (B, T, n_embd), memory: (B, S, n_embd) -> (B, T, n_embd)
        mask: over the target, as in :class:`~minigpt.nn.CausalSelfAttention`
        memory_mask: over the source, as in :class:`~minigpt.nn.CrossAttention`

    Example:
        >>> import numpy as np, minigpt as mg
        >>> block = DecoderBlock(mg.nn.BlockConfig(n_embd=8, n_head=2), seed=0)
        >>> target, memory = (mg.Tensor(np.ones((1, n, 8), np.float32)) for n in (3, 5))
        >>> block(target, memory).shape
        (1, 3, 8)
    """

    def __init__(self, config: TransformerConfig, layer: int = 0, *, seed: Seed) -> None:
        super().__init__(config)
        rng = np.random.default_rng(checks.seed(seed))
        self.attention_norm = norm_of(config)
        self.attention = CausalSelfAttention(config, layer, seed=rng)
        self.cross_attention_norm = norm_of(config)
        self.cross_attention = CrossAttention(config, layer, seed=rng)
        self.mlp_norm = norm_of(config)
        self.mlp = MLP(config, seed=rng)

    def forward(
        self,
        x: Tensor,
        memory: Tensor | None,
        mask: Array | None = None,
        memory_mask: Array | None = None,
        cache: DecoderCache | None = None,
        rng: np.random.Generator | None = None,
    ) -> Tensor:
        """The block's output; with a cache the memory is the one that the cache holds.

        Args:
            x: (B, T, n_embd), the target; with a cache its new tokens only.
            memory: (B, S, n_embd), the source; None with a cache.
            mask, memory_mask: as the class has them.
            cache: of the tokens before, and of the source; for generation, without gradients.
            rng: of dropout, in training.
        """
        x = self.around(self.attention, self.attention_norm, x, mask=mask, cache=cache, rng=rng)
        x = self.around(
            self.cross_attention, self.cross_attention_norm, x,
            memory=memory, mask=memory_mask, cache=cache, rng=rng,
        )  # fmt: skip
        return self.around(self.mlp, self.mlp_norm, x, rng=rng)

    def cross_attention_weights(
        self, x: Tensor, memory: Tensor, memory_mask: Array | None = None
    ) -> Array:
        """Where in the ``memory`` each token looks, to inspect: (B, n_head, T, S).

        ``memory_mask`` is as the class has it.
        """
        with evaluation():  # nothing is dropped
            x = self.around(self.attention, self.attention_norm, x)
        seen = self._seen(self.cross_attention_norm, x)
        return self.cross_attention.weights(seen, memory, memory_mask)
