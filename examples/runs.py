"""A run as the command line asks for it: the model's sizes, the settings, and its end."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import minigpt as mg


def new_gpt(args: Any, vocab_size: int, dropout: float = 0.0) -> mg.GPT:
    """The GPT of ``Parser.add_gpt``."""
    config = mg.GPTConfig(
        vocab_size=vocab_size,
        block_size=args.block_size,
        n_layer=args.n_layer,
        n_head=args.n_head,
        n_embd=args.n_embd,
        dropout=dropout,
    )
    return mg.GPT(config, seed=args.seed)


def train_as_asked(
    model: Any,
    train: Any,
    held_out: Any,
    tokenizer: mg.Tokenizer,
    args: Any,
    eval_interval: int | None = None,
) -> mg.Trainer:
    """The run of ``Parser.add_training``, kept at its end in the folder ``args.output``."""
    config = mg.TrainerConfig(
        max_steps=args.steps,
        batch_size=args.batch_size,
        learning_rate=args.learning_rate,
        eval_interval=eval_interval or args.steps,
        checkpoint_interval=args.steps,
        checkpoint_dir=args.output,
        overwrite=args.overwrite,
        seed=args.seed,
        progress=not args.quiet,
    )
    trainer = mg.Trainer(model, train, held_out, config=config, tokenizer=tokenizer)
    train_to_the_end(trainer)
    return trainer


def learn_task(
    model: Any,
    batches: Any,
    tokenizer: mg.Tokenizer,
    checkpoint: Path,
    args: Any,
    learning_rate: float,
) -> mg.Trainer:
    """Train on generated text, and keep the model with its tokenizer in ``checkpoint``.

    β₂ = 0.98 is that of Vaswani et al. 2017 (§5.3): what matters changes as fast as in translation.
    """
    config = mg.TrainerConfig(
        max_steps=args.steps,
        learning_rate=learning_rate,
        min_learning_rate=learning_rate / 100,
        betas=(0.9, 0.98),
        weight_decay=0.01,
        eval_interval=args.steps,  # the test is another thing
        eval_batches=4,
        seed=args.seed,
        progress=not args.quiet,
    )
    trainer = mg.Trainer(model, batches, config=config, tokenizer=tokenizer)
    train_to_the_end(trainer)
    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    trainer.save(checkpoint)
    return trainer


def train_to_the_end(trainer: mg.Trainer, resume: str | None = None) -> mg.History:
    """Train; after a Ctrl-C, which only ends the training, end the script too.

    Args:
        trainer: what trains.
        resume: the command that goes on, where there is one.
    """
    history = trainer.fit()
    if not trainer.finished:
        raise KeyboardInterrupt(*([f"go on with: {resume}"] if resume else []))
    return history


def resume_command(data: str, output: Path, val_fraction: float | None = None) -> str:
    """The command that goes on with a stopped run."""
    command = ["python", "examples/train.py", "--resume", "--data", data, "--output", str(output)]
    if val_fraction is not None:
        command += ["--val-fraction", str(val_fraction)]
    return shlex.join(command)
