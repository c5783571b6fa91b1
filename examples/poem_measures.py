"""What is right about poems that were written: their form, their rhymes, and that they are new."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from task_data import tang_poems


class Beginning(NamedTuple):
    """What a poem is asked for by: the name of its form, and its first line."""

    form: str
    first: str


class Measures:
    """Measures of poems, by the poems that were trained on.

    Args:
        training: what a line may be copied from, and where rhymes are looked up: two characters
            rhyme that end even lines of one poem.
    """

    def __init__(self, training: Iterable[tang_poems.Poem]) -> None:
        self.lines: set[str] = set()
        self.rhymes: set[tuple[str, str]] = set()
        for poem in training:
            self.lines.update(poem.lines)
            self.rhymes.update(itertools.permutations({line[-1] for line in poem.lines[1::2]}, 2))

    def of(self, beginnings: Sequence[Beginning], texts: Sequence[str]) -> list[str]:
        """How many texts keep their form, how many lines are copied, how many line ends rhyme."""
        kept, lines, rhymes = [], [], []
        for beginning, text in zip(beginnings, texts, strict=True):
            kept.append(keeps_form(beginning, text))
            lines += [line in self.lines for line in lines_of(text)[1:]]
            if kept[-1]:
                rhymes += [pair in self.rhymes for pair in neighbouring_ends(lines_of(text))]
        return [_share(kept), f"{sum(lines):,} of {len(lines):,}", _share(rhymes)]


def keeps_form(beginning: Beginning, text: str) -> bool:
    """Whether the text is a poem as asked for: its lines, their characters, their signs.

    Example:
        >>> asked = Beginning("wujue", "一二三四五")
        >>> keeps_form(asked, "一二三四五，六七八九十。上下左右中，東西南北方。")
        True
        >>> keeps_form(asked, "一二三四五，六七八九十。上下左右中。東西南北方。")
        False
    """
    lines = tang_poems.regular_lines(text)
    if lines is None or lines[0] != beginning.first:
        return False
    return tang_poems.Poem("", lines).form == beginning.form


def lines_of(text: str) -> list[str]:
    """The lines of a text, whatever their number and length.

    Example:
        >>> lines_of("一二三，四五。六")
        ['一二三', '四五', '六']
    """
    return [line for line in re.split("[，。]", text) if line]


def neighbouring_ends(lines: Sequence[str]) -> list[tuple[str, str]]:
    """The last characters of even lines that follow each other: they are to rhyme.

    Example:
        >>> neighbouring_ends(["甲乙", "丙丁", "戊己", "庚辛"])
        [('丁', '辛')]
    """
    return list(itertools.pairwise(line[-1] for line in lines[1::2]))


def _share(found: Sequence[bool]) -> str:
    return f"{sum(found) / len(found):.0%} of {len(found):,}" if found else "–"
