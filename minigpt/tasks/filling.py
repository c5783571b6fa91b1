"""Filling in what is missing from a text, with an encoder that reads both sides of the gap."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigpt.models import Encoder


def fill_mask(
    model: Encoder, tokenizer: Any, text: str, mask_token: str = "<mask>", k: int = 5
) -> list[list[tuple[str, float]]]:
    """The k likeliest tokens for each mask token of a text, with their probabilities (E8).

    Several gaps are filled independently of each other: each knows of the others only that
    something is missing there.

    Args:
        model: trained on masked tokens.
        tokenizer: the model's, with ``mask_token`` among its special tokens.
        text: holds the mask token where a token is to be guessed.
        mask_token: as the tokenizer calls it.
        k: how many guesses.

    Returns:
        For each gap, from left to right, the guesses as text, the likeliest first.

    Raises:
        ValueError: the tokenizer has no such token, or the text has none of it or is too long.

    Example:
        >>> import minigpt as mg
        >>> from minigpt.models import EncoderConfig
        >>> tokenizer = mg.CharTokenizer.train("a cat", special_tokens=["<mask>"])
        >>> model = Encoder(EncoderConfig(tokenizer.vocab_size, 8, n_layer=1, n_head=1, n_embd=8))
        >>> ((first, second),) = fill_mask(model, tokenizer, "a c<mask>t", k=2)
        >>> first[1] >= second[1] > 0
        True
    """
    (mask_id,) = tokenizer.encode(mask_token, allowed_special={mask_token})
    ids = np.array([tokenizer.encode(text, allowed_special={mask_token})])
    if mask_id not in ids:
        raise ValueError(f"the text has no {mask_token}: put it where a token is to be guessed")
    filled = model.fill_mask(ids, mask_id, k)
    return [
        [(tokenizer.decode([int(t)]), float(p)) for t, p in zip(tokens, probabilities, strict=True)]
        for tokens, probabilities in zip(filled.tokens, filled.probabilities, strict=True)
    ]
