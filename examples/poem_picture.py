"""Chinese poems as a picture: in columns, from the top to the bottom and from right to left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

# What the picture is drawn with lies on the reader's machine; each system has one of these.
FONTS = (
    "'Noto Serif CJK TC', 'Noto Serif TC', 'Source Han Serif TC', 'Songti TC', 'PMingLiU', "
    "'SimSun', 'Noto Sans CJK TC', 'WenQuanYi Micro Hei', serif"
)
PAPER, INK, PALE, GIVEN = "#fbf7ec", "#2b2622", "#8a7f72", "#a33327"
COLUMN, ROW, SIZE = 34, 31, 24  # from column to column and from character to character, and of one
TITLE_SIZE, TITLE_ROW, TITLE_COLUMN = 16, 20, 22
MARGIN, GAP, FOOT = 28, 44, 46


@dataclass(frozen=True)
class Written:
    """A poem to be drawn; of its lines the first was given."""

    title: str
    lines: Sequence[str]
    caption: str


def svg(poems: Sequence[Written]) -> str:
    """A picture of the poems side by side, the first at the left, as text in SVG.

    Nothing is needed to make it; a browser, whose machine has a font with Chinese, shows it.
    """
    rows = max([1, *(len(line) for poem in poems for line in poem.lines)])
    height = 2 * MARGIN + rows * ROW + FOOT
    parts, left = [], MARGIN
    for poem in poems:
        drawn, width = _panel(poem, left, rows)
        parts += drawn
        left += width + GAP
    width = left - GAP + MARGIN
    about = _shown("; ".join("，".join(poem.lines) for poem in poems))
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
            f'width="{width}" height="{height}" role="img" lang="zh-Hant" '
            f'font-family="{FONTS}" text-anchor="middle">',
            f"<title>{about}</title>",
            f'<rect width="{width}" height="{height}" fill="{PAPER}"/>',
            *parts,
            "</svg>\n",
        ]
    )


def _panel(poem: Written, left: int, rows: int) -> tuple[list[str], int]:
    """The columns of a poem, its title at their right and its caption below; and its width."""
    titles = _folded(poem.title, rows * ROW // TITLE_ROW)
    width = COLUMN * len(poem.lines) + TITLE_COLUMN * len(titles)
    right, top = left + width, MARGIN + SIZE
    drawn = []
    for i, column in enumerate(titles):
        x = right - TITLE_COLUMN * i - TITLE_COLUMN // 2
        drawn.append(_column(column, x, top, TITLE_ROW, f'font-size="{TITLE_SIZE}" fill="{PALE}"'))
    right -= TITLE_COLUMN * len(titles)
    for i, line in enumerate(poem.lines):
        x = right - COLUMN * i - COLUMN // 2
        ink = GIVEN if i == 0 else INK
        drawn.append(_column(line, x, top, ROW, f'font-size="{SIZE}" fill="{ink}"'))
    below = MARGIN + rows * ROW + FOOT
    drawn.append(
        f'<text x="{left + width / 2:g}" y="{below}" font-family="sans-serif" font-size="12" '
        f'fill="{PALE}">{_shown(poem.caption)}</text>'
    )
    return drawn, width


def _column(text: str, x: int, top: int, row: int, style: str) -> str:
    places = "".join(
        f'<tspan x="{x}" y="{top + row * i}">{_shown(c)}</tspan>' for i, c in enumerate(text)
    )
    return f"<text {style}>{places}</text>"


def _shown(text: str) -> str:
    """The text for SVG, which has no characters that control a terminal."""
    return escape("".join(c if c.isprintable() else "□" for c in text))


def _folded(title: str, most: int) -> list[str]:
    """The columns of a title, which have at most so many characters each."""
    return [title[i : i + most] for i in range(0, len(title), most)]
