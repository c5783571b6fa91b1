"""An encoder that reads in both directions, and learns by filling in what was masked (E8)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

import minigpt.functional as F
from minigpt.autograd import Array
from minigpt.functional.activations import ACTIVATIONS
from minigpt.functional.embedding import check_integers
from minigpt.grad_mode import evaluation, no_grad
from minigpt.models.encoder_config import EncoderConfig
from minigpt.models.encoder_stack import EncoderStack
from minigpt.nn import LayerNorm, Linear, Module, Parameter
from minigpt.nn.layers import Seed, check_seed, check_size
from minigpt.tensor import Tensor


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


class Encoder(Module):
    """A bidirectional encoder with a head for masked tokens (BERT, Devlin et al. 2018).

        h      = Blocks(E[ids] + P[0 … T−1]), where every token sees all others
        logits = LN(f(h W + b)) Eᵀ + c

    Trained on texts in which some tokens are hidden (``minigpt.datasets.MaskedBatches``), with a
    loss on those places alone. It cannot write: what stands at a place, it knows from both sides.
    Its hidden states h are what a classifier builds on.

    Args:
        config: the architecture.
        seed: of the initial weights, a number or a Generator.

    Shapes:
        ids: (B, T) integers, T ≤ block_size -> logits (B, T, vocab_size)

    Raises:
        ValueError: the seed is negative.
        TypeError: ``config`` is no EncoderConfig, or the seed neither an integer nor a Generator.

    Example:
        >>> import numpy as np
        >>> model = Encoder(EncoderConfig(20, block_size=8, n_layer=1, n_head=2, n_embd=8))
        >>> model.encode(np.array([[3, 1, 4]])).shape
        (1, 3, 8)
        >>> filled = model.fill_mask(np.array([[3, 19, 4]]), mask_id=19, k=2)
        >>> filled.places.tolist(), filled.tokens.shape
        ([[0, 1]], (1, 2))
    """

    def __init__(self, config: EncoderConfig, seed: Seed = 0) -> None:
        super().__init__()
        if not isinstance(config, EncoderConfig):
            raise TypeError(f"config must be an EncoderConfig, got {type(config).__name__}")
        self.config = config
        check_seed(seed)
        rng = np.random.default_rng(seed)
        self.stack = EncoderStack(config, seed=rng)
        self.head = MaskedTokenHead(config, seed=rng)
        self.dropout_rng = rng.spawn(1)[0]  # for training without a Generator of one's own

    def forward(
        self,
        ids: Array,
        attention_mask: Array | None = None,
        positions: Array | None = None,
        rng: np.random.Generator | None = None,
    ) -> Tensor:
        """Logits of the token that belongs in each place; the arguments are those of encode."""
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
            TypeError: ids or positions that are not integers.
        """
        rng = self.dropout_rng if rng is None else rng
        hidden: Tensor = self.stack(ids, attention_mask, positions, rng)
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
            TypeError: ids or targets that are not integers.
        """
        return F.cross_entropy(*self._asked_for(ids, targets, attention_mask, rng))

    def loss_weight(self, ids: Array, targets: Array, attention_mask: Array | None = None) -> float:
        """How many targets the mean in :meth:`loss` runs over."""
        return float((np.asarray(targets) != -1).sum())

    @no_grad()
    def metrics(
        self, ids: Array, targets: Array, attention_mask: Array | None = None
    ) -> dict[str, float]:
        """Loss, and accuracy: how often the likeliest token is the one that was masked."""
        logits, asked = self._asked_for(ids, targets, attention_mask, None)
        return {
            "loss": F.cross_entropy(logits, asked).item(),
            "accuracy": float((logits.data.argmax(axis=-1) == asked).mean()),
        }

    def _asked_for(
        self,
        ids: Array,
        targets: Array,
        attention_mask: Array | None,
        rng: np.random.Generator | None,
    ) -> tuple[Tensor, Array]:
        """(M, V) logits of the places with a target, and their (M,) targets.

        The head is the largest matrix product, and about one place in seven is asked for: the
        others are left out before it.
        """
        targets = np.asarray(targets)
        check_integers(targets, "targets")
        if targets.shape != np.shape(ids):
            raise ValueError(
                f"targets have shape {targets.shape}, ids {np.shape(ids)}: they differ"
            )
        hidden = self.encode(ids, attention_mask, rng=rng)
        places = np.flatnonzero(targets != -1)
        rows = F.embedding(places, hidden.reshape(-1, hidden.shape[-1]))  # (B, T, C) -> (M, C)
        return self._logits(rows), targets.reshape(-1)[places]

    def _logits(self, hidden: Tensor) -> Tensor:
        x, bias = self.head(hidden), self.head.bias
        return self.stack.embeddings.unembed(x, bias)  # (..., C) -> (..., V)

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
        check_size(k=k)
        if k > self.config.vocab_size - 1:
            raise ValueError(f"k={k}, but there are {self.config.vocab_size - 1} tokens to guess")
        places = np.argwhere(np.asarray(ids) == mask_id)
        if len(places) == 0:
            raise ValueError(f"ids hold no mask_id={mask_id}: there is nothing to fill in")
        with evaluation():
            hidden = self.encode(ids, attention_mask).data
            logits = self._logits(Tensor(hidden[tuple(places.T)])).data
        logits[:, mask_id] = -np.inf
        p = F.softmax(Tensor(logits)).data
        likeliest = np.argsort(-p, axis=-1, kind="stable")[:, :k]
        return Fillings(places, likeliest, np.take_along_axis(p, likeliest, axis=-1))

    def attention_weights(self, ids: Array, attention_mask: Array | None = None) -> list[Array]:
        """Where every token looks, for each layer: n_layer arrays (B, n_head, T, T)."""
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
