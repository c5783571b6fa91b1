"""Where the boxes of a directed graph go: in layers, from the inputs on, with few crossings.

The four steps of Sugiyama, Tagawa & Toda 1981, "Methods for Visual Understanding of Hierarchical
System Structures": a layer for each box; a bend in every layer that an edge passes; an order within
each layer; and places in that order. Lengths are in inches, and the first axis is that of the
layers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

SWEEPS = 8  # up and down the layers
BEND = 0.12  # inches that an edge takes in a layer that it passes
HEAVY = 20.0  # how much more than inputs the boxes weigh that something leads to


@dataclass
class Layout:
    """Where everything is.

    Attributes:
        centers: of each box, along the layers and across them.
        passages: of each edge, where it passes the layers between its two boxes: where each begins
            and ends, and the place across it.
        size: of the whole.
    """

    centers: list[tuple[float, float]]
    passages: list[list[tuple[float, float, float]]]
    size: tuple[float, float]


def lay_out(
    sizes: Sequence[tuple[float, float]],
    edges: Sequence[tuple[int, int]],
    gap: tuple[float, float],
) -> Layout:
    """Places for boxes, so that every edge leads to a later layer.

    Args:
        sizes: of each box, along the layers and across them.
        edges: pairs of boxes (from, to), without circles; the boxes in an order in which each
            comes after those that lead to it. Inputs stand in the order of their edges, where that
            makes no more of them cross.
        gap: between two layers, and between two boxes of a layer.

    Example:
        >>> layout = lay_out([(1, 1)] * 3, [(0, 2), (1, 2)], gap=(1, 1))
        >>> layout.centers, layout.size
        ([(0.5, 0.5), (0.5, 2.5), (2.5, 1.5)], (3.0, 3.0))
    """
    level = _levels(len(sizes), edges)
    used = {start: number for number, (start, _) in reversed([*enumerate(edges)])}  # first
    # Boxes are 0 … n − 1; the bends of edges come after them.
    layers: list[list[int]] = [[] for _ in range(max(level) + 1)]
    for box in sorted(range(len(sizes)), key=lambda box: used.get(box, len(edges))):
        layers[level[box]].append(box)
    across = [size[1] for size in sizes]
    links: list[tuple[int, int]] = []  # between neighbouring layers
    passing: list[list[int]] = []  # the bends of each edge
    for start, end in edges:
        bends = list(range(len(across), len(across) + level[end] - level[start] - 1))
        across += [BEND] * len(bends)
        for number, bend in enumerate(bends, start=level[start] + 1):
            layers[number].append(bend)
        chain = [start, *bends, end]
        links += pairwise(chain)
        passing.append(bends)
    before, after = _neighbours(len(across), links)
    _order(layers, before, after)
    place = _places(layers, before, after, across, gap[1])

    spans, depth = [], 0.0  # of each layer
    for layer in layers:
        thickness = max(sizes[box][0] for box in layer if box < len(sizes))
        spans.append((depth, depth + thickness))
        depth += thickness + gap[0]
    span = {box: spans[number] for number, layer in enumerate(layers) for box in layer}
    centers = [(sum(span[box]) / 2, place[box]) for box in range(len(sizes))]
    passages = [[(*span[bend], place[bend]) for bend in bends] for bends in passing]
    size = depth - gap[0], max(p + a / 2 for p, a in zip(place, across, strict=True))
    return Layout(centers, passages, size)


def _levels(n: int, edges: Sequence[tuple[int, int]]) -> list[int]:
    """The layer of each box: one after all that lead to it; inputs just before they are used."""
    before, after = _neighbours(n, edges)
    level = [0] * n
    for box in range(n):
        level[box] = 1 + max((level[b] for b in before[box]), default=-1)
    for box in range(n):
        if not before[box] and after[box]:
            level[box] = min(level[a] for a in after[box]) - 1
    return level


def _neighbours(
    n: int, links: Sequence[tuple[int, int]]
) -> tuple[list[list[int]], list[list[int]]]:
    before: list[list[int]] = [[] for _ in range(n)]
    after: list[list[int]] = [[] for _ in range(n)]
    for start, end in links:
        before[end].append(start)
        after[start].append(end)
    return before, after


def _order(layers: list[list[int]], before: list[list[int]], after: list[list[int]]) -> None:
    """Sort each layer by the mean place of its neighbours, to and fro: few edges cross then."""
    best, fewest = [list(layer) for layer in layers], _crossings(layers, after)
    for sweep in range(SWEEPS):
        forward = sweep % 2 == 0
        for layer in layers[1:] if forward else layers[-2::-1]:
            rank = {box: i for other in layers for i, box in enumerate(other)}
            near = before if forward else after
            mean = {box: [rank[n] for n in near[box]] or [rank[box]] for box in layer}
            means = {box: sum(ranks) / len(ranks) for box, ranks in mean.items()}
            layer.sort(key=means.__getitem__)
        if (crossings := _crossings(layers, after)) < fewest:
            best, fewest = [list(layer) for layer in layers], crossings
    layers[:] = best


def _crossings(layers: list[list[int]], after: list[list[int]]) -> int:
    """How many pairs of edges cross between neighbouring layers."""
    rank = {box: i for layer in layers for i, box in enumerate(layer)}
    crossings = 0
    for layer in layers:
        ends = [rank[end] for box in layer for end in sorted(after[box], key=rank.__getitem__)]
        crossings += sum(a > b for i, a in enumerate(ends) for b in ends[i + 1 :])
    return crossings


def _places(
    layers: list[list[int]],
    before: list[list[int]],
    after: list[list[int]],
    across: list[float],
    gap: float,
) -> list[float]:
    """Places in the given order, each box near the middle of its neighbours.

    Inputs of the graph count for less than what leads from box to box: they make room for it, so
    that a long path runs straight.
    """
    place = [0.0] * len(across)
    weight = [HEAVY if sources else 1.0 for sources in before]
    for layer in layers:
        _put(layer, [0.0] * len(layer), weight, across, gap, place)
    for sweep in range(2 * SWEEPS):
        forward = sweep % 2 == 0
        for layer in layers if forward else layers[::-1]:
            near = before if forward else after
            wanted = []
            for box in layer:
                others = near[box] or before[box] or after[box] or [box]
                total = sum(weight[other] for other in others)
                wanted.append(sum(weight[other] * place[other] for other in others) / total)
            _put(layer, wanted, weight, across, gap, place)
    lowest = min(p - a / 2 for p, a in zip(place, across, strict=True))
    return [p - lowest for p in place]


def _put(
    layer: list[int],
    wanted: list[float],
    weight: list[float],
    across: list[float],
    gap: float,
    place: list[float],
) -> None:
    """The places nearest to the wanted ones, by least squares, that keep order and distances.

    With the distances taken off, the places may not fall: neighbours that would are moved to their
    mean together (pool adjacent violators: Ayer et al. 1955).
    """
    offsets, total = [], 0.0
    for i, box in enumerate(layer):
        total += (across[layer[i - 1]] + across[box]) / 2 + gap if i else 0.0
        offsets.append(total)
    pools: list[tuple[float, float, int]] = []  # mean, weight and number
    for box, want, offset in zip(layer, wanted, offsets, strict=True):
        mean, w, n = want - offset, weight[box], 1
        while pools and pools[-1][0] > mean:
            other, v, m = pools.pop()
            mean, w, n = (mean * w + other * v) / (w + v), w + v, n + m
        pools.append((mean, w, n))
    means = [mean for mean, _, n in pools for _ in range(n)]
    for box, mean, offset in zip(layer, means, offsets, strict=True):
        place[box] = mean + offset
