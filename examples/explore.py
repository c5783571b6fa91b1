"""First steps: a page to explore a trained model with, in any browser.

    python examples/explore.py --checkpoint runs/quickstart
    python examples/explore.py --checkpoint runs/quickstart --text "A class" "A function"

Point at a token to see where each head looks, step through the layers to see what each expects to
come next. A small model runs in the page: type, and all numbers follow; let it write. The page is
one file, which needs no network.
"""

from __future__ import annotations

from pathlib import Path

from command_line import Parser, one_line_errors
from inputs import load_trained
from minigpt.viz import explore

TEXT = "When a function is called, the local variables of the class are bound to a new"


@one_line_errors()
def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument(
        "--checkpoint",
        required=True,
        help="a checkpoint, a run's folder, a published model's folder or name, or a .gguf file",
    )
    parser.add_argument(
        "--text", nargs="+", default=[TEXT], help="what the model reads; or several, to choose from"
    )
    parser.add_argument("--output", type=Path, default=Path("explorer.html"), help="the page")
    args = parser.parse_args()

    model, tokenizer = load_trained(args.checkpoint)
    explorer = explore(model, tokenizer, args.text, args.output)
    print(f"{args.output}: {explorer}")
    print(f"Open it in a browser: {args.output.resolve().as_uri()}")


if __name__ == "__main__":
    main()
