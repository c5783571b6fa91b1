"""A tokenizer whose tokens are words, for the scripts that learn a task from generated text."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable

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
