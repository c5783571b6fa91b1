"""Figures without a screen, that notebooks show, and that leave nothing behind."""

import gc
import io
import os
import subprocess
import sys
import weakref

import numpy as np
import pytest

from minigpt.drawing import DARK, LIGHT, axes_for, figure_of, legend, new_figure

pytest.importorskip("matplotlib", reason="needs matplotlib: pip install 'minigpt[viz]'")


def drawn(theme="light"):
    figure = new_figure(2, 1, theme)
    figure.add_subplot().plot([1, 2], [3, 4])
    return figure


def test_a_notebook_shows_the_figure_by_itself():
    formatter = pytest.importorskip("IPython.core.formatters").DisplayFormatter()
    data, metadata = formatter.format(drawn())
    assert data["image/png"].startswith(b"\x89PNG")
    assert metadata["image/png"] == {"width": 160, "height": 80}


def test_a_notebook_gets_few_bytes_in_colours_that_nobody_could_tell_apart():
    images = pytest.importorskip("PIL.Image")
    figure = new_figure(4, 2)
    axes = figure.subplots(1, 2)
    axes[0].imshow(np.linspace(-1, 1, 4096).reshape(64, 64), cmap="PuOr")
    for number in range(5):
        axes[1].plot([0, 1], [number, 1 - number])
    figure._repr_png_()  # the layout settles
    whole = io.BytesIO()
    figure.savefig(whole, format="png", dpi=160)
    content, _ = figure._repr_png_()
    assert len(content) < 0.6 * len(whole.getvalue())
    shown, drawn = (
        np.asarray(images.open(file).convert("RGB"), float) for file in (io.BytesIO(content), whole)
    )
    assert np.abs(shown - drawn).max() <= 12  # of 255


def test_pyplot_never_hears_of_it():
    """So no figure is kept, and no window opened; in a process of its own, without a display."""
    code = (
        "from minigpt.drawing import new_figure; import sys\n"
        "figure = new_figure(2, 1)\n"
        "figure.add_subplot().plot([1, 2])\n"
        "figure._repr_png_()\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    environment = {n: v for n, v in os.environ.items() if n not in ("DISPLAY", "WAYLAND_DISPLAY")}
    environment["MPLBACKEND"] = "TkAgg"  # which needs a display
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)


def test_it_is_gone_when_nobody_holds_it():
    figure = drawn()
    figure._repr_png_()
    seen = weakref.ref(figure)
    del figure
    gc.collect()
    assert seen() is None


@pytest.mark.parametrize(
    ("kind", "start"), [("svg", b"<?xml"), ("png", b"\x89PNG"), ("pdf", b"%PDF")]
)
def test_the_same_picture_gives_the_same_file(kind, start):
    files = [io.BytesIO(), io.BytesIO()]
    for file in files:
        drawn().savefig(file, format=kind)
    assert files[0].getvalue() == files[1].getvalue()
    assert files[0].getvalue().startswith(start)


def test_the_ending_says_the_format(tmp_path):
    drawn("dark").savefig(tmp_path / "picture.svg")
    assert DARK.paper in (tmp_path / "picture.svg").read_text(encoding="utf-8")
    with pytest.raises(ValueError, match="fname must be a path"):
        drawn().savefig("")


def test_the_paper_says_the_theme_of_axes_that_are_given():
    black, white = new_figure(1, 1, "dark").add_subplot(), new_figure(1, 1).add_subplot()
    assert axes_for(black, None, 9, 9) == (black, DARK)
    assert axes_for(white, None, 9, 9) == (white, LIGHT)
    assert axes_for(white, "dark", 9, 9) == (white, DARK)
    assert white.figure.get_facecolor()[:3] == pytest.approx([17 / 255, 21 / 255, 28 / 255])


def test_the_figure_of_axes_in_a_part_of_it_is_the_whole():
    figure = new_figure(2, 1)
    assert figure_of(figure.subfigures(1, 2)[0].add_subplot()) is figure
    assert figure_of(figure.add_subplot()) is figure


def test_a_legend_shows_any_name():
    axes = new_figure(2, 1).add_subplot()
    (line,) = axes.plot([1, 2])
    made = legend(axes, LIGHT, {"_hidden $x$": line})
    assert [text.get_text() for text in made.get_texts()] == ["_hidden $x$"]
    assert not made.get_texts()[0].get_parse_math()


@pytest.mark.parametrize("ax", ["axes", 3, new_figure])
def test_what_are_no_axes_is_refused(ax):
    with pytest.raises(TypeError, match="ax must be the axes of a matplotlib figure: got"):
        axes_for(ax, None, 1, 1)
