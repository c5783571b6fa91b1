"""What a model is to go on from: ids of the right shape, a mask over their padding, or a text."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from minigpt import checks
from minigpt.autograd import Array
from minigpt.sampling.protocols import Tokenizer
from minigpt.tokenizers.added_tokens import END_OF_TEXT


def checked_ids(ids: object, vocab_size: int, *, keep_dtype: bool = False) -> Array:
    """``ids`` as an array (B, T) of integers; one row (T,) becomes a batch of one.

    Raises:
        TypeError: they are not integers.
        ValueError: there are none, or rows differ in length.
        IndexError: one is outside [0, vocab_size).
    """
    if ids is None or isinstance(ids, (str, bytes)):
        mend = "encode the text first: tokenizer.encode(text); or use generate, which takes text"
        raise checks.wrong_type("ids", "an array of integers", ids, mend)
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
    array = checks.ids("ids", ids, vocab_size, keep_dtype=keep_dtype)
    if array.ndim not in (1, 2):
        raise ValueError(f"ids has shape {array.shape}: expected (B, T) or (T,)")
    return np.atleast_2d(array)


def checked_mask(mask: object, ids: Array) -> Array:
    """``mask`` as booleans (B, T), True for real tokens, with all padding at the left.

    Raises:
        ValueError: its shape is not that of ``ids``, or a row is empty or padded elsewhere.
    """
    array = np.atleast_2d(checks.regular("attention_mask", mask))
    if array.shape != ids.shape:
        raise ValueError(f"attention_mask {array.shape} must have the shape of ids {ids.shape}")
    if not np.isin(array, (0, 1)).all():
        raise ValueError("attention_mask holds other values than 0 and 1 (or False and True)")
    array = array.astype(bool)
    misplaced = ~array[:, -1] | (array[:, :-1] > array[:, 1:]).any(axis=1)  # (B,)
    if misplaced.any():
        raise ValueError(
            f"row {int(misplaced.argmax())} of attention_mask is not padded only at the left: the "
            "last token must be real, since generation goes on from it "
            "(False, ..., False, True, ..., True)"
        )
    return array


def leading_ids(tokenizer: Tokenizer) -> list[int]:
    """What a model is to read before every text, such as a begin-of-text token; often nothing."""
    return list(getattr(tokenizer, "leading_ids", ()))


def encode_prompt(
    tokenizer: Tokenizer,
    text: object,
    vocab_size: int,
    allowed_special: str | Collection[str] = (),
    is_start: bool = True,
) -> list[int]:
    """The ids of a text that a model should go on from: at least one, and all known to it.

    They begin with the tokenizer's leading ids, where it has any and the text does not begin with
    them already. Of an empty text without these, they are the token that texts begin after,
    ``<|endoftext|>``, where the tokenizer has it: GPT-2 and its like have learned that a new text
    follows.

    Args:
        tokenizer: the model's.
        text: what is to be gone on from.
        vocab_size: the model's.
        allowed_special: special tokens that the text may hold.
        is_start: whether nothing comes before it; else the leading ids are left out.

    Raises:
        TypeError: ``text`` is not a str.
        ValueError: it is empty, and the tokenizer has no ``<|endoftext|>``; or the tokenizer is
            not the model's.
    """
    if not isinstance(text, str):
        mend = "generate also takes a list of them, and generate_ids takes ids"
        raise checks.wrong_type("prompt", "a str", text, mend)
    # Passed on only where it is used: a tokenizer without special tokens need not know the word.
    if not isinstance(allowed_special, str):
        allowed_special = checks.items("allowed_special", allowed_special, "a set of names")
    allowed = {"allowed_special": allowed_special} if len(allowed_special) else {}
    leading = leading_ids(tokenizer) if is_start else []
    ids = tokenizer.encode(text, **allowed)
    if ids[: len(leading)] != leading:
        ids = leading + ids
    if text == "" and len(ids) == 0 and END_OF_TEXT in getattr(tokenizer, "special_tokens", ()):
        ids = tokenizer.encode(END_OF_TEXT, allowed_special={END_OF_TEXT})  # type: ignore[call-arg]
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
