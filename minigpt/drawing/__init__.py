"""What every picture is drawn with: a figure that needs no screen, colours, fonts, and HTML.

Rooms that draw stand on upper floors (``minigpt.viz``, ``minigpt.training.plots``). matplotlib is
imported where a figure is made, and not before; the HTML that notebooks show needs none of it.
"""

from minigpt.drawing.figure import axes_for, check_canvas, dress, figure_of, legend, new_figure
from minigpt.drawing.fonts import Lettering, breadth
from minigpt.drawing.theme import DARK, LIGHT, Theme, ThemeName

__all__ = [
    "DARK",
    "LIGHT",
    "Lettering",
    "Theme",
    "ThemeName",
    "axes_for",
    "breadth",
    "check_canvas",
    "dress",
    "figure_of",
    "legend",
    "new_figure",
]
