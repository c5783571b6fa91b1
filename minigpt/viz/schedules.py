"""Learning rates over the steps: of schedules, of configurations, of runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from minigpt import checks
from minigpt.drawing import ThemeName, axes_for, dress, figure_of, legend
from minigpt.training import History, TrainerConfig
from minigpt.training.optimization import learning_rate_of
from minigpt.training.run import with_warmup

Schedule = Callable[[int], float] | TrainerConfig | History


def schedules(
    rates: Schedule | Mapping[str, Schedule],
    *,
    steps: int | None = None,
    ax: Any = None,
    theme: ThemeName | None = None,
) -> Any:
    """The learning rate over the steps of a run, or of several in one picture.

    Args:
        rates: a function from a step, counted from 0, to its learning rate; a TrainerConfig, whose
            schedule it is; a History, whose steps have had theirs. Or several by name.
        steps: how many; needed for functions and for a configuration without ``max_steps``.
        ax: the axes of a matplotlib figure to draw on; None: those of a new one.
        theme: "light" or "dark"; None: as the figure of ``ax``, else light.

    Returns:
        The figure.

    Raises:
        ImportError: matplotlib is missing; says how to install it.
        TypeError: something else than a schedule.
        ValueError: nobody says how many steps there are, or a history is empty.

    Example:
        >>> import minigpt as mg
        >>> config = mg.TrainerConfig(max_steps=100, learning_rate=1e-3, warmup_steps=10)
        >>> try:
        ...     import matplotlib
        ... except ImportError:
        ...     print(0.001)
        ... else:
        ...     (line,) = schedules(config).axes[0].get_lines()
        ...     print(line.get_ydata().max())
        0.001
    """
    named: dict[str, Any] = dict(rates) if isinstance(rates, Mapping) else {"": rates}
    curves = {name: _curve(name, schedule, steps) for name, schedule in named.items()}
    if not curves:
        raise checks.wrong_value("rates", "one schedule at least", rates)
    axes, colors = axes_for(ax, theme, 7, 3.2)
    entries = {}
    for number, (name, (xs, ys)) in enumerate(curves.items()):
        (entries[name],) = axes.plot(xs, ys, linewidth=1.7, **colors.line(number))
    axes.set(xlabel="step", ylabel="learning rate")
    axes.set_ylim(bottom=0)
    dress(axes, colors)
    axes.grid(axis="y", color=colors.faint, linewidth=0.5)
    axes.set_axisbelow(True)
    if isinstance(rates, Mapping):
        legend(axes, colors, entries)
    return figure_of(axes)


def _curve(name: object, schedule: Any, steps: int | None) -> tuple[Any, Any]:
    """The steps, and their learning rates."""
    checks.text("a name in rates", name)
    if isinstance(schedule, History):
        if not schedule.steps:
            raise ValueError("the history has no steps: train first, then draw")
        columns = (schedule.column(key, "steps") for key in ("step", "learning_rate"))
        return next(columns), next(columns)
    if isinstance(schedule, TrainerConfig):
        n = _check_steps(schedule.max_steps if steps is None else steps)
        schedule = learning_rate_of(with_warmup(schedule, n), n)
    elif not callable(schedule) or isinstance(schedule, type):
        expected = "a function of the step, a TrainerConfig or a History"
        raise checks.wrong_type("rates", expected, schedule)
    else:
        n = _check_steps(steps)
    xs = np.arange(n)
    return xs, np.array([float(schedule(int(step))) for step in xs])


def _check_steps(steps: object) -> int:
    if steps is None:
        raise ValueError("steps says how many steps to draw: pass steps=1000")
    return checks.integer("steps", steps, least=1, most=10_000_000)
