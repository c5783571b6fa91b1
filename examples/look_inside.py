"""First steps: where the attention of a trained model looks, beside how its loss fell.

    python examples/look_inside.py --checkpoint runs/quickstart --output inside.png

Each small square is one attention head. Row by row it shows, for every character of the text, which
of the characters before it the head looks at: the darker, the more. Needs matplotlib.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

import minigpt as mg
from command_line import Parser, count, one_line_errors
from inputs import load
from minigpt.training.plots import draw_history, new_figure


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
    draw(history, maps, [tokenizer.decode([i]) for i in ids[0]], args.output)
    print(f"{args.output}: {count(len(maps), 'layer')} of {count(maps[0].shape[1], 'head')}")


def draw(history: mg.History, maps: list[np.ndarray], tokens: list[str], output: Path) -> None:
    figure = new_figure(figsize=(13, 5), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=[1, 1])
    axes = left.add_subplot()
    draw_history(axes, history)
    axes.set_title("learning")
    n_layer, n_head = len(maps), maps[0].shape[1]
    right.suptitle(f"where the heads look, reading “{''.join(tokens).strip()}”")
    grid = right.subplots(n_layer, n_head, squeeze=False)
    for layer in range(n_layer):
        for head in range(n_head):
            axes = grid[layer, head]
            axes.imshow(maps[layer][0, head], cmap="Greys", vmin=0, vmax=1)
            axes.set_xticks([])
            axes.set_yticks([])
            if head == 0:
                axes.set_ylabel(f"layer {layer + 1}")
            if layer == 0:
                axes.set_title(f"head {head + 1}", fontsize=9)
    figure.savefig(output, dpi=110)


if __name__ == "__main__":
    main()
