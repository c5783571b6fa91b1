"""Arrays of token ids: what they must be, and how prompts of different lengths become one array."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from minigpt.autograd import Array
from minigpt.sampling.protocols import Tokenizer


def check_ids(ids: object, vocab_size: int) -> Array:
    """``ids`` as an array (B, T) of integers; one row (T,) becomes a batch of one.

    Raises:
        TypeError: they are not integers.
        ValueError: there are none, rows differ in length, or one is outside [0, vocab_size).
    """
    try:
        array = np.asarray(ids)
    except ValueError:
        array = np.empty(0, dtype=object)
    if array.dtype == object:
        raise ValueError(
            "ids hold rows of different lengths: pad them at the left to one length and pass "
            "attention_mask, False for the padding"
        )
    if array.size == 0:
        raise ValueError(f"ids has shape {array.shape}: a model continues at least one token")
    if not np.issubdtype(array.dtype, np.integer):
        raise TypeError(f"ids has dtype {array.dtype}: pass integers")
    if array.ndim not in (1, 2):
        raise ValueError(f"ids has shape {array.shape}: expected (B, T) or (T,)")
    if array.min() < 0 or array.max() >= vocab_size:
        raise ValueError(
            f"ids run from {array.min()} to {array.max()}: the model knows 0 to {vocab_size - 1}"
        )
    return np.atleast_2d(array)


def check_left_padding(mask: object, ids: Array) -> Array:
    """``mask`` as booleans (B, T), True for real tokens, with all padding at the left.

    Raises:
        ValueError: its shape is not that of ``ids``, or a row is empty or padded elsewhere.
    """
    array = np.atleast_2d(np.asarray(mask))
    if array.shape != ids.shape:
        raise ValueError(f"attention_mask {array.shape} must have the shape of ids {ids.shape}")
    if not np.isin(array, (0, 1)).all():
        raise ValueError("attention_mask holds other values than 0 and 1 (or False and True)")
    array = array.astype(bool)
    if not array[:, -1].all() or (array[:, :-1] > array[:, 1:]).any():
        row = int(np.argmax(~array[:, -1] | (array[:, :-1] > array[:, 1:]).any(axis=1)))
        raise ValueError(
            f"row {row} of attention_mask is not padded at the left alone: the last token must be "
            "real, since generation goes on from it (False, ..., False, True, ..., True)"
        )
    return array


def encode_prompt(
    tokenizer: Tokenizer, text: object, vocab_size: int, allowed_special: str | Collection[str] = ()
) -> list[int]:
    """The ids of a text that a model shall go on from: at least one, and all known to it.

    Raises:
        TypeError: ``text`` is no string.
        ValueError: it is empty, or the tokenizer is not the model's.
    """
    if not isinstance(text, str):
        mend = "a string (generate also takes a list of them, generate_ids takes ids)"
        raise TypeError(f"prompt {text!r} is of type {type(text).__name__}: pass {mend}")
    # Passed on only where it is used: a tokenizer without special tokens need not know the word.
    allowed = {"allowed_special": allowed_special} if allowed_special else {}
    ids = tokenizer.encode(text, **allowed)
    if len(ids) == 0:
        raise ValueError(
            "the prompt is empty, and a model continues at least one token: pass some text, such "
            "as '\\n', or the special token that texts began with in training "
            "(Sampler(..., allowed_special='all') lets a prompt hold it)"
        )
    if max(ids) >= vocab_size:
        raise ValueError(
            f"the tokenizer gives id {max(ids)}, the model knows 0 to {vocab_size - 1}: "
            "use the tokenizer that the model was trained with"
        )
    return ids


def pad_right(rows: Sequence[Sequence[int]], pad_id: int | None = None) -> Array:
    """Rows of different lengths as one array; without a ``pad_id`` each repeats its last id.

    Shapes:
        rows: B sequences → (B, T) int64; T is the longest row's length

    Example:
        >>> pad_right([[5, 6, 7], [8, 9]])
        array([[5, 6, 7],
               [8, 9, 9]])
    """
    width = max(len(row) for row in rows)
    fills = [row[-1:] if pad_id is None else [pad_id] for row in rows]
    padded = [
        [*row, *(width - len(row)) * list(fill)] for row, fill in zip(rows, fills, strict=True)
    ]
    return np.array(padded, dtype=np.int64)


def pad_left(rows: Sequence[Sequence[int]]) -> tuple[Array, Array]:
    """Rows of different lengths as one array, and the mask that is True for their own tokens.

    Shapes:
        rows: B sequences → ids (B, T) int64, mask (B, T) bool; T is the longest row's length

    Example:
        >>> ids, mask = pad_left([[5, 6, 7], [8]])
        >>> ids
        array([[5, 6, 7],
               [0, 0, 8]])
        >>> mask
        array([[ True,  True,  True],
               [False, False,  True]])
    """
    width = max(len(row) for row in rows)
    ids = np.zeros((len(rows), width), dtype=np.int64)
    mask = np.zeros((len(rows), width), dtype=bool)
    for i, row in enumerate(rows):
        ids[i, width - len(row) :] = row
        mask[i, width - len(row) :] = True
    return ids, mask
