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
from minigpt.nn import Block, KeyValueCache, Linear, RotaryScaling
from minigpt.nn.block import norm_of, residual_stream
from minigpt.nn.config import Rotary, heads_in, positive
from minigpt.nn.mlp import gated_width
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

    :meth:`gpt2` and :meth:`llama` give the two families, :meth:`preset` GPT-2's sizes.

    Attributes:
        vocab_size: how many tokens there are.
        block_size: the context: how many tokens the model sees at most.
        n_layer: how many blocks.
        n_head: how many attention heads a block has; divides n_embd, unless there is a head_width.
        n_embd: the width of the residual stream.
        dropout: the probability used on embeddings, attention weights and residual branches.
        bias: whether linear layers and layer norms have biases; RMS norms never have.
        activation: of the feed-forward network: "gelu_tanh" (GPT-2), "gelu_erf" (exact),
            "relu", "relu_squared" (So et al. 2021), "silu" (Llama) or "tanh".
        norm: "pre" (GPT-2), "post" (GPT-1, Vaswani et al. 2017), or "none".
        positions: "learned" (GPT-1, GPT-2), "sinusoidal" (Vaswani et al. 2017, §3.5), "alibi"
            (attention falls with the distance instead: Press et al. 2022), "rotary" (queries and
            keys are turned by their places: Su et al. 2021; Llama), or "none". With "sinusoidal"
            and "alibi" the token embeddings are multiplied by √n_embd (Vaswani, §3.4).
        tie_head: whether the output head is the token embedding again (Press & Wolf 2017).
        n_inner: the width inside the feed-forward network; where None 4·n_embd, or for a gated one
            8/3·n_embd rounded up to a multiple of 32, which is as many weights.
        layer_norm_eps: ε of the norms, of either kind.
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
        normalization: "layer" (GPT-2), or "rms" (Zhang & Sennrich 2019; Llama).
        mlp: the feed-forward network, "plain" (GPT-2) or "gated" (Shazeer 2020; Llama, whose f is
            "silu").
        n_kv_head: how many heads keys and values have, each shared by n_head / n_kv_head heads of
            queries (Ainslie et al. 2023); n_head where None. The cache is smaller by as much.
        head_width: of each head; n_embd / n_head where None.
        qk_norm: whether the heads of queries and keys are normalised before they meet (Qwen 3).
        qkv_bias: whether the projection to queries, keys and values has biases, where that is not
            as ``bias`` says (Qwen 2).
        rotary_base: with "rotary", the base of its frequencies
            (:func:`~minigpt.functional.rotary_frequencies`).
        rotary_scaling: with "rotary", how these are scaled for longer texts, a
            :class:`~minigpt.nn.RotaryScaling`.

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
        "rotary_base": positive,
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
    normalization: str = "layer"
    mlp: str = "plain"
    n_kv_head: int | None = None
    head_width: int | None = None
    qk_norm: bool = False
    qkv_bias: bool | None = None
    rotary_base: float = 10_000.0
    rotary_scaling: RotaryScaling | None = None

    @property
    def embedding_std(self) -> float:
        """Standard deviation of the initial token embeddings, whatever the positions are."""
        return self.init_std

    @property
    def slopes(self) -> Array | None:
        """How fast each head's scores fall with the distance of a token; None: not at all."""
        alibi = self.positions == "alibi"
        return F.alibi_slopes(self.n_head, self.alibi_scale) if alibi else None

    @property
    def rotary(self) -> Rotary | None:
        """By which frequencies queries and keys are turned to their places; None: not at all."""
        return (self.rotary_base, self.rotary_scaling) if self.positions == "rotary" else None

    def _check_together(self) -> None:
        super()._check_together()
        for name, default, positions in (
            ("alibi_scale", 1, "alibi"),
            ("rotary_base", 10_000, "rotary"),
            ("rotary_scaling", None, "rotary"),
        ):
            if getattr(self, name) != default and self.positions != positions:
                raise ValueError(
                    f'{name}={getattr(self, name)} is for positions="{positions}", not '
                    f"{self.positions!r}: leave it out"
                )

    @classmethod
    def gpt2(
        cls,
        vocab_size: int,
        block_size: int,
        n_layer: int,
        n_head: int,
        n_embd: int,
        **changes: Any,
    ) -> GPTConfig:
        """The family of GPT-2 (Radford et al. 2019), in any size.

        Learned positions, layer norms before each part, a plain feed-forward network with GELU,
        biases everywhere, and the head tied to the embedding: all that is the default here.

        Args:
            vocab_size, block_size, n_layer, n_head, n_embd: the sizes.
            changes: fields that should differ.
        """
        return cls(vocab_size, block_size, n_layer, n_head, n_embd, **changes)

    @classmethod
    def llama(
        cls,
        vocab_size: int,
        block_size: int,
        n_layer: int,
        n_head: int,
        n_embd: int,
        n_kv_head: int | None = None,
        **changes: Any,
    ) -> GPTConfig:
        """The family of Llama (Touvron et al. 2023, §2.2), which most models of today belong to.

        RMS norms before each part, rotary positions, a gated feed-forward network with SiLU, no
        biases, and a head of its own.

        Args:
            vocab_size, block_size, n_layer, n_head, n_embd: the sizes.
            n_kv_head: how many heads keys and values have; n_head where None.
            changes: fields that should differ, such as tie_head=True, n_inner or rotary_base.

        Example:
            >>> import minigpt as mg
            >>> mg.GPTConfig.llama(65, 64, n_layer=4, n_head=4, n_embd=96, n_kv_head=2).n_inner
            256
        """
        family: dict[str, Any] = {
            "bias": False, "activation": "silu", "positions": "rotary", "tie_head": False,
            "n_inner": gated_width(checks.size("n_embd", n_embd)), "normalization": "rms",
            "mlp": "gated", "n_kv_head": n_kv_head,
        }  # fmt: skip
        return cls(vocab_size, block_size, n_layer, n_head, n_embd, **family | changes)

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
        ids, positions, mask = _check(self, ids, attention_mask, positions, cache)
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
        _, n_kv_head, width = heads_in(c)
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
) -> tuple[Array, Array, Array | None]:
    c = model.config
    return check_inputs(ids, attention_mask, positions, c.vocab_size, c.block_size, cache)
