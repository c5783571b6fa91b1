"""A run's history as a picture."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from minigpt.training.history import History

TRAIN, VAL, FAINT = "#9a9a9a", "#c0392b", "#d0d0d0"


def plot_history(history: History, path: str | os.PathLike[str]) -> Path:
    """Draw the losses over the steps, and save the picture.

    Every step's own loss is a faint dot; the lines are the evaluations.

    Args:
        history: of a run.
        path: where to; the ending says the format (``.png``, ``.svg``, ``.pdf``).

    Returns:
        The path.

    Raises:
        ImportError: matplotlib is missing; says how to install it.
        ValueError: the history is empty.
    """
    if not history.steps and not history.evaluations:
        raise ValueError("the history is empty: train first, then draw")
    figure = new_figure(figsize=(7, 4), layout="constrained")
    draw_history(figure.add_subplot(), history)
    figure.savefig(path, dpi=150)
    return Path(path)


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
    """A matplotlib figure that needs no screen.

    Raises:
        ImportError: matplotlib is missing; says how to install it.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise ImportError('no picture without matplotlib: pip install "minigpt[viz]"') from None
    return Figure(**options)
