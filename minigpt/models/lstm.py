"""An LSTM language model: what came before a GPT, under the same roof."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

import minigpt.functional as F
from minigpt import checks
from minigpt.autograd import Array
from minigpt.checks import Seed
from minigpt.models.embeddings import check_inputs
from minigpt.models.predictor import Predictor
from minigpt.nn import LSTM, Dropout, Embedding, Linear
from minigpt.nn.config import Config, size
from minigpt.tensor import Tensor


@dataclass(frozen=True)
class LSTMConfig(Config):
    """The architecture of an LSTM language model.

    Attributes:
        vocab_size: how many tokens there are.
        n_embd: the width of the token embedding.
        n_hidden: the size of each layer's hidden state and of its cell state.
        n_layer: how many LSTM layers, one on top of the other.
        dropout: the probability used on the embeddings and on what each layer gives to the next,
            and never from one step to the next (Zaremba et al. 2014).
        tie_head: whether the output head is the token embedding again (Press & Wolf 2017); n_hidden
            is then n_embd.
        block_size: None: unlike a GPT's, its memory of a text has no last place.

    Raises:
        ValueError, TypeError: name the field, what came and what was expected.

    Example:
        >>> import minigpt as mg
        >>> from minigpt.models import LSTMConfig
        >>> LSTMConfig(vocab_size=65, n_embd=64, n_hidden=100, tie_head=True)
        Traceback (most recent call last):
        ...
        ValueError: tie_head=True needs n_hidden=100 equal to n_embd=64: choose n_hidden=64
    """

    CHECKS: ClassVar = {
        "vocab_size": size,
        "n_embd": size,
        "n_hidden": size,
        "n_layer": size,
        "dropout": checks.probability,
        "tie_head": checks.flag,
    }

    vocab_size: int
    n_embd: int
    n_hidden: int
    n_layer: int = 1
    dropout: float = 0.0
    tie_head: bool = False

    block_size: ClassVar[None] = None

    def _check_together(self) -> None:
        if self.tie_head and self.n_hidden != self.n_embd:
            raise ValueError(
                f"tie_head=True needs n_hidden={self.n_hidden} equal to n_embd={self.n_embd}: "
                f"choose n_hidden={self.n_embd}"
            )


class LSTMLanguageModel(Predictor):
    """Predicts the next token from what an LSTM remembers of all tokens before (Mikolov 2012).

        x      = token_embedding[ids]
        x      = LSTM(x), n_layer times
        logits = x W_head + b_head

    Where the head is tied, W_head is the transposed token embedding, which starts narrow, as heads
    do, and is multiplied by √n_embd where it is read; there is then no b_head.

    Dropout is on every arrow that does not go from one step to the next (Zaremba et al. 2014).

    What it remembers of each row, its *state*, is an array (B, n_layer, 2, n_hidden): h and c of
    every layer. Where it is given to :meth:`loss`, :meth:`metrics` or :meth:`forward`, reading
    starts from it, and afterwards it holds what is remembered then: so a text is read on from batch
    to batch. No gradient goes back beyond the call: backpropagation through time is truncated
    there (Williams & Peng 1990).

    Args:
        config: the architecture.
        seed: of the initial weights, a number or a Generator.

    Shapes:
        ids: (B, T) integers -> logits (B, T, vocab_size)

    Example:
        >>> import numpy as np
        >>> model = LSTMLanguageModel(LSTMConfig(vocab_size=65, n_embd=8, n_hidden=16), seed=0)
        >>> ids, state = np.array([[1, 2, 3, 4]]), model.new_state(1)
        >>> whole = model(ids).data
        >>> parts = [model(ids[:, :3], state=state).data, model(ids[:, 3:], state=state).data]
        >>> bool(np.allclose(np.concatenate(parts, axis=1), whole, atol=1e-6))
        True
    """

    CONFIG: ClassVar[type[LSTMConfig]] = LSTMConfig

    def __init__(self, config: LSTMConfig, seed: Seed = 0) -> None:
        super().__init__()
        self.config = c = checks.instance("config", config, LSTMConfig)
        rng = np.random.default_rng(checks.seed(seed))
        # What the gates read has variance 1; for a head that would be too much.
        self.embedding_scale = math.sqrt(c.n_embd) if c.tie_head else 1.0
        std = 1 / self.embedding_scale
        self.token_embedding = Embedding(c.vocab_size, c.n_embd, std=std, seed=rng)
        sizes = [c.n_embd] + [c.n_hidden] * c.n_layer
        self.layers = [LSTM(n_in, c.n_hidden, seed=rng) for n_in in sizes[:-1]]
        self.dropout = Dropout(c.dropout)
        self.head = None if c.tie_head else Linear(c.n_hidden, c.vocab_size, seed=rng)
        self.dropout_rng = rng.spawn(1)[0]

    def forward(
        self,
        ids: Array,
        attention_mask: Array | None = None,
        positions: Array | None = None,
        cache: LSTMCache | None = None,
        rng: np.random.Generator | None = None,
        last_only: bool = False,
        state: Array | None = None,
    ) -> Tensor:
        """Logits of the token that follows each place.

        Args:
            ids: (B, T) integers.
            attention_mask: (B, S), 1 or True for a token and 0 for padding, which is not read;
                S = T, or with a cache the number of all tokens so far.
            positions: taken because a GPT takes them; not used.
            cache: from :meth:`new_cache`; the ids go on from what it has read.
            rng: of dropout, in training.
            last_only: compute the logits of the last place only.
            state: what is remembered of each row, read and then overwritten (see the class).

        Shapes:
            returns: (B, T, vocab_size), or (B, 1, vocab_size) with ``last_only``

        Raises:
            ValueError: ids, mask or state of another shape, or both a cache and a state.
            IndexError: an id outside the vocabulary.
            TypeError: a state of another dtype.
            RuntimeError: a cache outside no_grad().
        """
        ids, mask, state = _check(self, ids, attention_mask, cache, state, last_only)
        rng = self.dropout_generator(rng)

        # Steps first, as the layers work through them: (T, B) -> (T, B, C), seen as (B, T, C).
        x = self.token_embedding(ids.T).swapaxes(0, 1)
        if self.embedding_scale != 1:
            x = x * self.embedding_scale
        x = self.dropout(x, rng)
        remembered = []
        for number, layer in enumerate(self.layers):  # (B, T, C) -> (B, T, H)
            before = () if state is None else (Tensor(s) for s in state[:, number].swapaxes(0, 1))
            x, c = layer(x, *before, mask=mask)
            remembered.append((x.data[:, -1], c.data))
            x = self.dropout(x, rng)
        if state is not None:
            state[...] = np.array(remembered).transpose(2, 0, 1, 3)  # (n_layer, 2, B, H) ->
        if cache is not None:
            cache.length += ids.shape[1]
        return self.unembed(x[:, -1:] if last_only else x)

    def unembed(self, x: Tensor) -> Tensor:
        """From the last layer to logits: (B, T, H) -> (B, T, V)."""
        if self.head is not None:
            return self.head(x)
        return F.linear(x, self.token_embedding.weight.T)

    # ── what training asks for ────────────────────────────────────────────────────────────────

    def new_state(self, batch_size: int) -> Array:
        """The state before a text, zeros (batch_size, n_layer, 2, n_hidden)."""
        checks.sizes(batch_size=batch_size)
        c = self.config
        return np.zeros((batch_size, c.n_layer, 2, c.n_hidden), self.token_embedding.weight.dtype)

    def loss(
        self,
        ids: Array,
        targets: Array,
        state: Array | None = None,
        attention_mask: Array | None = None,
        rng: np.random.Generator | None = None,
    ) -> Tensor:
        """Mean cross-entropy of the next token (E7), over the targets that are not −1.

        Args:
            ids: what the model reads.
            targets: targets[b, t] is the token that follows ids[b, t]; −1 leaves the place out.
            state: what is remembered of each row, read and then overwritten (see the class).
            attention_mask: 1 or True for a token and 0 for padding, which is not read.
            rng: of dropout, in training; the model's own where None.

        Shapes:
            ids, targets, attention_mask: (B, T)
            state: (B, n_layer, 2, n_hidden)
            returns: a scalar

        Raises:
            ValueError: shapes that do not fit, or no target that counts.
            IndexError: an id or a target outside the vocabulary.
            TypeError: a state of another dtype.
        """
        return F.cross_entropy(*self.logits_and_targets(ids, targets, state, attention_mask, rng))

    def logits_and_targets(
        self,
        ids: Array,
        targets: Array,
        state: Array | None = None,
        attention_mask: Array | None = None,
        rng: np.random.Generator | None = None,
    ) -> tuple[Tensor, Array]:
        return self(ids, attention_mask, rng=rng, state=state), targets

    # ── what generation asks for ──────────────────────────────────────────────────────────────

    def new_cache(self, batch_size: int, capacity: int | None = None) -> LSTMCache:
        """What is remembered of nothing yet, for ``batch_size`` rows.

        It never grows, so that a ``capacity`` is not needed; it is taken because a GPT takes it.
        """
        return LSTMCache(self.new_state(batch_size))

    def extra_repr(self) -> str:
        return f"vocab_size={self.config.vocab_size}"


class LSTMCache:
    """What an LSTM remembers of the tokens read so far, in the place of a GPT's key–value cache.

    Args:
        state: (B, n_layer, 2, n_hidden), h and c of every layer.

    Attributes:
        length: how many tokens were read, padding included.
    """

    def __init__(self, state: Array) -> None:
        self.state = state
        self.length = 0

    @property
    def batch_size(self) -> int:
        return len(self.state)

    def reorder(self, rows: Sequence[int] | Array) -> None:
        """Keep the sequences ``rows``, in that order; one named twice is held twice."""
        self.state = self.state[np.asarray(rows)]

    def clear(self) -> None:
        """Forget all tokens."""
        self.state[...] = 0
        self.length = 0


def _check(
    model: LSTMLanguageModel,
    ids: Array,
    attention_mask: Array | None,
    cache: LSTMCache | None,
    state: Array | None,
    last_only: bool,
) -> tuple[Array, Array | None, Array | None]:
    """The ids, the mask over these (B, T), and the state to read on from."""
    checks.flag("last_only", last_only)
    if cache is not None and state is not None:
        raise ValueError("a cache and a state were given: a cache has its own state")
    c = model.config
    ids, _, mask = check_inputs(ids, attention_mask, None, c.vocab_size, c.block_size, cache)
    if mask is not None:
        mask = mask[:, 0, 0, -ids.shape[1] :]
    if cache is not None:
        state = cache.state
    if state is not None:
        checks.instance("state", state, np.ndarray, f"make it with new_state({len(ids)})")
        expected = model.new_state(len(ids))
        mend = f"make it with new_state({len(ids)})"
        if state.shape != expected.shape:
            kind = f"an array of shape {expected.shape}"
            raise checks.wrong_value("state", kind, state, mend)
        if state.dtype != expected.dtype:
            kind = f"{expected.dtype}, like the model"
            raise checks.wrong_type("state", kind, state, mend)
    return ids, mask, state
