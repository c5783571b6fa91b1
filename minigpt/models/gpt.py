"""GPT: a stack of transformer blocks that predicts the next token."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np

import minigpt.functional as F
from minigpt import checks
from minigpt.autograd import Array
from minigpt.checks import Seed
from minigpt.grad_mode import evaluation
from minigpt.models.config import StackConfig
from minigpt.models.embeddings import Embeddings, check_inputs
from minigpt.models.predictor import Predictor
from minigpt.models.pretrained import Pretrained
from minigpt.nn import Block, KeyValueCache, LayerNorm, Linear
from minigpt.nn.block import residual_stream
from minigpt.nn.config import positive
from minigpt.recompute import recomputed
from minigpt.tensor import Tensor

GPT2_SIZES = {  # Radford et al. 2019, table 2 (n_layer, n_embd); heads from the released models
    "gpt2": (12, 12, 768),
    "gpt2-medium": (24, 16, 1024),
    "gpt2-large": (36, 20, 1280),
    "gpt2-xl": (48, 25, 1600),
}


@dataclass(frozen=True)
class GPTConfig(StackConfig):
    """The architecture of a GPT; GPT-2's unless said otherwise.

    Attributes:
        vocab_size: how many tokens there are.
        block_size: the context: how many tokens the model sees at most.
        n_layer: how many blocks.
        n_head: how many attention heads a block has; divides n_embd.
        n_embd: the width of the residual stream.
        dropout: the probability used on embeddings, attention weights and residual branches.
        bias: whether linear layers and layer norms have biases.
        activation: of the feed-forward network: "gelu_tanh" (GPT-2), "gelu_erf" (exact),
            "relu", "silu" or "tanh".
        norm: "pre" (GPT-2), "post" (GPT-1, Vaswani et al. 2017), or "none".
        positions: "learned" (GPT-1, GPT-2), "sinusoidal" (Vaswani et al. 2017, §3.5), "alibi"
            (attention falls with the distance instead: Press et al. 2022), or "none". With
            "sinusoidal" and "alibi" the token embeddings are multiplied by √n_embd (Vaswani, §3.4).
        tie_head: whether the output head is the token embedding again (Press & Wolf 2017).
        n_inner: the width inside the feed-forward network; 4·n_embd where None.
        layer_norm_eps: ε of the layer norms.
        init_std: standard deviation of the initial weights; projections back into the residual
            stream start smaller by 1/√(2·n_layer) (Radford et al. 2019, §2.3).
        recompute: whether blocks keep nothing for their derivative but are computed again in the
            walk back: far less memory in training for about a third more time. It changes no
            number, and is not part of the architecture.
        causal: False takes the causal mask away: a token then sees those that follow it, the one
            to be predicted among them.
        residual: False takes the residual connections away.
        alibi_scale: with "alibi", how much steeper attention falls than with the paper's slopes
            (:func:`~minigpt.functional.alibi_slopes`).
        scale_attention: whether the scores Q Kᵀ are divided by √d_k; some GPT-2s leave it out.
        scale_attention_by_layer: whether those of the blocks 1, 2, 3, … are also divided by their
            number (Mistral's GPT-2s, for float16).

    ``causal`` and ``residual``, and "none" for norms and positions, are for studying what each part
    does.

    Raises:
        ValueError, TypeError: name the field, what came and what was expected.

    Example:
        >>> import minigpt as mg
        >>> mg.GPTConfig(vocab_size=65, block_size=64, n_layer=4, n_head=4, n_embd=130)
        Traceback (most recent call last):
        ...
        ValueError: n_embd=130 is not divisible by n_head=4: choose n_embd=128 or n_head=5
    """

    CHECKS: ClassVar = {
        **StackConfig.CHECKS,
        "recompute": checks.flag,
        "alibi_scale": positive,
        "scale_attention": checks.flag,
        "scale_attention_by_layer": checks.flag,
    }

    vocab_size: int
    block_size: int
    n_layer: int
    n_head: int
    n_embd: int
    dropout: float = 0.0
    bias: bool = True
    activation: str = "gelu_tanh"
    norm: str = "pre"
    positions: str = "learned"
    tie_head: bool = True
    n_inner: int | None = None
    layer_norm_eps: float = 1e-5
    init_std: float = 0.02
    recompute: bool = False
    causal: bool = True
    residual: bool = True
    alibi_scale: float = 1.0
    scale_attention: bool = True
    scale_attention_by_layer: bool = False

    @property
    def embedding_std(self) -> float:
        """Standard deviation of the initial token embeddings, whatever the positions are."""
        return self.init_std

    @property
    def slopes(self) -> Array | None:
        """How fast each head's scores fall with the distance of a token; None: not at all."""
        alibi = self.positions == "alibi"
        return F.alibi_slopes(self.n_head, self.alibi_scale) if alibi else None

    def _check_together(self) -> None:
        super()._check_together()
        if self.alibi_scale != 1 and self.positions != "alibi":
            raise ValueError(
                f'alibi_scale={self.alibi_scale} is for positions="alibi", not '
                f"{self.positions!r}: leave it out"
            )

    @classmethod
    def preset(cls, name: str, **changes: Any) -> GPTConfig:
        """GPT-2 in one of its four sizes: "gpt2" (124M), "gpt2-medium", "gpt2-large", "gpt2-xl".

        Args:
            name: the size.
            changes: fields that should differ.

        Raises:
            ValueError: not the name of a size.

        Example:
            >>> import minigpt as mg
            >>> mg.GPTConfig.preset("gpt2-medium", dropout=0.1).n_layer
            24
        """
        n_layer, n_head, n_embd = GPT2_SIZES[checks.one_of("preset", name, tuple(GPT2_SIZES))]
        config = cls(
            vocab_size=50257, block_size=1024, n_layer=n_layer, n_head=n_head, n_embd=n_embd
        )
        return dataclasses.replace(config, **changes)


class GPT(Pretrained, Predictor, Embeddings):
    """A generative pre-trained transformer (Radford et al. 2018, 2019): embeddings, then blocks.

        x      = token_embedding[ids] + position_embedding[0 … T−1]
        x      = Block(x), n_layer times
        logits = LN(x) W_head                 (the token embedding again, where the head is tied)

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
        pre_norm = c.norm == "pre"  # post-norm blocks end with a layer norm of their own
        self.final_norm = LayerNorm(c.n_embd, c.bias, c.layer_norm_eps) if pre_norm else None
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
        ids, positions, mask = _check(self, ids, attention_mask, positions, cache)
        rng = self.dropout_generator(rng)
        x = self.dropout(self.embed(ids, positions), rng)  # (B, T) -> (B, T, C)
        for block in self.blocks:  # (B, T, C) -> (B, T, C)
            if self.config.recompute and cache is None:
                x = recomputed(partial(_apply, block, mask), x, block.parameters(), rng)
            else:
                x = block(x, mask, cache, rng=rng)
        if cache is not None:
            cache.advance(ids.shape[1])
        return self.unembed(x[:, -1:] if last_only else x)  # (B, T, C) -> (B, T, V)

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
        stream = residual_stream(self.blocks[:-1], self.embed(ids, positions), mask)
        return [
            block.attention_weights(x, mask) for block, x in zip(self.blocks, stream, strict=True)
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
        return [x.data for x in residual_stream(self.blocks, self.embed(ids, positions), mask)]

    def extra_repr(self) -> str:
        return f"vocab_size={self.config.vocab_size}, block_size={self.config.block_size}"


def _apply(block: Block, mask: Array | None, x: Tensor, rng: np.random.Generator | None) -> Tensor:
    y: Tensor = block(x, mask, rng=rng)
    return y


def _check(
    model: GPT,
    ids: Array,
    attention_mask: Array | None,
    positions: Array | None = None,
    cache: KeyValueCache | None = None,
) -> tuple[Array, Array, Array | None]:
    c = model.config
    return check_inputs(ids, attention_mask, positions, c.vocab_size, c.block_size, cache)
