"""The next token's probabilities, as the model gives them and after each filter (E12)."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigpt import checks
from minigpt.autograd import Array
from minigpt.drawing import Lettering, Theme, ThemeName, axes_for, check_canvas, dress, figure_of
from minigpt.sampling import SamplingConfig
from minigpt.sampling.filters import softmax
from minigpt.viz.reading import next_logits, token_labels

COLUMN, GAP = 1.0, 0.42  # of the bars of a stage, and after them; in units of the axes
WORDS = {  # in the Sampler's order
    "repetition_penalty": "repetition penalty",
    "temperature": "temperature",
    "top_k": "top-k",
    "top_p": "top-p",
    "min_p": "min-p",
}
UNCHANGED = {"repetition_penalty": 1, "temperature": 1}  # else None


def next_token(
    model: Any,
    tokenizer: Any,
    prompt: str,
    *,
    k: int = 12,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    min_p: float | None = None,
    repetition_penalty: float = 1.0,
    ax: Any = None,
    theme: ThemeName | None = None,
) -> Any:
    """Bars for the likeliest next tokens: of the model itself, then after each filter that is on.

    The filters work on one another, in the Sampler's order: repetition penalty, temperature, top-k,
    top-p, min-p. A token that one of them rules out keeps a dash in its place.

    Args:
        model: a language model, such as a GPT.
        tokenizer: the model's.
        prompt: what comes before.
        k: how many tokens are shown; all others are one bar.
        temperature, top_k, top_p, min_p, repetition_penalty: as in
            :class:`~minigpt.sampling.SamplingConfig`.
        ax: the axes of a matplotlib figure to draw on; None: those of a new one.
        theme: "light" or "dark"; None: as the figure of ``ax``, else light.

    Returns:
        The figure. In ``figure.axes[0].containers`` each stage has its bars.

    Raises:
        ImportError: matplotlib is missing; says how to install it.
        TypeError, ValueError: an argument is of the wrong type, or out of its range.

    Example:
        >>> import minigpt as mg
        >>> tokenizer = mg.CharTokenizer.train("to be")
        >>> model = mg.GPT(mg.GPTConfig(5, block_size=8, n_layer=2, n_head=2, n_embd=8), seed=0)
        >>> try:
        ...     import matplotlib
        ... except ImportError:
        ...     print(2)
        ... else:
        ...     figure = next_token(model, tokenizer, "to b", k=3, top_k=2)
        ...     print(len(figure.axes[0].containers))  # the model's own, and after top-k
        2
    """
    check_canvas(ax, theme)
    k = checks.integer("k", k, least=1)
    values = (repetition_penalty, temperature, top_k, top_p, min_p)
    given: dict[str, Any] = dict(zip(WORDS, values, strict=True))
    SamplingConfig(**given)  # checks them
    ids, logits = next_logits(model, tokenizer, prompt)  # (1, T), (1, V)
    stages = {"model": softmax(logits)[0]}
    for name, value in given.items():
        if value != UNCHANGED.get(name):
            logits = SamplingConfig(**{name: value}).filter(logits, ids)
            stages[
                f"{WORDS[name]} {checks.shown(value) if isinstance(value, int) else f'{value:g}'}"
            ] = softmax(logits)[0]
    highest = np.max([*stages.values()], axis=0)  # (V,): no token that matters later is left out
    likeliest = np.argsort(-highest, kind="stable")[:k]
    shown = likeliest[np.argsort(-stages["model"][likeliest], kind="stable")]
    labels = [token_labels(tokenizer, [int(token)])[0] for token in shown]
    if len(shown) < logits.shape[-1]:
        labels.append(f"{logits.shape[-1] - len(shown):,} others")
    bars = {name: _with_the_others(p, shown) for name, p in stages.items()}
    left = {name: int((p > 0).sum()) for name, p in stages.items()}

    width = 1.4 + 1.7 * len(stages)
    axes, colors = axes_for(ax, theme, width, 0.75 + 0.23 * len(labels))
    _draw(axes, colors, bars, left)
    write = Lettering(labels)
    style = write.style(fontsize=8.5, color=colors.ink)
    axes.set_yticks(range(len(labels)), [write(label) for label in labels], **style)
    return figure_of(axes)


def _with_the_others(p: Array, shown: Array) -> Array:
    """The probabilities of the tokens that are shown, and of all others together."""
    others = np.delete(p, shown)
    return np.append(p[shown], others.sum()) if others.size else p[shown]


def _draw(axes: Any, colors: Theme, bars: dict[str, Array], left: dict[str, int]) -> None:
    """A column of bars for each stage, all on one scale."""
    largest = max(float(p.max()) for p in bars.values())
    places = np.arange(len(next(iter(bars.values()))))
    for number, (stage, p) in enumerate(bars.items()):
        start = number * (COLUMN + GAP)
        color = colors.muted if number == 0 else colors.lines[0]
        drawn = axes.barh(places, COLUMN * p / largest, 0.72, left=start, color=color, label=stage)
        for bar, probability in zip(drawn, p, strict=True):
            text, shade = _percent(probability), colors.ink if probability else colors.muted
            place = (start + bar.get_width(), bar.get_y() + bar.get_height() / 2)
            axes.annotate(
                text, place, (3, 0), textcoords="offset points", va="center", fontsize=7.5,
                color=shade,
            )  # fmt: skip
        axes.axvline(start, color=colors.faint, linewidth=0.8, zorder=0)
        after = "then " if number > 1 else ""  # it works on what the filter before has left
        title = f"{after}{stage}\n{left[stage]:,} possible"
        axes.annotate(
            title, (start, 1), (0, 3), xycoords=axes.get_xaxis_transform(), fontsize=8,
            textcoords="offset points", va="bottom", color=colors.ink, linespacing=1.35,
        )  # fmt: skip
    axes.set(xlim=(-0.02, len(bars) * (COLUMN + GAP)), xticks=[])
    axes.set_ylim(len(places) - 0.5, -0.5)
    dress(axes, colors, spines=())
    axes.tick_params(length=0)


def _percent(probability: float) -> str:
    if probability == 0:
        return "–"
    return f"{100 * probability:.1f} %" if probability >= 0.0005 else "< 0.1 %"
