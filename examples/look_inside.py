"""First steps: where the attention of a trained model looks, beside how its loss fell.

    python examples/look_inside.py --checkpoint runs/quickstart --output inside.png

Each square is one attention head. Row by row it shows, for every token of the text, which of the
tokens before it the head looks at: the darker, the more. Needs matplotlib, and for Chinese a font
that has it: characters that no font has are shown as escapes.
"""

from __future__ import annotations

from pathlib import Path

import minigpt as mg
from command_line import Parser, count, one_line_errors
from inputs import load
from minigpt import viz


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
    draw(mg.History.read(args.checkpoint), model, tokenizer, args.text, args.output)
    layers, heads = model.config.n_layer, model.config.n_head
    print(f"{args.output}: {count(layers, 'layer')} of {count(heads, 'head')}")


def draw(
    history: mg.History, model: mg.GPT, tokenizer: mg.Tokenizer, text: str, output: Path
) -> None:
    width, height = viz.attention(model, tokenizer, text).get_size_inches()
    figure = viz.new_figure(6 + width, max(height, 4))
    left, right = figure.subfigures(1, 2, width_ratios=[6, width])
    viz.losses(history, ax=left.add_subplot())
    viz.attention(model, tokenizer, text, ax=right.add_subplot())
    figure.savefig(output, dpi=110)


if __name__ == "__main__":
    main()
