"""Measure a trained model on held-out text: loss, perplexity, accuracy, and bits per byte.

    python examples/evaluate.py --checkpoint runs/train
    python examples/evaluate.py --checkpoint runs/train --data other.txt --part all

Every token of the text is predicted once, from up to block_size tokens before it.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from command_line import Parser, at_least, one_line_errors
from inputs import VAL_FRACTION, load, read
from minigpt.datasets import corpora
from minigpt.sampling import bits_per_byte
from minigpt.training import evaluate


@one_line_errors()
def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("--checkpoint", type=Path, required=True, help="a file, or a run's folder")
    parser.add_argument(
        "--best", action="store_true", help="of a folder, the best one, not the last"
    )
    parser.add_argument(
        "--data",
        default="python-docs",
        help=f"{', '.join(corpora())}, a file, a folder of text, or one made by data/prepare.py",
    )
    parser.add_argument(
        "--part", choices=("val", "train", "all"), default="val", help="of the text"
    )
    parser.add_argument(
        "--val-fraction",
        type=float,
        help=f"as it was in training (default: {VAL_FRACTION}; data/prepare.py has split already)",
    )
    parser.add_argument("--batch-size", type=at_least(1), default=32, help="sequences at a time")
    parser.add_argument("--quiet", action="store_true", help="no bar")
    args = parser.parse_args()

    model, tokenizer = load(args.checkpoint, args.best)
    train_tokens, val_tokens, _ = read(args.data, args.val_fraction, tokenizer)
    if args.part == "all":
        tokens = np.concatenate([train_tokens, val_tokens])
    else:
        tokens = train_tokens if args.part == "train" else val_tokens
    metrics = evaluate(model, tokens, batch_size=args.batch_size, progress=not args.quiet)

    n_predicted = len(tokens) - 1  # all but the first
    n_bytes = len(tokenizer.decode(tokens[1:]).encode())
    print(f"tokens          {n_predicted:,} predicted")
    print(f"loss            {metrics['loss']:.4f} nats a token")
    print(f"perplexity      {metrics['perplexity']:.3f}")
    print(f"accuracy        {metrics['accuracy']:.2%} of next tokens are the likeliest one")
    print(f"bits per byte   {bits_per_byte(metrics['loss'] * n_predicted, n_bytes):.4f}")


if __name__ == "__main__":
    main()
