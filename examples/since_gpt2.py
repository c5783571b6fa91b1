"""First steps: from GPT-2 to today, one switch at a time: same text, same size, same time.

    python examples/since_gpt2.py --data path/to/tinyshakespeare.txt
    python examples/since_gpt2.py --jobs 2
    python examples/since_gpt2.py --only "GPT-2" Muon --learning-rate 4e-3 --seeds 1

A small GPT-2 learns a text, character by character; then the same model with one part exchanged for
what has taken its place since, and at last with all of them. Three things are held equal, so that
what is compared is worth comparing:

- the text. Models learn from the first eight tenths; the learning rates below were chosen by the
  loss on the ninth; what is reported is the loss on the last, by which nothing was chosen.
- the number of parameters, within 1 %: the MLP is made wider or narrower.
- the time, as this library needs it, in seconds of one processor core, so that it matters little
  what else the machine does. What a step of each costs is measured first, all in turn; then each
  takes as many steps as fit.

Each is trained with several seeds, because a difference smaller than that between two seeds says
nothing. A picture is drawn where matplotlib is installed.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import time
from pathlib import Path
from typing import Any, NamedTuple

import minigpt as mg
from command_line import Parser, at_least, count, one_line_errors
from minigpt.blas_threads import one_blas_thread
from minigpt.datasets import load_text
from minigpt.training import evaluate
from minigpt.viz import new_figure
from runs import side_by_side, train_to_the_end

# nanoGPT's run for a laptop.
MODEL: dict[str, Any] = {"block_size": 64, "n_layer": 4, "n_head": 4, "n_embd": 128, "bias": False}
TRAINING: dict[str, Any] = {"batch_size": 12, "learning_rate": 1e-3, "warmup_steps": 100}

# Chosen by the loss on the ninth tenth: since_gpt2.md has what the others gave.
ADAMW: dict[str, Any] = {"learning_rate": 4e-3}
MUON: dict[str, Any] = {"learning_rate": 8e-3, "optimizer": "muon"}
ALL: dict[str, Any] = {"learning_rate": 4e-3, "optimizer": "muon", "schedule": "trapezoid"}

RMS_NORM = {"normalization": "rms"}
ROTARY = {"positions": "rotary"}
GATED = {"mlp": "gated", "activation": "silu"}
SQUARED_RELU = {"activation": "relu_squared"}
GROUPED = {"n_kv_head": 2}
QK_NORM = {"qk_norm": True}
TRAPEZOID = {"schedule": "trapezoid"}

BASELINE = "GPT-2"
# What each changes, in the model and in the training.
SWITCHES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "GPT-2 as nanoGPT trains it": ({}, {}),
    BASELINE: ({}, ADAMW),
    "RMS norm": (RMS_NORM, ADAMW),
    "rotary positions": (ROTARY, ADAMW),
    "gated MLP": (GATED, ADAMW),
    "squared ReLU": (SQUARED_RELU, ADAMW),
    "grouped queries": (GROUPED, ADAMW),
    "QK norm": (QK_NORM, ADAMW),
    "trapezoid": ({}, ADAMW | TRAPEZOID),
    "Muon": ({}, MUON),
    "all, gated": (RMS_NORM | ROTARY | GATED | GROUPED | QK_NORM, ALL),
    "all, squared ReLU": (RMS_NORM | ROTARY | SQUARED_RELU | GROUPED | QK_NORM, ALL),
}
ROUNDS = 31  # steps of each that are timed, or as many as GPT-2 is to take


class Parts(NamedTuple):
    """A text as ids: what is learned, what is chosen by, and what is reported."""

    train: Any
    val: Any
    test: Any


class Result(NamedTuple):
    """What came out of a run."""

    val_loss: float
    test_loss: float
    seconds: float


@one_line_errors()
def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("--data", default="python-docs", help="a corpus, a file or a folder")
    parser.add_argument(
        "--seconds", type=float, default=45.0, help="of processor time that each run takes"
    )
    parser.add_argument(
        "--steps", type=at_least(1), help="of GPT-2, in place of --seconds; others fit in its time"
    )
    parser.add_argument("--only", nargs="+", choices=SWITCHES, metavar="NAME", help="these rows")
    parser.add_argument("--learning-rate", type=float, help="another one than the chosen")
    parser.add_argument("--seeds", type=at_least(1), default=3, help="runs of each, from --seed on")
    parser.add_argument("--jobs", type=at_least(1), default=1, help="runs at the same time")
    parser.add_seed()
    parser.add_argument("--output", type=Path, default=Path("since_gpt2.png"), help="the picture")
    parser.add_argument("--quiet", action="store_true", help="no bar")
    args = parser.parse_args()

    parts, vocab_size = read(args.data)
    names = [name for name in SWITCHES if name in (args.only or SWITCHES)]
    configs = {
        name: same_size(SWITCHES[name][0], vocab_size) for name in dict.fromkeys([BASELINE, *names])
    }
    costs = step_costs(configs, parts, rounds=min(ROUNDS, args.steps or ROUNDS))
    seconds = args.steps * costs[BASELINE] if args.steps else args.seconds
    print(f"{args.data}: {len(parts.train):,} characters to learn, {len(parts.test):,} to report")
    print(f"a step of GPT-2 takes {costs[BASELINE] * 1e3:.0f} ms, a run of each {seconds:.3g} s")
    print(f"\n{'':28} parameters   n_inner    steps  validation   test  (lowest to highest)")

    results: dict[str, list[Result]] = {}
    runs = [
        (args, name, configs[name], max(1, round(seconds / costs[name])), args.seed + number)
        for name in names
        for number in range(args.seeds)
    ]
    for (_, name, config, steps, _), result in zip(
        runs, side_by_side(run, runs, args.jobs), strict=True
    ):
        results.setdefault(name, []).append(result)
        if len(results[name]) == args.seeds:
            print(row(name, config, steps, results[name]), flush=True)
    spent = sum(result.seconds for of_a_row in results.values() for result in of_a_row)
    print(f"\n{count(len(runs), 'run')} in {spent:.0f} s of processor time")
    try:
        print(f"as a picture: {draw(results, args.output)}")
    except ImportError as error:
        print(error)


def read(data: str) -> tuple[Parts, int]:
    """The three parts of a text, and how many characters there are."""
    text = load_text(data)
    tokenizer = mg.CharTokenizer.train(text)
    ids = tokenizer.encode_array(text)
    val, test = len(ids) * 8 // 10, len(ids) * 9 // 10
    return Parts(ids[:val], ids[val:test], ids[test:]), tokenizer.vocab_size


def same_size(changes: dict[str, Any], vocab_size: int) -> mg.GPTConfig:
    """The model with these changes, and an MLP so wide that it is as large as GPT-2.

    Widths are multiples of 8, which a processor multiplies fastest.
    """

    def size(**fields: Any) -> int:
        return mg.GPT(mg.GPTConfig(vocab_size=vocab_size, **MODEL | fields)).num_parameters()

    wanted, least, more = size(), size(**changes, n_inner=8), size(**changes, n_inner=16)
    eights = 1 + round((wanted - least) / (more - least))
    config = mg.GPTConfig(vocab_size=vocab_size, **MODEL | changes, n_inner=8 * eights)
    got = mg.GPT(config).num_parameters()
    if abs(got - wanted) > 0.01 * wanted:
        raise ValueError(f"{changes} makes {got:,} parameters, more than 1 % from {wanted:,}")
    return config


def step_costs(configs: dict[str, mg.GPTConfig], parts: Parts, rounds: int) -> dict[str, float]:
    """Seconds of processor time that a step of each takes: the median of some.

    A step of each in turn, and again, so that what else the machine does slows all down alike. What
    differs in nothing but the learning rate costs the same.
    """
    work = {
        name: (config, SWITCHES[name][1].get("optimizer", "adamw"))
        for name, config in configs.items()
    }
    trainers = {
        work[name]: new_trainer(name, config, parts, steps=10**6, seed=0)
        for name, config in configs.items()
    }
    times: dict[Any, list[float]] = {key: [] for key in trainers}
    with one_blas_thread():
        for trainer in trainers.values():  # the first step also makes what the others find ready
            trainer.train_step()
        for _, (key, trainer) in itertools.product(range(rounds), trainers.items()):
            started = time.process_time()
            trainer.train_step()
            times[key].append(time.process_time() - started)
    return {name: statistics.median(times[work[name]]) for name in configs}


def run(args: argparse.Namespace, name: str, config: mg.GPTConfig, steps: int, seed: int) -> Result:
    parts, _ = read(args.data)
    quiet = args.quiet or args.jobs > 1
    changes = {"learning_rate": args.learning_rate} if args.learning_rate else {}
    trainer = new_trainer(name, config, parts, steps, seed, progress=not quiet, **changes)
    with one_blas_thread():
        started = time.process_time()
        train_to_the_end(trainer)
        seconds = time.process_time() - started
        val, test = (evaluate(trainer.model, ids, workers=1)["loss"] for ids in parts[1:])
    return Result(val, test, seconds)


def new_trainer(
    name: str,
    config: mg.GPTConfig,
    parts: Parts,
    steps: int,
    seed: int,
    progress: bool = False,
    **changes: Any,
) -> mg.Trainer:
    settings = TRAINING | SWITCHES[name][1] | changes
    training = mg.TrainerConfig(
        max_steps=steps,
        eval_interval=steps,
        eval_batches=1,
        workers=1,
        seed=seed,
        progress=progress,
        **settings | {"warmup_steps": min(settings["warmup_steps"], steps // 10)},
    )
    return mg.Trainer(mg.GPT(config, seed=seed), parts.train, config=training)


def row(name: str, config: mg.GPTConfig, steps: int, results: list[Result]) -> str:
    val, test = ([result[i] for result in results] for i in (0, 1))
    size = mg.GPT(config).num_parameters()
    return (
        f"{name:28} {size:10,}  {config.n_inner:8}  {steps:7,}  {statistics.mean(val):10.4f}  "
        f"{statistics.mean(test):6.4f} ({min(test):.4f} to {max(test):.4f})"
    )


def draw(results: dict[str, list[Result]], output: Path) -> Path:
    figure = new_figure(8, 0.42 * len(results) + 1.2)
    axes = figure.subplots()
    for place, (name, of_a_row) in enumerate(results.items()):
        losses = [result.test_loss for result in of_a_row]
        mean = statistics.mean(losses)
        color = "#222222" if name.startswith(BASELINE) else "#2471a3"
        axes.plot(losses, [place] * len(losses), "o", color=color, alpha=0.35, markersize=5)
        axes.plot(mean, place, "|", color=color, markersize=17, markeredgewidth=2.5)
        axes.annotate(
            f"{mean:.3f}", (max(losses), place), (9, 0), textcoords="offset points", va="center",
            fontsize=9, color=color,
        )  # fmt: skip
    if BASELINE in results:
        losses = [result.test_loss for result in results[BASELINE]]
        axes.axvspan(min(losses), max(losses), color="#dddddd", zorder=0, linewidth=0)
    axes.set_yticks(range(len(results)), list(results))
    axes.invert_yaxis()
    axes.margins(x=0.12)
    axes.set_xlabel("loss on text that nothing was chosen by (nats per character)")
    axes.set_title("one switch at a time: same text, same size, same time", fontsize=11)
    axes.grid(axis="x", color="#eeeeee")
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    figure.savefig(output, dpi=110)
    return output


if __name__ == "__main__":
    main()
