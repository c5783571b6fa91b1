"""Attention maps: where every token looks, in one head, in a layer, in a whole model (E1, E9)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minigpt import checks
from minigpt.autograd import Array
from minigpt.drawing import Theme, ThemeName, axes_for, check_canvas, dress, figure_of
from minigpt.viz.heat_map import (
    cell_size,
    color_bar,
    draw_matrix,
    label_axes,
    width_of,
    write_numbers,
)
from minigpt.viz.mosaic import Mosaic
from minigpt.viz.reading import as_labels, read

WITH_NUMBERS = 12  # tokens: with no more, each weight is written in its cell


def attention(
    model: Any,
    tokenizer: Any,
    text: str,
    *,
    layer: int | None = None,
    head: int | None = None,
    ax: Any = None,
    theme: ThemeName | None = None,
) -> Any:
    """Where each token of a text looks, as a model reads it: one map a head.

    A row is a token, and shows how its attention softmax(qᵢ·kⱼ/√d_k) is spread over the tokens j:
    the stronger the colour, the more. What a causal mask hides is grey.

    Args:
        model: has ``attention_weights``, such as a GPT.
        tokenizer: the model's.
        text: what it reads.
        layer: one layer, counted from 0 (from −1 at the end); None: all, one below the other.
        head: one head of the layer; None: all.
        ax: the axes of a matplotlib figure to draw on; None: those of a new one.
        theme: "light" or "dark"; None: as the figure of ``ax``, else light.

    Returns:
        The figure.

    Raises:
        ImportError: matplotlib is missing; says how to install it.
        TypeError: the model has no attention, or an argument is something else.
        ValueError: the text is empty or too long, there is no such layer or head, or a head was
            named without its layer.

    Example:
        >>> import minigpt as mg
        >>> tokenizer = mg.CharTokenizer.train("to be")
        >>> model = mg.GPT(mg.GPTConfig(5, block_size=8, n_layer=2, n_head=2, n_embd=8), seed=0)
        >>> try:
        ...     import matplotlib
        ... except ImportError:
        ...     print((5, 5))
        ... else:
        ...     figure = attention(model, tokenizer, "to be", layer=-1, head=0)
        ...     print(figure.axes[0].images[0].get_array().shape)
        (5, 5)
    """
    check_canvas(ax, theme)
    _check_model(model)
    ids, labels = read(model, tokenizer, text)
    weights = [array[0] for array in model.attention_weights(ids)]  # n_layer × (h, T, T)
    title = ""
    if layer is not None:
        layer = _check_place("layer", layer, len(weights))
        weights, title = [weights[layer]], f"layer {layer}"
    if head is not None:
        _check_has_layer(layer)
        head = _check_place("head", head, len(weights[0]))
        return attention_weights(
            weights[0][head], labels, title=f"{title}, head {head}", ax=ax, theme=theme
        )
    return attention_weights(weights, labels, title=title, ax=ax, theme=theme)


def attention_weights(
    weights: Array | Sequence[Array],
    tokens: Sequence[str],
    keys: Sequence[str] | None = None,
    *,
    title: str = "",
    ax: Any = None,
    theme: ThemeName | None = None,
) -> Any:
    """Attention weights of one's own as a picture: of one head, of several, of several layers.

    Args:
        weights: of one head, of the heads of a layer, or a list of that for each layer.
        tokens: a label for each row, the tokens that look (the queries).
        keys: a label for each column, the tokens that are looked at; ``tokens`` where None.
        title: above the picture.
        ax: the axes of a matplotlib figure to draw on; None: those of a new one.
        theme: "light" or "dark"; None: as the figure of ``ax``, else light.

    Shapes:
        weights: (T, S), (h, T, S), or a list of (h, T, S)

    Returns:
        The figure.

    Raises:
        ImportError: matplotlib is missing; says how to install it.
        ValueError, TypeError: weights of another shape or out of 0 to 1, or labels that do not fit.

    Example:
        >>> import numpy as np
        >>> weights = np.array([[1.0, 0.0], [0.3, 0.7]])
        >>> try:
        ...     import matplotlib
        ... except ImportError:
        ...     print("cats", "sat")
        ... else:
        ...     figure = attention_weights(weights, ["cats", "sat"])
        ...     print(*(label.get_text() for label in figure.axes[0].get_yticklabels()))
        cats sat
    """
    checks.text("title", title)
    layers, one = _check_weights(weights)
    n_rows, n_columns = layers[0].shape[-2:]
    rows = as_labels("tokens", tokens, n_rows)
    columns = as_labels("keys", tokens if keys is None else keys, n_columns)
    seen = [_without_the_future(layer) if keys is None else layer for layer in layers]
    if one:
        axes, colors = _one(seen[0][0], rows, columns, ax, theme)
    else:
        axes, colors = _several(seen, rows, columns, ax, theme)
    above = 6 if one else 16  # points: the names of heads stand below it
    axes.set_title(title, fontsize=10, color=colors.ink, parse_math=False, pad=above)
    return figure_of(axes)


def _one(
    matrix: Array, rows: list[str], columns: list[str], ax: Any, theme: str | None
) -> tuple[Any, Theme]:
    """One head, as large as its tokens need."""
    cell = cell_size(max(matrix.shape))
    width = cell * matrix.shape[1] + width_of(rows) + 0.9
    axes, colors = axes_for(ax, theme, width, cell * matrix.shape[0] + width_of(columns) + 0.5)
    shades = colors.shade_map()
    image = draw_matrix(axes, matrix, shades, 0, 1)
    axes.set_aspect("equal")
    dress(axes, colors, spines=())
    label_axes(axes, colors, rows, columns, cell)
    axes.set_xlabel("is looked at", fontsize=8)
    axes.set_ylabel("looks", fontsize=8)
    if max(matrix.shape) <= WITH_NUMBERS:
        write_numbers(axes, colors, matrix, shades, cell)
    else:
        color_bar(axes, colors, image, "attention weight")
    return axes, colors


def _several(
    layers: list[Array], rows: list[str], columns: list[str], ax: Any, theme: str | None
) -> tuple[Any, Theme]:
    """A map for each head: a row of them for each layer, or of one layer as near to a square."""
    if len(layers) == 1:
        names = [f"head {i}" for i in range(len(layers[0]))]
        mosaic = Mosaic.in_lines(list(layers[0]), names)
    else:
        n_head = max(len(layer) for layer in layers)
        mosaic = Mosaic(
            [list(layer) for layer in layers],
            row_names=[f"layer {i}" for i in range(len(layers))],
            column_names=[f"head {i}" for i in range(n_head)],
        )
    return mosaic.draw(rows, columns, ax, theme)


def _without_the_future(heads: Array) -> Array:
    """The weights of a causal mask as NaN: what no head of a layer looks at, above the diagonal."""
    t, s = heads.shape[-2:]
    future = np.triu(np.ones((t, s), bool), 1)
    if t != s or t == 1 or heads[:, future].any():
        return heads
    return np.where(future, np.nan, heads)


# ── checks ────────────────────────────────────────────────────────────────────────────────────


def _check_model(model: object) -> None:
    if not hasattr(model, "attention_weights") and hasattr(model, "config"):
        mend = "a GPT has them"
        raise checks.wrong_type("model", "one that gives attention_weights(ids)", model, mend)


def _check_has_layer(layer: int | None) -> None:
    if layer is None:
        raise ValueError("head says which head of a layer: name the layer too, layer=0")


def _check_place(name: str, value: object, n: int) -> int:
    """``value`` as the number of one of n layers or heads, which may be counted from the end."""
    place = checks.integer(name, value)
    if not -n <= place < n:
        raise checks.wrong_value(name, f"from {-n} to {n - 1}, as there are {n} {name}s", place)
    return place % n


def _check_weights(weights: object) -> tuple[list[Array], bool]:
    """The weights as layers of heads, and whether they were those of one head."""
    expected = "of shape (T, S), (h, T, S), or a list of (h, T, S)"
    given = list(weights) if isinstance(weights, (list, tuple)) else [weights]
    arrays = [checks.regular("weights", array) for array in given]
    if not arrays:
        raise checks.wrong_value("weights", expected, weights)
    of_one_head = len(arrays) == 1 and arrays[0].ndim == 2
    arrays = [arrays[0][None]] if of_one_head else arrays
    if len({array.shape[-2:] for array in arrays}) > 1:
        raise checks.wrong_value("weights", f"{expected}, T and S the same", arrays[1])
    for array in arrays:
        if array.ndim != 3 or array.size == 0 or array.dtype.kind not in "fiub":
            raise checks.wrong_value("weights", expected, array)
        if not ((array >= 0) & (array <= 1 + 1e-6)).all():
            mend = "F.attention_weights(q, k) gives them"
            raise checks.wrong_value("weights", "from 0 to 1", array, mend)
    return [array.astype(np.float64) for array in arrays], of_one_head
