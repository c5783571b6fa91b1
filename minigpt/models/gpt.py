"""GPT: a stack of transformer blocks that predicts the next token."""

from __future__ import annotations

import math
from functools import partial

import numpy as np

import minigpt.functional as F
from minigpt.autograd import Array
from minigpt.grad_mode import is_grad_enabled, no_grad
from minigpt.models.config import GPTConfig
from minigpt.models.inputs import checked_ids, checked_positions, key_mask
from minigpt.models.pretrained import Pretrained
from minigpt.nn import (
    Block,
    Dropout,
    Embedding,
    KeyValueCache,
    LayerNorm,
    Linear,
)
from minigpt.nn.layers import check_seed
from minigpt.nn.positions import make_positions
from minigpt.recompute import recomputed
from minigpt.tensor import Tensor


class GPT(Pretrained):
    """A generative pre-trained transformer (Radford et al. 2018, 2019).

        x      = token_embedding[ids] + position_embedding[0 … T−1]
        x      = Block(x), n_layer times
        logits = LN(x) W_head                 (the token embedding again, where the head is tied)

    Args:
        config: the architecture.
        seed: of the initial weights, a number or a Generator.

    Shapes:
        ids: (B, T) integers, T ≤ block_size -> logits (B, T, vocab_size)

    Raises:
        ValueError: the seed is negative.
        TypeError: ``config`` is no GPTConfig, or the seed neither an integer nor a Generator.

    Example:
        >>> import numpy as np, minigpt as mg
        >>> model = mg.GPT(
        ...     mg.GPTConfig(vocab_size=65, block_size=8, n_layer=2, n_head=2, n_embd=16)
        ... )
        >>> model(np.array([[1, 2, 3]])).shape
        (1, 3, 65)
    """

    def __init__(self, config: GPTConfig, seed: int | np.random.Generator = 0) -> None:
        super().__init__()
        if not isinstance(config, GPTConfig):
            raise TypeError(f"config must be a GPTConfig, got {type(config).__name__}")
        self.config = c = config
        check_seed(seed)
        rng = np.random.default_rng(seed)
        std, out_std = c.init_std, c.init_std / math.sqrt(2 * c.n_layer)
        self.token_embedding = Embedding(c.vocab_size, c.n_embd, std=std, seed=rng)
        self.position_embedding = make_positions(
            c.positions, c.block_size, c.n_embd, std=std, seed=rng
        )
        self.dropout = Dropout(c.dropout)
        alibi = c.positions == "alibi"
        slopes = F.alibi_slopes(c.n_head, c.alibi_scale) if alibi else None
        self.blocks = [
            Block(
                c.n_embd, c.n_head, c.n_inner, c.activation, c.norm, c.dropout, c.bias, c.causal,
                c.layer_norm_eps, c.residual, slopes=slopes, std=std,
                out_std=out_std, seed=rng,
            )
            for _ in range(c.n_layer)
        ]  # fmt: skip
        pre_norm = c.norm == "pre"  # post-norm blocks end with a layer norm of their own
        self.final_norm = LayerNorm(c.n_embd, c.bias, c.layer_norm_eps) if pre_norm else None
        self.head = (
            None if c.tie_head else Linear(c.n_embd, c.vocab_size, bias=False, std=std, seed=rng)
        )
        self.dropout_rng = rng.spawn(1)[0]  # for training without a Generator of one's own

    def forward(
        self,
        ids: Array,
        attention_mask: Array | None = None,
        positions: Array | None = None,
        cache: KeyValueCache | None = None,
        rng: np.random.Generator | None = None,
        last_only: bool = False,
    ) -> Tensor:
        """Logits of the token that follows each place.

        Args:
            ids: (B, T) integers.
            attention_mask: (B, S), 1 or True for a token and 0 for padding, which no token sees;
                S = T, or with a cache the number of all tokens so far. Combined with the causal
                mask (E15).
            positions: (T,) or (B, T) integers: where each token stands; 0, 1, 2, … by default,
                going on behind the cache.
            cache: from :meth:`new_cache`; the ids go on from what it holds, and are added to it.
            rng: of dropout, in training.
            last_only: compute the logits of the last place alone.

        Shapes:
            returns: (B, T, vocab_size), or (B, 1, vocab_size) with ``last_only``

        Raises:
            ValueError: ids, positions or mask of another shape, or more tokens than the context
                holds.
            IndexError: an id outside the vocabulary, a position outside the context.
            TypeError: ids or positions that are not integers.
            RuntimeError: a cache outside no_grad().
        """
        ids, past = self._checked(ids, cache), cache.length if cache is not None else 0
        t = ids.shape[1]
        if positions is None:
            positions = np.arange(past, past + t)
        else:
            positions = checked_positions(positions, ids.shape, self.config.block_size)
        mask = key_mask(attention_mask, ids.shape[0], past + t)
        rng = self.dropout_rng if rng is None else rng

        x = self.embed(ids, positions)  # (B, T) -> (B, T, C)
        x = self.dropout(x, rng)
        for layer, block in enumerate(self.blocks):  # (B, T, C) -> (B, T, C)
            if self.config.recompute and cache is None:
                x = recomputed(partial(_apply, block, mask), x, block.parameters(), rng)
            else:
                x = block(x, mask, cache, layer, rng)
        if cache is not None:
            cache.advance(t)
        return self.unembed(x[:, -1:] if last_only else x)  # (B, T, C) -> (B, T, V)

    def embed(self, ids: Array, positions: Array) -> Tensor:
        """Token and position embeddings added up: (B, T) -> (B, T, C)."""
        tokens: Tensor = self.token_embedding(ids)
        if self.config.positions in ("sinusoidal", "alibi"):
            tokens = tokens * math.sqrt(self.config.n_embd)  # Vaswani et al. 2017, §3.4
        x: Tensor = self.position_embedding(tokens, positions)
        return x

    def unembed(self, x: Tensor) -> Tensor:
        """From the residual stream to logits: (B, T, C) -> (B, T, V)."""
        if self.final_norm is not None:
            x = self.final_norm(x)
        if self.head is not None:
            return self.head(x)
        return F.linear(x, self.token_embedding.weight.T)

    # ── what training asks for ────────────────────────────────────────────────────────────────

    def loss(
        self,
        ids: Array,
        targets: Array,
        attention_mask: Array | None = None,
        rng: np.random.Generator | None = None,
    ) -> Tensor:
        """Mean cross-entropy of the next token (E7), over the targets that are not −1.

        Args:
            ids: what the model reads.
            targets: targets[b, t] is the token that follows ids[b, t]; −1 leaves the place out.
            attention_mask: 1 or True for a token and 0 for padding, which no token sees. It says
                nothing of the targets: those of padding should be −1.
            rng: of dropout, in training; the model's own where None.

        Shapes:
            ids, targets: (B, T) integers
            attention_mask: (B, T)
            returns: a scalar

        Raises:
            ValueError: shapes that do not fit, more tokens than the context holds, or no target
                that counts.
            IndexError: an id or a target outside the vocabulary.
            TypeError: ids or targets that are not integers.
        """
        return F.cross_entropy(self(ids, attention_mask, rng=rng), targets)

    def loss_weight(self, ids: Array, targets: Array) -> float:
        """How many targets the mean in :meth:`loss` runs over."""
        return float((np.asarray(targets) != -1).sum())

    @no_grad()
    def metrics(self, ids: Array, targets: Array) -> dict[str, float]:
        """Loss, and accuracy: how often the likeliest token is the right one."""
        logits, targets = self(ids), np.asarray(targets)
        right = logits.data.argmax(axis=-1) == targets
        return {
            "loss": F.cross_entropy(logits, targets).item(),
            "accuracy": float(right[targets != -1].mean()),
        }

    # ── what generation asks for ──────────────────────────────────────────────────────────────

    def new_cache(self, batch_size: int, capacity: int | None = None) -> KeyValueCache:
        """An empty key–value cache for ``capacity`` tokens (block_size by default).

        Raises:
            ValueError: the model is not causal, so that what is kept of a token would be wrong as
                soon as another follows.
        """
        c = self.config
        if not c.causal:
            raise ValueError(
                "a GPT with causal=False has no cache, as every token sees those that follow it: "
                "read all tokens again at each step, with use_cache=False"
            )
        capacity = c.block_size if capacity is None else capacity
        dtype = self.token_embedding.weight.dtype
        return KeyValueCache(c.n_layer, batch_size, c.n_head, capacity, c.n_embd // c.n_head, dtype)

    @no_grad()
    def attention_weights(self, ids: Array) -> list[Array]:
        """Where every token looks, for each layer: one array of attention weights.

        The model should be in evaluation mode: in training, dropout blurs what later layers see.

        Args:
            ids: (B, T) integers.

        Shapes:
            returns: n_layer arrays (B, n_head, T, T), rows that sum to 1

        Raises:
            ValueError: ids of another shape, or more tokens than the context holds.
            IndexError: an id outside the vocabulary.
            TypeError: ids that are not integers.
        """
        ids = self._checked(ids, None)
        x, maps = self.embed(ids, np.arange(ids.shape[1])), []
        for block in self.blocks:
            seen = block.attention_norm(x) if block.norm == "pre" else x
            maps.append(block.attention.weights(seen))
            x = block(x, rng=self.dropout_rng)
        return maps

    @no_grad()
    def hidden_states(self, ids: Array) -> list[Array]:
        """The residual stream x as the embeddings give it, and behind each block.

        ``unembed`` makes logits of any of them. The last one comes before the final norm; where
        Transformers lists hidden states, its last one comes after.

        Shapes:
            ids: (B, T) integers -> n_layer + 1 arrays (B, T, n_embd)

        Raises:
            ValueError, IndexError, TypeError: as :meth:`attention_weights`.
        """
        ids = self._checked(ids, None)
        states = [self.dropout(self.embed(ids, np.arange(ids.shape[1])), self.dropout_rng)]
        for block in self.blocks:
            states.append(block(states[-1], rng=self.dropout_rng))
        return [x.data for x in states]

    def _checked(self, ids: Array, cache: KeyValueCache | None) -> Array:
        past = cache.length if cache is not None else 0
        ids = checked_ids(ids, self.config.vocab_size, self.config.block_size, past)
        if cache is not None and is_grad_enabled():
            raise RuntimeError("a cache holds no gradients: use it under minigpt.no_grad()")
        return ids

    def extra_repr(self) -> str:
        c = self.config
        return f"vocab_size={c.vocab_size}, block_size={c.block_size}"


def _apply(block: Block, mask: Array | None, x: Tensor, rng: np.random.Generator | None) -> Tensor:
    y: Tensor = block(x, mask, rng=rng)
    return y
