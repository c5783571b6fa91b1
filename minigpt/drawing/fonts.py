"""Fonts for any text: what no font of the machine can draw is written as an escape."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

FIRST = "DejaVu Sans"  # comes with matplotlib
FIRST_WIDE = 0x2E80  # of the code points; those of Chinese, Japanese and Korean follow
# Where several fonts have the same characters, Chinese ones come before Japanese and Korean ones,
# which write some of them in another way, and these before handwriting and the like.
CHINESE = (
    "Noto Sans CJK SC", "Noto Sans SC", "Source Han Sans SC", "Source Han Sans CN", "PingFang SC",
    "Hiragino Sans GB", "Microsoft YaHei", "WenQuanYi Micro Hei", "WenQuanYi Zen Hei", "SimHei",
    "Noto Sans CJK JP", "Noto Serif CJK SC",
)  # fmt: skip


class Lettering:
    r"""The fonts that some texts are written with, and how to write them.

    Args:
        texts: all that is to be written.

    Attributes:
        family: names of fonts; matplotlib takes each character from the first one that has it.

    Example:
        >>> try:
        ...     import matplotlib
        ... except ImportError:
        ...     print("a\\ue000")
        ... else:
        ...     print(Lettering(["a\ue000"])("a\ue000"))  # private use: no font's own
        a\ue000
    """

    def __init__(self, texts: Iterable[str]) -> None:
        self.family, self._drawn = _fonts_for(frozenset("".join(texts)))

    def __call__(self, text: str) -> str:
        r"""The text, with ``\u7c7b`` where there is nothing to draw a character with."""
        return "".join(c if c in self._drawn else ascii(c)[1:-1] for c in text)

    def style(self, **options: Any) -> dict[str, Any]:
        """What matplotlib is told of such a text: its fonts, and that "$x$" is no formula."""
        return {"family": list(self.family), "parse_math": False, **options}


def breadth(text: str) -> int:
    """How wide a text is, in letters, about; Chinese characters and their like are two wide.

    Example:
        >>> breadth("sat"), breadth("坐下")
        (3, 4)
    """
    return sum(1 + (ord(c) >= FIRST_WIDE) for c in text)


@lru_cache(maxsize=64)
def _fonts_for(characters: frozenset[str]) -> tuple[tuple[str, ...], frozenset[str]]:
    """Fonts that together have as many of the characters as any, and the characters they have."""
    from matplotlib.font_manager import findfont

    family = [FIRST]
    printable = {c for c in characters if c.isprintable()}
    missing = printable - _characters_in(findfont(FIRST), printable)
    installed = _installed() if missing else []
    found = [(name, _characters_in(path, missing)) for name, path in installed]
    found.sort(key=lambda font: _preference(font[0]))
    while missing and found:
        name, there = max(found, key=lambda font: len(font[1] & missing))
        if not there & missing:
            break
        family.append(name)
        missing = missing - there
    return tuple(family), frozenset(printable - missing)


def _installed() -> list[tuple[str, str]]:
    """The name and the path of every font of the machine that can be used."""
    from matplotlib.font_manager import findSystemFonts, fontManager

    known = {font.fname for font in fontManager.ttflist}
    for path in set(findSystemFonts()) - known:  # installed after matplotlib made its list
        with contextlib.suppress(Exception):  # one that cannot be read
            fontManager.addfont(path)
    # The last resort has a box for every character there is.
    fonts = fontManager.ttflist
    return [(f.name, f.fname) for f in fonts if not f.name.startswith("Last Resort")]


def _characters_in(path: str, wanted: set[str]) -> set[str]:
    """Which of the wanted characters a font has outlines for."""
    from matplotlib.ft2font import FT2Font

    try:
        font = FT2Font(path)
        codes = font.get_charmap() if font.scalable else {}
    except (OSError, RuntimeError):  # a font that is damaged, or gone
        return set()
    return {c for c in wanted if ord(c) in codes}


def _preference(name: str) -> int:
    return CHINESE.index(name) if name in CHINESE else len(CHINESE)
