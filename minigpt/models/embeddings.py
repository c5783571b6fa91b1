"""The way into a transformer: what a token is, and where it stands; and what may be given to it."""

from __future__ import annotations

import math
from typing import Protocol

import numpy as np

import minigpt.functional as F
from minigpt import checks
from minigpt.autograd import Array
from minigpt.checks import Seed
from minigpt.grad_mode import is_grad_enabled
from minigpt.models.config import StackConfig
from minigpt.nn import Dropout, Embedding, LayerNorm, Module
from minigpt.nn.positions import make_positions
from minigpt.tensor import Tensor


class Embeddings(Module):
    """x = Dropout(E[id] + P[position]), with E[id]·√n_embd for "sinusoidal" and "alibi".

    BERT's have a layer norm too: x = Dropout(LN(E[id] + P[position])).

    Args:
        config: n_embd, positions, dropout, init_std and embedding_std are read of it.
        vocab_size, block_size: how many tokens, and how many places.
        norm: the layer norm, where there is one.
        token_embedding: another one's E, to be shared with it; a new one where None.
        seed: a number or a Generator.

    Shapes:
        ids: (B, T) integers, positions: (T,) or (B, T) -> (B, T, n_embd)
    """

    def __init__(
        self,
        config: StackConfig,
        vocab_size: int,
        block_size: int,
        norm: LayerNorm | None = None,
        *,
        token_embedding: Embedding | None = None,
        seed: Seed,
    ) -> None:
        super().__init__()
        c, rng = config, np.random.default_rng(checks.seed(seed))
        std = c.embedding_std
        # Vaswani et al. 2017, §3.4: what the tokens say is then as loud as sines and cosines.
        self.scale = math.sqrt(c.n_embd) if c.positions in ("sinusoidal", "alibi") else 1.0
        self.token_embedding = token_embedding or Embedding(vocab_size, c.n_embd, std=std, seed=rng)
        self.position_embedding = make_positions(
            c.positions, block_size, c.n_embd, std=std, seed=rng
        )
        self.norm = norm
        self.dropout = Dropout(c.dropout)

    def forward(
        self, ids: Array, positions: Array, rng: np.random.Generator | None = None
    ) -> Tensor:
        return self.dropout(self.embed(ids, positions), rng)

    def embed(self, ids: Array, positions: Array) -> Tensor:
        """Token and position embeddings added up, before dropout: (B, T) -> (B, T, C)."""
        x: Tensor = self.token_embedding(ids)  # (B, T) -> (B, T, C)
        if self.scale != 1:
            x = x * self.scale
        x = self.position_embedding(x, positions)
        return x if self.norm is None else self.norm(x)

    def tied_logits(self, x: Tensor, bias: Tensor | None = None) -> Tensor:
        """The logits x Eᵀ + b of a head that is tied to E (Press & Wolf 2017).

        Shapes:
            x: (..., n_embd) -> (..., vocab_size);  bias: (vocab_size,)
        """
        return F.linear(x, self.token_embedding.weight.T, bias)


class Cache(Protocol):
    """What is asked of any model's cache here: how many tokens it holds."""

    length: int


def check_inputs(
    ids: Array,
    attention_mask: Array | None,
    positions: Array | None,
    vocab_size: int,
    block_size: int | None,
    cache: Cache | None = None,
    prefix: str = "",
) -> tuple[Array, Array, Array | None]:
    """Ids, positions and a mask over the keys (E15), each as a model reads it, or an error.

    Args:
        ids: (B, T) integers of the vocabulary.
        attention_mask: (B, S), 1 or True for a token and 0 for padding; S counts the tokens in the
            cache too.
        positions: (T,) or (B, T) integers below block_size; by default 0, 1, 2, …, going on after
            the cache.
        block_size: how many tokens the context holds; None where it has no end.
        cache: holds the tokens before these.
        prefix: "source_" where errors are to speak of ``source_ids`` and the like.

    Shapes:
        returns: ids (B, T), positions (T,) or (B, T), mask (B, 1, 1, S) or None
    """
    past = 0 if cache is None else cache.length
    ids = _check_ids(f"{prefix}ids", ids, vocab_size, block_size, past)
    if cache is not None and is_grad_enabled():
        raise RuntimeError("a cache holds no gradients: use it under minigpt.no_grad()")
    b, t = ids.shape
    if positions is None:
        positions = np.arange(past, past + t)
    else:
        positions = _check_positions(positions, ids.shape, block_size)
    return ids, positions, key_mask(attention_mask, b, past + t, f"{prefix or 'attention_'}mask")


def key_mask(
    attention_mask: Array | None, batch: int, n_keys: int, name: str = "attention_mask"
) -> Array | None:
    """(B, S) of 0 and 1 -> (B, 1, 1, S) of booleans: the same for every head and query."""
    if attention_mask is None:
        return None
    mask = checks.regular(name, attention_mask, "an array of 1 and 0")
    why = ": a place for every token, those in the cache included"
    checks.same_shape(name, mask, (batch, n_keys), why)
    if mask.dtype != np.bool_ and not ((mask == 0) | (mask == 1)).all():
        wrong = mask[(mask != 0) & (mask != 1)].flat[0]
        raise checks.wrong_value(name, "1 (token) and 0 (padding)", wrong)
    return mask.astype(bool)[:, None, None, :]


def places_in_text(mask: Array | None) -> Array | None:
    """Where each token stands in its own text, or None where that is where it stands in its row.

    Example:
        >>> places_in_text(np.array([[0, 0, 1, 1], [1, 1, 1, 0]], bool))
        array([[0, 0, 0, 1],
               [0, 1, 2, 2]])
    """
    if mask is None:
        return None
    if (mask[:, 1:] <= mask[:, :-1]).all():  # all padding is on the right
        return None
    places: Array = np.maximum(np.cumsum(mask, axis=1) - 1, 0)
    return places


def _check_ids(
    name: str, value: Array, vocab_size: int, block_size: int | None, past: int
) -> Array:
    expected = "integers, an array (batch, tokens)"
    array = checks.regular(name, value, expected)
    if array.dtype.kind in "USO":
        mend = "encode a text first: np.array([tokenizer.encode(text)])"
        raise checks.wrong_type(name, expected, value, mend)
    if array.ndim != 2 or array.size == 0:
        mend = f"a single sequence is {name}[None, :], and has a token at least"
        raise checks.wrong_value(name, expected, array, mend)
    if block_size is not None and past + array.shape[1] > block_size:
        size = f"{name.removesuffix('ids')}block_size"
        raise ValueError(
            f"{past + array.shape[1]} tokens do not fit the context, {size}={block_size}: pass the "
            f"last {block_size} of them"
        )
    return checks.ids(name, array, vocab_size)


def _check_positions(value: Array, shape: tuple[int, ...], block_size: int | None) -> Array:
    positions = checks.integers("positions", value)
    if positions.shape not in (shape, shape[1:]):
        raise ValueError(
            f"positions must have shape {shape[1:]} or {shape}, one for every token: got "
            f"{positions.shape}"
        )
    if block_size is not None and not 0 <= positions.min() <= positions.max() < block_size:
        raise IndexError(
            f"positions must be from 0 to {block_size - 1}, as block_size={block_size}: got "
            f"{positions.min()} to {positions.max()}"
        )
    return positions
