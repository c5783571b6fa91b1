"""A decoder that writes a target while it reads what an encoder made of the source."""

from __future__ import annotations

import math

import numpy as np

from minigpt.autograd import Array
from minigpt.grad_mode import is_grad_enabled
from minigpt.models.embeddings import Embeddings
from minigpt.models.inputs import checked_ids, checked_positions, key_mask
from minigpt.models.seq2seq_config import Seq2SeqConfig
from minigpt.nn import DecoderBlock, DecoderCache, Embedding, LayerNorm, Linear, Module
from minigpt.nn.layers import Seed
from minigpt.tensor import Tensor


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
        rng = np.random.default_rng(seed)
        n_layer = c.n_layer if c.n_decoder_layer is None else c.n_decoder_layer
        std, out_std = c.init_std, c.init_std / math.sqrt(3 * n_layer)
        self.embeddings = Embeddings(
            c.target_vocab_size, c.target_block_size, c.n_embd, c.positions, c.dropout,
            std=std, token_embedding=token_embedding, seed=rng,
        )  # fmt: skip
        self.blocks = [
            DecoderBlock(
                c.n_embd, c.n_head, c.n_inner, c.activation, c.norm, c.dropout, c.bias,
                c.layer_norm_eps, std=std, out_std=out_std, seed=rng,
            )
            for _ in range(n_layer)
        ]  # fmt: skip
        pre_norm = c.norm == "pre"  # post-norm blocks end with a layer norm of their own
        self.final_norm = LayerNorm(c.n_embd, c.bias, c.layer_norm_eps) if pre_norm else None
        self.head = (
            None
            if c.tie_head
            else Linear(c.n_embd, c.target_vocab_size, bias=False, std=std, seed=rng)
        )

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
            ids: (B, T) integers, the target so far; with a cache its new tokens alone.
            memory: (B, S, n_embd), what the encoder made of the source; None with a cache.
            mask: (B, T), 1 or True for a token of the target and 0 for padding; with a cache (B,
                number of all tokens so far). Combined with the causal mask.
            memory_mask: (B, 1, 1, S), True where a token of the source may be seen.
            positions: (T,) or (B, T) integers: where each token stands; 0, 1, 2, … by default,
                going on behind the cache.
            cache: of the tokens before, and of the memory; the new tokens are added to it.
            rng: of dropout, in training.
            last_only: compute the logits of the last place alone.

        Raises:
            ValueError, IndexError, TypeError: as of :meth:`minigpt.GPT.forward`.
            RuntimeError: a cache outside no_grad().
        """
        c, past = self.config, 0 if cache is None else cache.length
        ids = checked_ids(ids, c.target_vocab_size, c.target_block_size, past, "target_ids")
        b, t = ids.shape
        if cache is not None and is_grad_enabled():
            raise RuntimeError("a cache holds no gradients: use it under minigpt.no_grad()")
        if positions is None:
            positions = np.arange(past, past + t)
        else:
            positions = checked_positions(positions, ids.shape, c.target_block_size)
        keys = key_mask(mask, b, past + t, "target_mask")

        x: Tensor = self.embeddings(ids, positions, rng)  # (B, T) -> (B, T, C)
        for layer, block in enumerate(self.blocks):  # (B, T, C) -> (B, T, C)
            x = block(x, memory, keys, memory_mask, cache, layer, rng)
        if cache is not None:
            cache.advance(t)
        return self.unembed(x[:, -1:] if last_only else x)  # (B, T, C) -> (B, T, V)

    def unembed(self, x: Tensor) -> Tensor:
        """From the residual stream to logits: (B, T, C) -> (B, T, V)."""
        if self.final_norm is not None:
            x = self.final_norm(x)
        return self.embeddings.unembed(x) if self.head is None else self.head(x)

    def cross_attention_weights(
        self, ids: Array, memory: Tensor, memory_mask: Array | None = None
    ) -> list[Array]:
        """Where in the memory each token looks, for each layer: arrays (B, n_head, T, S)."""
        c = self.config
        ids = checked_ids(ids, c.target_vocab_size, c.target_block_size, name="target_ids")
        x, maps = self.embeddings(ids, np.arange(ids.shape[1])), []
        for block in self.blocks:
            maps.append(block.cross_attention_weights(x, memory, memory_mask))
            x = block(x, memory, None, memory_mask)
        return maps

    def memory_of(self, memory: Tensor) -> list[tuple[Array, Array]]:
        """Every layer's keys and values of the memory, for a cache."""
        return [block.cross_attention.keys_and_values(memory) for block in self.blocks]
