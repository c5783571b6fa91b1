"""A stream of tokens, the ids of a text one after the other; its training and validation parts."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigpt import checks
from minigpt.autograd import Array


def split_point(length: int, val_fraction: float) -> int:
    """How many of ``length`` are for training: int(length · (1 − val_fraction)), as nanoGPT cuts.

    ``val_fraction`` is the share that is kept for validation.

    Raises:
        ValueError: one of the two parts would be empty.

    Example:
        >>> split_point(1115394, 0.1)
        1003854
    """
    length = checks.integer("length", length, least=0, most=2**53)
    mend = "for example 0.1"
    fraction = checks.number("val_fraction", val_fraction, above=0, below=1, mend=mend)
    cut = int(length * (1 - fraction))
    if not 0 < cut < length:
        part = "training" if cut <= 0 else "validation"
        raise ValueError(
            f"{length:,} tokens with val_fraction={val_fraction} leave no {part} part: "
            "use a longer text or another val_fraction"
        )
    return cut


def train_val_split(
    tokens: Any, val_fraction: float = 0.1, block_size: int | None = None
) -> tuple[Array, Array]:
    """The first part of the stream for training and the last for validation, as views.

    Args:
        tokens: the stream.
        val_fraction: how much of it is for validation, between 0 and 1.
        block_size: the context of the model, so that a part too short for it is found here.

    Shapes:
        tokens: (N,) integers. Returns (int(N · (1 − val_fraction)),) and the rest.

    Raises:
        ValueError: a part is empty or, where ``block_size`` is given, shorter than block_size + 1.

    Example:
        >>> import numpy as np
        >>> train, val = train_val_split(np.arange(10), val_fraction=0.2)
        >>> train.tolist(), val.tolist()
        ([0, 1, 2, 3, 4, 5, 6, 7], [8, 9])
    """
    stream = check_stream("tokens", tokens)
    cut = split_point(len(stream), val_fraction)
    train, val = stream[:cut], stream[cut:]
    if block_size is not None:
        check_fills_a_block(len(train), block_size, "the training part")
        check_fills_a_block(len(val), block_size, "the validation part")
    return train, val


# ── checks ────────────────────────────────────────────────────────────────────────────────────

LARGEST_ID = 2**32 - 1  # what the widest token file holds


def check_id(name: str, value: object) -> int:
    """``value`` as the id of a token."""
    return checks.integer(name, checks.integer(name, value, least=0), most=LARGEST_ID)


def check_size(name: str, value: object) -> int:
    """``value`` as the size of a batch or a block."""
    return checks.integer(name, checks.integer(name, value, least=1), most=LARGEST_ID)


def check_stream(name: str, tokens: Any) -> Array:
    """``tokens`` as a plain 1-D integer array that shares the memory or the map of what came."""
    expected = "a 1-D array of integers"
    if tokens is None or isinstance(tokens, (str, bytes)):
        mend = "encode the text first: tokenizer.encode(text)"
        raise checks.wrong_type(name, expected, tokens, mend)
    array = checks.regular(name, tokens, expected)
    if array.size or array.ndim != 1:  # an empty list has no type of its own
        array = checks.integers(name, array)
    if array.ndim != 1:
        raise checks.wrong_value(name, "1-D, one stream of tokens", array)
    return np.asarray(array)


def check_fills_a_block(length: int, block_size: int, name: str = "tokens") -> None:
    """A stream of ``length`` has a block of ``block_size`` and the token after it."""
    block_size = check_size("block_size", block_size)
    if length >= block_size + 1:
        return
    mend = "use a longer text"
    if length >= 2:
        mend += f" or block_size={length - 1} or less"
    raise ValueError(
        f"{name} holds {length:,} tokens, but block_size={block_size} needs at least "
        f"{block_size + 1:,}: {mend}"
    )
