"""First steps: where the attention of a trained model looks, beside how its loss fell.

    python examples/look_inside.py --checkpoint runs/quickstart --output inside.png

Each square is one attention head. Row by row it shows, for every token of the text, which of the
tokens before it the head looks at: the darker, the more. Needs matplotlib, and for Chinese a font
that has it: characters that no font has are shown as escapes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

import minigpt as mg
from command_line import Parser, count, one_line_errors
from inputs import load
from minigpt.training.plots import draw_history, new_figure

INCHES_A_TOKEN, SMALLEST, LARGEST = 0.09, 1.3, 2.7  # of a square
LETTERS_AN_INCH = 10  # of a title
LONGEST_LABEL = 14


@one_line_errors()
def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("--checkpoint", type=Path, required=True, help="a run's folder")
    parser.add_argument("--text", default="The class statement is ", help="what the model reads")
    parser.add_argument("--output", type=Path, default=Path("inside.png"), help="the picture")
    args = parser.parse_args()

    if not args.text:
        parser.error("--text is empty: give the model something to read")
    if args.checkpoint.is_file():
        parser.error(f"{args.checkpoint} is a file: name the run's folder, which has the history")

    model, tokenizer = load(args.checkpoint)
    history = mg.History.read(args.checkpoint)
    ids = np.array([tokenizer.encode(args.text)])
    maps = model.attention_weights(ids)  # for each layer (1, n_head, T, T)
    draw(history, maps, [shown(tokenizer, int(i)) for i in ids[0]], args.text, args.output)
    print(f"{args.output}: {count(len(maps), 'layer')} of {count(maps[0].shape[1], 'head')}")


def shown(tokenizer: mg.Tokenizer, token: int) -> str:
    r"""A token as text: white space visible, bytes of half a character as escapes, long ones cut.

    Example:
        >>> tokenizer = mg.BPETokenizer.train("类", 256, progress=False)
        >>> [shown(tokenizer, i) for i in tokenizer.encode(" 类")]
        ['␣', '\\xe7', '\\xb1', '\\xbb']
    """
    if isinstance(tokenizer, mg.BPETokenizer):
        text = tokenizer.vocab[token].decode("utf-8", "backslashreplace")
    else:
        text = tokenizer.decode([token])
    text = text.replace(" ", "␣").replace("\n", "⏎").replace("\t", "⇥")
    return text if len(text) <= LONGEST_LABEL else text[: LONGEST_LABEL - 1] + "…"


def draw(
    history: mg.History, maps: list[np.ndarray], tokens: list[str], text: str, output: Path
) -> None:
    n_layer, n_head, n_tokens = len(maps), maps[0].shape[1], len(tokens)
    square = min(max(SMALLEST, INCHES_A_TOKEN * n_tokens), LARGEST)
    width, height = square * n_head + 1.2, max(square * n_layer + 1.2, 4.5)
    figure = new_figure(figsize=(6 + width, height), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=[6, width])
    axes = left.add_subplot()
    draw_history(axes, history)
    axes.set_title("learning")

    has, family = glyphs("".join(tokens) + text)
    labels = [escaped(token, has) for token in tokens]
    reading, longest = escaped(" ".join(text.split()), has), int(LETTERS_AN_INCH * width)
    reading = reading if len(reading) <= longest else reading[: longest - 1] + "…"
    title = f"where the heads look, reading\n“{reading}”"
    right.suptitle(title, family=family, parse_math=False)
    every = math.ceil(n_tokens * INCHES_A_TOKEN / square)
    places = range(0, n_tokens, every)
    style: dict[str, Any] = {"family": family, "fontsize": 6, "parse_math": False}
    grid = right.subplots(n_layer, n_head, squeeze=False)
    for layer in range(n_layer):
        for head in range(n_head):
            axes = grid[layer, head]
            axes.imshow(maps[layer][0, head], cmap="Greys", vmin=0, vmax=1)
            axes.set_xticks([])
            axes.set_yticks([])
            if layer == 0:
                axes.set_title(f"head {head + 1}", fontsize=9)
            if head == 0:
                axes.set_ylabel(f"layer {layer + 1}")
                axes.set_yticks(places, labels[::every], **style)
            if layer == n_layer - 1:
                axes.set_xticks(places, labels[::every], rotation=90, **style)
            axes.tick_params(length=0, pad=1)
    figure.savefig(output, dpi=110)


def glyphs(text: str) -> tuple[set[int], list[str]]:
    """The code points that can be drawn, and the fonts to draw them with.

    Beside matplotlib's own font these are the installed ones that have the most of what it lacks.
    """
    from matplotlib.font_manager import findfont, fontManager
    from matplotlib.ft2font import FT2Font

    family = ["DejaVu Sans"]
    has = set(FT2Font(findfont(family[0])).get_charmap())
    missing = {ord(c) for c in text if c.isprintable()} - has
    found: list[tuple[set[int], str]] = []
    if missing:
        for font in fontManager.ttflist:
            if font.name.startswith("Last Resort"):  # has a box for every character there is
                continue
            try:
                there = missing & set(FT2Font(font.fname).get_charmap())
            except (OSError, RuntimeError):  # a font that is damaged, or gone
                continue
            found += [(there, font.name)] if there else []
    while missing and found:
        there, name = max(found, key=lambda pair: len(pair[0] & missing))
        if not there & missing:
            break
        family.append(name)
        has, missing = has | there, missing - there
    return has, family


def escaped(text: str, has: Iterable[int]) -> str:
    r"""The text with ``\u7c7b`` where there is nothing to draw a character with."""
    known = set(has)
    return "".join(c if ord(c) in known else ascii(c)[1:-1] for c in text)


if __name__ == "__main__":
    main()
