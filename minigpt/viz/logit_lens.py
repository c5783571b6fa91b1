"""The logit lens: what a GPT would predict after each of its blocks."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigpt import checks
from minigpt.autograd import Array
from minigpt.drawing import (
    Lettering,
    Theme,
    ThemeName,
    axes_for,
    breadth,
    check_canvas,
    dress,
    figure_of,
)
from minigpt.grad_mode import evaluation
from minigpt.sampling.filters import softmax
from minigpt.tensor import Tensor
from minigpt.viz.heat_map import color_bar, draw_matrix, readable_on, width_of
from minigpt.viz.reading import read, token_labels

ROW, LETTER = 0.25, 0.082  # inches of a token's row, and of a letter
LONGEST = 9  # letters of a prediction
NARROWEST = 0.55  # inches of a column: the headings fit beside each other


def logit_lens(
    model: Any, tokenizer: Any, text: str, *, ax: Any = None, theme: ThemeName | None = None
) -> Any:
    """For each token of a text, and after each block, the token that the model would say next.

    The head reads every state x_l of the residual stream, not the last one only (nostalgebraist
    2020, "interpreting GPT: the logit lens"):

        p_l = softmax(LN(x_l) W_head),   l = 0 (the embeddings) … n_layer (the model's prediction)

    Rows are the tokens that are read, columns the blocks; a cell says the likeliest next token, and
    its shade how likely that is. At the right stands the token that does follow; predictions of
    it are underlined.

    Args:
        model: has ``hidden_states`` and ``unembed``, such as a GPT.
        tokenizer: the model's.
        text: what it reads.
        ax: the axes of a matplotlib figure to draw on; None: those of a new one.
        theme: "light" or "dark"; None: as the figure of ``ax``, else light.

    Returns:
        The figure; its image holds the probabilities, (tokens, n_layer + 1).

    Raises:
        ImportError: matplotlib is missing; says how to install it.
        TypeError: the model has no such stream, or an argument is something else.
        ValueError: the text is empty or too long.

    Example:
        >>> import minigpt as mg
        >>> tokenizer = mg.CharTokenizer.train("to be")
        >>> model = mg.GPT(mg.GPTConfig(5, block_size=8, n_layer=2, n_head=2, n_embd=8), seed=0)
        >>> try:
        ...     import matplotlib
        ... except ImportError:
        ...     print((5, 3))
        ... else:
        ...     figure = logit_lens(model, tokenizer, "to be")
        ...     print(figure.axes[0].images[0].get_array().shape)
        (5, 3)
    """
    check_canvas(ax, theme)
    _check_model(model)
    ids, labels = read(model, tokenizer, text)
    likeliest, p = _predictions(model, ids, min(model.config.vocab_size, tokenizer.vocab_size))
    said = {
        int(token): token_labels(tokenizer, [int(token)], LONGEST)[0] for token in likeliest.flat
    }
    n_tokens, n_columns = p.shape
    column = max(NARROWEST, LETTER * max(map(breadth, said.values())))
    following = [*labels[1:], ""]
    beside = width_of(labels) + width_of(following) + 1.0
    axes, colors = axes_for(ax, theme, column * n_columns + beside, ROW * max(n_tokens, 3) + 0.8)
    shades = colors.shade_map()
    image = draw_matrix(axes, p, shades, 0, 1)
    write = Lettering([*said.values(), *labels])
    for (row, col), token in np.ndenumerate(likeliest):
        is_right = row + 1 < n_tokens and token == ids[0, row + 1]
        color = readable_on(shades(p[row, col]), colors)
        style = write.style(fontsize=7.5, color=color, ha="center", va="center")
        axes.text(col, row, write(said[int(token)]), **style)
        if is_right:
            axes.plot([col - 0.42, col + 0.42], [row + 0.4] * 2, color=colors.lines[1], linewidth=2)
    _name_axes(axes, colors, write, labels, following, n_columns)
    color_bar(axes, colors, image, "probability")
    return figure_of(axes)


def _predictions(model: Any, ids: Array, n_tokens: int) -> tuple[Array, Array]:
    """The likeliest next token after each block, and its probability: (T, n_layer + 1) each."""
    tokens, probabilities = [], []
    with evaluation():
        for x in model.hidden_states(ids):  # (1, T, C), one after the other: (1, T, V) is large
            p = softmax(model.unembed(Tensor(x)).data[0, :, :n_tokens])  # (T, V)
            tokens.append(p.argmax(axis=-1))
            probabilities.append(p.max(axis=-1))
    return np.stack(tokens, axis=1), np.stack(probabilities, axis=1)


def _name_axes(
    axes: Any, colors: Theme, write: Lettering, labels: list[str], following: list[str], n: int
) -> None:
    """Tokens at the left, those that follow at the right, blocks above."""
    style = write.style(fontsize=8, color=colors.ink)
    dress(axes, colors, spines=())
    axes.set_yticks(range(len(labels)), [write(label) for label in labels], **style)
    axes.xaxis.tick_top()
    every = 1 + n // 40
    columns = ["embed-\ndings", *(f"block\n{i}" for i in range(n - 1))][::every]
    axes.set_xticks(range(0, n, every), columns, fontsize=7.5, color=colors.muted)
    axes.tick_params(length=0)
    right = axes.secondary_yaxis("right")
    right.set_yticks(range(len(labels)), [write(label) for label in following], **style)
    right.tick_params(length=0)
    right.spines["right"].set_visible(False)
    for words, x, side in (("it reads", 0, "right"), ("then follows", 1, "left")):
        axes.annotate(
            words, (x, 1), (8 * x - 4, 3), xycoords="axes fraction", textcoords="offset points",
            ha=side, va="bottom", fontsize=7.5, color=colors.muted,
        )  # fmt: skip


def _check_model(model: object) -> None:
    if hasattr(model, "config") and not (
        hasattr(model, "hidden_states") and hasattr(model, "unembed")
    ):
        expected = "one that gives hidden_states(ids) and unembed(x)"
        raise checks.wrong_type("model", expected, model, "a GPT has them")
