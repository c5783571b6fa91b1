"""Train a GPT on any text: a corpus by name, a file, or a folder of files.

    python examples/train.py --data python-stdlib --output runs/stdlib
    python examples/train.py --data my-notes.txt --n-layer 6 --n-embd 192 --steps 5000
    python examples/train.py --resume --data python-stdlib --output runs/stdlib

Stopped with Ctrl-C, or killed, it goes on with --resume as if nothing had happened.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Literal

import numpy as np

import minigpt as mg
from minigpt.datasets import corpora, load_text, open_tokens, train_val_split
from minigpt.training import TrainingDiverged

Data = tuple[np.ndarray, np.ndarray, mg.Tokenizer]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument(
        "--data",
        default="python-docs",
        help=f"{', '.join(corpora())}, a file, a folder of text, or one made by data/prepare.py",
    )
    parser.add_argument("--val-fraction", type=float, default=0.1, help="held out, the last part")
    parser.add_argument("--output", type=Path, default=Path("runs/train"), help="the run's folder")
    parser.add_argument("--resume", action="store_true", help="go on with the run in --output")
    parser.add_argument("--overwrite", action="store_true", help="replace the run in --output")
    model = parser.add_argument_group("model")
    model.add_argument("--n-layer", type=int, default=4, help="blocks")
    model.add_argument("--n-head", type=int, default=4, help="attention heads in a block")
    model.add_argument("--n-embd", type=int, default=128, help="width")
    model.add_argument("--block-size", type=int, default=128, help="context, in tokens")
    model.add_argument("--dropout", type=float, default=0.0, help="against over-fitting")
    training = parser.add_argument_group("training")
    training.add_argument("--steps", type=int, default=2000, help="optimizer steps")
    training.add_argument("--batch-size", type=int, default=12, help="sequences in a batch")
    training.add_argument("--accumulate", type=int, default=1, help="batches that make a step")
    training.add_argument("--learning-rate", type=float, default=2e-3, help="the highest")
    training.add_argument("--weight-decay", type=float, default=0.1, help="on matrices alone")
    training.add_argument("--eval-interval", type=int, default=250, help="steps in between")
    training.add_argument(
        "--patience", type=int, help="evaluations without a better one, then stop"
    )
    training.add_argument("--workers", type=workers, default="auto", help='threads, or "auto"')
    training.add_argument("--seed", type=int, default=0, help="of weights, batches and dropout")
    training.add_argument("--quiet", action="store_true", help="no bar")
    args = parser.parse_args()

    try:
        trainer = resume(args) if args.resume else start(args)
        history = trainer.fit()
    except (ValueError, TypeError, OSError, TrainingDiverged) as error:
        sys.exit(f"train.py: {error}")
    if history.evaluations:
        last = history.evaluations[-1]
        print(f"step {last['step']}: validation loss {last['val_loss']:.4f}")
    print(f'python examples/generate.py --checkpoint {args.output} --prompt "…"')


def start(args: argparse.Namespace) -> mg.Trainer:
    train_tokens, val_tokens, tokenizer = read(args)
    config = mg.GPTConfig(
        vocab_size=tokenizer.vocab_size,
        block_size=args.block_size,
        n_layer=args.n_layer,
        n_head=args.n_head,
        n_embd=args.n_embd,
        dropout=args.dropout,
    )
    training = mg.TrainerConfig(
        max_steps=args.steps,
        batch_size=args.batch_size,
        gradient_accumulation=args.accumulate,
        learning_rate=args.learning_rate,
        weight_decay=args.weight_decay,
        eval_interval=args.eval_interval,
        early_stopping_patience=args.patience,
        checkpoint_dir=args.output,
        overwrite=args.overwrite,
        workers=args.workers,
        seed=args.seed,
        progress=not args.quiet,
    )
    model = mg.GPT(config, seed=args.seed)
    print(f"{args.data}: {len(train_tokens):,} tokens to train on, {len(val_tokens):,} held out")
    print(f"a GPT of {model.num_parameters():,} parameters")
    return mg.Trainer(model, train_tokens, val_tokens, training, tokenizer=tokenizer)


def resume(args: argparse.Namespace) -> mg.Trainer:
    _, tokenizer = mg.load_model(args.output)
    train_tokens, val_tokens, _ = read(args, tokenizer)
    return mg.Trainer.resume(args.output, train_tokens, val_tokens, progress=not args.quiet)


def read(args: argparse.Namespace, tokenizer: mg.Tokenizer | None = None) -> Data:
    """The text as tokens: from the token files that data/prepare.py writes, or from the text."""
    if Path(args.data, "train.npy").exists():  # larger than memory, if need be
        folder = Path(args.data)
        return (
            open_tokens(folder / "train.npy"),
            open_tokens(folder / "val.npy"),
            mg.load_tokenizer(folder / "tokenizer.json"),
        )
    text = load_text(args.data)
    tokenizer = tokenizer or mg.CharTokenizer.train(text)
    return *train_val_split(tokenizer.encode_array(text), args.val_fraction), tokenizer


def workers(value: str) -> int | Literal["auto"]:
    return "auto" if value == "auto" else int(value)


if __name__ == "__main__":
    main()
