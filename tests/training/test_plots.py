import builtins
from pathlib import Path

import pytest

from minigpt.training import History, plot_history

RECORDS = [{"step": n, "train_loss": 4.0 / n, "val_loss": 4.5 / n} for n in (1, 2, 3)]
HISTORY = History([{"step": n, "loss": 5.0 / n} for n in range(1, 4)], RECORDS)


def test_the_picture_is_written(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="needs matplotlib: pip install 'minigpt[viz]'")
    plot_history(HISTORY, tmp_path / "loss.png")
    assert (tmp_path / "loss.png").read_bytes().startswith(b"\x89PNG")


def test_the_lines_are_the_evaluations() -> None:
    figure = pytest.importorskip("matplotlib.figure", reason="needs matplotlib")
    from minigpt.training.plots import draw_history

    axes = figure.Figure().add_subplot()
    draw_history(axes, HISTORY)
    batches, train, val = axes.get_lines()
    assert list(batches.get_ydata()) == [5.0, 2.5, 5.0 / 3]
    assert list(train.get_ydata()) == [4.0, 2.0, 4.0 / 3]
    assert val.get_label() == "validation text, 1.500 at the end"


def test_without_matplotlib_one_line_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def without_matplotlib(name: str, *rest: object) -> object:
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return real(name, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(builtins, "__import__", without_matplotlib)
    with pytest.raises(ImportError, match=r"pip install \"minigpt\[viz\]\""):
        plot_history(HISTORY, tmp_path / "loss.png")


def test_history_plots_itself(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="needs matplotlib")
    figure = HISTORY.plot(tmp_path / "loss.svg")
    assert (tmp_path / "loss.svg").read_text().count("<svg") == 1
    assert figure._repr_png_().startswith(b"\x89PNG")  # this is what a notebook shows
    axes = figure.add_subplot()
    assert HISTORY.plot(ax=axes) is figure
    assert len(axes.get_lines()) == 3


def test_an_empty_history_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="empty"):
        History().plot(tmp_path / "loss.png")
