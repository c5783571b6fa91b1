"""First steps: a page to explore a trained model with, in any browser.

    python examples/explore.py --checkpoint runs/quickstart
    python examples/explore.py --checkpoint runs/quickstart --text "A class" "A function"

Point at a token to see where each head looks, step through the layers to see what each expects to
come next. A small model runs in the page: type, and all numbers follow; let it write. The page is
one file, which needs no network.
"""

from __future__ import annotations

from pathlib import Path

import minigpt as mg
from command_line import Parser, one_line_errors
from inputs import first_prompt, load_trained
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
        "--text",
        nargs="+",
        help="what the model reads; or several, to choose from (default: an English sentence, or "
        "what the model writes where its tokenizer has not all the characters of that)",
    )
    parser.add_argument("--output", type=Path, default=Path("explorer.html"), help="the page")
    args = parser.parse_args()

    model, tokenizer = load_trained(args.checkpoint)
    texts = args.text or [default_text(model, tokenizer)]
    explorer = explore(model, tokenizer, texts, args.output)
    print(f"{args.output}: {explorer}")
    print(f"Open it in a browser: {args.output.resolve().as_uri()}")


def default_text(model: mg.GPT, tokenizer: mg.Tokenizer) -> str:
    """The sentence; cut, where the context is short; or one that the model writes itself."""
    length = max(1, min(40, model.config.block_size // 2))
    try:
        return tokenizer.decode(tokenizer.encode(TEXT)[: model.config.block_size])
    except ValueError:  # characters that were not in its text
        return mg.Sampler(model, tokenizer).generate(first_prompt(tokenizer), length, seed=0)[0]


if __name__ == "__main__":
    main()
