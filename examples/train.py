"""Tool: train a GPT on any text, a corpus by name, a file, or a folder of files.

    python examples/train.py --data python-stdlib --output runs/stdlib
    python examples/train.py --data python-stdlib --tokenizer bpe --vocab-size 1024
    python examples/train.py --data my-notes.txt --n-layer 6 --n-embd 192 --steps 5000
    python examples/train.py --resume --data python-stdlib --output runs/stdlib
    python examples/train.py --init-from gpt2 --lora 8 --data my-notes.txt --output runs/notes

With --init-from a trained model goes on, or is fine-tuned: one's own, or a published one. It brings
its tokenizer, and --block-size may be shorter than its context.

Stopped with Ctrl-C, or killed, a run goes on with --resume as if nothing had happened; or, on
purpose, with other --steps, --learning-rate, --batch-size, …
"""

from __future__ import annotations

import argparse
import shlex
from typing import Any, Literal

import minigpt as mg
from command_line import Parser, at_least, count, one_line_errors
from inputs import SPECIAL, VAL_FRACTION, Tokens, has_token_files, load_trained, read
from minigpt.checkpoints import save_lora
from minigpt.datasets import corpora
from minigpt.models import LSTMLanguageModel
from minigpt.nn import lora_parameters, num_trainable
from runs import (
    adapted,
    add_adapting,
    check_adapting,
    new_gpt,
    resume_command,
    train_to_the_end,
)

VOCAB_SIZE = 1024
LEARNING_RATES = {"new": 2e-3, "trained": 1e-4, "lora": 1e-3}
WITH_RESUME = {"resume", "data", "val_fraction", "special", "output", "quiet"}
# What may be another when a run goes on: option, and setting.
CHANGES = {
    "steps": "max_steps", "batch_size": "batch_size", "learning_rate": "learning_rate",
    "accumulate": "gradient_accumulation", "weight_decay": "weight_decay",
    "eval_interval": "eval_interval", "patience": "early_stopping_patience", "workers": "workers",
}  # fmt: skip


@one_line_errors()
def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument(
        "--data",
        default="python-docs",
        help=f"{', '.join(corpora())}, a file, a folder of text, or one made by data/prepare.py",
    )
    parser.add_argument(
        "--val-fraction",
        type=float,
        help=f"held out at the end (default: {VAL_FRACTION}; data/prepare.py has split already)",
    )
    parser.add_argument(
        "--special",
        choices=SPECIAL,
        default="refuse",
        help="what the name of a special token in the text is (default: %(default)s)",
    )
    parser.add_output("runs/train")
    parser.add_argument("--resume", action="store_true", help="go on with the run in --output")
    parser.add_argument(
        "--tokenizer",
        choices=("char", "bpe"),
        help="characters, or byte pairs (default: char; data/prepare.py has made one already)",
    )
    parser.add_argument(
        "--vocab-size", type=at_least(256), help=f"of byte pairs (default: {VOCAB_SIZE})"
    )
    model = parser.add_argument_group("model")
    parser.add_gpt(n_layer=4, n_head=4, n_embd=128, block_size=128, group=model)
    model.add_argument(
        "--dropout", type=float, help="against over-fitting (default: 0; a trained model's own)"
    )
    add_adapting(parser)
    training = parser.add_argument_group("training")
    rates = "the highest (default: {new}; {trained} with --init-from, {lora} with --lora)"
    parser.add_training(
        steps=2000,
        batch_size=12,
        learning_rate=None,
        highest=rates.format(**LEARNING_RATES),
        group=training,
    )
    training.add_argument(
        "--accumulate", type=at_least(1), default=1, help="batches that make a step"
    )
    training.add_argument(
        "--optimizer",
        choices=("adamw", "muon"),
        default="adamw",
        help="muon: for the hidden matrices, with adamw for the rest",
    )
    training.add_argument("--weight-decay", type=float, default=0.1, help="on matrices only")
    training.add_argument("--eval-interval", type=at_least(1), default=250, help="steps in between")
    training.add_argument(
        "--patience", type=at_least(1), help="evaluations without a better one, then stop"
    )
    training.add_argument("--workers", type=workers, default="auto", help='threads, or "auto"')
    parser.add_seed("weights, batches and dropout")
    args = parser.parse_args()
    given = parser.given()
    changes = {CHANGES[name]: getattr(args, name) for name in given if name in CHANGES}
    if args.resume and (belonging := [n for n in given if n not in WITH_RESUME | CHANGES.keys()]):
        option = belonging[0].replace("_", "-")
        parser.error(f"--{option} belongs to the run: leave it out with --resume")
    if args.vocab_size and args.tokenizer != "bpe":
        parser.error("--vocab-size is of byte pairs: add --tokenizer bpe")

    check_adapting(parser, given)

    trainer = resume(args, changes) if args.resume else start(args, given)
    if trainer.step >= trainer.total_steps:
        print(f"the run is finished after {count(trainer.step, 'step')}: --steps N goes further")
    elif trainer.finished:
        print(f"the run stopped early, after {count(trainer.step, 'step')}, as --patience asked")
    command = resume_command(args.data, args.output, args.val_fraction, args.special)
    history = train_to_the_end(trainer, resume=command)
    if history.evaluations:
        last = history.evaluations[-1]
        print(f"step {last['step']}: validation loss {last['val_loss']:.4f}")
    if lora_parameters(trainer.model):
        path = save_lora(args.output / "adapter.npz", trainer.model)
        size = f"{path.stat().st_size / 1e6:.2f} MB"
        print(f"{path}: the adapters only, {size}; the checkpoints beside it hold the whole model")
    print(f"python examples/generate.py --checkpoint {shlex.quote(str(args.output))}")


def start(args: argparse.Namespace, given: list[str]) -> mg.Trainer:
    trained, tokenizer = None, None
    if args.init_from:
        trained, tokenizer = load_trained(args.init_from, progress=not args.quiet)
    block_size = None if trained is None else block_size_for(trained, args, given)
    train_tokens, val_tokens, tokenizer = read_with_tokenizer(args, tokenizer)
    training = mg.TrainerConfig(
        max_steps=args.steps,
        batch_size=args.batch_size,
        block_size=block_size,
        gradient_accumulation=args.accumulate,
        learning_rate=default_rate(args) if args.learning_rate is None else args.learning_rate,
        optimizer=args.optimizer,
        weight_decay=args.weight_decay,
        eval_interval=args.eval_interval,
        early_stopping_patience=args.patience,
        checkpoint_dir=args.output,
        overwrite=args.overwrite,
        workers=args.workers,
        seed=args.seed,
        progress=not args.quiet,
    )
    if trained is None:
        model = new_gpt(args, tokenizer.vocab_size, args.dropout or 0.0)
    else:
        model = adapted(trained, args)
    trainer = mg.Trainer(model, train_tokens, val_tokens, config=training, tokenizer=tokenizer)
    tokens = count(len(train_tokens), "token")
    print(f"{args.data}: {tokens} to train on, {len(val_tokens):,} held out")
    kind, learn = type(model).__name__, num_trainable(model)
    learning = "" if learn == model.num_parameters() else f", {learn:,} of which learn"
    print(f"a {kind} of {count(model.num_parameters(), 'parameter')}{learning}")
    return trainer


def block_size_for(model: Any, args: argparse.Namespace, given: list[str]) -> int:
    """The context to train on, which a trained model's own bounds."""
    if not isinstance(model, (mg.GPT, LSTMLanguageModel)):
        kind = type(model).__name__
        raise ValueError(f"argument --init-from: expected a GPT or an LSTM, found {kind}")
    longest = model.config.block_size or args.block_size
    if "block_size" in given and args.block_size > longest:
        raise ValueError(f"--block-size {args.block_size} is longer than the model's, {longest}")
    return min(args.block_size, longest)


def default_rate(args: argparse.Namespace) -> float:
    return LEARNING_RATES["lora" if args.lora else "trained" if args.init_from else "new"]


def read_with_tokenizer(
    args: argparse.Namespace, tokenizer: mg.Tokenizer | None
) -> tuple[Tokens, Tokens, mg.Tokenizer]:
    if args.tokenizer and has_token_files(args.data):
        raise ValueError(f"{args.data} has its tokenizer already: leave --tokenizer out")
    if args.tokenizer != "bpe":
        return read(args.data, args.val_fraction, tokenizer, special=args.special)

    def byte_pairs(text: str) -> mg.BPETokenizer:
        size = args.vocab_size or VOCAB_SIZE
        return mg.BPETokenizer.train(text, size, progress=not args.quiet)

    return read(args.data, args.val_fraction, make_tokenizer=byte_pairs)


def resume(args: argparse.Namespace, changes: dict[str, Any]) -> mg.Trainer:
    _, tokenizer = mg.load_model(args.output)
    train_tokens, val_tokens, _ = read(
        args.data, args.val_fraction, tokenizer, special=args.special
    )
    return mg.Trainer.resume(
        args.output, train_tokens, val_tokens, progress=not args.quiet, **changes
    )


def workers(value: str) -> int | Literal["auto"]:
    if value != "auto" and not value.isdecimal():
        raise argparse.ArgumentTypeError(f"must be a number or auto: got {value}")
    return "auto" if value == "auto" else int(value)


if __name__ == "__main__":
    main()
