"""The computation graph of a tensor: what it was computed from, and where its gradient flows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from minigpt import checks
from minigpt.drawing import Lettering, Theme, ThemeName, axes_for, breadth, check_canvas, figure_of
from minigpt.nn import Module
from minigpt.tensor import Tensor
from minigpt.viz.graph_boxes import Box, Names, recorded, run_backward
from minigpt.viz.graph_layout import Layout, lay_out

LETTER, LINE, MARGIN = 0.073, 0.155, 0.09  # inches
GAP = 0.42, 0.16  # inches between layers, and within one
LONG = 9  # layers: a longer graph runs down the page


def graph(
    tensor: Tensor,
    names: Mapping[str, Tensor] | Module | None = None,
    *,
    gradients: bool = False,
    direction: str | None = None,
    ax: Any = None,
    theme: ThemeName | None = None,
) -> Any:
    """Draw the operations that a tensor was computed by, from its leaves to itself.

    A blue box is a leaf that requires a gradient, a grey one an operation with the shape of its
    result, the orange one the tensor itself. What requires no gradient is not recorded, and shown
    as a constant. A graph keeps shapes and no values: those of the leaves and of named tensors are
    shown, where they are few.

    Args:
        tensor: the outcome, usually a loss.
        names: tensors by name, to find them again in the picture; or a module, for the names of its
            parameters.
        gradients: also call ``tensor.backward()``, and write in each box the gradient that came to
            it. As ever, that adds to ``.grad`` of the leaves, and frees the graph.
        direction: "right" or "down"; None: right where the graph is short.
        ax: the axes of a matplotlib figure to draw on; None: those of a new one.
        theme: "light" or "dark"; None: as the figure of ``ax``, else light.

    Returns:
        The figure.

    Raises:
        ImportError: matplotlib is missing; says how to install it.
        RuntimeError: the tensor has no graph, or ``backward`` has freed it.
        ValueError: the graph has more than 300 boxes; or, with ``gradients``, several numbers.

    Example:
        >>> import minigpt as mg
        >>> x = mg.Tensor([3.0], requires_grad=True)
        >>> y = (x * x + x).sum()
        >>> try:
        ...     import matplotlib
        ... except ImportError:
        ...     y.backward()
        ... else:
        ...     figure = graph(y, {"x": x}, gradients=True)
        >>> x.grad
        array([7.], dtype=float32)
    """
    check_canvas(ax, theme)  # before the graph is walked
    named = _check(tensor, names, gradients, direction)
    boxes, edges = recorded(tensor, named)
    if gradients:
        run_backward(tensor, boxes)
    sizes = [_size(box.lines) for box in boxes]
    down = direction == "down"
    layout = lay_out([size[::-1] if down else size for size in sizes], edges, GAP)
    if direction is None and len({center[0] for center in layout.centers}) > LONG:
        down, layout = True, lay_out([size[::-1] for size in sizes], edges, GAP)
    _draw(axes := _axes(ax, theme, layout, down), boxes, sizes, edges, layout, down)
    return figure_of(axes[0])


# ── the drawing ───────────────────────────────────────────────────────────────────────────────


def _size(lines: list[str]) -> tuple[float, float]:
    """Inches of a box, wide and high."""
    return max(map(breadth, lines)) * LETTER + 2 * MARGIN, len(lines) * LINE + 1.4 * MARGIN


def _axes(ax: Any, theme: str | None, layout: Layout, down: bool) -> tuple[Any, Theme, float]:
    """Axes that count inches, the colours, and how much smaller than a new figure they are."""
    width, height = layout.size[::-1] if down else layout.size
    axes, colors = axes_for(ax, theme, max(width, 1.2) + 0.2, max(height, 0.6) + 0.2)
    axes.set(xlim=(-0.03, width + 0.03), ylim=(height + 0.03, -0.03), aspect="equal")
    axes.set_axis_off()
    if ax is None:
        return axes, colors, 1.0
    box = axes.get_window_extent()
    inches = box.width / axes.figure.dpi, box.height / axes.figure.dpi
    return axes, colors, min(1.0, inches[0] / width, inches[1] / height)


def _draw(
    canvas: tuple[Any, Theme, float],
    boxes: list[Box],
    sizes: list[tuple[float, float]],
    edges: list[tuple[int, int]],
    layout: Layout,
    down: bool,
) -> None:
    from matplotlib.patches import FancyBboxPatch

    axes, colors, scale = canvas
    edge_colors = {"leaf": colors.lines[0], "result": colors.lines[1], "operation": colors.muted}
    write = Lettering(line for box in boxes for line in box.lines)
    centers = [center[::-1] if down else center for center in layout.centers]
    _draw_edges(axes, colors, sizes, edges, layout, down, scale)
    for box, (x, y), (width, height) in zip(boxes, centers, sizes, strict=True):
        if box.kind != "constant":
            axes.add_patch(
                FancyBboxPatch(
                    (x - width / 2, y - height / 2), width, height,
                    boxstyle="round,pad=0,rounding_size=0.06", facecolor=colors.paper,
                    edgecolor=edge_colors[box.kind], linewidth=1.1 * scale, label=box.title,
                )
            )  # fmt: skip
        for i, line in enumerate(box.lines):
            is_title = i == 0 and box.kind != "constant"
            color = colors.ink if is_title else colors.muted
            style = write.style(color=color, fontsize=8.5 * scale, ha="center", va="center")
            weight = "bold" if is_title else "normal"
            at = y + (i - (len(box.lines) - 1) / 2) * LINE
            axes.text(x, at, write(line), weight=weight, **style)


def _draw_edges(
    axes: Any,
    colors: Theme,
    sizes: list[tuple[float, float]],
    edges: list[tuple[int, int]],
    layout: Layout,
    down: bool,
    scale: float,
) -> None:
    """Curves along the layers, which come to each box side by side, in the order of its inputs."""
    from matplotlib.patches import FancyArrowPatch
    from matplotlib.path import Path

    arriving = {end: sum(e == end for _, e in edges) for _, end in edges}
    arrived = dict.fromkeys(arriving, 0)
    along, across = (1, 0) if down else (0, 1)  # which of a box's sizes
    for (start, end), passages in zip(edges, layout.passages, strict=True):
        arrived[end] += 1
        port = arrived[end] / (arriving[end] + 1) - 0.5
        (x0, y0), (x1, y1) = layout.centers[start], layout.centers[end]
        first = x0 + sizes[start][along] / 2, y0
        last = x1 - sizes[end][along] / 2 - 0.02, y1 + port * 0.8 * sizes[end][across]
        points, codes = [first], [Path.MOVETO]
        for begin, stop, y in [*passages, (last[0], *last)]:
            middle = (points[-1][0] + begin) / 2
            points += [(middle, points[-1][1]), (middle, y), (begin, y)]
            codes += [Path.CURVE4] * 3
            if stop > begin:
                points.append((stop, y))
                codes.append(Path.LINETO)
        path = Path([p[::-1] for p in points] if down else points, codes)
        style: Any = {"color": colors.muted, "linewidth": 0.9 * scale, "mutation_scale": 8 * scale}
        axes.add_patch(FancyArrowPatch(path=path, arrowstyle="-|>", zorder=0.5, **style))


# ── checks ────────────────────────────────────────────────────────────────────────────────────


def _check(tensor: object, names: Any, gradients: object, direction: object) -> Names:
    """The names by what they name: an operation, or a leaf."""
    checked = checks.instance("tensor", tensor, Tensor, "a graph is that of a Tensor")
    checks.flag("gradients", gradients)
    if direction is not None:
        checks.one_of("direction", direction, ("right", "down"))
    if checked.node is None and not checked.requires_grad:
        raise RuntimeError(
            "the tensor has no graph: nothing it was computed from requires a gradient, or it was "
            "computed under no_grad(). Make the inputs with requires_grad=True"
        )
    if checked.node is not None and checked.node.vjp is None:
        raise RuntimeError(
            "the tensor's graph is gone: backward() frees it. Draw it before, or compute the "
            "tensor again; with gradients=True the drawing calls backward() itself"
        )
    if isinstance(names, Module):
        names = dict(names.named_parameters())
    if not isinstance(names, (Mapping, type(None))):
        raise checks.wrong_type("names", "a dict of tensors by name, or a module", names)
    named = {}
    for name, value in (names or {}).items():
        checks.text("a name in names", name)
        checks.instance(f"names[{name!r}]", value, Tensor)
        named[id(value.node or value)] = name, value
    return named
