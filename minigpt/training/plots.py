"""A run's history as a picture."""

from __future__ import annotations

import functools
import io
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from minigpt.training.history import History

TRAIN, VAL, FAINT = "#9a9a9a", "#c0392b", "#d0d0d0"


def plot_history(
    history: History, path: str | os.PathLike[str] | None = None, ax: Any = None
) -> Any:
    """The figure with the losses of a run; see :meth:`minigpt.History.plot`."""
    if not history.steps and not history.evaluations:
        raise ValueError("the history is empty: train first, then draw")
    if ax is None:
        ax = new_figure(figsize=(7, 4), layout="constrained").add_subplot()
    draw_history(ax, history)
    if path is not None:
        ax.figure.savefig(path, dpi=150)
    return ax.figure


def draw_history(axes: Any, history: History) -> None:
    """The losses of a run on the axes of a matplotlib figure."""
    if history.steps:
        steps, losses = (history.column(name, "steps") for name in ("step", "loss"))
        axes.plot(steps, losses, ".", color=FAINT, markersize=2, label="each batch", zorder=1)
    for name, color, label in (
        ("train_loss", TRAIN, "training text"),
        ("val_loss", VAL, "validation text"),
    ):
        seen = [record for record in history.evaluations if name in record]
        if seen:
            xs, ys = ([record[key] for record in seen] for key in ("step", name))
            final = f"{label}, {ys[-1]:.3f} at the end"
            axes.plot(xs, ys, "o-", color=color, markersize=3, label=final)
    axes.set_xlabel("step")
    axes.set_ylabel("cross-entropy (nats per token)")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)


def new_figure(**options: Any) -> Any:
    """A matplotlib figure that needs no screen, and that a notebook shows.

    Raises:
        ImportError: matplotlib is missing; says how to install it.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise ImportError('no picture without matplotlib: pip install "minigpt[viz]"') from None
    return _shown_in_notebooks(Figure)(**options)


@functools.cache
def _shown_in_notebooks(figure_class: Any) -> Any:
    class Picture(figure_class):  # type: ignore[misc]
        def _repr_png_(self) -> bytes:
            content = io.BytesIO()
            self.savefig(content, format="png", dpi=100)
            return content.getvalue()

    return Picture
