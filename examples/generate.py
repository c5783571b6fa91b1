"""Let a trained model write.

    python examples/generate.py --checkpoint runs/train --prompt "The class"
    python examples/generate.py --checkpoint runs/train --prompt "import" --samples 3 --top-k 20

One sample is shown as it is written; several are written at once, as one batch.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import minigpt as mg


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--checkpoint", type=Path, required=True, help="a file, or a run's folder")
    parser.add_argument(
        "--best", action="store_true", help="of a folder, the best one, not the last"
    )
    parser.add_argument("--prompt", default="\n", help="what the text begins with")
    parser.add_argument("--tokens", type=int, default=500, help="how many to write")
    parser.add_argument("--samples", type=int, default=1, help="how many texts")
    parser.add_argument("--temperature", type=float, default=0.8, help="0 takes the likeliest")
    parser.add_argument("--top-k", type=int, help="choose among the k likeliest tokens")
    parser.add_argument("--top-p", type=float, help="choose among the likeliest of this mass")
    parser.add_argument(
        "--repetition-penalty", type=float, default=1.0, help="above 1: repeat less"
    )
    parser.add_argument("--stop", action="append", default=[], help="end before this text")
    parser.add_argument("--seed", type=int, help="the same seed writes the same text")
    args = parser.parse_args()

    try:
        model, tokenizer = mg.load_model(args.checkpoint, best=args.best)
        sampler = mg.Sampler(model, tokenizer)
        options = {
            "max_new_tokens": args.tokens,
            "temperature": args.temperature,
            "top_k": args.top_k,
            "top_p": args.top_p,
            "repetition_penalty": args.repetition_penalty,
            "stop": args.stop,
            "seed": args.seed,
        }
        if args.samples == 1:
            for piece in sampler.stream(args.prompt, **options):
                print(piece, end="", flush=True)
            print()
            return
        texts = sampler.generate(args.prompt, num_return_sequences=args.samples, **options)
        for number, text in enumerate(texts, 1):
            print(f"── sample {number} " + "─" * 60 + f"\n{text}")
    except (ValueError, TypeError, OSError) as error:
        sys.exit(f"generate.py: {error}")
    except KeyboardInterrupt:
        print()


if __name__ == "__main__":
    main()
