"""Weights, gradients and updates of every layer over a run."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from minigpt import checks
from minigpt.drawing import (
    Theme,
    ThemeName,
    axes_for,
    check_canvas,
    dress,
    figure_of,
    legend,
    new_figure,
)
from minigpt.viz.recorder import QUANTITIES, Recorder

NAMED = 8  # blocks that the legend lists; of more, some


def layers(
    recorder: Recorder,
    quantity: str | Sequence[str] = ("weights", "gradients", "updates"),
    *,
    ax: Any = None,
    theme: ThemeName | None = None,
) -> Any:
    """How large the weights, the gradients and the updates of each layer are, over a run.

    Blocks have one colour, the deeper the stronger; other parts have colours of their own. What to
    look for: gradients that vanish or explode with the depth, and updates far from the usual
    thousandth of the weights.

    Args:
        recorder: what :class:`Recorder` saw as a callback of a Trainer.
        quantity: "weights", "gradients" or "updates", or several, one below the other.
        ax: the axes of a matplotlib figure to draw on, or as many as there are quantities; None:
            those of a new one.
        theme: "light" or "dark"; None: as the figure of ``ax``, else light.

    Returns:
        The figure.

    Raises:
        ImportError: matplotlib is missing; says how to install it.
        TypeError, ValueError: the recorder has seen nothing, another quantity, or axes that are not
            as many as the quantities.

    Example:
        >>> import numpy as np, minigpt as mg
        >>> model = mg.GPT(mg.GPTConfig(vocab_size=5, block_size=4, n_layer=2, n_head=1, n_embd=8))
        >>> recorder = mg.viz.Recorder(every=2)
        >>> config = mg.TrainerConfig(max_steps=4, batch_size=2, progress=False)
        >>> _ = mg.Trainer(model, np.arange(99) % 5, None, config, callbacks=[recorder]).fit()
        >>> try:
        ...     import matplotlib
        ... except ImportError:
        ...     print(3)
        ... else:
        ...     print(len(layers(recorder).axes))  # weights, gradients, updates
        3
    """
    quantities, panels = _check(recorder, quantity, ax)
    if ax is None:
        figure = new_figure(7, 0.6 + 2.3 * len(quantities), theme)
        panels = list(figure.subplots(len(quantities), squeeze=False, sharex=True)[:, 0])
    for name, panel in zip(quantities, panels, strict=True):
        axes, colors = axes_for(panel, theme, 0, 0)
        entries = _draw(axes, colors, recorder, name)
        dress(axes, colors)
        if panel is panels[0]:
            legend(axes, colors, entries, loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=8)
    panels[-1].set_xlabel("step")
    return figure_of(panels[0])


def _draw(axes: Any, colors: Theme, recorder: Recorder, quantity: str) -> dict[str, Any]:
    """The lines of one quantity; the legend's entries."""
    blocks = [name for name in recorder.layers if re.search(r"\.\d+$", name)]
    others = [name for name in recorder.layers if name not in blocks]
    shades = colors.shade_map()
    every = -(-len(blocks) // NAMED)
    entries: dict[str, Any] = {}
    for number, name in enumerate([*blocks, *others]):
        steps, values = recorder.column(quantity, name)
        if name in blocks:
            depth = number / max(len(blocks) - 1, 1)
            style = {"color": shades(0.3 + 0.6 * depth), "linewidth": 1.3}
        else:
            color = colors.lines[(number - len(blocks)) % (len(colors.lines) - 1) + 1]
            style = {"color": color, "linewidth": 1.3, "linestyle": "dashed"}
        (line,) = axes.plot(steps, values, **style)
        if name not in blocks or number % every == 0 or number == len(blocks) - 1:
            entries[name] = line
    axes.set_yscale("log")
    axes.set_title(f"{quantity}: {QUANTITIES[quantity]}", fontsize=9, loc="left", color=colors.ink)
    axes.grid(axis="y", color=colors.faint, linewidth=0.5)
    return entries


def _check(recorder: Any, quantity: Any, ax: Any) -> tuple[list[str], list[Any]]:
    """The quantities, and their axes where they were given."""
    mend = "pass the Recorder that was among the Trainer's callbacks"
    checks.instance("recorder", recorder, Recorder, mend)
    if not recorder.records:
        raise ValueError(
            f"the recorder has seen nothing: pass it to a Trainer, callbacks=[recorder], and train "
            f"for {recorder.every} steps at least"
        )
    expected = "a word or several"
    named = (
        [quantity] if isinstance(quantity, str) else checks.items("quantity", quantity, expected)
    )
    for name in named:
        checks.one_of("quantity", name, QUANTITIES)
    several = (isinstance(ax, Sequence) or hasattr(ax, "flat")) and checks.iterates(ax)
    panels = list(ax) if several else [ax]
    if not named:
        raise checks.wrong_value("quantity", "one at least", named)
    if ax is not None and len(panels) != len(named):
        mend = "one for each quantity"
        raise checks.wrong_value("ax", f"{len(named)} axes", f"{len(panels)} axes", mend)
    for panel in panels:
        check_canvas(ax if panel is None else panel, None)  # [None] is not axes either
    return named, panels
