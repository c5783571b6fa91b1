"""Questions about short stories, answered in a word by a GPT: one to three facts deep.

    python examples/answer_questions.py
    python examples/answer_questions.py --ask "Nora went to the attic. Nora took the map. Nora went
        to the garden. Where is the map?"

The first command trains a GPT and tests it on stories that it has never seen; the second one asks
what is kept in --output, and trains nothing.

    1 fact    where somebody is, or who has a thing: the last sentence that says so
    2 facts   where a thing is: who has it or left it, and where that person is or was
    3 facts   where a thing was before it came to some place

What helps a small GPT to learn this:

- every training story is followed by all that can be asked about it, one question after the other,
  in random order: reading it once pays several times;
- the training stories have any number of sentences, from one on: the short ones show what a
  question is about before the long ones make it hard;
- the loss runs over the answers alone;
- sinusoidal positions, in which "four words before" is the same everywhere (Vaswani et al. 2017,
  §3.5), and initial weights of standard deviation 1/√width (as in translate.py).

The stories of the test are those of data/place_stories.py: of those with a question where a glance
would do for an answer most are left out. The baselines are such glances.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import minigpt as mg
from command_line import Parser, at_least, count, one_line_errors
from inputs import load
from minigpt.datasets import Completion, CompletionBatches
from minigpt.tasks import SPECIAL_TOKENS, MatchTable, answer, encode_answer
from task_data import place_stories
from task_training import train
from word_tokens import spaced, word_tokenizer

WIDTH, BLOCK_SIZE = 128, 192


@one_line_errors()
def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("--train", type=at_least(1), default=30_000, help="stories to learn from")
    parser.add_argument("--test", type=at_least(3), default=3000, help="stories to test on")
    parser.add_argument("--steps", type=at_least(1), default=2500, help="of the training")
    parser.add_argument("--seed", type=at_least(0), default=0, help="of everything")
    parser.add_argument("--output", type=Path, default=Path("runs/questions"), help="folder")
    parser.add_argument("--ask", nargs="+", metavar="STORY", help="that ends with a question")
    parser.add_argument("--quiet", action="store_true", help="no bar")
    args = parser.parse_args()
    checkpoint = args.output / "gpt.npz"

    if args.ask:
        model, tokenizer = load(checkpoint)
        print(*ask(model, tokenizer, [" ".join(text.split()) for text in args.ask]), sep="\n")
        return

    started = time.perf_counter()
    some, test = place_stories.make_cases(min(args.train, 3000), args.test, args.seed)
    tokenizer = word_tokenizer(
        (spaced(f"{s.text} {s.question} {s.answer}") for s in some), SPECIAL_TOKENS
    )
    lessons = make_lessons(args.train, args.seed, tokenizer, {story.text for story in test})
    model = train_model(lessons, tokenizer, checkpoint, args)

    said = ask(model, tokenizer, [f"{story.text} {story.question}" for story in test])
    for depth in place_stories.DEPTHS:
        at = next(i for i, story in enumerate(test) if story.depth == depth)
        print(f"  {test[at].text} {test[at].question} → {said[at]}")
    groups = [f"{s.depth} fact" + "s" * (s.depth > 1) for s in test]
    table = MatchTable([story.answer for story in test], groups)
    for title, shares in glances(some, test, groups).items():
        table.add_shares(f"baseline: {title}", shares)
    table.add("GPT", said)
    print(f"\nexactly right, of {count(args.test, 'unseen story').replace('ys', 'ies')}:\n{table}")
    print(f"{count(args.steps, 'step')}, {time.perf_counter() - started:.0f} s in all")


def make_lessons(
    n: int, seed: int, tokenizer: mg.Tokenizer, held_out: set[str]
) -> list[Completion]:
    """Stories of 1 to 10 sentences, each with all the questions that can be asked about it."""
    from story_world import World  # here, as task_data says where it is

    rng = np.random.default_rng([seed, 1])
    lessons: list[Completion] = []
    while len(lessons) < n:
        world = World(rng)
        for _ in range(int(rng.integers(1, place_stories.SENTENCES[1] + 1))):
            world.go_on()
        story = " ".join(world.sentences)
        if story in held_out:
            continue
        lesson = Completion.read(tokenizer.encode(spaced(story)))
        questions = world.questions()
        for i in rng.permutation(len(questions)):
            question = questions[i]
            turn = encode_answer(tokenizer, spaced(question.text), spaced(question.answer))
            if len(lesson) + len(turn) <= BLOCK_SIZE:
                lesson += turn
        lessons.append(lesson)
    return lessons


def train_model(
    lessons: list[Completion], tokenizer: mg.Tokenizer, checkpoint: Path, args: argparse.Namespace
) -> mg.GPT:
    config = mg.GPTConfig(
        tokenizer.vocab_size,
        BLOCK_SIZE,
        n_layer=3,
        n_head=4,
        n_embd=WIDTH,
        positions="sinusoidal",
        init_std=WIDTH**-0.5,
    )
    model = mg.GPT(config, seed=args.seed)
    batches = CompletionBatches(lessons, 32, args.seed, block_size=BLOCK_SIZE)
    print(f"a GPT of {count(model.num_parameters(), 'parameter')}, {count(args.train, 'lesson')}")
    train(
        model,
        batches,
        tokenizer,
        checkpoint,
        steps=args.steps,
        learning_rate=1.5e-3,
        seed=args.seed,
        quiet=args.quiet,
    )
    return model


def ask(model: mg.GPT, tokenizer: mg.Tokenizer, texts: Sequence[str]) -> list[str]:
    """The answers to stories that end with a question."""
    prompts = [spaced(text) for text in texts]
    return [said.strip() for said in answer(model, tokenizer, prompts, max_new_tokens=2)]


def glances(
    some: Sequence[Any], test: Sequence[Any], groups: Sequence[str]
) -> dict[str, dict[str, float]]:
    """title -> group -> share: what guessing gets right."""
    shares: dict[str, dict[str, float]] = {}
    for group in [*sorted(set(groups)), "all"]:
        cases = [s for s, own in zip(test, groups, strict=True) if group in (own, "all")]
        for title, share in place_stories.baselines(some, cases).items():
            shares.setdefault(title, {})[group] = share
    return shares


if __name__ == "__main__":
    main()
