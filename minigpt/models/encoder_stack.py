"""From ids to what they mean in their context: the part that an encoder and a translator share."""

from __future__ import annotations

import math

import numpy as np

from minigpt.autograd import Array
from minigpt.grad_mode import evaluation
from minigpt.models.embeddings import Embeddings
from minigpt.models.encoder_config import EncoderConfig
from minigpt.models.inputs import checked_ids, checked_positions, key_mask
from minigpt.nn import Block, Embedding, LayerNorm, Module
from minigpt.nn.layers import Seed, check_seed
from minigpt.tensor import Tensor


class EncoderStack(Module):
    """Embeddings and blocks in which every token sees all others, before it and after it.

        x = token_embedding[ids] + position_embedding[0 … T−1]
        x = Block(x), n_layer times, without a causal mask
        x = LN(x), where the blocks are pre-norm

    Args:
        config: the architecture.
        token_embedding: shared with another part of a model; a new one where None.
        prefix: "source_" where errors are to speak of ``source_ids`` and the like.
        seed: a number or a Generator.

    Shapes:
        ids: (B, T) integers, T ≤ block_size -> (B, T, n_embd)
    """

    def __init__(
        self,
        config: EncoderConfig,
        *,
        token_embedding: Embedding | None = None,
        prefix: str = "",
        seed: Seed,
    ) -> None:
        super().__init__()
        self.config = c = config
        self.prefix = prefix
        check_seed(seed)
        rng = np.random.default_rng(seed)
        std, out_std = c.init_std, c.init_std / math.sqrt(2 * c.n_layer)
        self.embeddings = Embeddings(
            c.vocab_size, c.block_size, c.n_embd, c.positions, c.dropout,
            LayerNorm(c.n_embd, c.bias, c.layer_norm_eps) if c.embedding_norm else None,
            std=std, token_embedding=token_embedding, seed=rng,
        )  # fmt: skip
        self.blocks = [
            Block(
                c.n_embd, c.n_head, c.n_inner, c.activation, c.norm, c.dropout, c.bias,
                causal=False, eps=c.layer_norm_eps, std=std, out_std=out_std, seed=rng,
            )
            for _ in range(c.n_layer)
        ]  # fmt: skip
        pre_norm = c.norm == "pre"  # post-norm blocks end with a layer norm of their own
        self.final_norm = LayerNorm(c.n_embd, c.bias, c.layer_norm_eps) if pre_norm else None

    def forward(
        self,
        ids: Array,
        attention_mask: Array | None = None,
        positions: Array | None = None,
        rng: np.random.Generator | None = None,
    ) -> Tensor:
        """What each token means among the others.

        Args:
            ids: (B, T) integers.
            attention_mask: (B, T), 1 or True for a token and 0 for padding, which no token sees.
            positions: (T,) or (B, T) integers: where each token stands; 0, 1, 2, … by default.
            rng: of dropout, in training.

        Shapes:
            returns: (B, T, n_embd)

        Raises:
            ValueError: ids, positions or mask of another shape, or more tokens than the context
                holds.
            IndexError: an id outside the vocabulary, a position outside the context.
            TypeError: ids or positions that are not integers.
        """
        x, mask = self.embedded(ids, attention_mask, positions, rng)
        for block in self.blocks:  # (B, T, C) -> (B, T, C)
            x = block(x, mask, rng=rng)
        return x if self.final_norm is None else self.final_norm(x)

    def embedded(
        self,
        ids: Array,
        attention_mask: Array | None,
        positions: Array | None = None,
        rng: np.random.Generator | None = None,
    ) -> tuple[Tensor, Array | None]:
        """What the first block is given: (B, T) -> (B, T, C), and the mask over the keys."""
        c = self.config
        ids = checked_ids(ids, c.vocab_size, c.block_size, name=f"{self.prefix}ids")
        if positions is None:
            positions = np.arange(ids.shape[1])
        else:
            positions = checked_positions(positions, ids.shape, c.block_size)
        b, t = ids.shape
        mask = key_mask(attention_mask, b, t, f"{self.prefix or 'attention_'}mask")
        return self.embeddings(ids, positions, rng), mask

    def attention_weights(self, ids: Array, attention_mask: Array | None = None) -> list[Array]:
        """Where every token looks, for each layer; dropout is off, no gradient goes through.

        Shapes:
            ids, attention_mask: (B, T)
            returns: n_layer arrays (B, n_head, T, T), rows that sum to 1
        """
        maps = []
        with evaluation():
            x, mask = self.embedded(ids, attention_mask)
            for block in self.blocks:
                seen = block.attention_norm(x) if block.norm == "pre" else x
                maps.append(block.attention.weights(seen, mask))
                x = block(x, mask)
        return maps
