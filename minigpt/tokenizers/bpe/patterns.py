r"""Where a text is split into words, before byte-pair encoding: no token spans two of them.

A pattern is a regular expression; each of its matches is a word. GPT-2's (Radford et al., 2019,
``encoder.py``) takes, in this order: an English contraction ('s, 'll), letters, digits, or other
signs, each with one space in front; then white space, without its last character where a word
follows, to which that belongs. GPT-4's (tiktoken, ``cl100k_base``) also knows contractions in
capitals, puts digits in threes, lets any one sign stand before letters, and ends at new lines.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import starmap
from typing import Any

import numpy as np

from minigpt import checks
from minigpt.autograd import Array
from minigpt.chunks import text_chunks
from minigpt.tokenizers.base import check_characters
from minigpt.tokenizers.bpe.word_starts import word_starts

BLOCK_CHARACTERS = 1 << 17  # of a long text, split at a time
LONGEST_PATTERN = 10_000  # characters
# Patterns come out of files too. One that tries too many ways is stopped after so many seconds, and
# one more for so many characters; one that calls itself could take all memory, and is refused.
SECONDS, CHARACTERS_A_SECOND = 10, 100_000
CALLS = re.compile(r"\(\?(?:R|[+-]?\d|&|P>)")


@dataclass(frozen=True)
class NamedPattern:
    """A pattern with what is known about it; {L}, {N} and {S} are letters, digits, white space.

    ``boundary`` matches where no word goes across, and where a word that ends or begins would do so
    too if the text ended or began there. So a long text can be cut there, and each part split by
    itself.
    """

    words: str
    boundary: str


_LETTERS_OR_DIGITS_END = r"(?<=[{L}])(?=[^{L}])|(?<=[{N}])(?=[^{N}])"
_AT_WHITE_SPACE = _LETTERS_OR_DIGITS_END + r"|(?<=[^{S}])(?=[{S}])"
# A sign may be followed by the new lines of its word.
_AT_BLANKS = _LETTERS_OR_DIGITS_END + r"|(?<=[^{S}])(?=[^\r\n\S])"

NAMED = {
    "gpt2": NamedPattern(
        words=r"'(?:[sdmt]|ll|ve|re)| ?[{L}]+| ?[{N}]+| ?[^{S}{L}{N}]+|[{S}]+(?![^{S}])|[{S}]+",
        boundary=_AT_WHITE_SPACE,
    ),
    "gpt4": NamedPattern(
        words=r"'(?i:[sdmt]|ll|ve|re)|[^\r\n{L}{N}]?[{L}]+|[{N}]{{1,3}}| ?[^{S}{L}{N}]+[\r\n]*"
        r"|[{S}]*[\r\n]+|[{S}]+(?![^{S}])|[{S}]+",
        boundary=_AT_BLANKS,
    ),
    # SmolLM's: GPT-2's after a split at every digit, before which white space is thus one word.
    "gpt2-single-digits": NamedPattern(
        words=r"'(?:[sdmt]|ll|ve|re)| ?[{L}]+|[{N}]| ?[^{S}{L}{N}]+|[{S}]+(?![^{S}{N}])|[{S}]+",
        boundary=_AT_WHITE_SPACE,
    ),
    # Qwen's: GPT-4's with digits one by one.
    "gpt4-single-digits": NamedPattern(
        words=r"'(?i:[sdmt]|ll|ve|re)|[^\r\n{L}{N}]?[{L}]+|[{N}]| ?[^{S}{L}{N}]+[\r\n]*"
        r"|[{S}]*[\r\n]+|[{S}]+(?![^{S}])|[{S}]+",
        boundary=_AT_BLANKS,
    ),
}
BY_KINDS = {"gpt2": False, "gpt2-single-digits": True}  # found by word_starts: digits one by one?
# The engine of the standard library is faster, but does not know \p{L}: it is good for ASCII.
UNICODE = {"L": r"\p{L}", "N": r"\p{N}", "S": r"\s"}
ASCII = {"L": "A-Za-z", "N": "0-9", "S": r"\t-\r "}


class SplitPattern:
    r"""Splits texts into words: by a named pattern, a regular expression, or None (no split).

    Named are ``"gpt2"``, ``"gpt4"``, ``"gpt2-single-digits"`` and ``"gpt4-single-digits"``. A
    regular expression is of the package ``regex``. What it leaves out between two matches is a word
    too, so that nothing of a text is lost.

    Raises:
        ValueError: the pattern is not a regular expression, or longer than 10,000 characters.

    Example:
        >>> SplitPattern("gpt2").split("I'll be 42  today")
        ['I', "'ll", ' be', ' 42', ' ', ' today']
        >>> SplitPattern(r"\d").split("a1bc23")
        ['a', '1', 'bc', '2', '3']
    """

    def __init__(self, pattern: str | None) -> None:
        _check_pattern(pattern)
        self.pattern = pattern
        self._words: Any = None
        self._ascii_words: Any = None
        self._boundary: Any = None
        if pattern in NAMED:
            named = NAMED[pattern]
            import regex  # not before it is needed: importing it takes a while

            self._words = regex.compile(named.words.format(**UNICODE))
            self._ascii_words = re.compile(named.words.format(**ASCII))
            # (?r) searches from the end: the last boundary is wanted.
            self._boundary = regex.compile("(?r)" + named.boundary.format(**UNICODE))
        elif pattern is not None:
            self._words = _compile(pattern)

    def split(self, text: str) -> list[str]:
        """The words of ``text``; joined they are ``text``."""
        if not text:
            return []
        if self._words is None:
            return [text]
        if self._ascii_words is not None:  # a named pattern: every character is in some word
            words: list[str] = (self._ascii_words if text.isascii() else self._words).findall(text)
            return words
        words, done = [], 0
        seconds = SECONDS + len(text) / CHARACTERS_A_SECOND
        try:
            for match in self._words.finditer(text, timeout=seconds):
                words += [text[done : match.start()], match.group()]
                done = match.end()
        except TimeoutError:
            raise ValueError(
                f"pattern {checks.shown(self.pattern)} took more than {seconds:.0f} s on a text of "
                f"{len(text):,} characters: choose one that does not try so many ways"
            ) from None
        return [word for word in (*words, text[done:]) if word]

    def starts(self, text: str) -> Array:
        """The places in ``text`` where its words begin, for a long text.

        Shapes:
            (words,)

        Example:
            >>> SplitPattern("gpt2").starts("I'll be 42  today").tolist()
            [0, 1, 4, 7, 10, 11]
        """
        if self.pattern in BY_KINDS:
            return word_starts(text, single_digits=BY_KINDS[self.pattern])
        words = self.split(text)
        lengths = np.fromiter(map(len, words), np.int64, len(words))
        return np.cumsum(lengths) - lengths

    def blocks(self, pieces: Iterable[tuple[Any, int]], times: int = 1) -> Iterator[str]:
        """The pieces' concatenation in blocks whose words, one after the other, are its words.

        A piece comes with the place where it begins in the whole, for errors. A block has about
        100,000 characters, or so many times as many, and more only where a word is longer. Where to
        cut is known for the named patterns; with another pattern, and with None, all is one block.
        """
        searched: list[str] = []  # no boundary in here
        for text in text_chunks(starmap(check_characters, pieces), times * BLOCK_CHARACTERS):
            if self._boundary is not None:
                before = searched[-1][-1:] if searched else ""
                found = self._boundary.search(before + text)
                if found is not None and (cut := found.start() - len(before)) >= 0:
                    yield "".join(searched) + text[:cut]
                    searched, text = [], text[cut:]
            searched.append(text)
        if searched:
            yield "".join(searched)


def _compile(pattern: str) -> Any:
    import regex

    try:
        return regex.compile(pattern)
    except (regex.error, OverflowError, RecursionError) as error:
        raise ValueError(
            f"pattern {pattern!r:.80} is neither {' nor '.join(map(repr, NAMED))} nor a regular "
            f"expression: {error}"
        ) from None


def _check_pattern(pattern: object) -> None:
    if pattern is not None and not isinstance(pattern, str):
        names = ", ".join(map(repr, NAMED))
        expected = f"{names}, a regular expression as a str, or None"
        raise checks.wrong_type("pattern", expected, pattern)
    if pattern is None:
        return
    if len(pattern) > LONGEST_PATTERN:
        expected = f"at most {LONGEST_PATTERN:,} characters long"
        raise checks.wrong_value("pattern", expected, pattern, f"it has {len(pattern):,}")
    if any("\ud800" <= character <= "\udfff" for character in pattern):
        mend = "it holds a lone surrogate, which is not a character"
        raise checks.wrong_value("pattern", "text", pattern, mend)
    if CALLS.search(re.sub(r"\\.", "", pattern, flags=re.DOTALL)):
        raise checks.wrong_value("pattern", "without calls of itself or of its groups", pattern)
