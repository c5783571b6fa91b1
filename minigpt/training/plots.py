"""A run's history as a picture, several in one, and a small one that needs no matplotlib."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from minigpt import checks
from minigpt.drawing import Theme, ThemeName, axes_for, dress, figure_of, legend
from minigpt.drawing.array_html import escape

if TYPE_CHECKING:
    from minigpt.training.history import History

SMALL = (280, 90)  # pixels of the curve in a notebook
SMALL_POINTS = 140  # of a curve there


def plot_losses(
    histories: History | Mapping[str, History],
    *,
    smoothing: float = 0.9,
    path: str | os.PathLike[str] | None = None,
    ax: Any = None,
    theme: ThemeName | None = None,
) -> Any:
    """The losses of a run over its steps, or those of several runs in one picture.

    Of one run, every step's own loss is a faint dot, with a line through the dots; the evaluations
    on the training and the validation text are marked. Of several, each has a colour: a thin line
    through the losses of its steps, a strong one through the evaluations on the validation text
    (the training text where there is no other).

    Args:
        histories: a run's history, or several by name.
        smoothing: β of the line through the steps' losses, their mean over about 1/(1 − β) steps
            (:func:`smoothed`); 0: no such line of one run, every loss of several.
        path: where to save the picture, too; the ending says the format (``.png``, ``.svg``,
            ``.pdf``).
        ax: the axes of a matplotlib figure to draw on; None: those of a new one.
        theme: "light" or "dark"; None: as the figure of ``ax``, else light.

    Returns:
        The figure.

    Raises:
        ImportError: matplotlib is missing; says how to install it.
        ValueError: a history is empty, or there is none.

    Example:
        >>> from minigpt.training import History
        >>> history = History(steps=[{"step": 1, "loss": 4.0}, {"step": 2, "loss": 3.0}])
        >>> try:
        ...     import matplotlib
        ... except ImportError:
        ...     print("cross-entropy (nats per token)")
        ... else:
        ...     print(plot_losses(history).axes[0].get_ylabel())
        cross-entropy (nats per token)
    """
    runs = _check(histories, smoothing)
    axes, colors = axes_for(ax, theme, 7, 4)
    if isinstance(histories, Mapping):
        entries = _several(axes, colors, runs, smoothing)
    else:
        entries = _one(axes, colors, runs[""], smoothing)
    axes.set_xlabel("step")
    axes.set_ylabel("cross-entropy (nats per token)")
    dress(axes, colors)
    axes.grid(axis="y", color=colors.faint, linewidth=0.5)
    axes.set_axisbelow(True)
    legend(axes, colors, entries)
    if path is not None:
        figure_of(axes).savefig(checks.path("path", path))
    return figure_of(axes)


def smoothed(values: Sequence[float], beta: float) -> list[float]:
    """The mean of the values so far, those long past counting less: m̂ₜ of xₜ.

        mₜ = β mₜ₋₁ + (1 − β) xₜ,   m̂ₜ = mₜ / (1 − βᵗ)        (Kingma & Ba 2015, §3)

    m starts at 0, which the division corrects. A value that is not a number counts for nothing.

    Example:
        >>> [round(x, 3) for x in smoothed([4.0, 2.0, 2.0], beta=0.5)]
        [4.0, 2.667, 2.286]
    """
    m, weight, means = 0.0, 0.0, []
    for x in values:
        if math.isfinite(x):
            m = beta * m + (1 - beta) * x
            weight = beta * weight + (1 - beta)  # 1 − βᵗ
        means.append(m / weight if weight else math.nan)
    return means


def _one(axes: Any, colors: Theme, history: History, smoothing: float) -> dict[str, Any]:
    """Draw one run; what the legend says of it."""
    entries = {}
    if history.steps:
        steps, losses = (history.column(name, "steps") for name in ("step", "loss"))
        dots = {"color": colors.muted, "markersize": 3, "markeredgewidth": 0, "rasterized": True}
        (entry,) = axes.plot(steps, losses, ".", alpha=0.4, zorder=1, **dots)
        if smoothing:
            line = {"color": colors.muted, "linewidth": 1}
            (entry,) = axes.plot(steps, smoothed(losses, smoothing), zorder=2, **line)
        entries["each batch" + ", and a running mean" * bool(smoothing)] = entry
    for split, text, color in (("train", "training", 0), ("val", "validation", 1)):
        if seen := _evaluations(history, f"{split}_loss"):
            entry = f"{text} text, {seen[1][-1]:.3f} at the end"
            style = {"color": colors.lines[color], "markersize": 4, "linewidth": 1.5}
            (entries[entry],) = axes.plot(*seen, "o-", zorder=3, **style)
    return entries


def _several(
    axes: Any, colors: Theme, runs: Mapping[str, History], smoothing: float
) -> dict[str, Any]:
    """Draw several runs; what the legend says of them."""
    entries = {}
    for number, (name, history) in enumerate(runs.items()):
        style = colors.line(number)
        found = _evaluations(history, "val_loss") or _evaluations(history, "train_loss")
        if history.steps:
            steps, losses = (history.column(key, "steps") for key in ("step", "loss"))
            through = smoothed(losses, smoothing)
            thin = {"linewidth": 0.8, "alpha": 0.6 if found else 1, "zorder": 2}
            (entry,) = axes.plot(steps, through, **style, **thin)
            last = through[-1]
        if found:
            strong = {"marker": "o", "markersize": 4, "linewidth": 1.7, "zorder": 3}
            (entry,) = axes.plot(*found, **style, **strong)
            last = found[1][-1]
        entries[f"{name}, {last:.3f} at the end"] = entry
    return entries


def _evaluations(history: History, name: str) -> tuple[list[float], list[float]] | None:
    """The steps of the evaluations that have a value of that name, and the values."""
    seen = [record for record in history.evaluations if name in record]
    return ([r["step"] for r in seen], [r[name] for r in seen]) if seen else None


# ── in a notebook ─────────────────────────────────────────────────────────────────────────────


def history_html(history: History) -> str:
    """One line of words and a small curve, as HTML with SVG in it; drawn without matplotlib."""
    words = escape(repr(history))
    curves = []
    if history.steps:
        steps, losses = (history.column(name, "steps") for name in ("step", "loss"))
        curves.append((steps, smoothed(losses, 0.9), "rgba(128,128,128,.8)"))
    for name, color in (("train_loss", "#3d8fd1"), ("val_loss", "#e07b2e")):
        if seen := _evaluations(history, name):
            curves.append((*seen, color))
            low = min(range(len(seen[1])), key=lambda i: seen[1][i])
            lowest = f"{name} {seen[1][low]:.4f} at step {int(seen[0][low]):,}"
            words += f'<br><span style="color:{color}">●</span> lowest {lowest}'
    return f"<div>{words}{_curves_svg(curves)}</div>"


def _curves_svg(curves: list[tuple[list[float], list[float], str]]) -> str:
    """The curves in one frame, from the lowest of their values to the highest."""
    points = [(x, y) for xs, ys, _ in curves for x, y in zip(xs, ys, strict=True)]
    points = [point for point in points if math.isfinite(point[1])]
    if len(points) < 2:
        return ""
    (left, right), (low, high) = ((min(v), max(v)) for v in zip(*points, strict=True))
    width, height = SMALL

    def place(x: float, y: float) -> str:
        across = (x - left) / ((right - left) or 1)
        up = (y - low) / ((high - low) or 1)
        return f"{4 + (width - 50) * across:.1f},{height - 6 - (height - 12) * up:.1f}"

    lines = []
    for xs, ys, color in curves:
        every = math.ceil(len(xs) / SMALL_POINTS)
        kept = [*zip(xs[::every], ys[::every], strict=True), (xs[-1], ys[-1])]
        path = " ".join(place(x, y) for x, y in kept if math.isfinite(y))
        style = f'fill="none" stroke="{color}" stroke-width="1.6" stroke-linejoin="round"'
        lines.append(f'<polyline points="{path}" {style}/>')
    words = (
        f'<text x="{width - 42}" y="14">{high:.2f}</text>'
        f'<text x="{width - 42}" y="{height - 4}">{low:.2f}</text>'
    )
    return (
        f'<svg width="{width}" height="{height}" style="display:block" role="img" '
        'aria-label="losses over the steps">'
        f'{"".join(lines)}<g fill="currentColor" font-size="11">{words}</g></svg>'
    )


# ── checks ────────────────────────────────────────────────────────────────────────────────────


def _check(histories: object, smoothing: object) -> dict[str, History]:
    """The histories by name; of a single one the name is ""."""
    checks.probability("smoothing", smoothing, "0 draws what is there")
    runs: dict[str, Any] = dict(histories) if isinstance(histories, Mapping) else {"": histories}
    if not runs:
        raise checks.wrong_value("histories", "one at least", histories)
    for name, history in runs.items():
        checks.text("a name in histories", name)
        if not (hasattr(history, "steps") and hasattr(history, "evaluations")):
            mend = "trainer.history is one; History.read(folder) reads that of a run"
            raise checks.wrong_type("histories", "a History, or several by name", history, mend)
        if not history.steps and not history.evaluations:
            which = f"the history {name!r}" if name else "the history"
            raise ValueError(f"{which} is empty: train first, then draw")
    return runs
