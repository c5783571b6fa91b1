"""Look inside a trained model: where its attention looks, beside how its loss fell.

    python examples/look_inside.py --checkpoint runs/quickstart --output inside.png

Each small square is one attention head. Row by row it shows, for every character of the text, which
of the characters before it the head looks at: the darker, the more. Needs matplotlib.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

import minigpt as mg
from minigpt.training.plots import draw_history, new_figure


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--checkpoint", type=Path, required=True, help="a run's folder")
    parser.add_argument("--text", default="The class statement is ", help="what the model reads")
    parser.add_argument("--output", type=Path, default=Path("inside.png"), help="the picture")
    args = parser.parse_args()

    try:
        model, tokenizer = mg.load_model(args.checkpoint)
        history = mg.History.read(args.checkpoint)
        ids = np.array([tokenizer.encode(args.text)])
        maps = model.attention_weights(ids)  # for each layer (1, n_head, T, T)
        draw(history, maps, [tokenizer.decode([i]) for i in ids[0]], args.output)
    except (ValueError, OSError, ImportError) as error:
        sys.exit(f"look_inside.py: {error}")
    print(f"{args.output}: {len(maps)} layers of {maps[0].shape[1]} heads")


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
