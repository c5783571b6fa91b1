"""A decoder that writes a target while it reads what an encoder made of the source."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from minigpt import checks
from minigpt.autograd import Array
from minigpt.checks import Seed
from minigpt.models.embeddings import Embeddings, check_inputs
from minigpt.nn import DecoderBlock, DecoderCache, Embedding, LayerNorm, Linear, Module
from minigpt.nn.block import residual_stream
from minigpt.tensor import Tensor

if TYPE_CHECKING:
    from minigpt.models.seq2seq import Seq2SeqConfig


class DecoderStack(Module):
    """Embeddings, decoder blocks, and a head: a GPT that also looks at a memory.

        x      = token_embedding[ids] + position_embedding[0 … T−1]
        x      = DecoderBlock(x, memory), n_decoder_layer times
        logits = LN(x) W_head                 (the token embedding again, where the head is tied)

    Args:
        config: the architecture.
        token_embedding: the encoder's, to be shared with it; a new one where None.
        seed: a number or a Generator.

    Shapes:
        ids: (B, T) integers, memory: (B, S, n_embd) -> logits (B, T, target_vocab_size)
    """

    def __init__(
        self, config: Seq2SeqConfig, *, token_embedding: Embedding | None = None, seed: Seed
    ) -> None:
        super().__init__()
        self.config = c = config
        rng = np.random.default_rng(checks.seed(seed))
        self.embeddings = Embeddings(
            c, c.target_vocab_size, c.target_block_size, token_embedding=token_embedding, seed=rng
        )
        self.blocks = [DecoderBlock(c, layer, seed=rng) for layer in range(c.decoder_layers)]
        pre_norm = c.norm == "pre"  # post-norm blocks end with a layer norm of their own
        self.final_norm = LayerNorm(c.n_embd, c.bias, c.layer_norm_eps) if pre_norm else None
        untied = partial(Linear, c.n_embd, c.target_vocab_size, bias=False, std=c.init_std)
        self.head = None if c.tie_head else untied(seed=rng)

    def forward(
        self,
        ids: Array,
        memory: Tensor | None,
        mask: Array | None = None,
        memory_mask: Array | None = None,
        positions: Array | None = None,
        cache: DecoderCache | None = None,
        rng: np.random.Generator | None = None,
        last_only: bool = False,
    ) -> Tensor:
        """Logits of the token that follows each place of the target.

        Args:
            ids: (B, T) integers, the target so far; with a cache its new tokens only.
            memory: (B, S, n_embd), what the encoder made of the source; None with a cache.
            mask: (B, T), 1 or True for a token of the target and 0 for padding; with a cache (B,
                number of all tokens so far). Combined with the causal mask.
            memory_mask: (B, 1, 1, S), True where a token of the source may be seen.
            positions: (T,) or (B, T) integers: where each token stands; 0, 1, 2, … by default,
                going on after the cache.
            cache: of the tokens before, and of the memory; the new tokens are added to it.
            rng: of dropout, in training.
            last_only: compute the logits of the last place only.

        Raises:
            ValueError, IndexError: as in :meth:`minigpt.GPT.forward`.
            RuntimeError: a cache outside no_grad().
        """
        ids, positions, keys = _check(self, ids, mask, positions, cache)
        x: Tensor = self.embeddings(ids, positions, rng)  # (B, T) -> (B, T, C)
        for block in self.blocks:  # (B, T, C) -> (B, T, C)
            x = block(x, memory, keys, memory_mask, cache, rng)
        if cache is not None:
            cache.advance(ids.shape[1])
        return self.unembed(x[:, -1:] if last_only else x)  # (B, T, C) -> (B, T, V)

    def unembed(self, x: Tensor) -> Tensor:
        """From the residual stream to logits: (B, T, C) -> (B, T, V)."""
        if self.final_norm is not None:
            x = self.final_norm(x)
        return self.embeddings.tied_logits(x) if self.head is None else self.head(x)

    def cross_attention_weights(
        self, ids: Array, memory: Tensor, memory_mask: Array | None = None
    ) -> list[Array]:
        """Where in the memory each token looks, for each layer: arrays (B, n_head, T, S)."""
        ids, positions, _ = _check(self, ids)
        x = self.embeddings(ids, positions)
        stream = residual_stream(self.blocks[:-1], x, memory, None, memory_mask)
        return [
            block.cross_attention_weights(x, memory, memory_mask)
            for block, x in zip(self.blocks, stream, strict=True)
        ]

    def memory_of(self, memory: Tensor) -> list[tuple[Array, Array]]:
        """Every layer's keys and values of the memory, for a cache."""
        return [block.cross_attention.keys_and_values(memory) for block in self.blocks]


def _check(
    stack: DecoderStack,
    ids: Array,
    mask: Array | None = None,
    positions: Array | None = None,
    cache: DecoderCache | None = None,
) -> tuple[Array, Array, Array | None]:
    c = stack.config
    return check_inputs(
        ids, mask, positions, c.target_vocab_size, c.target_block_size, cache, "target_"
    )
