"""Training and validation parts of a token stream."""

from __future__ import annotations

import math
from typing import Any

from minigpt.autograd import Array
from minigpt.datasets.blocks import check_length, check_tokens, positive_int


def check_val_fraction(val_fraction: float) -> float:
    """``val_fraction`` as a float strictly between 0 and 1, or an error."""
    if isinstance(val_fraction, bool) or not isinstance(val_fraction, (int, float)):
        raise TypeError(f"val_fraction must be a number: got {val_fraction!r}")
    if not (math.isfinite(val_fraction) and 0 < val_fraction < 1):
        raise ValueError(f"val_fraction={val_fraction} must be between 0 and 1, for example 0.1")
    return float(val_fraction)


def split_point(length: int, val_fraction: float) -> int:
    """How many of ``length`` are for training: int(length · (1 − val_fraction)), as nanoGPT cuts.

    Raises:
        ValueError: one of the two parts would be empty.

    Example:
        >>> split_point(1115394, 0.1)
        1003854
    """
    cut = int(length * (1 - check_val_fraction(val_fraction)))
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
    array = check_tokens(tokens)
    cut = split_point(len(array), val_fraction)
    train, val = array[:cut], array[cut:]
    if block_size is not None:
        block_size = positive_int("block_size", block_size)
        check_length(len(train), block_size, "the training part")
        check_length(len(val), block_size, "the validation part")
    return train, val
