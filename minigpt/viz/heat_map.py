"""A matrix as shades, with a label for each row and column: what most pictures here are made of."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from minigpt.autograd import Array
from minigpt.drawing import Lettering, Theme, breadth

POINTS_AN_INCH = 72
SMALLEST, LARGEST = 0.15, 0.62  # inches of a cell that has a label
ONE_BY_ONE = 400  # rows or columns, of which each is seen; of more, neighbours are mixed
LABEL = 0.085  # inches of a letter of a label
LETTERS = 8.5, 6.0  # points of a label, where cells are large, and where they are small


def cell_size(n: int, side: float = 4.6) -> float:
    """Inches of a cell, of n in a row: as large as letters need, and no larger than looks well."""
    return min(max(side / n, SMALLEST), LARGEST)


def width_of(labels: Sequence[str]) -> float:
    """Inches that labels take, about."""
    return LABEL * max(map(breadth, labels), default=0) + 0.15


def draw_matrix(
    axes: Any, matrix: Array, colormap: Any, low: float, high: float, extent: Any = None
) -> Any:
    """The matrix, its first row on top; cells that are NaN have the colour of what is not seen."""
    image = axes.imshow(
        np.ma.masked_invalid(matrix), cmap=colormap, vmin=low, vmax=high, extent=extent,
        interpolation="nearest" if max(matrix.shape) <= ONE_BY_ONE else "auto", aspect="auto",
    )  # fmt: skip
    axes.set(xticks=[], yticks=[])
    return image


def label_axes(
    axes: Any, theme: Theme, rows: Sequence[str], columns: Sequence[str], cell: float = LARGEST
) -> None:
    """Labels at the left and below, at every cell, or at every second, third, … where too many."""
    write = Lettering([*rows, *columns])
    every = max(1, math.ceil(SMALLEST * 0.8 / cell))
    size = letters(cell * every)
    style = write.style(fontsize=size, color=theme.ink)
    shown = [write(label) for label in rows[::every]]
    axes.set_yticks(range(0, len(rows), every), shown, **style)
    longest = max(map(breadth, columns), default=0)
    turned = 90 if longest * size * 0.62 > cell * every * POINTS_AN_INCH else 0
    shown = [write(label) for label in columns[::every]]
    axes.set_xticks(range(0, len(columns), every), shown, rotation=turned, **style)
    axes.tick_params(length=0, pad=3)


def letters(cell: float) -> float:
    """The size in points of the letters of a row that is so many inches high."""
    return max(min(LETTERS[0], cell * POINTS_AN_INCH * 0.72), LETTERS[1])


def write_numbers(axes: Any, theme: Theme, matrix: Array, colormap: Any, cell: float) -> None:
    """Each number in its cell, on 0 to 1, in ink or paper: whichever can be read on it."""
    size = min(LETTERS[0], cell * POINTS_AN_INCH * 0.36)
    for (i, j), value in np.ndenumerate(matrix):
        if np.isfinite(value):
            color = readable_on(colormap(float(value)), theme)
            axes.text(j, i, f"{value:.2f}", color=color, fontsize=size, ha="center", va="center")


def readable_on(color: tuple[float, float, float, float], theme: Theme) -> str:
    """Ink or paper, whichever differs more from a colour in lightness, L of CIE 1976."""
    from matplotlib.colors import to_rgb

    def lightness(rgb: Sequence[float]) -> float:
        red, green, blue = (x**2.2 for x in rgb[:3])
        return float(0.2126 * red + 0.7152 * green + 0.0722 * blue) ** (1 / 3)

    return max(
        (theme.ink, theme.paper), key=lambda name: abs(lightness(to_rgb(name)) - lightness(color))
    )


def color_bar(axes: Any, theme: Theme, image: Any, label: str) -> Any:
    """A scale beside the drawing."""
    bar = axes.figure.colorbar(image, ax=axes, shrink=0.7, aspect=24, pad=0.02)
    bar.outline.set_visible(False)
    bar.ax.tick_params(length=0, labelsize=8, labelcolor=theme.muted)
    bar.set_label(label, color=theme.muted, fontsize=8)
    return bar
