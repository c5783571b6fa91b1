"""An LSTM language model: what came before a GPT, under the same roof."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

import minigpt.functional as F
from minigpt.autograd import Array
from minigpt.grad_mode import is_grad_enabled, no_grad
from minigpt.models.inputs import checked_ids, key_mask
from minigpt.models.lstm_config import LSTMConfig
from minigpt.nn import LSTM, Dropout, Embedding, Linear, Module
from minigpt.nn.layers import check_seed, check_size
from minigpt.tensor import Tensor


class LSTMLanguageModel(Module):
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

    Raises:
        ValueError: the seed is negative.
        TypeError: ``config`` is no LSTMConfig, or the seed neither an integer nor a Generator.

    Example:
        >>> import numpy as np
        >>> model = LSTMLanguageModel(LSTMConfig(vocab_size=65, n_embd=8, n_hidden=16), seed=0)
        >>> ids, state = np.array([[1, 2, 3, 4]]), model.new_state(1)
        >>> whole = model(ids).data
        >>> parts = [model(ids[:, :3], state=state).data, model(ids[:, 3:], state=state).data]
        >>> bool(np.allclose(np.concatenate(parts, axis=1), whole, atol=1e-6))
        True
    """

    def __init__(self, config: LSTMConfig, seed: int | np.random.Generator = 0) -> None:
        super().__init__()
        if not isinstance(config, LSTMConfig):
            raise TypeError(f"config must be an LSTMConfig, got {type(config).__name__}")
        self.config = c = config
        check_seed(seed)
        rng = np.random.default_rng(seed)
        # What the gates read has variance 1; for a head that would be too much.
        self.embedding_scale = math.sqrt(c.n_embd) if c.tie_head else 1.0
        std = 1 / self.embedding_scale
        self.token_embedding = Embedding(c.vocab_size, c.n_embd, std=std, seed=rng)
        sizes = [c.n_embd] + [c.n_hidden] * c.n_layer
        self.layers = [LSTM(n_in, c.n_hidden, seed=rng) for n_in in sizes[:-1]]
        self.dropout = Dropout(c.dropout)
        self.head = None if c.tie_head else Linear(c.n_hidden, c.vocab_size, seed=rng)
        self.dropout_rng = rng.spawn(1)[0]  # for training without a Generator of one's own

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
            last_only: compute the logits of the last place alone.
            state: what is remembered of each row, read and then overwritten (see the class).

        Shapes:
            returns: (B, T, vocab_size), or (B, 1, vocab_size) with ``last_only``

        Raises:
            ValueError: ids, mask or state of another shape, or both a cache and a state.
            IndexError: an id outside the vocabulary.
            TypeError: ids that are not integers, or a state of another dtype.
            RuntimeError: a cache outside no_grad().
        """
        ids = checked_ids(ids, self.config.vocab_size, self.config.block_size)
        n_rows, t = ids.shape
        past = 0
        if cache is not None:
            if state is not None:
                raise ValueError("a cache and a state were given: a cache has its own state")
            if is_grad_enabled():
                raise RuntimeError("a cache holds no gradients: use it under minigpt.no_grad()")
            past, state = cache.length, cache.state
        if state is not None:
            self._check_state(state, n_rows)
        mask = key_mask(attention_mask, n_rows, past + t)
        mask = None if mask is None else mask[:, 0, 0, past:]
        rng = self.dropout_rng if rng is None else rng

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
            cache.length += t
        return self.unembed(x[:, -1:] if last_only else x)

    def unembed(self, x: Tensor) -> Tensor:
        """From the last layer to logits: (B, T, H) -> (B, T, V)."""
        if self.head is not None:
            return self.head(x)
        return F.linear(x, self.token_embedding.weight.T)

    # ── what training asks for ────────────────────────────────────────────────────────────────

    def new_state(self, batch_size: int) -> Array:
        """The state before a text, zeros (batch_size, n_layer, 2, n_hidden)."""
        check_size(batch_size=batch_size)
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
            TypeError: ids or targets that are not integers, or a state of another dtype.
        """
        return F.cross_entropy(self(ids, attention_mask, rng=rng, state=state), targets)

    def loss_weight(self, ids: Array, targets: Array, state: Array | None = None) -> float:
        """How many targets the mean in :meth:`loss` runs over."""
        return float((np.asarray(targets) != -1).sum())

    @no_grad()
    def metrics(self, ids: Array, targets: Array, state: Array | None = None) -> dict[str, float]:
        """Loss, and accuracy: how often the likeliest token is the right one."""
        logits, targets = self(ids, state=state), np.asarray(targets)
        right = logits.data.argmax(axis=-1) == targets
        return {
            "loss": F.cross_entropy(logits, targets).item(),
            "accuracy": float(right[targets != -1].mean()),
        }

    # ── what generation asks for ──────────────────────────────────────────────────────────────

    def new_cache(self, batch_size: int, capacity: int | None = None) -> LSTMCache:
        """What is remembered of nothing yet; it never grows, so that no capacity is needed."""
        return LSTMCache(self.new_state(batch_size))

    def _check_state(self, state: Array, n_rows: int) -> None:
        c, dtype = self.config, self.token_embedding.weight.dtype
        expected = (n_rows, c.n_layer, 2, c.n_hidden)
        if state.shape != expected:
            raise ValueError(
                f"the state has shape {state.shape}, expected {expected}: new_state({n_rows})"
            )
        if state.dtype != dtype:
            raise TypeError(
                f"the state is {state.dtype}, the model {dtype}: make it with new_state({n_rows})"
            )

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
