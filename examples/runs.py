"""A run as the command line asks for it: the model, new or trained, the settings, and its end."""

from __future__ import annotations

import dataclasses
import itertools
import multiprocessing
import shlex
import sys
from collections.abc import Callable, Container, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import minigpt as mg
from command_line import Parser, at_least
from minigpt.nn import (
    add_lora,
    freeze_all_but_last,
    freeze_parts,
    lora_parameters,
    merge_lora,
    unfreeze,
)
from minigpt.nn.lora import ATTENTION
from minigpt.progress_bar import say
from minigpt.training import Callback

R = TypeVar("R")
OF_ADAPTERS = ("lora_alpha", "lora_dropout", "lora_targets")

# With these parts a GPT learns in fewer steps to look up what was said before (sudden_step.py): by
# the convolution a token looks, and is found, by the three before it as well (So et al. 2021).
LOOKS_UP_SOON: dict[str, Any] = {"normalization": "rms", "bias": False, "short_convolution": 4}


def new_gpt(args: Any, vocab_size: int, dropout: float = 0.0, **changes: Any) -> mg.GPT:
    """The GPT of ``Parser.add_gpt``; ``changes`` are further fields of its configuration."""
    config = mg.GPTConfig(
        vocab_size=vocab_size,
        block_size=args.block_size,
        n_layer=args.n_layer,
        n_head=args.n_head,
        n_embd=args.n_embd,
        dropout=dropout,
        **changes,
    )
    return mg.GPT(config, seed=args.seed)


def add_adapting(parser: Parser) -> None:
    """From which trained model a run begins, and what of it learns."""
    group = parser.add_argument_group("a trained model", "instead of a new one of the sizes above")
    group.add_argument(
        "--init-from",
        help="a checkpoint, a run's folder, a published model's folder or name, or a .gguf file",
    )
    group.add_argument(
        "--freeze",
        nargs="+",
        metavar="PART",
        help="what learns nothing: parts by their names, such as token_embedding, blocks.0 or mlp",
    )
    group.add_argument(
        "--last-blocks",
        type=at_least(1),
        metavar="N",
        help="only the last N blocks learn, and the norm after them",
    )
    group.add_argument(
        "--lora", type=at_least(1), metavar="RANK", help="only adapters of this rank learn"
    )
    group.add_argument("--lora-alpha", type=float, help="how loud they are (default: their rank)")
    group.add_argument(
        "--lora-dropout",
        type=float,
        metavar="SHARE",
        help="what they do not see of their input in training (default: 0)",
    )
    group.add_argument(
        "--lora-targets",
        nargs="+",
        metavar="NAME",
        help=f"the layers that have them (default: {' '.join(ATTENTION)})",
    )


def check_adapting(parser: Parser, given: Container[str]) -> None:
    """End the script if options are among those given that do not go together."""
    for name in ("freeze", "last_blocks", "lora", *OF_ADAPTERS):
        if name in given and "init_from" not in given:
            parser.error(f"{_option(name)} is for a trained model: add --init-from")
    for name in ("n_layer", "n_head", "n_embd", "tokenizer", "vocab_size"):
        if name in given and "init_from" in given:
            parser.error(f"{_option(name)} is for a new model: leave it out with --init-from")
    for name in OF_ADAPTERS:
        if name in given and "lora" not in given:
            parser.error(f"{_option(name)} is of adapters: add --lora RANK")
    ways = [_option(name) for name in ("freeze", "last_blocks", "lora") if name in given]
    if len(ways) > 1:
        parser.error(f"{ways[0]} and {ways[1]} both say what learns: leave one of them out")


def adapted(model: Any, args: Any) -> Any:
    """A trained model as ``add_adapting`` says; what was frozen in it learns again if not.

    Adapters that it has are folded into its matrices: a new run begins with an ordinary model.
    """
    if lora_parameters(model):
        merge_lora(model)
    if args.dropout is not None:
        config = dataclasses.replace(model.config, dropout=args.dropout)
        state, model = model.state_dict(), type(model)(config, seed=args.seed)
        model.load_state_dict(state)
    unfreeze(model)
    if args.lora:
        targets = args.lora_targets or ATTENTION
        dropout = args.lora_dropout or 0.0
        add_lora(model, args.lora, args.lora_alpha, targets, seed=args.seed, dropout=dropout)
    elif args.last_blocks:
        freeze_all_but_last(model, args.last_blocks)
    elif args.freeze:
        freeze_parts(model, args.freeze)
    return model


NEW_OVER_TRAINED = 10  # the learning rate of what begins new, over that of what was pre-trained
EPOCHS_REMEMBERED = 40  # both chosen by the validation names of fine_tune.py, after 100 labels
CASES_KNOWN_BEFORE = 40


def fine_tuning_rate(n_embd: int) -> float:
    """The highest learning rate for what begins new on a pre-trained model of this width.

        η = 10 · 5·10⁻⁵ · (2000 / n_embd)^0.781

    That is for low-rank adapters, whatever their rank, and for a new head. What was pre-trained and
    moves too gets a tenth of it: an adapter begins with B = 0, and its effect grows only as B does.

    From Schulman et al. 2025, "LoRA Without Regret", who fitted it to language models from a
    billion parameters on (this exponent to the Llama family). Nothing in it is chosen by a task.

    Example:
        >>> [f"{fine_tuning_rate(width):.2e}" for width in (96, 576, 4096)]
        ['5.36e-03', '1.32e-03', '2.86e-04']
    """
    return NEW_OVER_TRAINED * 5e-5 * (2000 / n_embd) ** 0.781


def fine_tuning_decay(learning_rate: float, n_cases: int, batch_size: int) -> float:
    """The weight decay that lets a fine-tuned model remember 40 epochs: the fewer cases, the more.

        λ = 1 / (η · steps of 40 epochs) = batch_size / (40 · η · n_cases)

    AdamW makes a parameter a mean of its updates, over the last 1/(ηλ) steps in the main. It is a
    number of epochs that holds from one size of the data to another, and not λ (Wang & Aitchison
    2024, "How to set AdamW's weight decay as you scale model and dataset size"). An adapter's
    decay draws the matrix beside it back to what was pre-trained, so that a few cases which are
    seen again and again do not lead far away.

    Example:
        >>> [round(fine_tuning_decay(5e-3, n, batch_size=32), 3) for n in (100, 1000, 5000)]
        [1.6, 0.16, 0.032]
    """
    return batch_size / (EPOCHS_REMEMBERED * learning_rate * n_cases)


def adapter_dropout(n_cases: int) -> float:
    """The dropout before low-rank adapters that are to learn from so many cases.

        p / (1 − p) = 40 / n_cases

    Dropout acts on the loss of every case as a penalty of p / (1 − p) on what is learned, in the
    main (Wager et al. 2013, "Dropout Training as Adaptive Regularization"). If what is known
    beforehand is to count as much as 40 cases, that share has to fall as the cases become more.

    Example:
        >>> [round(adapter_dropout(n), 3) for n in (100, 1000, 5000)]
        [0.286, 0.038, 0.008]
    """
    return CASES_KNOWN_BEFORE / (CASES_KNOWN_BEFORE + n_cases)


def train_as_asked(
    model: Any,
    train: Any,
    held_out: Any,
    tokenizer: mg.Tokenizer,
    args: Any,
    eval_interval: int | None = None,
    **settings: Any,
) -> mg.Trainer:
    """The run of ``Parser.add_training``, kept at its end in the folder ``args.output``.

    ``settings`` are further ones of TrainerConfig.
    """
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
        **settings,
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
    callbacks: Sequence[Callback] = (),
    **settings: Any,
) -> mg.Trainer:
    """Train on generated text, and keep the model with its tokenizer in ``checkpoint``.

    β₂ = 0.98 is that of Vaswani et al. 2017 (§5.3): what matters changes as fast as in translation.
    ``settings`` are further ones of TrainerConfig.
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
        **settings,
    )
    trainer = mg.Trainer(model, batches, None, config, tokenizer=tokenizer, callbacks=callbacks)
    train_to_the_end(trainer)
    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    trainer.save(checkpoint)
    return trainer


def muon_settings(steps: int) -> dict[str, Any]:
    """A training by Muon (Jordan et al. 2024), whose learning rate falls in its last quarter."""
    return {
        "optimizer": "muon",
        "schedule": "trapezoid",
        "warmup_steps": steps // 100,
        "decay_steps": steps // 4,
    }


def train_to_the_end(trainer: mg.Trainer, resume: str | None = None) -> mg.History:
    """Train; after a Ctrl-C, which only ends the training, end the script too.

    Args:
        trainer: what trains.
        resume: the command that goes on, where there is one.
    """
    ways = [f"go on with: {resume}"] if resume else []
    try:
        history = trainer.history if trainer.finished else trainer.fit()
    except SystemExit:  # the system asked the script to end
        if ways and not trainer.finished:
            say(f"{Path(sys.argv[0]).name}: {ways[0]}")
        raise
    if not trainer.finished:
        raise KeyboardInterrupt(*ways)
    return history


def side_by_side(
    function: Callable[..., R], calls: Sequence[tuple[Any, ...]], jobs: int
) -> Iterator[R]:
    """What a function returns for each tuple of arguments, in their order, ``jobs`` at a time.

    Several at a time run in processes of their own, which begin the script anew.
    """
    if jobs == 1:
        yield from itertools.starmap(function, calls)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=context) as pool:
        yield from pool.map(function, *zip(*calls, strict=True))


def resume_command(
    data: str, output: Path, val_fraction: float | None = None, special: str = "refuse"
) -> str:
    """The command that goes on with a stopped run."""
    command = ["python", "examples/train.py", "--resume", "--data", data, "--output", str(output)]
    if val_fraction is not None:
        command += ["--val-fraction", str(val_fraction)]
    if special != "refuse":
        command += ["--special", special]
    return shlex.join(command)


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")
