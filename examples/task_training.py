"""Training as the scripts that learn a task from generated text have it in common."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import minigpt as mg
from command_line import train_to_the_end


def train(
    model: Any,
    batches: Any,
    tokenizer: mg.Tokenizer,
    checkpoint: Path,
    *,
    steps: int,
    learning_rate: float,
    seed: int,
    quiet: bool,
) -> mg.Trainer:
    """Train a model, and keep it with its tokenizer in ``checkpoint``.

    β₂ = 0.98 is that of Vaswani et al. 2017 (§5.3): what matters changes as fast as in translation.
    """
    config = mg.TrainerConfig(
        max_steps=steps,
        learning_rate=learning_rate,
        min_learning_rate=learning_rate / 100,
        betas=(0.9, 0.98),
        weight_decay=0.01,
        eval_interval=steps,  # the test is another thing
        eval_batches=4,
        seed=seed,
        progress=not quiet,
    )
    trainer = mg.Trainer(model, batches, None, config, tokenizer=tokenizer)
    train_to_the_end(trainer)
    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    trainer.save(checkpoint)
    return trainer


def narrow_gpt(
    vocab_size: int, block_size: int, n_layer: int, seed: int, alibi_scale: float = 1.0
) -> mg.GPT:
    """A GPT for tasks of finding things again: many layers for its width, and ALiBi for positions.

    Each step of finding takes a layer or two. Attention falls with the distance (Press et al.
    2022), so that of several things that fit the last one counts. The initial weights have a
    standard deviation of 1/√width, which keeps the size of what goes through a layer.
    """
    config = mg.GPTConfig(
        vocab_size, block_size, n_layer, n_head=4, n_embd=64, positions="alibi",
        alibi_scale=alibi_scale, init_std=64**-0.5,
    )  # fmt: skip
    return mg.GPT(config, seed=seed)


def steps_of(shares: Iterable[float], steps: int) -> list[int]:
    """How many of the steps each stage of a curriculum takes, by their shares."""
    ends = [round(steps * end) for end in accumulate(shares)]
    return [end - start for start, end in pairwise([0, *ends])]
