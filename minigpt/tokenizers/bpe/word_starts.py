r"""Where the words of a long text begin, found everywhere at once: GPT-2's pattern with arrays.

A regular expression walks from word to word. Yet whether a word begins at a character depends only
on the kinds of the characters around it, so that a few comparisons of whole arrays tell it:

    a word begins where the kind changes,
    a plain space goes to the word after it,
    white space before a word is cut before its last character,
    an English contraction, such as 'll, is a word.
"""

from __future__ import annotations

from functools import cache
from string import ascii_letters, digits, whitespace

import numpy as np

from minigpt.autograd import Array

LETTER, DIGIT, SPACE, SIGN = 1, 2, 3, 4  # 0: not looked up yet
CLASSES = {LETTER: r"\p{L}", DIGIT: r"\p{N}", SPACE: r"\s"}
N_CODES = 0x110000
BLANK, APOSTROPHE = ord(" "), ord("'")
ENDINGS = ("s", "d", "m", "t", "ll", "ve", "re")  # of a contraction, after its apostrophe


def word_starts(text: str, single_digits: bool = False) -> Array:
    """The places in ``text`` where the words of ``"gpt2"`` begin, or of ``"gpt2-single-digits"``.

    Shapes:
        (words,)

    Example:
        >>> word_starts("I'll be 42  today").tolist()
        [0, 1, 4, 7, 10, 11]
    """
    codes = np.frombuffer(text.encode("utf-32-le"), "<u4")  # (n,) a number for each character
    kinds = _kinds(codes)  # (n,)
    starts = np.empty(len(codes) + 1, dtype=bool)  # one more: the end of the text
    starts[0] = starts[-1] = True
    np.not_equal(kinds[1:], kinds[:-1], out=starts[1:-1])
    if single_digits:
        starts[:-1] |= kinds == DIGIT

    ends_space = starts[1:-1] & (kinds[:-1] == SPACE)
    if single_digits:  # where white space before a digit is not cut
        ends_space &= kinds[1:] != DIGIT
    last_space = np.flatnonzero(ends_space)
    starts[last_space] = True
    starts[last_space + 1] = codes[last_space] != BLANK

    # After a sign or a plain space an apostrophe begins no word, and so no contraction either.
    apostrophes = np.flatnonzero(starts[:-1] & (codes == APOSTROPHE))
    for ending in ENDINGS:
        size = len(ending)
        here = apostrophes[apostrophes + size < len(codes)]
        for i, letter in enumerate(ending, 1):
            here = here[codes[here + i] == ord(letter)]
        starts[here + 1] = False
        starts[here + 1 + size] = True
    return np.flatnonzero(starts[:-1])


def _kinds(codes: Array) -> Array:
    """The kind of each character. ``regex`` is asked once for each that is not ASCII."""
    known = _known_kinds()
    kinds: Array = known[codes]
    if not kinds.all():
        import regex

        unknown = np.unique(codes[kinds == 0])
        known[unknown] = SIGN
        characters = unknown.tobytes().decode("utf-32-le")
        for kind, of_kind in CLASSES.items():
            known[[ord(character) for character in regex.findall(of_kind, characters)]] = kind
        kinds = known[codes]
    return kinds


@cache
def _known_kinds() -> Array:
    known = np.zeros(N_CODES, np.uint8)
    known[:128] = SIGN
    for kind, characters in {LETTER: ascii_letters, DIGIT: digits, SPACE: whitespace}.items():
        known[list(map(ord, characters))] = kind
    return known
