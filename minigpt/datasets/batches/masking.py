"""Hiding tokens for a model to guess: the recipe of BERT (E8)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from minigpt import checks
from minigpt.autograd import Array
from minigpt.datasets.batches.examples import ExampleBatches
from minigpt.datasets.batches.sequences import Sequences
from minigpt.datasets.token_stream import check_id, check_size

MASKED, REPLACED = 0.8, 0.1  # of the chosen tokens; the remaining tenth stays as it is


def masked(
    ids: Array,
    rng: np.random.Generator,
    *,
    mask_id: int,
    vocab_size: int,
    probability: float = 0.15,
    special_ids: Iterable[int] = (),
    attention_mask: Array | None = None,
) -> tuple[Array, Array]:
    """Choose 15 % of each row's tokens to be guessed, and hide them (Devlin et al. 2018, §3.1).

    Of the chosen tokens 80 % become the mask token, 10 % a random one, and 10 % stay. If all were
    masked, the model would meet the mask token in training and never in use, and would learn
    nothing of the tokens that it sees. As it is, every token may be wrong, and has to be understood
    from its neighbours.

    Args:
        ids: what is to be hidden in part; it is left as it is.
        rng: of the choice.
        mask_id: the mask token.
        vocab_size: random tokens are drawn from the ids below it.
        probability: how many of a row's tokens are chosen, rounded, but at least one.
        special_ids: never chosen, never drawn; neither is the mask token.
        attention_mask: 1 or True for a token and 0 for padding, which is never chosen.

    Shapes:
        ids, attention_mask: (B, T) -> the ids with some hidden, and targets, both (B, T) int64; a
        target is the token that was there, and −1 where none was chosen

    Raises:
        ValueError: a value is out of its range, or there is no token to draw.

    Example:
        >>> ids = np.arange(20).reshape(1, 20)
        >>> hidden, targets = masked(ids, np.random.default_rng(0), mask_id=20, vocab_size=21)
        >>> int((targets != -1).sum()), bool(((hidden == ids) | (targets == ids)).all())
        (3, True)
    """
    may_hide = _choosable(mask_id, vocab_size, probability, special_ids)
    ids = _check_masked(ids, rng, vocab_size, attention_mask)
    return _hide(ids, rng, may_hide, mask_id, probability, attention_mask)


def _hide(
    ids: Array,
    rng: np.random.Generator,
    may_hide: Array,
    mask_id: int,
    probability: float,
    attention_mask: Array | None,
) -> tuple[Array, Array]:
    """:func:`masked`, with the table of the tokens that may be hidden."""
    free = may_hide[ids]  # (V,)[(B, T)] -> (B, T)
    if attention_mask is not None:
        free &= np.asarray(attention_mask).astype(bool)
    n_free = free.sum(axis=1)  # (B, T) -> (B,)
    n_chosen = np.minimum(np.maximum(np.rint(probability * n_free), 1), n_free)
    lottery = np.where(free, rng.random(ids.shape), np.inf)
    chosen = lottery.argsort(axis=1).argsort(axis=1) < n_chosen[:, None]  # (B, T) < (B, 1)

    fate = rng.random(ids.shape)
    random_tokens = rng.choice(np.flatnonzero(may_hide), ids.shape)
    hidden = ids.astype(np.int64)
    hidden[chosen & (fate < MASKED)] = mask_id
    replaced = chosen & (fate >= MASKED) & (fate < MASKED + REPLACED)
    hidden[replaced] = random_tokens[replaced]
    return hidden, np.where(chosen, ids, -1)


class MaskedBatches(ExampleBatches):
    """Batches (ids, targets, attention_mask) with tokens hidden by :func:`masked`.

    Every epoch hides other tokens. The attention mask is left out where all sequences are of one
    length.

    Args:
        sequences: N lists of ids, or an array (N, T). A token stream is made one by
            ``tokens[: len(tokens) // T * T].reshape(-1, T)``.
        batch_size: sequences in a batch.
        seed: of the order, and of what is hidden.
        mask_id, vocab_size, probability, special_ids: as for :func:`masked`.
        pad_id: fills up shorter sequences.

    Shapes:
        ids and targets (B, T) int64, attention_mask (B, T) bool, T the longest of the batch

    Raises:
        ValueError: an id is negative or not below vocab_size, a sequence has no token that may be
            hidden, or a value is out of its range.

    Example:
        >>> batches = MaskedBatches([[1, 2, 3], [4, 5]], 2, seed=0, mask_id=6, vocab_size=7)
        >>> ids, targets, attention_mask = batches.next_batch()
        >>> (targets != -1).sum(axis=1).tolist(), attention_mask.sum(axis=1).tolist()
        ([1, 1], [2, 3])
    """

    kind = "masked"

    def __init__(
        self,
        sequences: Any,
        batch_size: int,
        seed: int | np.random.Generator,
        *,
        mask_id: int,
        vocab_size: int,
        probability: float = 0.15,
        special_ids: Iterable[int] = (),
        pad_id: int = 0,
    ) -> None:
        self._sequences = Sequences(sequences, "sequences")
        special_ids = checks.items("special_ids", special_ids, "a list of ids")
        self._may_hide = _choosable(mask_id, vocab_size, probability, special_ids)
        self.mask_id, self.probability = int(mask_id), float(probability)
        self.pad_id = check_id("pad_id", pad_id)
        highest = max(self._sequences.max_id, self.pad_id)
        if highest >= vocab_size:
            raise ValueError(f"there is an id {highest}, but vocab_size={vocab_size}")
        n_free = self._sequences.count(self._may_hide)
        if not n_free.all():
            raise ValueError(f"sequences[{np.argmin(n_free)}] has no token that may be hidden")
        self._settings = {
            "mask_id": self.mask_id,
            "vocab_size": int(vocab_size),
            "probability": self.probability,
            "special_ids": sorted(map(int, special_ids)),
            "pad_id": self.pad_id,
        }
        super().__init__(self._sequences.lengths, batch_size, seed)
        self._one_length = bool((self._lengths == self._lengths[0]).all())
        self._fingerprint = self._sequences.fingerprint()

    def _batch_of(self, rows: Array, rng: np.random.Generator) -> tuple[Array, ...]:
        ids, mask = self._sequences.padded(rows, self.pad_id)
        hidden, targets = _hide(ids, rng, self._may_hide, self.mask_id, self.probability, mask)
        return (hidden, targets) if self._one_length else (hidden, targets, mask)

    def _identity(self) -> dict[str, Any]:
        return {**super()._identity(), **self._settings, "sha256": self._fingerprint}


# ── checks ────────────────────────────────────────────────────────────────────────────────────


def _choosable(
    mask_id: int, vocab_size: int, probability: float, special_ids: Iterable[int]
) -> Array:
    """(vocab_size,) True for the tokens that may be hidden, and drawn; every value is checked."""
    check_id("mask_id", mask_id)
    check_size("vocab_size", vocab_size)
    checks.number("probability", probability, above=0, below=1)
    may_hide = np.ones(vocab_size, bool)
    special_ids = checks.items("special_ids", special_ids, "a list of ids")
    for name, token in (("mask_id", mask_id), *(("special_ids", t) for t in special_ids)):
        if check_id(name, token) >= vocab_size:
            raise checks.wrong_value(name, f"below vocab_size={vocab_size}", token)
        may_hide[token] = False
    if not may_hide.any():
        raise ValueError(f"vocab_size={vocab_size} leaves no token but special ones")
    return may_hide


def _check_masked(ids: Any, rng: object, vocab_size: int, attention_mask: Any) -> Array:
    checks.generator(rng)
    ids = checks.integers("ids", ids)
    if ids.ndim != 2:
        raise checks.wrong_value("ids", "integers (B, T)", ids)
    if ids.size and (ids.min() < 0 or ids.max() >= vocab_size):
        raise ValueError(
            f"ids run from {ids.min()} to {ids.max()}: with vocab_size={vocab_size} they must be "
            f"0 to {vocab_size - 1}"
        )
    if attention_mask is not None:
        mask = checks.regular("attention_mask", attention_mask)
        if mask.dtype.kind not in "biuf":
            raise checks.wrong_type("attention_mask", "an array of 1 and 0", attention_mask)
        checks.same_shape("attention_mask", mask, ids.shape, ", that of ids")
    return ids
