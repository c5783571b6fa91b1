"""Blocks of a token stream: what every way of batching shares.

A block is ``block_size`` consecutive tokens; its targets are the same tokens one place to the
right, so a block takes ``block_size + 1`` tokens of the stream.
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from minigpt.autograd import Array

Batch = tuple[Array, Array]


def positive_int(name: str, value: object) -> int:
    """``value`` as an int of at least 1, or an error that names the argument."""
    if isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} must be an int: got {value!r}")
    try:
        number = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(f"{name} must be an int: got {type(value).__name__} {value!r}") from None
    if number < 1:
        raise ValueError(f"{name}={number} must be at least 1")
    return number


def check_tokens(tokens: Any, name: str = "tokens") -> Array:
    """``tokens`` as a plain 1-D integer array that shares the memory or the map of what came."""
    if isinstance(tokens, (str, bytes)):
        raise TypeError(
            f"{name} must be a 1-D array of integers: got {type(tokens).__name__}; "
            "encode the text first: tokenizer.encode(text)"
        )
    try:
        array = np.asarray(tokens)
    except (ValueError, TypeError) as error:
        raise TypeError(f"{name} must be a 1-D array of integers: {error}") from None
    if array.ndim != 1:
        raise ValueError(f"{name} must be 1-D, one stream of tokens: got shape {array.shape}")
    if array.size and array.dtype.kind not in "iu":
        raise TypeError(f"{name} must hold integers: got dtype {array.dtype}")
    return array


def check_length(length: int, block_size: int, name: str = "tokens") -> None:
    """Refuse a stream that does not fill one block."""
    if length >= block_size + 1:
        return
    mend = "use a longer text"
    if length >= 2:
        mend += f" or block_size={length - 1} or less"
    raise ValueError(
        f"{name} holds {length:,} tokens, but block_size={block_size} needs at least "
        f"{block_size + 1:,}: {mend}"
    )


class BlockReader:
    """Cuts blocks out of a token stream at any starts, touching only the tokens asked for.

    Shapes:
        tokens: (N,) integers, an array or a memory map; never copied.

    Example:
        >>> reader = BlockReader(np.arange(10), block_size=3)
        >>> ids, targets = reader.read(np.array([0, 5]))
        >>> ids.tolist(), targets.tolist()
        ([[0, 1, 2], [5, 6, 7]], [[1, 2, 3], [6, 7, 8]])
    """

    def __init__(self, tokens: Any, block_size: int) -> None:
        self.tokens = check_tokens(tokens)
        self.block_size = positive_int("block_size", block_size)
        check_length(len(self.tokens), self.block_size)
        # Row i is tokens[i : i + block_size + 1]; a view, so nothing of the stream is read here.
        self._windows = sliding_window_view(self.tokens, self.block_size + 1)

    def __len__(self) -> int:
        return len(self.tokens)

    def read(self, starts: Array) -> Batch:
        """The blocks that begin at ``starts`` and their targets.

        Shapes:
            starts: (B,), each 0 <= start < N − block_size. Returns ids and targets, both
            (B, block_size) int64.
        """
        windows = self._windows[starts]  # (B, T + 1)
        # astype always copies: the two arrays never share memory, and both are C-contiguous.
        return (
            windows[:, :-1].astype(np.int64, order="C"),
            windows[:, 1:].astype(np.int64, order="C"),
        )
