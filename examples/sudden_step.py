"""First steps: the sudden step in which a skill is learned, seed by seed, and what makes it early.

    python examples/sudden_step.py
    python examples/sudden_step.py --jobs 2 --seeds 10

A loss that falls slowly hides skills that come all at once. Here they are watched one by one, in
the first lessons of answer_questions.py: two to five people go somewhere, take a thing each, and
every thing is asked about.

    Nora went to the attic. Otto came to the garden. Otto took the map. Nora took the kettle.
    Where is the map? → map Otto took the map. Otto came to the garden. garden

    who     after "map": who took it. The name stands before the thing
    where   after "Otto came to the": where that person went. The place stands after the name

The rest of what is said can be read off without looking anything up. Every few steps a model is
asked about stories that it is not taught with, and the two words are looked at, given all that is
right before them. Seeds differ in the initial weights and in the lessons. A picture is drawn where
matplotlib is installed.
"""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import minigpt as mg
from answer_questions import (
    ALIBI_SCALE,
    BATCH_SIZE,
    BLOCK_SIZE,
    LEARNING_RATE,
    N_LAYER,
    PHRASES,
    make_lessons,
    takers,
)
from command_line import Parser, at_least, count, one_line_errors
from minigpt.blas_threads import one_blas_thread
from minigpt.datasets import CompletionBatches
from minigpt.grad_mode import evaluation
from minigpt.tasks import SPECIAL_TOKENS
from minigpt.training import Callback
from minigpt.viz import new_figure
from runs import LOOKS_UP_SOON, side_by_side, train_to_the_end
from task_data import place_stories
from word_tasks import narrow_gpt, spaced, word_tokenizer

# What differs, in the model and in the training; the last is what answer_questions.py has.
ADAMW: dict[str, Any] = {"learning_rate": 2e-3}
MUON: dict[str, Any] = {"learning_rate": LEARNING_RATE, "optimizer": "muon"}
AS_LLAMA: dict[str, Any] = {"normalization": "rms", "bias": False}
RECIPES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "GPT-2's parts, AdamW": ({}, ADAMW),
    "GPT-2's parts, Muon": ({}, MUON),
    "and RMS norm, no biases": (AS_LLAMA, MUON),
    "and a short convolution": (LOOKS_UP_SOON, MUON),
}
SKILLS = {"who": 1, "where": 7}  # the place of the word in what is said, where it is so long
KNOWN = 0.9  # the share of right words from which on a skill is there
COLORS = {"who": "#c0392b", "where": "#2471a3"}


class Curve(NamedTuple):
    """What a run has shown: for each skill the share of right words, at the steps of ``steps``."""

    steps: list[int]
    shares: dict[str, list[float]]
    seconds: float

    def known_at(self, skill: str) -> int | None:
        """The first step from which on it is known to the end; None: it is not."""
        known = [share >= KNOWN for share in self.shares[skill]]
        lacking = [number for number, yes in enumerate(known) if not yes]
        first = lacking[-1] + 1 if lacking else 0
        return self.steps[first] if first < len(known) else None


@one_line_errors()
def main() -> None:
    parser = Parser(__doc__)
    add = parser.add_argument
    add("--steps", type=at_least(1), default=600, help="of each run")
    add("--every", type=at_least(1), default=10, help="steps from one look to the next")
    add("--asked", type=at_least(1), default=100, help="stories that are asked about")
    add("--seeds", type=at_least(1), default=5, help="runs of each, from --seed on")
    add("--only", nargs="+", choices=RECIPES, metavar="NAME", help="these models")
    add("--jobs", type=at_least(1), default=1, help="runs at the same time")
    parser.add_seed()
    add("--output", type=Path, default=Path("sudden_step.png"), help="the picture")
    add("--quiet", action="store_true", help="no bar")
    args = parser.parse_args()
    if args.every > args.steps:
        parser.error(
            f"argument --every: must be at most --steps, {args.steps}, to look once: "
            f"got {args.every}"
        )

    names = [name for name in RECIPES if name in (args.only or RECIPES)]
    runs = [(args, name, args.seed + number) for name in names for number in range(args.seeds)]
    print(f"the step from which on {KNOWN:.0%} are right, seed by seed, and the median")
    curves: dict[str, list[Curve]] = {}
    for (_, name, _), curve in zip(runs, side_by_side(run, runs, args.jobs), strict=True):
        curves.setdefault(name, []).append(curve)
        if len(curves[name]) == args.seeds:
            print(*rows(name, curves[name]), sep="\n", flush=True)
    spent = sum(curve.seconds for of_one in curves.values() for curve in of_one)
    print(f"{count(len(runs), 'run')} in {spent:.0f} s of processor time")
    try:
        print(f"as a picture: {draw(curves, args.output)}")
    except ImportError as error:
        print(error)


def run(args: Any, name: str, seed: int) -> Curve:
    """Train a model on the lessons, and look at its skills every few steps."""
    started = time.process_time()
    some, _, _ = place_stories.make_cases(1000, 1, 1, seed)
    tokenizer = word_tokenizer(
        (spaced(f"{s.text} {s.question} {s.answer}") for s in some), SPECIAL_TOKENS, PHRASES
    )
    rng, held_out = np.random.default_rng(seed), set[str]()

    def batches(n: int, **how: bool) -> CompletionBatches:
        lessons = make_lessons(n, takers, rng, tokenizer, held_out, with_proof=True, **how)
        return CompletionBatches(lessons, BATCH_SIZE, rng, block_size=BLOCK_SIZE)

    asked, lessons = batches(args.asked, is_exam=True), batches(args.steps * BATCH_SIZE)
    in_model, in_training = RECIPES[name]
    model = narrow_gpt(
        tokenizer.vocab_size, BLOCK_SIZE, N_LAYER, seed, alibi_scale=ALIBI_SCALE, **in_model
    )
    looks = Looks(model, asked, args.every)
    config = mg.TrainerConfig(
        max_steps=args.steps, betas=(0.9, 0.98), weight_decay=0.01, schedule="constant",
        warmup_steps=min(30, args.steps // 2), eval_interval=args.steps, eval_batches=1, workers=1,
        seed=seed, progress=not args.quiet and args.jobs == 1, **in_training,
    )  # fmt: skip
    with one_blas_thread():
        train_to_the_end(mg.Trainer(model, lessons, config=config, callbacks=[looks]))
    return Curve(looks.steps, looks.shares, time.process_time() - started)


class Looks(Callback):
    """How much of each skill is there, every few steps."""

    def __init__(self, model: mg.GPT, asked: CompletionBatches, every: int) -> None:
        self.model, self.asked, self.every = model, asked, every
        self.steps: list[int] = []
        self.shares: dict[str, list[float]] = {skill: [] for skill in SKILLS}

    def on_step(self, trainer: mg.Trainer, record: Any) -> None:
        if trainer.step % self.every:
            return
        right: dict[str, list[bool]] = {skill: [] for skill in SKILLS}
        with evaluation():
            for ids, targets in self.asked:
                said = self.model(ids).data.argmax(axis=-1)  # (B, T), each after what is right
                for words, wanted in zip(said, targets, strict=True):
                    places = np.flatnonzero(wanted != -1)
                    for skill, place in SKILLS.items():
                        if place < len(places):
                            right[skill].append(bool((words == wanted)[places[place]]))
        if missing := [skill for skill in SKILLS if not right[skill]]:
            raise ValueError(f"no story that is asked about needs {missing[0]!r}: more --asked")
        self.steps.append(trainer.step)
        for skill in SKILLS:
            self.shares[skill].append(statistics.fmean(right[skill]))


def rows(name: str, curves: Sequence[Curve]) -> list[str]:
    """A line for each skill."""
    lines = []
    for skill in SKILLS:
        steps = [curve.known_at(skill) for curve in curves]
        median = statistics.median(float("inf") if step is None else step for step in steps)
        each = " ".join(f"{'–' if step is None else step:>5}" for step in steps)
        last = f"{median:.0f}" if median < float("inf") else "–"
        lines.append(f"{name if skill == 'who' else '':26} {skill:6} {each}   median {last}")
    return lines


def draw(curves: dict[str, list[Curve]], output: Path) -> Path:
    """A column for each model, and in it a line for each seed and skill."""
    figure = new_figure(3.3 * len(curves), 3.4)
    every_axes = figure.subplots(1, len(curves), sharey=True, squeeze=False)[0]
    for axes, (name, of_one) in zip(every_axes, curves.items(), strict=True):
        for curve, (skill, color) in itertools.product(of_one, COLORS.items()):
            axes.plot(curve.steps, curve.shares[skill], color=color, linewidth=1.2, alpha=0.75)
        axes.axhline(KNOWN, color="#999999", linewidth=0.8, linestyle=":")
        axes.set_title(name, fontsize=11)
        axes.set_xlabel("steps")
        axes.set_ylim(0, 1.03)
        axes.spines[["top", "right"]].set_visible(False)
    every_axes[0].set_ylabel("share of right words")
    for skill, color in COLORS.items():
        every_axes[0].plot([], [], color=color, label=skill)
    every_axes[0].legend(frameon=False, loc="upper left", fontsize=10)
    figure.savefig(output, dpi=100)
    return output


if __name__ == "__main__":
    main()
