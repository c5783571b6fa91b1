"""Tasks learned from generated text: tokens that are words, and a GPT that finds things again."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable
from itertools import accumulate, pairwise
from typing import Any

import minigpt as mg

# A Chinese character, a word, a minute (21') or a figure with the space before it, any other sign.
PATTERN = r"\p{Han}| ?[a-zA-Z]+| ?\d+'| ?\d|[^a-zA-Z\d]"
MORE_THAN_THERE_ARE = 10_000


def word_tokenizer(
    texts: Iterable[str], special_tokens: Iterable[str], phrases: Iterable[str] = ()
) -> mg.BPETokenizer:
    """Byte-pair encoding carried on until every word of the texts is one token.

    A word has the space before it in its token, so a text should begin with one (:func:`spaced`).
    Words that the texts have not got are still encoded, in pieces. A phrase, which are several
    words, is one token too, and takes the article that follows into it.

    Example:
        >>> tokenizer = word_tokenizer([" Rosa went out.", " Otto went in."], ["<|end|>"])
        >>> [tokenizer.decode([token]) for token in tokenizer.encode(" Rosa went in.")]
        [' Rosa', ' went', ' in', '.']
    """
    groups = "|".join(map(re.escape, phrases))
    pattern = rf" (?:{groups})(?: the)?\b|{PATTERN}" if groups else PATTERN
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that there are no more pairs to merge: it is what we want
        return mg.BPETokenizer.train(
            texts, MORE_THAN_THERE_ARE, sorted(special_tokens), pattern, progress=False
        )


def spaced(text: str) -> str:
    """The text with a space before it, so that its first word is the token that it is elsewhere."""
    return f" {text}"


def narrow_gpt(vocab_size: int, block_size: int, n_layer: int, seed: int, **changes: Any) -> mg.GPT:
    """A GPT for tasks of finding things again: many layers for its width, and ALiBi for positions.

    Each step of finding takes a layer or two. Attention falls with the distance (Press et al.
    2022), so that of several things that fit the last one counts. The initial weights have a
    standard deviation of 1/√width, which keeps the size of what goes through a layer. ``changes``
    are further fields of its configuration.
    """
    config = mg.GPTConfig(
        vocab_size, block_size, n_layer, n_head=4, n_embd=64, positions="alibi",
        init_std=64**-0.5, **changes,
    )  # fmt: skip
    return mg.GPT(config, seed=seed)


def steps_of(shares: Iterable[float], steps: int) -> list[int]:
    """How many of the steps each stage of a curriculum takes, by their shares."""
    ends = [round(steps * end) for end in accumulate(shares)]
    return [end - start for start, end in pairwise([0, *ends])]
