"""The way into a transformer: what a token is, and where it stands."""

from __future__ import annotations

import math

import numpy as np

import minigpt.functional as F
from minigpt.autograd import Array
from minigpt.nn import Dropout, Embedding, LayerNorm, Module
from minigpt.nn.layers import Seed
from minigpt.nn.positions import make_positions
from minigpt.tensor import Tensor


class Embeddings(Module):
    """x = Dropout(E[id] + P[position]), with E[id]·√n_embd where positions are sinusoidal.

    BERT's have a layer norm too: x = Dropout(LN(E[id] + P[position])).

    Args:
        vocab_size, block_size, n_embd: how many tokens, how many places, and how wide.
        positions: "learned", "sinusoidal" (Vaswani et al. 2017, §3.4 and §3.5) or "none".
        dropout: on x.
        norm: the layer norm, where there is one.
        std: standard deviation of the initial embeddings; sinusoidal positions set their own,
            1/√n_embd.
        token_embedding: another one's E, to be shared with it; a new one where None.
        seed: a number or a Generator.

    Shapes:
        ids: (B, T) integers, positions: (T,) or (B, T) -> (B, T, n_embd)
    """

    def __init__(
        self,
        vocab_size: int,
        block_size: int,
        n_embd: int,
        positions: str = "learned",
        dropout: float = 0.0,
        norm: LayerNorm | None = None,
        *,
        std: float = 0.02,
        token_embedding: Embedding | None = None,
        seed: Seed,
    ) -> None:
        super().__init__()
        rng = np.random.default_rng(seed)
        self.scale = 1.0
        if positions == "sinusoidal":  # what the tokens say is then as loud as sines and cosines
            self.scale, std = math.sqrt(n_embd), 1 / math.sqrt(n_embd)
        self.token_embedding = token_embedding or Embedding(vocab_size, n_embd, std=std, seed=rng)
        self.position_embedding = make_positions(positions, block_size, n_embd, std=std, seed=rng)
        self.norm = norm
        self.dropout = Dropout(dropout)

    def forward(
        self, ids: Array, positions: Array, rng: np.random.Generator | None = None
    ) -> Tensor:
        x: Tensor = self.token_embedding(ids)
        if self.scale != 1:
            x = x * self.scale
        x = self.position_embedding(x, positions)
        if self.norm is not None:
            x = self.norm(x)
        return self.dropout(x, rng)

    def unembed(self, x: Tensor, bias: Tensor | None = None) -> Tensor:
        """The logits x Eᵀ + b of a head that is tied to E (Press & Wolf 2017).

        Shapes:
            x: (..., n_embd) -> (..., vocab_size);  bias: (vocab_size,)
        """
        return F.linear(x, self.token_embedding.weight.T, bias)
