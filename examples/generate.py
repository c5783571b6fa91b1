"""Tool: let a trained model write.

    python examples/generate.py --checkpoint runs/train --prompt "The class"
    python examples/generate.py --checkpoint runs/train --prompt "import" --samples 3 --top-k 20
    python examples/generate.py --checkpoint runs/train --prompt "The class" --beams 4 --tokens 60

One sample is shown as it is written; several are written at once, as one batch. With --beams the
likeliest text is looked for, and shown when it is found.
"""

from __future__ import annotations

import minigpt as mg
from command_line import Parser, one_line_errors
from inputs import first_prompt, load_trained
from writing import add_writing, write


@one_line_errors()
def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument(
        "--checkpoint",
        required=True,
        help="a checkpoint, a run's folder, a published model's folder or name, or a .gguf file",
    )
    parser.add_argument(
        "--best", action="store_true", help="of a folder, the best one, not the last"
    )
    parser.add_argument("--prompt", default="", help="what the text begins with (default: nothing)")
    add_writing(parser, tokens=500)
    args = parser.parse_args()

    model, tokenizer = load_trained(args.checkpoint, best=args.best)
    write(mg.Sampler(model, tokenizer), args.prompt or first_prompt(tokenizer), args)


if __name__ == "__main__":
    main()
