"""An encoder that reads in both directions, and learns by filling in what was masked (E8)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

import minigpt.functional as F
from minigpt import checks
from minigpt.autograd import Array
from minigpt.checks import Seed
from minigpt.functional.activations import ACTIVATIONS
from minigpt.grad_mode import evaluation
from minigpt.models.config import WITHOUT_STUDIES, StackConfig
from minigpt.models.embeddings import Embeddings, check_inputs
from minigpt.models.predictor import Predictor
from minigpt.nn import Block, Embedding, LayerNorm, Linear, Module, Parameter
from minigpt.nn.block import residual_stream
from minigpt.tensor import Tensor


@dataclass(frozen=True)
class EncoderConfig(StackConfig):
    """The architecture of a bidirectional encoder.

    BERT's (Devlin et al. 2018) is norm="post", embedding_norm=True, activation="gelu_erf",
    layer_norm_eps=1e-12.

    Attributes:
        vocab_size: how many tokens there are, the mask token among them.
        block_size: how many tokens the model sees at most.
        n_layer: how many blocks.
        n_head: how many attention heads a block has; divides n_embd.
        n_embd: the width of the residual stream.
        dropout: the probability used on embeddings, attention weights and residual branches.
        bias: whether linear layers and layer norms have biases.
        activation: of the feed-forward network and of the head, as in
            :class:`~minigpt.models.GPTConfig`.
        norm: "pre" or "post".
        positions: "learned", "sinusoidal", or "none".
        embedding_norm: whether a layer norm follows the embeddings.
        n_inner: the width inside the feed-forward network; 4·n_embd where None.
        layer_norm_eps: ε of the layer norms.
        init_std: standard deviation of the initial weights; projections back into the residual
            stream start smaller by 1/√(2·n_layer).

    Raises:
        ValueError, TypeError: name the field, what came and what was expected.

    Example:
        >>> import numpy as np
        >>> from minigpt.models import Encoder
        >>> bert = {"norm": "post", "embedding_norm": True, "activation": "gelu_erf"}
        >>> config = EncoderConfig(30, block_size=16, n_layer=2, n_head=2, n_embd=8, **bert)
        >>> Encoder(config).encode(np.array([[1, 2, 3]])).shape
        (1, 3, 8)
    """

    CHECKS: ClassVar = {**StackConfig.CHECKS, **WITHOUT_STUDIES, "embedding_norm": checks.flag}
    causal = False  # no field: it is what makes it an encoder

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
    embedding_norm: bool = False
    n_inner: int | None = None
    layer_norm_eps: float = 1e-5
    init_std: float = 0.02


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
        rng = np.random.default_rng(checks.seed(seed))
        norm = LayerNorm(c.n_embd, c.bias, c.layer_norm_eps) if c.embedding_norm else None
        self.embeddings = Embeddings(
            c, c.vocab_size, c.block_size, norm, token_embedding=token_embedding, seed=rng
        )
        self.blocks = [Block(c, layer, seed=rng) for layer in range(c.n_layer)]
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
        """
        ids, positions, mask = _check(self, ids, attention_mask, positions)
        x = self.embeddings(ids, positions, rng)  # (B, T) -> (B, T, C)
        for block in self.blocks:  # (B, T, C) -> (B, T, C)
            x = block(x, mask, rng=rng)
        return x if self.final_norm is None else self.final_norm(x)

    @evaluation()
    def attention_weights(self, ids: Array, attention_mask: Array | None = None) -> list[Array]:
        """Where every token looks, for each layer; nothing is dropped.

        Shapes:
            ids, attention_mask: (B, T)
            returns: n_layer arrays (B, n_head, T, T), rows that sum to 1
        """
        ids, positions, mask = _check(self, ids, attention_mask)
        stream = residual_stream(self.blocks[:-1], self.embeddings(ids, positions), mask)
        return [
            block.attention_weights(x, mask) for block, x in zip(self.blocks, stream, strict=True)
        ]


class Fillings(NamedTuple):
    """The likeliest tokens for each masked place, the likeliest first.

    Shapes:
        places: (M, 2), the row and the column of each masked place, row by row
        tokens: (M, k) integers
        probabilities: (M, k)
    """

    places: Array
    tokens: Array
    probabilities: Array


class Encoder(Predictor):
    """A bidirectional encoder with a head for masked tokens (BERT, Devlin et al. 2018).

        h      = Blocks(E[ids] + P[0 … T−1]), where every token sees all others
        logits = LN(f(h W + b)) Eᵀ + c

    Trained on texts in which some tokens are hidden (``minigpt.datasets.MaskedBatches``), with a
    loss on those places only. It cannot write: what stands at a place, it knows from both sides.
    Its hidden states h are what a classifier builds on.

    Args:
        config: the architecture.
        seed: of the initial weights, a number or a Generator.

    Shapes:
        ids: (B, T) integers, T ≤ block_size -> logits (B, T, vocab_size)

    Example:
        >>> import numpy as np
        >>> model = Encoder(EncoderConfig(20, block_size=8, n_layer=1, n_head=2, n_embd=8))
        >>> model.encode(np.array([[3, 1, 4]])).shape
        (1, 3, 8)
        >>> filled = model.fill_mask(np.array([[3, 19, 4]]), mask_id=19, k=2)
        >>> filled.places.tolist(), filled.tokens.shape
        ([[0, 1]], (1, 2))
    """

    CONFIG: ClassVar[type[EncoderConfig]] = EncoderConfig

    def __init__(self, config: EncoderConfig, seed: Seed = 0) -> None:
        super().__init__()
        self.config = checks.instance("config", config, EncoderConfig)
        rng = np.random.default_rng(checks.seed(seed))
        self.stack = EncoderStack(config, seed=rng)
        self.head = MaskedTokenHead(config, seed=rng)
        self.dropout_rng = rng.spawn(1)[0]

    def forward(
        self,
        ids: Array,
        attention_mask: Array | None = None,
        positions: Array | None = None,
        rng: np.random.Generator | None = None,
    ) -> Tensor:
        """Logits of the token that belongs in each place; arguments as in :meth:`encode`."""
        return self._logits(self.encode(ids, attention_mask, positions, rng))

    def encode(
        self,
        ids: Array,
        attention_mask: Array | None = None,
        positions: Array | None = None,
        rng: np.random.Generator | None = None,
    ) -> Tensor:
        """The hidden states: what each token means among the others.

        Args:
            ids: (B, T) integers.
            attention_mask: (B, T), 1 or True for a token and 0 for padding, which no token sees.
            positions: (T,) or (B, T) integers: where each token stands; 0, 1, 2, … by default.
            rng: of dropout, in training; the model's own where None.

        Shapes:
            returns: (B, T, n_embd)

        Raises:
            ValueError: ids, positions or mask of another shape, or more tokens than the context
                holds.
            IndexError: an id outside the vocabulary, a position outside the context.
        """
        hidden: Tensor = self.stack(ids, attention_mask, positions, self.dropout_generator(rng))
        return hidden

    # ── what training asks for ────────────────────────────────────────────────────────────────

    def loss(
        self,
        ids: Array,
        targets: Array,
        attention_mask: Array | None = None,
        rng: np.random.Generator | None = None,
    ) -> Tensor:
        """L = −mean log p(target | all that is not masked), over the targets that are not −1 (E8).

        Args:
            ids: what the model reads, some of it masked.
            targets: the token that belongs in a place; −1 where none is asked for.
            attention_mask: 1 or True for a token and 0 for padding.
            rng: of dropout, in training; the model's own where None.

        Shapes:
            ids, targets, attention_mask: (B, T)
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
        """(M, V) logits of the places with a target, and their (M,) targets.

        The head is the largest matrix product, and about one place in seven is asked for: the
        others are left out before it.

        Args:
            ids, targets, attention_mask, rng: as in :meth:`loss`.

        Raises:
            ValueError, IndexError: as :meth:`loss`.
        """
        targets = _check_targets(ids, targets)
        hidden = self.encode(ids, attention_mask, rng=rng)
        places = np.flatnonzero(targets != -1)
        rows = F.embedding(places, hidden.reshape(-1, hidden.shape[-1]))  # (B, T, C) -> (M, C)
        return self._logits(rows), targets.reshape(-1)[places]

    def _logits(self, hidden: Tensor) -> Tensor:
        x, bias = self.head(hidden), self.head.bias
        return self.stack.embeddings.tied_logits(x, bias)  # (..., C) -> (..., V)

    # ── what it is good for ───────────────────────────────────────────────────────────────────

    def fill_mask(
        self, ids: Array, mask_id: int, k: int = 5, attention_mask: Array | None = None
    ) -> Fillings:
        """The k likeliest tokens for each masked place, with their probabilities.

        Args:
            ids: (B, T), with ``mask_id`` where a token is to be guessed.
            mask_id: stands for a hidden token, and is never guessed itself.
            k: how many guesses.
            attention_mask: 1 or True for a token and 0 for padding.

        Raises:
            ValueError: no place is masked, or there are fewer than k tokens to guess.
        """
        places = _check_fillings(ids, mask_id, k, self.config.vocab_size)
        with evaluation():
            hidden = self.encode(ids, attention_mask).data
            logits = self._logits(Tensor(hidden[tuple(places.T)])).data
        logits[:, mask_id] = -np.inf
        p = F.softmax(Tensor(logits)).data
        likeliest = np.argsort(-p, axis=-1, kind="stable")[:, :k]
        return Fillings(places, likeliest, np.take_along_axis(p, likeliest, axis=-1))

    def attention_weights(self, ids: Array, attention_mask: Array | None = None) -> list[Array]:
        """Where every token looks, for each layer: n_layer arrays (B, n_head, T, T).

        ``ids`` and ``attention_mask`` are as in :meth:`encode`.
        """
        return self.stack.attention_weights(ids, attention_mask)

    def extra_repr(self) -> str:
        c = self.config
        return f"vocab_size={c.vocab_size}, block_size={c.block_size}"


class MaskedTokenHead(Module):
    """x = LN(f(h W + b)), which the token embedding turns into logits, and their bias c.

    Args:
        config: for the width, f, and the layer norm.
        seed: of W, a number or a Generator.

    Shapes:
        h: (..., n_embd) -> (..., n_embd);  bias (c): (vocab_size,)
    """

    def __init__(self, config: EncoderConfig, *, seed: Seed) -> None:
        super().__init__()
        c = config
        self.activation = c.activation
        self.dense = Linear(c.n_embd, c.n_embd, c.bias, std=c.init_std, seed=seed)
        self.norm = LayerNorm(c.n_embd, c.bias, c.layer_norm_eps)
        self.bias = Parameter(np.zeros(c.vocab_size, np.float32)) if c.bias else None

    def forward(self, hidden: Tensor) -> Tensor:
        x: Tensor = self.norm(ACTIVATIONS[self.activation](self.dense(hidden)))
        return x

    def extra_repr(self) -> str:
        return f"activation={self.activation!r}"


def _check(
    stack: EncoderStack, ids: Array, attention_mask: Array | None, positions: Array | None = None
) -> tuple[Array, Array, Array | None]:
    c = stack.config
    return check_inputs(
        ids, attention_mask, positions, c.vocab_size, c.block_size, prefix=stack.prefix
    )


def _check_targets(ids: Array, targets: Array) -> Array:
    targets = checks.integers("targets", targets)
    shape = checks.regular("ids", ids).shape
    checks.same_shape("targets", targets, shape, ", and ids have the other")
    return targets


def _check_fillings(ids: Array, mask_id: int, k: int, vocab_size: int) -> Array:
    checks.integer("mask_id", mask_id, least=0, most=vocab_size - 1)
    checks.integer("k", k, least=1, most=vocab_size - 1, mend="so many tokens could be guessed")
    places = np.argwhere(checks.regular("ids", ids) == mask_id)
    if len(places) == 0:
        raise ValueError(f"ids hold no mask_id={mask_id}: there is nothing to fill in")
    return places
