"""What tells a model where a token stands: tables that are added (E4), and angles to turn by."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import minigpt.functional as F
from minigpt import checks
from minigpt.autograd import Array
from minigpt.drawing import Theme, ThemeName, axes_for, dress, figure_of
from minigpt.functional import RotaryScaling
from minigpt.nn.config import heads_in
from minigpt.viz.heat_map import color_bar, draw_matrix

WIDTH, HEIGHT = 6.4, 4.4  # inches
MOST_PLACES = 100_000  # of a picture


def positions(
    source: Any,
    *,
    similarity: bool = False,
    length: int = 64,
    ax: Any = None,
    theme: ThemeName | None = None,
) -> Any:
    """What a model adds for where a token stands: a row for each place, a column for each feature.

    Args:
        source: a model with learned or sinusoidal positions, or a table of one's own.
        similarity: draw how alike the places are instead, the cosine of the angle between rows p
            and q:  cos(p, q) = P_p·P_q / (|P_p| |P_q|).
        length: how many places of a model; its context at most.
        ax: the axes of a matplotlib figure to draw on; None: those of a new one.
        theme: "light" or "dark"; None: as the figure of ``ax``, else light.

    Shapes:
        source: (places, features), where it is a table

    Returns:
        The figure.

    Raises:
        ImportError: matplotlib is missing; says how to install it.
        TypeError, ValueError: the model adds nothing for the place, or the table is none.

    Example:
        >>> import minigpt.functional as F
        >>> table = F.sinusoidal_positions(50, 32)
        >>> try:
        ...     import matplotlib
        ... except ImportError:
        ...     print(table.shape)
        ... else:
        ...     print(positions(table).axes[0].images[0].get_array().shape)
        (50, 32)
    """
    table, title = _check(source, similarity, length)
    axes, colors = axes_for(ax, theme, HEIGHT + 0.9 if similarity else WIDTH, HEIGHT)
    if similarity:
        rows = table / np.maximum(np.linalg.norm(table, axis=1, keepdims=True), 1e-12)
        _heat_map(axes, colors, rows @ rows.T, 1.0, "cosine similarity")
        axes.set(xlabel="position", ylabel="position", aspect="equal")
    else:
        _heat_map(axes, colors, table, float(np.abs(table).max()) or 1.0, "value")
        axes.set(xlabel="feature", ylabel="position")
    axes.set_title(title, fontsize=10)
    return figure_of(axes)


def rotary_angles(
    source: Any,
    *,
    length: int = 64,
    base: float = 10_000.0,
    scaling: RotaryScaling | None = None,
    ax: Any = None,
    theme: ThemeName | None = None,
) -> Any:
    """The angle by which rotary positions turn pair i of a query or key at place m.

        m·θᵢ,  θᵢ = base^(−2i/d)        (Su et al. 2021, "RoFormer", §3.2.2)

    Each pair is the hand of a clock: the first goes round in 2π ≈ 6.3 tokens, the last hardly moves
    in a whole text. The score of a query at m and a key at n depends on m − n only.

    Args:
        source: d, the features of a head, even; or a model with rotary positions, which says its
            base and scaling too.
        length: how many places.
        base, scaling: as in :func:`~minigpt.functional.rotary_frequencies`.
        ax: the axes of a matplotlib figure to draw on; None: those of a new one.
        theme: "light" or "dark"; None: as the figure of ``ax``, else light.

    Returns:
        The figure; its image holds the angles modulo 2π, (length, d/2).

    Raises:
        ImportError: matplotlib is missing; says how to install it.
        ValueError, TypeError: a width that is odd, a number out of range, or a model without
            rotary positions.

    Example:
        >>> import numpy as np
        >>> try:
        ...     import matplotlib
        ... except ImportError:
        ...     print(4.0)
        ... else:
        ...     figure = rotary_angles(8, length=5)  # the first of four pairs turns by 1 a token
        ...     print(figure.axes[0].images[0].get_array()[4, 0])
        4.0
    """
    theta, base = _check_rotary(source, length, base, scaling)
    angles = np.arange(length)[:, None] * theta % (2 * math.pi)  # (length, d/2)
    axes, colors = axes_for(ax, theme, WIDTH, HEIGHT)
    image = draw_matrix(axes, angles, colors.round_map(), 0, 2 * math.pi)
    bar = color_bar(axes, colors, image, "angle")
    bar.set_ticks([0, math.pi, 2 * math.pi], labels=["0", "π", "2π"])
    _count_axes(axes, colors)
    axes.set(xlabel="pair of features", ylabel="position")
    axes.set_title(f"rotary angles, base {base:,g}", fontsize=10)
    return figure_of(axes)


def _heat_map(axes: Any, colors: Theme, matrix: Array, largest: float, label: str) -> None:
    image = draw_matrix(axes, matrix, colors.signed_map(), -largest, largest)
    color_bar(axes, colors, image, label)
    _count_axes(axes, colors)


def _count_axes(axes: Any, colors: Theme) -> None:
    """Both axes count from 0, in whole numbers."""
    from matplotlib.ticker import MaxNLocator

    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(nbins=8, integer=True))
    dress(axes, colors, spines=())


# ── checks ────────────────────────────────────────────────────────────────────────────────────


def _check(source: Any, similarity: object, length: object) -> tuple[Array, str]:
    """The table, and what it is called."""
    checks.flag("similarity", similarity)
    n = checks.integer("length", length, least=1)
    config = getattr(source, "config", None)
    if config is None:
        table = checks.regular("source", source, "a model, or a table (places, features)")
        if table.ndim != 2 or table.size == 0 or table.dtype.kind not in "fiu":
            expected = "a model, or a table (places, features) of numbers"
            raise checks.wrong_value("source", expected, source)
        return table.astype(np.float64), ""
    kind = getattr(config, "positions", None)
    if kind == "sinusoidal":
        size = min(n, config.block_size), config.n_embd
        return F.sinusoidal_positions(*size), "sinusoidal positions"
    if kind == "learned":
        weight = source.position_embedding.weight.data
        return weight[:n].astype(np.float64), "learned positions"
    mend = "viz.rotary_angles(model) draws rotary ones" if kind == "rotary" else ""
    expected = "a model that adds learned or sinusoidal positions"
    raise checks.wrong_value("source", expected, kind, mend)


def _check_rotary(
    source: Any, length: object, base: float, scaling: RotaryScaling | None
) -> tuple[Array, float]:
    """The frequencies (d/2,), and their base."""
    checks.integer("length", length, least=1, most=MOST_PLACES)
    if (config := getattr(source, "config", None)) is not None:
        if getattr(config, "rotary", None) is None:
            kind = getattr(config, "positions", None)
            raise checks.wrong_value("source", "a model with rotary positions", kind)
        base, scaling = config.rotary
        return F.rotary_frequencies(heads_in(config).width, base, scaling), base
    checks.integer("source", source, least=2)
    return F.rotary_frequencies(source, base, scaling), base
