"""Many maps of one size in one drawing: a picture of 12 layers of 12 heads is drawn at once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from minigpt.autograd import Array
from minigpt.drawing import Lettering, Theme, axes_for, dress
from minigpt.viz.heat_map import draw_matrix, letters, width_of

LABELLED, LEGIBLE = 0.075, 0.14  # inches of a token: with less, not each has a label; enough
SMALLEST, LARGEST = 0.75, 2.4  # inches of a map
WIDEST, HIGHEST = 15.0, 24.0  # inches of the whole, where maps are not the smallest
GAP, NAME = 0.08, 0.17  # inches between two maps, and of a name between them


@dataclass
class Mosaic:
    """Maps in rows, each (T, S).

    Attributes:
        maps: row by row; rows may be of different lengths.
        row_names: at the right of each row.
        column_names: above each column.
        names: above each map, in place of both.
    """

    maps: list[list[Array]]
    row_names: Sequence[str] = ()
    column_names: Sequence[str] = ()
    names: Sequence[Sequence[str]] = ()

    @classmethod
    def in_lines(cls, maps: list[Array], names: Sequence[str]) -> Mosaic:
        """Maps with a name each, in full lines where that goes, somewhat wider than high."""
        n = len(maps)
        widths = range(math.ceil(math.sqrt(n)), math.ceil(math.sqrt(2.5 * n)) + 1)
        across = n if n <= 4 else min(widths, key=lambda w: (-n % w, abs(w - math.sqrt(1.6 * n))))
        starts = range(0, n, across)
        return cls(
            [maps[i : i + across] for i in starts], names=[names[i : i + across] for i in starts]
        )

    def draw(
        self, rows: list[str], columns: list[str], ax: Any, theme: str | None
    ) -> tuple[Any, Theme]:
        """Draw them; the labels stand at the first map of each row, and below the last row."""
        t, s = self.maps[0][0].shape
        n_rows, n_columns = len(self.maps), max(map(len, self.maps))
        side = min(max(max(t, s) * LEGIBLE, 1.8), LARGEST)  # inches of a map
        side = max(min(side, WIDEST / n_columns, HIGHEST / n_rows), SMALLEST)
        cell = side / max(t, s)
        # From one map to the next, in cells: the axes count cells.
        step = t + (GAP + NAME * bool(self.names)) / cell, s + GAP / cell
        bottom, right = step[0] * (n_rows - 1) + t, step[1] * (n_columns - 1) + s
        size = right * cell + width_of(rows) + 0.5, bottom * cell + width_of(columns) + 0.5
        axes, colors = axes_for(ax, theme, *size)
        shades = colors.shade_map()
        for i, line in enumerate(self.maps):
            for j, values in enumerate(line):
                y, x = i * step[0], j * step[1]
                draw_matrix(axes, values, shades, 0, 1, extent=(x, x + s, y + t, y))
        axes.set(xlim=(0, right), ylim=(bottom, 0), aspect="equal")
        dress(axes, colors, spines=())
        self._write_names(axes, colors, step, (t, s), right)
        self._label(axes, colors, step, rows, columns, cell)
        return axes, colors

    def _write_names(
        self, axes: Any, colors: Theme, step: tuple[float, float], size: tuple[int, int], end: float
    ) -> None:
        above = {"ha": "center", "va": "bottom", "xytext": (0, 2)}
        beside = {"ha": "left", "va": "center", "xytext": (4, 0)}
        style = {"color": colors.muted, "fontsize": 8, "textcoords": "offset points"}
        middle = size[1] / 2
        for j, name in enumerate(self.column_names):
            axes.annotate(name, (j * step[1] + middle, 0), **above, **style)
        for i, line in enumerate(self.names):
            for j, name in enumerate(line):
                axes.annotate(name, (j * step[1] + middle, i * step[0]), **above, **style)
        for i, name in enumerate(self.row_names):
            axes.annotate(name, (end, i * step[0] + size[0] / 2), **beside, **style)

    def _label(
        self,
        axes: Any,
        colors: Theme,
        step: tuple[float, float],
        rows: list[str],
        columns: list[str],
        cell: float,
    ) -> None:
        """The tokens, or every second, third, …, at the left of each line and below the last."""
        write, every = Lettering([*rows, *columns]), math.ceil(LABELLED / cell)
        style = write.style(fontsize=letters(cell * every), color=colors.ink)

        def ticks(labels: list[str], n: int, step: float) -> tuple[list[float], list[str]]:
            kept = range(0, len(labels), every)
            places = [i * step + place + 0.5 for i in range(n) for place in kept]
            return places, [write(labels[place]) for place in kept] * n

        axes.set_yticks(*ticks(rows, len(self.maps), step[0]), **style)
        axes.set_xticks(*ticks(columns, len(self.maps[-1]), step[1]), rotation=90, **style)
        axes.tick_params(length=0, pad=2)
