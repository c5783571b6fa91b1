"""What a model is given: ids, their positions, and a mask over padding (E15)."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigpt.autograd import Array
from minigpt.functional.embedding import check_ids, check_integers


def checked_ids(
    ids: Array, vocab_size: int, block_size: int | None, past: int = 0, name: str = "ids"
) -> Array:
    """The ids as integers (B, T) of the vocabulary that fit the context, or an error.

    Args:
        block_size: how many tokens the context holds; None where it has no end.
        past: how many tokens the context holds already.
        name: of the argument; ``source_ids`` have a ``source_block_size``.
    """
    ids = np.asarray(ids)
    if ids.ndim != 2 or ids.size == 0:
        raise ValueError(
            f"{name} have shape {ids.shape}: expected (batch, tokens), none of them 0; a single "
            f"sequence is {name}[None, :]"
        )
    if block_size is not None and past + ids.shape[1] > block_size:
        size = f"{name.removesuffix('ids')}block_size"
        raise ValueError(
            f"{past + ids.shape[1]} tokens do not fit the context, {size}={block_size}: pass the "
            f"last {block_size} of them"
        )
    return check_ids(ids, vocab_size, name)


def checked_positions(positions: Array, shape: tuple[int, ...], block_size: int) -> Array:
    """The places as integers of the context, one for every token, or an error that says why not."""
    positions = np.asarray(positions)
    check_integers(positions, "positions")
    if positions.shape not in (shape, shape[1:]):
        raise ValueError(
            f"positions have shape {positions.shape}, expected {shape[1:]} or {shape}: one for "
            "every token"
        )
    if positions.min() < 0 or positions.max() >= block_size:
        raise IndexError(
            f"positions run from {positions.min()} to {positions.max()}, but the context has "
            f"block_size={block_size} places, 0 to {block_size - 1}"
        )
    return positions


def key_mask(
    attention_mask: Array | None, batch: int, n_keys: int, name: str = "attention_mask"
) -> Array | None:
    """(B, S) of 0 and 1 -> (B, 1, 1, S) of booleans: the same for every head and query."""
    if attention_mask is None:
        return None
    mask: Any = np.asarray(attention_mask)
    if mask.shape != (batch, n_keys):
        raise ValueError(
            f"{name} has shape {mask.shape}, expected {(batch, n_keys)}: a place for every "
            "token, those in the cache included"
        )
    if mask.dtype != np.bool_ and not ((mask == 0) | (mask == 1)).all():
        raise ValueError(f"{name} must hold 1 (token) and 0 (padding) only")
    return mask.astype(bool)[:, None, None, :]
