"""Tool: measure a model on held-out text: loss, perplexity, accuracy, and bits per byte.

    python examples/evaluate.py --checkpoint runs/train
    python examples/evaluate.py --checkpoint runs/train --data other.txt --part all --stride 16
    python examples/evaluate.py --gpt2 gpt2 --data book.txt

Every token of the text but the first is predicted once. The text is cut in blocks of --block-size
tokens, and a token is predicted from those before it in its block. With --stride S a window of the
model's context, N tokens, slides over the text, S tokens at a time: slower, but after the first
window every token is predicted from at least N - S + 1 before it. An LSTM has no context that ends:
it reads on from block to block.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

import minigpt as mg
from command_line import Parser, at_least, one_line_errors
from inputs import SPECIAL, VAL_FRACTION, load, load_gpt2, read
from minigpt.datasets import corpora
from minigpt.metrics import bits_per_byte, perplexity_of
from minigpt.models import LSTMLanguageModel
from minigpt.sampling import token_log_probabilities
from minigpt.training import evaluate

BLOCK_SIZE = 64  # of an LSTM, which carries its state on: it only decides about memory
LONGEST = 1024  # block of a GPT by default
LOGITS_AT_ONCE = 2**28  # numbers: 1 GB


@one_line_errors()
def main() -> None:
    parser = Parser(__doc__)
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--checkpoint", type=Path, help="a file, or a run's folder")
    which.add_argument(
        "--gpt2", help="a folder with a GPT-2 of Hugging Face and its tokenizer, or a name: gpt2"
    )
    parser.add_argument(
        "--best", action="store_true", help="of a folder, the best one, not the last"
    )
    parser.add_argument(
        "--data",
        default="python-docs",
        help=f"{', '.join(corpora())}, a file, a folder of text, or one made by data/prepare.py",
    )
    parser.add_argument(
        "--part",
        choices=("val", "train", "all"),
        help="of the text (default: val; all with --gpt2, which has seen none of it here)",
    )
    parser.add_argument(
        "--val-fraction",
        type=float,
        help=f"as it was in training (default: {VAL_FRACTION}; data/prepare.py has split already)",
    )
    parser.add_argument(
        "--stride",
        type=at_least(1),
        help="slide a window over the text (default with --gpt2: half of its context)",
    )
    parser.add_argument(
        "--block-size",
        type=at_least(1),
        help=f"tokens in a block (default: the model's context, {LONGEST:,} at most)",
    )
    parser.add_argument(
        "--batch-size", type=at_least(1), help="blocks at a time (default: 32, or what fits)"
    )
    parser.add_argument(
        "--special",
        choices=SPECIAL,
        default="refuse",
        help="what the name of a special token in the text is (default: %(default)s)",
    )
    parser.add_argument("--quiet", action="store_true", help="no bar")
    args = parser.parse_args()

    slides = args.stride is not None or args.gpt2 is not None
    for option, value in (("--batch-size", args.batch_size), ("--block-size", args.block_size)):
        if slides and value is not None:
            parser.error(f"{option} is for blocks: leave it out with --stride and --gpt2")
    if args.gpt2 is not None and args.best:
        parser.error("--best is for a run's folder: leave it out with --gpt2")
    model, tokenizer = load_gpt2(args.gpt2) if args.gpt2 else load(args.checkpoint, args.best)
    recurrent = isinstance(model, LSTMLanguageModel)
    if not (recurrent or isinstance(model, mg.GPT)):
        kind = type(model).__name__
        parser.error(f"argument --checkpoint: expected a GPT or an LSTM, found {kind}")
    if recurrent and slides:
        parser.error("--stride is for models with a context: an LSTM reads on, leave it out")
    train_tokens, val_tokens, _ = read(
        args.data, args.val_fraction, tokenizer, special=args.special
    )
    part = args.part or ("all" if args.gpt2 else "val")
    if part == "all":
        tokens = np.concatenate([train_tokens, val_tokens])
    else:
        tokens = train_tokens if part == "train" else val_tokens

    accuracy = None
    if slides:
        scores = token_log_probabilities(model, tokens, args.stride, progress=not args.quiet)
        loss = -float(scores.mean())
    else:
        longest = model.config.block_size or args.block_size or BLOCK_SIZE
        block_size = args.block_size or min(longest, LONGEST)
        if block_size > longest:
            parser.error(f"--block-size {block_size} is longer than the model's, {longest}")
        fitting = LOGITS_AT_ONCE // (block_size * model.config.vocab_size)
        metrics = evaluate(
            model,
            tokens,
            batch_size=args.batch_size or min(32, max(1, fitting)),
            block_size=block_size,
            carry_state=recurrent,
            progress=not args.quiet,
        )
        loss, accuracy = metrics["loss"], metrics["accuracy"]

    n_predicted = len(tokens) - 1  # all but the first
    n_bytes = len(tokenizer.decode(tokens[1:]).encode())
    print(f"tokens          {n_predicted:,} predicted")
    print(f"loss            {loss:.4f} nats a token")
    print(f"perplexity      {perplexity_of(loss):.3f}")
    if accuracy is not None:
        print(f"accuracy        {accuracy:.2%} of next tokens are the likeliest one")
    print(f"bits per byte   {bits_per_byte(loss * n_predicted, n_bytes):.4f}")


if __name__ == "__main__":
    main()
