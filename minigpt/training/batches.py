"""Where a run's batches come from: a token stream cut up, or whatever the caller brings."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import numpy as np

from minigpt import checks
from minigpt.autograd import Array
from minigpt.datasets import EpochBatches, RandomBatches, SequentialBatches, StreamBatches
from minigpt.training.carried_state import CarriedState
from minigpt.training.config import TrainerConfig
from minigpt.training.trainable import Batch, Trainable, check_carries_state

_SAMPLE_BLOCKS, _SAMPLE_BLOCK = 256, 1024


class Batches(Protocol):
    """Batches without end, that can be stopped and gone on with: those of ``minigpt.datasets``."""

    @property
    def batches_per_epoch(self) -> int:
        """How many batches make one epoch."""

    def next_batch(self) -> Batch:
        """The next batch: arrays with as many rows each, as ``model.loss`` takes them."""

    def state_dict(self) -> dict[str, Any]:
        """Where the batches stand, in values that JSON can carry."""

    def load_state_dict(self, state: Mapping[str, Any], /) -> Any:
        """Go on from there, exactly."""


def training_batches(
    tokens: Any, config: TrainerConfig, block_size: int | None, model: Trainable
) -> Batches:
    """Blocks drawn at random for a number of steps; each block once, shuffled, for epochs.

    Where the state is carried, they come in order, side by side.
    """
    if hasattr(tokens, "next_batch"):
        batches: Batches = tokens
        return batches
    tokens, block_size = token_stream("train_tokens", tokens, block_size)
    if config.carry_state:
        return carried(tokens, block_size, config.batch_size, model)
    if config.epochs is not None:
        return EpochBatches(tokens, block_size, config.batch_size, seed=config.seed)
    return RandomBatches(tokens, block_size, config.batch_size, seed=config.seed)


def carried(tokens: Array, block_size: int, batch_size: int, model: Any) -> CarriedState:
    """Batches that are read on from one to the next, with the model's state of each row.

    Raises:
        ValueError: the model has no state.
    """
    check_carries_state(model)
    return CarriedState(StreamBatches(tokens, block_size, batch_size), model.new_state)


class FixedBatches:
    """The same batches at every evaluation, whatever was drawn in between.

    Args:
        name: of the argument that ``tokens`` came as.
        tokens: a stream of tokens, or an object with the interface of :class:`Batches`.
        count: how many batches; None: one pass, which of a stream is the whole of it in order.
        config: for batch_size, seed and carry_state.
        block_size: tokens in a row.
        model: for the state that is carried, which is none of the training's.
    """

    def __init__(
        self,
        name: str,
        tokens: Any,
        count: int | None,
        config: TrainerConfig,
        block_size: int | None,
        model: Trainable,
    ) -> None:
        self._batches: Batches
        if hasattr(tokens, "next_batch"):
            self._batches = tokens
        else:
            tokens, block_size = token_stream(name, tokens, block_size)
            if config.carry_state:
                self._batches = carried(tokens, block_size, config.batch_size, model)
            else:
                self._batches = SequentialBatches(tokens, block_size, config.batch_size)
            if count is None or count >= self._batches.batches_per_epoch:
                count = None
            elif not config.carry_state:  # of streams, the first so many batches
                # Another sequence of draws than the training batches'.
                seed = int(np.random.SeedSequence([config.seed, 1]).generate_state(1)[0])
                self._batches = RandomBatches(tokens, block_size, config.batch_size, seed=seed)
        self.count = self._batches.batches_per_epoch if count is None else count
        self._start = self._batches.state_dict()

    @property
    def start(self) -> dict[str, Any]:
        """Where every evaluation begins, as the batches' state.

        Raises:
            ValueError, TypeError: it is set to a state that the batches cannot have.
        """
        return self._start

    @start.setter
    def start(self, state: dict[str, Any]) -> None:
        present = self._batches.state_dict()
        self._batches.load_state_dict(state)  # only to see that it can be done
        self._batches.load_state_dict(present)
        self._start = state

    def __iter__(self) -> Iterator[Batch]:
        for_training = self._batches.state_dict()
        self._batches.load_state_dict(self.start)
        try:
            for _ in range(self.count):
                yield self._batches.next_batch()
        finally:
            self._batches.load_state_dict(for_training)


def evaluation_batches(
    train_tokens: Any,
    val_tokens: Any,
    config: TrainerConfig,
    block_size: int | None,
    model: Trainable,
) -> dict[str, FixedBatches]:
    """The batches of both texts by the name of the split: as many of one as of the other."""
    count = config.eval_batches
    if val_tokens is None:
        only = FixedBatches("train_tokens", train_tokens, count, config, block_size, model)
        return {"train": only}
    val = FixedBatches("val_tokens", val_tokens, count, config, block_size, model)
    train = FixedBatches("train_tokens", train_tokens, val.count, config, block_size, model)
    return {"train": train, "val": val}


def fingerprint(tokens: Any, name: str = "tokens") -> dict[str, Any] | None:
    """What tells one text from another: its length and the SHA-256 of at most 262,144 tokens of it.

    None for batches that the caller brings: they know themselves whether a state fits.
    """
    if tokens is None or hasattr(tokens, "next_batch"):
        return None
    array = _ids(name, tokens)
    digest = hashlib.sha256()
    for block in _sample(array):
        # The same tokens are the same text, in whatever type they are stored.
        digest.update(block.astype("<i8").tobytes())
    return {"tokens": len(array), "sha256": digest.hexdigest()}


def _sample(array: Array) -> Iterator[Array]:
    """All of a text of up to 262,144 tokens; of a longer one so many, in blocks."""
    last = max(0, len(array) - _SAMPLE_BLOCK)
    for start in sorted({*np.linspace(0, last, _SAMPLE_BLOCKS).astype(np.int64).tolist()}):
        yield array[start : start + _SAMPLE_BLOCK]


def fingerprints(tokenizer: Any, **texts: Any) -> dict[str, dict[str, Any] | None]:
    """The fingerprint of each text, which the tokenizer, if there is one, must have made.

    Raises:
        ValueError: a text has an id (of long ones, a sample is looked at) that the tokenizer does
            not know: it could not write what the model learns.
    """
    for name, tokens in texts.items():
        if tokenizer is None or tokens is None or hasattr(tokens, "next_batch"):
            continue
        largest = max(int(block.max()) for block in _sample(np.asarray(tokens)))
        if largest >= tokenizer.vocab_size:
            raise ValueError(
                f"{name}_tokens has the id {largest}, and tokenizer knows the ids below "
                f"{tokenizer.vocab_size}: pass the tokenizer that encoded the text"
            )
    return {name: fingerprint(tokens) for name, tokens in texts.items()}


def check_same_text(name: str, stored: Mapping[str, Any] | None, tokens: Any) -> None:
    """Refuse to go on with another text than the one the run was started with.

    Raises:
        ValueError: the texts differ.
    """
    found = fingerprint(tokens, name)
    if stored is None or found is None or stored == found:
        return
    if stored["tokens"] != found["tokens"]:
        difference = f"has {found['tokens']:,} tokens, the run's text has {stored['tokens']:,}"
    else:
        difference = "has as many tokens as the run's text, and others"
    raise ValueError(
        f"{name} {difference}: resume with the same text, tokenizer and split, or start a new "
        "run from these parameters with load_model(path) and Trainer(model, …)"
    )


def token_stream(name: str, tokens: Any, block_size: int | None) -> tuple[Array, int]:
    """``tokens`` as a 1-D array of ids that holds a block at least, and the block size."""
    array = _ids(name, tokens)
    if block_size is None:
        raise ValueError(
            "block_size=None takes the model's own, and this model has no config.block_size: "
            "set TrainerConfig(block_size=…)"
        )
    checks.integer("block_size", block_size, least=1)
    if len(array) <= block_size:
        raise ValueError(
            f"{name}: the text has length {len(array)}, and a block with its targets takes "
            f"{block_size + 1} tokens: use more text or a smaller block_size"
        )
    return array, block_size


def _ids(name: str, tokens: Any) -> Array:
    """A text as a 1-D array of ids."""
    if isinstance(tokens, (str, bytes)):
        raise TypeError(f"{name} must be token ids: encode the text with tokenizer.encode(text)")
    array = checks.regular(name, tokens, "a 1-D array of integers")
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise TypeError(
            f"{name} must be a 1-D array of integers, or batches with next_batch(): got "
            f"{type(tokens).__name__} of shape {array.shape} and type {array.dtype}"
        )
    return array
