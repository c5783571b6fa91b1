"""Tool: let a trained model write.

    python examples/generate.py --checkpoint runs/train --prompt "The class"
    python examples/generate.py --checkpoint runs/train --prompt "import" --samples 3 --top-k 20
    python examples/generate.py --checkpoint runs/train --prompt "The class" --beams 4 --tokens 60

One sample is shown as it is written; several are written at once, as one batch. With --beams the
likeliest text is looked for, and shown when it is found.
"""

from __future__ import annotations

from pathlib import Path

import minigpt as mg
from command_line import Parser, at_least, one_line_errors
from inputs import first_prompt, load


@one_line_errors()
def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("--checkpoint", type=Path, required=True, help="a file, or a run's folder")
    parser.add_argument(
        "--best", action="store_true", help="of a folder, the best one, not the last"
    )
    parser.add_argument("--prompt", help="what the text begins with (default: a new line)")
    parser.add_argument("--tokens", type=at_least(0), default=500, help="how many to write")
    parser.add_argument("--samples", type=at_least(1), default=1, help="how many texts")
    parser.add_argument(
        "--temperature", type=float, help="0 takes the likeliest (default: 0.8; none with --beams)"
    )
    parser.add_argument("--top-k", type=int, help="choose among the k likeliest tokens")
    parser.add_argument("--top-p", type=float, help="choose among the likeliest of this mass")
    parser.add_argument(
        "--repetition-penalty", type=float, default=1.0, help="above 1: repeat less"
    )
    parser.add_argument(
        "--beams", type=at_least(1), default=1, help="above 1: beam search, without chance"
    )
    parser.add_argument("--stop", action="append", help="end before this text; may be repeated")
    parser.add_argument("--seed", type=at_least(0), help="the same seed writes the same text")
    args = parser.parse_args()

    model, tokenizer = load(args.checkpoint, args.best)
    sampler = mg.Sampler(model, tokenizer)
    prompt = first_prompt(tokenizer) if args.prompt is None else args.prompt
    default_temperature = 0.8 if args.beams == 1 else 0
    options = {
        "max_new_tokens": args.tokens,
        "temperature": default_temperature if args.temperature is None else args.temperature,
        "top_k": args.top_k,
        "top_p": args.top_p,
        "repetition_penalty": args.repetition_penalty,
        "num_beams": args.beams,
        "stop": args.stop or (),
        "seed": args.seed,
    }
    if args.samples > 1 or args.beams > 1:
        texts = sampler.generate(prompt, num_return_sequences=args.samples, **options)
        for number, text in enumerate(texts, 1):
            if args.samples > 1:
                print(f"── sample {number} " + "─" * 60)
            print(text)
        return
    pieces = sampler.stream(prompt, **options)
    try:
        for piece in pieces:
            print(piece, end="", flush=True)
    finally:  # after Ctrl-C too
        print()


if __name__ == "__main__":
    main()
