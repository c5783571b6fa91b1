"""The pictures of a run: its losses, those of several, and a small one in a notebook."""

import math
import re
import sys
from pathlib import Path

import pytest

from minigpt.drawing import LIGHT, new_figure
from minigpt.training import History, plot_losses
from minigpt.training.plots import smoothed

RECORDS = [{"step": n, "train_loss": 4.0 / n, "val_loss": 4.5 / n} for n in (1, 2, 3)]
HISTORY = History([{"step": n, "loss": 5.0 / n} for n in range(1, 4)], RECORDS)
needs_matplotlib = pytest.mark.usefixtures("_needs_matplotlib")


@pytest.fixture
def _needs_matplotlib() -> None:
    pytest.importorskip("matplotlib", reason="needs matplotlib: pip install 'minigpt[viz]'")


@needs_matplotlib
def test_the_lines_are_the_evaluations() -> None:
    axes = plot_losses(HISTORY, smoothing=0.5).axes[0]
    batches, mean, train, val = axes.get_lines()
    assert list(batches.get_ydata()) == [5.0, 2.5, 5.0 / 3]
    assert list(mean.get_ydata()) == smoothed([5.0, 2.5, 5.0 / 3], 0.5)
    assert list(train.get_ydata()) == [4.0, 2.0, 4.0 / 3]
    assert list(val.get_ydata()) == [4.5, 2.25, 1.5] and list(val.get_xdata()) == [1, 2, 3]
    names = [text.get_text() for text in axes.get_legend().get_texts()]
    assert names[0] == "each batch, and a running mean"
    assert names[1:] == ["training text, 1.333 at the end", "validation text, 1.500 at the end"]


@needs_matplotlib
def test_several_runs_have_a_colour_each() -> None:
    no_val = History(HISTORY.steps, [{"step": 3, "train_loss": 7.0}])
    no_evaluations = History(HISTORY.steps)
    runs = {"a": HISTORY, "_b": no_val, "c": no_evaluations}
    axes = plot_losses(runs, smoothing=0).axes[0]
    lines = axes.get_lines()
    assert [list(line.get_ydata()) for line in lines] == [
        [5.0, 2.5, 5.0 / 3], [4.5, 2.25, 1.5], [5.0, 2.5, 5.0 / 3], [7.0], [5.0, 2.5, 5.0 / 3],
    ]  # fmt: skip
    colors = [line.get_color() for line in lines]
    assert colors[0] == colors[1] == LIGHT.lines[0] and colors[2] == colors[3] == LIGHT.lines[1]
    names = [text.get_text() for text in axes.get_legend().get_texts()]
    assert names == ["a, 1.500 at the end", "_b, 7.000 at the end", "c, 1.667 at the end"]


@needs_matplotlib
def test_more_runs_than_colours_differ_in_their_dashes() -> None:
    axes = plot_losses({str(n): HISTORY for n in range(9)}).axes[0]
    styles = {(line.get_color(), line.get_linestyle()) for line in axes.get_lines()}
    assert len(styles) == 9


def test_a_running_mean_forgets_and_passes_over_what_is_no_number() -> None:
    losses = [4.0, math.nan, 2.0, math.inf, 3.0]
    means = smoothed(losses, 0.5)
    assert means[:2] == [4.0, 4.0] and means[3] == means[2]
    assert means[4] == pytest.approx((4.0 / 4 + 2.0 / 2 + 3.0) / (1 / 4 + 1 / 2 + 1))
    assert smoothed(losses[:1] + losses[2:3], 0) == [4.0, 2.0]
    assert math.isnan(smoothed([math.nan], 0.9)[0])


def test_without_matplotlib_one_line_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)  # as if it were not installed
    with pytest.raises(ImportError, match=r"pip install \"minigpt\[viz\]\""):
        HISTORY.plot(tmp_path / "loss.png")


@needs_matplotlib
def test_history_plots_itself(tmp_path: Path) -> None:
    figure = HISTORY.plot(tmp_path / "loss.svg")
    assert (tmp_path / "loss.svg").read_text(encoding="utf-8").count("<svg") == 1
    axes = figure.add_subplot()
    assert HISTORY.plot(ax=axes) is figure
    assert len(axes.get_lines()) == 4
    HISTORY.plot(tmp_path / "loss.png", theme="dark")
    assert (tmp_path / "loss.png").read_bytes().startswith(b"\x89PNG")


@needs_matplotlib
def test_a_part_of_a_figure_is_drawn_on(tmp_path: Path) -> None:
    figure = new_figure(8, 3)
    part = figure.subfigures(1, 2)[1]
    assert HISTORY.plot(tmp_path / "loss.png", ax=part.add_subplot()) is figure


@pytest.mark.parametrize(
    ("histories", "options", "error", "said"),
    [
        (History(), {}, ValueError, "the history is empty: train first, then draw"),
        ({"a": HISTORY, "b": History()}, {}, ValueError, "the history 'b' is empty"),
        ({}, {}, ValueError, "histories must be one at least"),
        ([HISTORY], {}, TypeError, "histories must be a History, or several by name"),
        ({1: HISTORY}, {}, TypeError, "a name in histories must be a str"),
        (HISTORY, {"smoothing": 1}, ValueError, "smoothing must be a probability"),
        (HISTORY, {"theme": "grey"}, ValueError, 'theme must be "light" or "dark"'),
    ],
)
def test_bad_arguments(histories, options, error, said) -> None:
    with pytest.raises(error, match=said):
        plot_losses(histories, **options)


def test_a_notebook_shows_a_small_curve() -> None:
    page = HISTORY._repr_html_()
    assert page.startswith("<div>History(3 steps, 3 evaluations, ")
    assert "lowest val_loss 1.5000 at step 3" in page
    lines = re.findall(r'<polyline points="([^"]+)"', page)
    assert len(lines) == 3
    for line in lines:
        places = [tuple(map(float, pair.split(","))) for pair in line.split()]
        assert all(0 <= x <= 280 and 0 <= y <= 90 for x, y in places)
        assert [x for x, _ in places] == sorted(x for x, _ in places)
        heights = [y for _, y in places]
        assert heights == sorted(heights)  # the losses fall: their places go down the page
    assert ">4.50<" in page or ">5.00<" in page


def test_the_small_curve_of_few_or_strange_numbers() -> None:
    assert "<svg" not in History()._repr_html_()
    assert "<svg" not in History([{"step": 1, "loss": 2.0}])._repr_html_()
    strange = History([{"step": n, "loss": math.nan if n == 2 else 1.0} for n in range(1, 500)])
    page = strange._repr_html_()
    assert "nan" not in page and len(page) < 6000
