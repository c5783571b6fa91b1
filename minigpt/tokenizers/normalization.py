"""Unicode's normal form C, for tokenizers that bring a text to it before they split it.

The letter é may be written as one character, U+00E9, or as e with an accent after it, U+0065
U+0301. In form C (Unicode Standard Annex 15) it is always the one character, where there is one,
and several marks after a letter stand in one order. Qwen's tokenizers learned from such texts.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any

from minigpt.tokenizers.base import check_characters

# What joins the character before it is a mark (category M), or one of the letters that Hangul
# syllables are made of. Before any other character a text can be cut: the form of the whole is the
# forms of the parts, one after the other.
STARTS_ANEW = r"[^\p{M}\u1100-\u11ff]"


def in_form_c(parts: Iterable[Any]) -> Iterator[Any]:
    """The parts of a text (see ``added_tokens``), each run of plain strings brought to form C.

    A run is treated as one text, wherever it is cut into pieces.

    Raises:
        ValueError: a lone surrogate.

    Example:
        >>> list(in_form_c([("cafe", 0), ("\u0301!", 4), (7, 6)]))
        [('caf', 0), ('é', 3), ('!', 5), (7, 6)]
    """
    import regex  # not before it is needed: importing it takes a while

    last_start = regex.compile("(?r)" + STARTS_ANEW)  # (?r) searches from the end
    for is_text, run in groupby(parts, key=lambda part: isinstance(part[0], str)):
        if not is_text:
            yield from run
            continue
        held: list[str] = []  # from a character that starts anew, which marks may follow
        place = 0  # of what is held
        for piece, start in run:
            found = last_start.search(check_characters(piece, start))
            if found is not None:
                if done := "".join(held) + piece[: found.start()]:
                    yield unicodedata.normalize("NFC", done), place if held else start
                held, piece, start = [], piece[found.start() :], start + found.start()
            place = place if held else start
            held.append(piece)
        if held:
            yield unicodedata.normalize("NFC", "".join(held)), place
