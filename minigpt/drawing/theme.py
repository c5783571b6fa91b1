"""The colours of pictures, on white paper and on black.

Lines have the colours of Okabe & Ito 2008, "Color Universal Design", which colour-blind eyes tell
apart, a little lighter on black. What is shown by a shade rises evenly in lightness, from the paper
for nothing at all; what has a sign goes two ways, blue above 0 and orange below, which no common
kind of colour-blindness confuses.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from minigpt import checks

ThemeName = Literal["light", "dark"]
DASHES = ("solid", "dashed", "dotted", "dashdot")


@dataclass(frozen=True)
class Theme:
    """The colours of a picture.

    Attributes:
        paper: behind everything.
        ink: letters, and what is read first.
        muted: letters that are read second: units, legends, axes.
        faint: lines that only guide the eye.
        unseen: of cells that hold no number, such as tokens that a mask hides.
        lines: of lines and bars, in the order in which they are used.
        shades: from 0 to 1.
        signed: from −1 over 0 to 1.
    """

    paper: str
    ink: str
    muted: str
    faint: str
    unseen: str
    lines: tuple[str, ...]
    shades: tuple[str, ...]
    signed: tuple[str, ...]

    def line(self, number: int) -> dict[str, str]:
        """The colour and the dashes of line 0, 1, 2, …: all colours first, then other dashes."""
        color, dashes = number % len(self.lines), number // len(self.lines) % len(DASHES)
        return {"color": self.lines[color], "linestyle": DASHES[dashes]}

    def shade_map(self) -> Any:
        """A matplotlib colormap from 0, which is the paper, to 1."""
        return self._colormap("shades", self.shades)

    def signed_map(self) -> Any:
        """A matplotlib colormap from −1 over 0, which is the paper, to 1."""
        return self._colormap("signed", self.signed)

    def round_map(self) -> Any:
        """A matplotlib colormap for angles: its two ends are one colour."""
        paper, (_, orange, _, blue, _) = self.paper, self.signed
        return self._colormap("round", (paper, blue, self.ink, orange, paper))

    def _colormap(self, name: str, colors: tuple[str, ...]) -> Any:
        from matplotlib.colors import LinearSegmentedColormap

        return LinearSegmentedColormap.from_list(name, colors).with_extremes(bad=self.unseen)


LIGHT = Theme(
    paper="#ffffff",
    ink="#1c2128",
    muted="#626b77",
    faint="#d8dce1",
    unseen="#eef0f2",
    lines=("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#5c5c5c"),
    shades=("#ffffff", "#cfe1f2", "#6aaed6", "#2171b5", "#08306b"),
    signed=("#8a3800", "#e8935a", "#ffffff", "#63a8d8", "#08407e"),
)
DARK = Theme(
    paper="#11151c",
    ink="#e8ebf0",
    muted="#9ba5b4",
    faint="#333b47",
    unseen="#1d232d",
    lines=("#56b4e9", "#f08a3c", "#1fc597", "#d98cb8", "#f0c53a", "#3f7fd0", "#dde2e9"),
    shades=("#11151c", "#123a5f", "#1c6aa8", "#56b4e9", "#e3f4ff"),
    signed=("#ffb98a", "#b3591f", "#11151c", "#1f70b5", "#a9daff"),
)
_THEMES: dict[str, Theme] = {"light": LIGHT, "dark": DARK}


def theme_of(name: object) -> Theme:
    """The theme of a name, "light" or "dark"."""
    return _THEMES[checks.one_of("theme", name, tuple(_THEMES))]
