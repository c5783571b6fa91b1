"""Measure a trained model on held-out text: loss, perplexity, accuracy, and bits per byte.

    python examples/evaluate.py --checkpoint runs/train
    python examples/evaluate.py --checkpoint runs/train --data other.txt --part all

Every token of the text is predicted once, from up to block_size tokens before it.
"""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path

import minigpt as mg
from minigpt.datasets import corpora, load_text, train_val_split
from minigpt.training import evaluate


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--checkpoint", type=Path, required=True, help="a file, or a run's folder")
    parser.add_argument(
        "--best", action="store_true", help="of a folder, the best one, not the last"
    )
    parser.add_argument("--data", default="python-docs", help=f"{', '.join(corpora())}, or a path")
    parser.add_argument(
        "--part", choices=("val", "train", "all"), default="val", help="of the text"
    )
    parser.add_argument("--val-fraction", type=float, default=0.1, help="as it was in training")
    parser.add_argument("--batch-size", type=int, default=32, help="sequences at a time")
    parser.add_argument("--quiet", action="store_true", help="no bar")
    args = parser.parse_args()

    try:
        model, tokenizer = mg.load_model(args.checkpoint, best=args.best)
        if tokenizer is None:
            raise ValueError(f"{args.checkpoint} holds no tokenizer: train with tokenizer=…")
        text = load_text(args.data)
        tokens = tokenizer.encode_array(text)
        if args.part != "all":
            parts = train_val_split(tokens, args.val_fraction)
            tokens = parts[0] if args.part == "train" else parts[1]
        metrics = evaluate(model, tokens, batch_size=args.batch_size, progress=not args.quiet)
    except (ValueError, TypeError, OSError) as error:
        sys.exit(f"evaluate.py: {error}")

    n_bytes = len(tokenizer.decode(tokens[1:].tolist()).encode())
    bits = metrics["loss"] * (len(tokens) - 1) / n_bytes / math.log(2)
    print(f"tokens          {len(tokens) - 1:,} predicted")
    print(f"loss            {metrics['loss']:.4f} nats a token")
    print(f"perplexity      {metrics['perplexity']:.3f}")
    print(f"accuracy        {metrics['accuracy']:.2%} of next tokens are the likeliest one")
    print(f"bits per byte   {bits:.4f}")


if __name__ == "__main__":
    main()
