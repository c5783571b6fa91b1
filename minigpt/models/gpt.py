"""GPT: a stack of transformer blocks that predicts the next token."""

from __future__ import annotations

import warnings
from functools import partial
from typing import Any, ClassVar

import numpy as np

import minigpt.functional as F
from minigpt import checks
from minigpt.autograd import Array
from minigpt.checks import Seed
from minigpt.grad_mode import evaluation
from minigpt.models.embeddings import Embeddings, check_inputs
from minigpt.models.gpt_config import GPTConfig
from minigpt.models.predictor import Predictor
from minigpt.models.pretrained import Pretrained
from minigpt.nn import Block, ConvolutionCache, KeyValueCache, Linear
from minigpt.nn.block import norm_of, residual_stream
from minigpt.nn.config import heads_in
from minigpt.recompute import recomputed
from minigpt.tensor import Tensor


class GPT(Pretrained, Predictor, Embeddings):
    """A generative pre-trained transformer (Radford et al. 2018, 2019): embeddings, then blocks.

        x      = token_embedding[ids] + position_embedding[0 … T−1]
        x      = Block(x), n_layer times
        logits = Norm(x) W_head               (the token embedding again, where the head is tied)

    With rotary positions nothing is added to the token embeddings: the blocks are told where each
    token stands.

    Args:
        config: the architecture.
        seed: of the initial weights, a number or a Generator.

    Shapes:
        ids: (B, T) integers, T ≤ block_size -> logits (B, T, vocab_size)

    Example:
        >>> import numpy as np, minigpt as mg
        >>> model = mg.GPT(
        ...     mg.GPTConfig(vocab_size=65, block_size=8, n_layer=2, n_head=2, n_embd=16)
        ... )
        >>> model(np.array([[1, 2, 3]])).shape
        (1, 3, 65)
    """

    CONFIG: ClassVar[type[GPTConfig]] = GPTConfig

    def __init__(self, config: GPTConfig, seed: Seed = 0) -> None:
        c = checks.instance("config", config, GPTConfig)
        rng = np.random.default_rng(checks.seed(seed))
        super().__init__(c, c.vocab_size, c.block_size, seed=rng)
        self.config = c
        self.blocks = [Block(c, layer, seed=rng) for layer in range(c.n_layer)]
        pre_norm = c.norm == "pre"  # post-norm blocks end with a norm of their own
        self.final_norm = norm_of(c) if pre_norm else None
        untied = partial(Linear, c.n_embd, c.vocab_size, bias=False, std=c.init_std)
        self.head = None if c.tie_head else untied(seed=rng)
        self.dropout_rng = rng.spawn(1)[0]

    def forward(  # type: ignore[override]  # of the embeddings below the blocks
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
                going on after the cache, whatever the mask is: so has Transformers' GPT-2. Rows
                with padding on the left need positions of their own.
            cache: from :meth:`new_cache`; the ids go on from what it holds, and are added to it.
            rng: of dropout, in training; the model's own where None.
            last_only: compute the logits of the last place only.

        Shapes:
            returns: (B, T, vocab_size), or (B, 1, vocab_size) with ``last_only``

        Raises:
            ValueError: ids, positions or mask of another shape, or more tokens than the context
                holds.
            IndexError: an id outside the vocabulary, a position outside the context.
            RuntimeError: a cache outside no_grad().
        """
        ids, positions, mask = _check(self, ids, attention_mask, positions, cache, last_only)
        rng = self.dropout_generator(rng)
        x = self.dropout(self.embed(ids, positions), rng)  # (B, T) -> (B, T, C)
        places = self._of_blocks(positions)
        for block in self.blocks:  # (B, T, C) -> (B, T, C)
            if self.config.recompute and cache is None:
                x = recomputed(partial(_apply, block, mask, places), x, block.parameters(), rng)
            else:
                x = block(x, mask, cache, rng, places)
        if cache is not None:
            cache.advance(ids.shape[1])
        return self.unembed(x[:, -1:] if last_only else x)  # (B, T, C) -> (B, T, V)

    def _of_blocks(self, positions: Array) -> Array | None:
        """What the blocks need to know of the positions: all or nothing."""
        return positions if self.config.positions == "rotary" else None

    def unembed(self, x: Tensor) -> Tensor:
        """From the residual stream to logits: (B, T, C) -> (B, T, V)."""
        if self.final_norm is not None:
            x = self.final_norm(x)
        return self.tied_logits(x) if self.head is None else self.head(x)

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
                nothing about the targets: those of padding should be −1. It should stand on the
                right: tokens stand at 0, 1, 2, … of their rows, padding included.
            rng: of dropout, in training; the model's own where None.

        Shapes:
            ids, targets: (B, T) integers
            attention_mask: (B, T)
            returns: a scalar

        Raises:
            ValueError: shapes that do not fit, more tokens than the context holds, or no target
                that counts.
            IndexError: an id or a target outside the vocabulary.
        """
        _look_at_targets(self, ids, targets)
        return F.cross_entropy(*self.logits_and_targets(ids, targets, attention_mask, rng))

    def logits_and_targets(
        self,
        ids: Array,
        targets: Array,
        attention_mask: Array | None = None,
        rng: np.random.Generator | None = None,
    ) -> tuple[Tensor, Array]:
        return self(ids, attention_mask, rng=rng), targets

    # ── what generation asks for ──────────────────────────────────────────────────────────────

    def new_cache(self, batch_size: int, capacity: int | None = None) -> KeyValueCache:
        """An empty key–value cache of ``batch_size`` rows.

        It has room for ``capacity`` tokens, block_size by default.

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
        n_head, n_kv_head, width = heads_in(c)
        if c.short_convolution is not None:
            n_inputs = (n_head + 2 * n_kv_head) * width
            return ConvolutionCache(
                c.n_layer, batch_size, n_kv_head, capacity, width, n_inputs, dtype
            )
        return KeyValueCache(c.n_layer, batch_size, n_kv_head, capacity, width, dtype)

    # ── inspecting it ─────────────────────────────────────────────────────────────────────────

    @evaluation()
    def attention_weights(self, ids: Array, attention_mask: Array | None = None) -> list[Array]:
        """Where every token looks, for each layer; nothing is dropped.

        Shapes:
            ids, attention_mask: (B, T)
            returns: n_layer arrays (B, n_head, T, T), rows that sum to 1

        Raises:
            ValueError: ids of another shape, or more tokens than the context holds.
            IndexError: an id outside the vocabulary.
        """
        ids, positions, mask = _check(self, ids, attention_mask)
        x, places = self.embed(ids, positions), self._of_blocks(positions)
        stream = residual_stream(self.blocks[:-1], x, mask, positions=places)
        return [
            block.attention_weights(x, mask, places)
            for block, x in zip(self.blocks, stream, strict=True)
        ]

    @evaluation()
    def hidden_states(self, ids: Array, attention_mask: Array | None = None) -> list[Array]:
        """The residual stream x as the embeddings give it, and after each block; nothing dropped.

        ``unembed`` makes logits of any of them. The last one comes before the final norm; where
        Transformers lists hidden states, its last one comes after.

        Shapes:
            ids, attention_mask: (B, T) -> n_layer + 1 arrays (B, T, n_embd)

        Raises:
            ValueError, IndexError: as :meth:`attention_weights`.
        """
        ids, positions, mask = _check(self, ids, attention_mask)
        x, places = self.embed(ids, positions), self._of_blocks(positions)
        return [x.data for x in residual_stream(self.blocks, x, mask, positions=places)]

    def extra_repr(self) -> str:
        return f"vocab_size={self.config.vocab_size}, block_size={self.config.block_size}"


def _apply(
    block: Block,
    mask: Array | None,
    positions: Array | None,
    x: Tensor,
    rng: np.random.Generator | None,
) -> Tensor:
    y: Tensor = block(x, mask, rng=rng, positions=positions)
    return y


def _check(
    model: GPT,
    ids: Array,
    attention_mask: Array | None,
    positions: Array | None = None,
    cache: KeyValueCache | None = None,
    last_only: bool = False,
) -> tuple[Array, Array, Array | None]:
    c = model.config
    checks.flag("last_only", last_only)
    return check_inputs(ids, attention_mask, positions, c.vocab_size, c.block_size, cache)


def _look_at_targets(model: GPT, ids: Any, targets: Any) -> None:
    """Warn of targets that are the ids themselves: such a model learns to repeat, not to predict.

    In a text, ids that equal those one place on are all the same: rows of one id are left out.
    """
    same = model.config.causal and model.training and np.array_equal(ids, targets)
    if same and (np.asarray(ids)[..., 1:] != np.asarray(ids)[..., :-1]).any():
        warnings.warn(
            "targets equal ids, so the model learns to repeat the token that it reads: pass "
            "loss(tokens[:, :-1], tokens[:, 1:]), the targets one place on",
            stacklevel=3,
        )
