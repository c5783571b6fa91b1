"""A matplotlib figure that needs no screen, that a notebook shows, and that leaves nothing behind.

``matplotlib.pyplot`` keeps every figure that it makes until it is closed, opens windows, and sets
things for the whole process. A figure made here is an object like any other: it is gone when nobody
holds it.
"""

from __future__ import annotations

import functools
import importlib
import io
import os
from collections.abc import Sequence
from typing import Any

from minigpt import checks
from minigpt.atomic import replacing
from minigpt.drawing.fonts import Lettering
from minigpt.drawing.theme import DARK, LIGHT, Theme, theme_of

INSTALL = 'no picture without matplotlib: pip install "minigpt[viz]"'
NOTEBOOK_PIXELS = 80  # an inch, as a notebook shows it
SHARPNESS = 2  # pixels of the picture for each of them, in either direction: screens are fine
SHADES = 256  # of a picture there: a third of the bytes, which notebooks carry about with them


def new_figure(width: float, height: float, theme: str | None = None) -> Any:
    """A matplotlib figure of so many inches, which shows itself in a notebook.

    It is an ordinary ``matplotlib.figure.Figure``: ``figure.savefig("picture.svg")`` writes it, the
    ending says the format. The same picture gives the same file, byte for byte.

    Args:
        width: in inches.
        height: in inches.
        theme: "light" or "dark"; "light" where None.

    Raises:
        ImportError: matplotlib is missing; says how to install it.
        ValueError: another theme.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> try:
        ...     import matplotlib
        ... except ImportError:
        ...     print("<?xml")
        ... else:
        ...     axes = new_figure(4, 3, theme="dark").subplots()
        ...     lines = axes.plot([1, 2, 4])
        ...     with tempfile.TemporaryDirectory() as folder:
        ...         axes.figure.savefig(f"{folder}/picture.svg")
        ...         print(Path(folder, "picture.svg").read_text(encoding="utf-8")[:5])
        <?xml
    """
    check_canvas(None, theme)
    from matplotlib.figure import Figure

    paper = (LIGHT if theme is None else theme_of(theme)).paper
    return _picture(Figure)(figsize=(width, height), facecolor=paper, layout="constrained")


@functools.cache
def _picture(figure_class: Any) -> Any:
    class Picture(figure_class):  # type: ignore[misc]
        """A figure that shows itself in a notebook."""

        def savefig(self, fname: Any, **options: Any) -> None:
            """As matplotlib's, at 150 pixels an inch unless told otherwise, and repeatable.

            A file is written whole, or after an error stays what it was.
            """
            import matplotlib

            if isinstance(fname, (str, os.PathLike)):
                path, drawn = checks.path("fname", fname), io.BytesIO()
                if not path.suffix:
                    path = path.with_name(f"{path.name}.{options.get('format') or 'png'}")
                self.savefig(drawn, **{"format": path.suffix[1:], **options})
                with replacing(path) as file:
                    file.write(drawn.getvalue())
                return
            kind = (options.get("format") or "png").lower()
            dated = {"svg": "Date", "pdf": "CreationDate", "ps": "CreationDate"}.get(kind)
            if dated:
                options["metadata"] = {dated: None, **(options.get("metadata") or {})}
            if (engine := self.get_layout_engine()) is not None:
                engine.execute(self)  # squares need room to be found twice: saving does it again
            with matplotlib.rc_context({"svg.hashsalt": "minigpt"}):
                super().savefig(fname, **{"dpi": 150, **options})

        def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
            drawn = io.BytesIO()
            self.savefig(drawn, format="png", dpi=NOTEBOOK_PIXELS * SHARPNESS)
            width, height = (round(NOTEBOOK_PIXELS * inches) for inches in self.get_size_inches())
            return _with_few_shades(drawn), {"width": width, "height": height}

    return Picture


def _with_few_shades(picture: io.BytesIO) -> bytes:
    """The same PNG with a palette; no pixel changes by more than an eye can see."""
    from PIL import Image  # matplotlib brings it along

    few = io.BytesIO()
    with Image.open(picture) as image:
        method, dither = Image.Quantize.MAXCOVERAGE, Image.Dither.NONE
        shades = image.convert("RGB").quantize(SHADES, method=method, dither=dither)
        shades.save(few, format="png", optimize=True)
    return few.getvalue()


def axes_for(ax: Any, theme: str | None, width: float, height: float) -> tuple[Any, Theme]:
    """The axes to draw on, and the colours to draw with.

    Args:
        ax: the axes of a figure of one's own; None: those of a new figure.
        theme: "light", "dark", or None: as the figure's paper is, and light in a new figure.
        width: of a new figure, in inches.
        height: of a new figure, in inches.

    Raises:
        ImportError: matplotlib is missing.
        TypeError: ``ax`` is something else.
        ValueError: another theme.
    """
    if ax is None:
        axes = new_figure(width, height, theme).add_subplot()
        return axes, LIGHT if theme is None else theme_of(theme)
    check_canvas(ax, theme)
    if theme is None:
        return ax, _theme_like(figure_of(ax).get_facecolor())
    colors = theme_of(theme)
    figure_of(ax).set_facecolor(colors.paper)
    return ax, colors


def figure_of(axes: Any) -> Any:
    """The whole figure that axes stand in, also where they stand in a part of it, a subfigure."""
    return axes.figure.figure


def dress(axes: Any, theme: Theme, *, spines: Sequence[str] = ("left", "bottom")) -> None:
    """Give what stands around the drawing its colours; only the named edges stay."""
    axes.set_facecolor(theme.paper)
    axes.title.set_color(theme.ink)
    for axis in (axes.xaxis, axes.yaxis):
        axis.label.set_color(theme.muted)
    axes.tick_params(which="both", color=theme.faint, labelcolor=theme.ink)
    for name, spine in axes.spines.items():
        spine.set_visible(name in spines)
        spine.set_color(theme.faint)


def legend(axes: Any, theme: Theme, entries: dict[str, Any], **options: Any) -> Any:
    """A legend without a frame of lines and bars by their names, which may be any text."""
    write = Lettering(entries)
    made = axes.legend([*entries.values()], ["x"] * len(entries), frameon=False, **options)
    for text, name in zip(made.get_texts(), entries, strict=True):
        text.set(text=write(name), color=theme.ink, **write.style())
    return made


def _theme_like(paper: Any) -> Theme:
    """The theme whose paper is as light as that; what is transparent counts as white."""
    red, green, blue, alpha = paper
    lightness = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    return DARK if alpha * lightness + (1 - alpha) < 0.5 else LIGHT


def check_canvas(ax: Any, theme: str | None) -> None:
    """Raise what :func:`axes_for` would raise: for those who have much to compute before they draw.

    Raises:
        ImportError: matplotlib is missing; says how to install it.
        TypeError: ``ax`` is something else than axes.
        ValueError: another theme.
    """
    if theme is not None:
        theme_of(theme)
    try:
        importlib.import_module("matplotlib.figure")
    except ImportError:
        raise ImportError(INSTALL) from None
    if ax is not None and not (hasattr(ax, "imshow") and hasattr(ax, "spines")):
        mend = "figure.add_subplot() makes some; leave ax out for a new figure"
        raise checks.wrong_type("ax", "the axes of a matplotlib figure", ax, mend)
