"""Tokens whose embeddings lie near each other: what a model has learned to be alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minigpt import checks
from minigpt.autograd import Array
from minigpt.drawing import Lettering, ThemeName, axes_for, breadth, check_canvas, dress, figure_of
from minigpt.sampling.protocols import check_model, check_tokenizer
from minigpt.viz.heat_map import color_bar, draw_matrix, readable_on, width_of
from minigpt.viz.reading import token_labels

ROW, LETTER, NARROWEST = 0.36, 0.082, 0.5  # inches


def neighbours(
    model: Any,
    tokenizer: Any,
    tokens: str | int | Sequence[str | int],
    *,
    k: int = 8,
    ax: Any = None,
    theme: ThemeName | None = None,
) -> Any:
    """The tokens nearest to some tokens, by the angle between their embeddings.

        cos(a, b) = E_a·E_b / (|E_a| |E_b|)

    A row for each token, its neighbours from the nearest on.

    Args:
        model: has a ``token_embedding``, such as a GPT.
        tokenizer: the model's.
        tokens: texts of one token each, or ids; or a single one.
        k: how many neighbours of each.
        ax: the axes of a matplotlib figure to draw on; None: those of a new one.
        theme: "light" or "dark"; None: as the figure of ``ax``, else light.

    Returns:
        The figure; its image holds the cosines, (tokens, k).

    Raises:
        ImportError: matplotlib is missing; says how to install it.
        TypeError: an argument is something else.
        ValueError: a text is not a single token.
        IndexError: an id outside the vocabulary.

    Example:
        >>> import minigpt as mg
        >>> tokenizer = mg.CharTokenizer.train("to be")
        >>> model = mg.GPT(mg.GPTConfig(5, block_size=8, n_layer=2, n_head=2, n_embd=8), seed=0)
        >>> try:
        ...     import matplotlib
        ... except ImportError:
        ...     print((2, 3))
        ... else:
        ...     figure = neighbours(model, tokenizer, ["t", "b"], k=3)
        ...     print(figure.axes[0].images[0].get_array().shape)
        (2, 3)
    """
    check_canvas(ax, theme)
    ids, k = _check(model, tokenizer, tokens, k)
    nearest, cosines = _nearest(model.token_embedding.weight.data[: tokenizer.vocab_size], ids, k)
    rows = [token_labels(tokenizer, [token])[0] for token in ids]
    said = [[token_labels(tokenizer, [int(t)])[0] for t in row] for row in nearest]
    column = max(NARROWEST, LETTER * max(breadth(label) for row in said for label in row))
    width = width_of(rows) + column * nearest.shape[1] + 1.0
    axes, colors = axes_for(ax, theme, width, ROW * len(ids) + 0.7)
    write = Lettering([*rows, *(label for row in said for label in row)])
    shades = colors.signed_map()
    image = draw_matrix(axes, cosines, shades, -1, 1)
    for (i, j), cosine in np.ndenumerate(cosines):
        color = readable_on(shades(0.5 + cosine / 2), colors)
        style = {"ha": "center", "color": color}
        axes.text(j, i, write(said[i][j]), va="bottom", **write.style(fontsize=8.5, **style))
        number = f"{cosine:.2f}".replace("-", "−")
        axes.text(j, i + 0.12, number, va="top", fontsize=6.5, alpha=0.85, **style)
    dress(axes, colors, spines=())
    style = write.style(fontsize=9, color=colors.ink)
    axes.set_yticks(range(len(rows)), [write(label) for label in rows], **style)
    axes.tick_params(length=0)
    axes.set_xlabel("nearest first", fontsize=8, loc="left")
    if ax is None:
        color_bar(axes, colors, image, "cosine").ax.set_ylim(min(0.0, float(cosines.min())), 1)
    return figure_of(axes)


def _nearest(table: Array, ids: list[int], k: int) -> tuple[Array, Array]:
    """The k rows of a table that are nearest to some of its rows, and their cosines."""
    rows = table.astype(np.float64)
    rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    cosines = rows[ids] @ rows.T  # (n, V)
    cosines[np.arange(len(ids)), ids] = -np.inf  # not the token itself
    nearest = np.argsort(-cosines, axis=1, kind="stable")[:, :k]
    return nearest, np.take_along_axis(cosines, nearest, axis=1)


def _check(model: Any, tokenizer: Any, tokens: Any, k: object) -> tuple[list[int], int]:
    """The ids of the tokens, and how many neighbours each has at most."""
    check_model(model, tokenizer)
    check_tokenizer(tokenizer)
    if not hasattr(model, "token_embedding"):
        raise checks.wrong_type("model", "one with a token_embedding", model, "a GPT has one")
    given = [tokens] if isinstance(tokens, (str, int, np.integer)) else tokens
    given = checks.items("tokens", given, "a token or a list of them")
    if not given:
        raise checks.wrong_value("tokens", "one token at least", given)
    size = min(len(model.token_embedding.weight.data), tokenizer.vocab_size)
    ids = [_id_of(tokenizer, token) for token in given]
    checks.ids("tokens", ids, size)
    if size < 2:
        raise checks.wrong_value("the vocabulary", "of two tokens at least", size)
    return ids, min(checks.integer("k", k, least=1), size - 1)


def _id_of(tokenizer: Any, token: str | int) -> int:
    if not isinstance(token, str):
        return checks.integer("tokens", token, least=0)
    ids = tokenizer.encode(token)
    if len(ids) != 1:
        pieces = ", ".join(map(repr, token_labels(tokenizer, ids)))
        raise ValueError(f"{token!r} must be one token: it is {len(ids)}, {pieces}; name one")
    return int(ids[0])
