"""Task: questions about short stories, one to three facts deep, answered with reasons.

    python examples/answer_questions.py
    python examples/answer_questions.py --ask "Nora went to the attic. Nora took the map. Nora went
        to the garden. Where is the map?"

The first command trains a GPT and tests it on stories that it has never seen; the second one asks
what is kept in --output, and trains nothing.

    1 fact    where somebody is, or who has a thing: the last sentence that says so
    2 facts   where a thing is: who has it or left it, and where that person is or was
    3 facts   where a thing was before it came to some place

The answer is one word of the story, and has to be exactly right. Before it the model names what is
asked about, and quotes the sentences that prove the answer, one after the other:

    Where is the map? → map Nora took the map. Nora went to the garden. garden
    Where was the map before the garden?
        → map Nora took the map. garden Nora went to the garden. Nora came to the attic. attic

To find who has the map, and then where she went, are two small steps, and each is there to be read
when the next one is taken (Nye et al. 2021, "Show Your Work"; with the supporting facts as in the
bAbI tasks, Weston et al. 2015). --no-proof has it say only the word, from the same stories.

A small GPT learns this in minutes if it meets one difficulty at a time (Bengio et al. 2009). Each
is overcome in a sudden step, at a time that luck decides. So a stage ends when the model has
mastered it, by stories that it is not taught with, and the last one has all steps that are left:

- the hardest is to find the person who took a thing, since the name stands before the thing: a
  token "map" has to know who came before it, and the next "map" has to find that token. So the
  first stories are of nothing but people who take things; and "map" is said again, so that what
  looks for the map is a "map" itself. So is "garden", where the place before it is asked for;
- by attention this takes two layers, each of which is worth nothing without the other. With a short
  convolution (So et al. 2021) queries, keys and values hear of the three tokens before them, and
  one layer is enough;
- then stories grow longer: in short ones there is less to tell apart. In the longest ones most
  things are asked about with the deepest question that there is;
- of every person and thing one question is asked, one after the other: reading a story once pays
  several times. With a second question about the map it would do to copy the first answer;
- attention falls with the distance (ALiBi, Press et al. 2022), in place of positions: of several
  sentences about Nora the last one counts. It is four times as steep as in the paper, where texts
  are longer;
- it is deep and narrow, as each step of finding takes a layer or two; its norms are of the root
  mean square and it has no biases (as Llama's);
- Muon (Jordan et al. 2024) gets there in fewer steps than AdamW;
- "went to the" and "Where is the" are tokens: a lesson is shorter;
- initial weights of standard deviation 1/√width (as in translate.py).

The stories of the test are those of data/place_stories.py: of those with a question where a glance
would do for an answer most are left out. The baselines are such glances.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import cache, partial
from itertools import chain
from typing import Any

import numpy as np

import minigpt as mg
from command_line import Parser, at_least, count, keep_figures, one_line_errors, reported
from inputs import load
from minigpt.datasets import Completion, CompletionBatches, Curriculum
from minigpt.metrics import MatchTable
from minigpt.tasks import SPECIAL_TOKENS, answer, special_id
from minigpt.training import Mastery
from runs import LOOKS_UP_SOON, learn_task, muon_settings
from task_data import place_stories, story_world
from word_tasks import narrow_gpt, spaced, steps_of, word_tokenizer

N_LAYER, BLOCK_SIZE, BATCH_SIZE, ALIBI_SCALE = 4, 192, 32, 4
ASKED = ("Where is", "Where was", "Who has", "before")
PHRASES = (*ASKED, *story_world.WENT, *story_world.TOOK, *story_world.LEFT, *story_world.GAVE)
STEPS, LEARNING_RATE = 4200, 4e-3
EXAM = 200  # questions of each stage, asked after every 50 steps
MASTERED = 0.9  # the share of them that is enough to go on
DEEP = 0.7  # of the questions about the longest tales, those that are asked by depth
LONGEST = 36  # tokens of three sentences and three words


@one_line_errors()
def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("--train", type=at_least(1), default=60_000, help="stories of each stage")
    parser.add_argument("--test", type=at_least(3), default=3000, help="stories to measure on")
    parser.add_argument("--steps", type=at_least(10), default=STEPS, help="of the training")
    parser.add_argument("--no-proof", action="store_true", help="learn to say only the answer")
    parser.add_argument("--ask", nargs="+", metavar="STORY", help="that ends with a question")
    parser.add_report()
    parser.add_seed()
    parser.add_output("runs/questions", is_run=False)
    args = parser.parse_args()
    checkpoint = args.output / "gpt.npz"

    if args.ask:
        model, tokenizer = load(checkpoint)
        texts = [" ".join(text.split()) for text in args.ask]
        if without := [text for text in texts if not text.endswith("?")]:
            parser.error(
                f"argument --ask: a story must end with a question: got {without[0]!r:.60}"
            )
        print(*ask(model, tokenizer, texts), sep="\n")
        return

    started = time.perf_counter()
    some, *others = place_stories.make_cases(3000, args.test, args.test, args.seed)
    test = reported(args, *others)
    test.sort(key=lambda story: story.depth)
    tokenizer = word_tokenizer(
        (spaced(f"{s.text} {s.question} {s.answer}") for s in some), SPECIAL_TOKENS, PHRASES
    )
    model = narrow_gpt(
        tokenizer.vocab_size, BLOCK_SIZE, N_LAYER, args.seed, alibi_scale=ALIBI_SCALE,
        **LOOKS_UP_SOON,
    )  # fmt: skip
    held_out = {story.text for part in others for story in part}
    lessons, exams = curriculum(held_out, tokenizer, args)
    mastery = Mastery(lambda stage: share_right(model, exams[stage]), MASTERED)
    print(f"a GPT of {count(model.num_parameters(), 'parameter')}")
    learn_task(
        model, lessons, tokenizer, checkpoint, args, LEARNING_RATE, [mastery],
        **muon_settings(args.steps),
    )  # fmt: skip
    for stage, end in enumerate(lessons.ends[:-1]):
        marks = [mark for _, number, mark in mastery.measured if number == stage]
        known = f", {marks[-1]:.0%} known" if marks else ""
        print(f"stage {stage + 1} ended with step {end:,}{known}")

    said = ask(model, tokenizer, [f"{story.text} {story.question}" for story in test])
    for depth in place_stories.DEPTHS:
        at = next(i for i, story in enumerate(test) if story.depth == depth)
        print(f"  {test[at].text} {test[at].question} → {said[at]}")
    groups = [f"{s.depth} fact" + "s" * (s.depth > 1) for s in test]
    table = MatchTable([story.answer for story in test], groups)
    for title, shares in glances(some, test, groups).items():
        table.add_shares(f"baseline: {title}", shares)
    table.add("GPT", [text.split(". ")[-1] for text in said])
    stories = count(args.test, "unseen story").replace("ys", "ies")
    print(f"\nexactly right, of {stories} ({args.report}):\n{table}")
    keep_figures(args, {name: table.rows["GPT"][name] for name in dict.fromkeys(groups)})
    if not args.no_proof:
        proven = [
            text == " ".join(reply(s.sentences, s.question, s.answer, s.facts))
            for text, s in zip(said, test, strict=True)
        ]
        print(f"with exactly the sentences that prove it: {sum(proven) / len(proven):.1%}")
    print(f"{count(args.steps, 'step')}, {time.perf_counter() - started:.0f} s in all")


def takers(rng: np.random.Generator) -> Any:
    """A story in which two to five people go somewhere, and then take a thing each."""
    n = int(rng.integers(2, 6))
    world = story_world.World(rng, n_people=n, n_things=n)
    for person in world.people:
        world.move(person, str(rng.choice(world.places)))
    for i in rng.permutation(n):
        world.take(world.people[i], world.things[i])
    return world


def tale(least: int, most: int, rng: np.random.Generator) -> Any:
    """A story of so many sentences, in which anything can happen."""
    world = story_world.World(rng)
    for _ in range(int(rng.integers(least, most + 1))):
        world.go_on()
    return world


Teller = Callable[[np.random.Generator], Any]
deep_tales = partial(tale, *place_stories.SENTENCES)
STAGES: dict[Teller, float] = {  # stories, and for what share of the steps at most
    takers: 0.25, partial(tale, 1, 5): 0.1, deep_tales: 0.65,
}  # fmt: skip


def curriculum(
    held_out: set[str], tokenizer: mg.Tokenizer, args: Any
) -> tuple[Curriculum, list[CompletionBatches]]:
    """Batches of stories, those that teach one thing first; and of each stage an exam.

    An exam asks one question of each of its stories, which are neither taught nor in the test.
    """
    rngs = [np.random.default_rng([args.seed, number]) for number in range(len(STAGES))]

    def batches(n: int, tell: Teller, rng: np.random.Generator, **how: bool) -> CompletionBatches:
        with_proof = not args.no_proof
        lessons = make_lessons(n, tell, rng, tokenizer, held_out, with_proof, **how)
        return CompletionBatches(lessons, BATCH_SIZE, rng, block_size=BLOCK_SIZE)

    exams = [batches(EXAM, *stage, is_exam=True) for stage in zip(STAGES, rngs, strict=True)]
    stages = []
    for tell, rng, steps in zip(STAGES, rngs, steps_of(STAGES.values(), args.steps), strict=True):
        stages.append((batches(min(args.train, steps * BATCH_SIZE), tell, rng), steps))
    return Curriculum(stages), exams


def make_lessons(
    n: int,
    tell: Teller,
    rng: np.random.Generator,
    tokenizer: mg.Tokenizer,
    held_out: set[str],
    with_proof: bool,
    is_exam: bool = False,
) -> list[Completion]:
    """Stories, each with a question about every person and every thing in it.

    The takers are asked only about things, and of the longest tales mostly what is deepest. In an
    exam there is one question to a story, which is held out from then on.
    """
    ids = cache(lambda text: tokenizer.encode(spaced(text)))  # a sentence returns in many stories
    answer_id, end_id = (special_id(tokenizer, token) for token in SPECIAL_TOKENS)
    lessons: list[Completion] = []
    while len(lessons) < n:
        world = tell(rng)
        story = " ".join(world.sentences)
        if story in held_out:
            continue
        tokens = list(chain(*map(ids, world.sentences)))
        said = [False] * len(tokens)
        asked = set(world.people if tell is takers else ())
        questions = world.questions()
        order = rng.permutation(len(questions)).tolist()
        if tell is deep_tales:
            order.sort(key=lambda i: -len(questions[i].facts) * (rng.random() < DEEP))
        for question in (questions[i] for i in order):
            about = place_stories.asked_about(question.text)
            if about in asked or (is_exam and any(said)):
                continue
            asked.add(about)
            words = [question.answer]
            if with_proof:
                words = reply(world.sentences, question.text, question.answer, question.facts)
            asks = [*ids(question.text), answer_id]
            says = [*chain(*map(ids, words)), end_id]
            if len(tokens) + len(asks) + len(says) <= BLOCK_SIZE:
                tokens += asks + says
                said += [False] * len(asks) + [True] * len(says)
        if any(said):
            lessons.append(Completion(tuple(tokens), tuple(said)))
            held_out.update([story] if is_exam else [])
    return lessons


def share_right(model: mg.GPT, exam: CompletionBatches) -> float:
    """Of an exam's answers, those that the model would say word for word."""
    right: list[bool] = []
    for ids, targets in exam:
        said = model(ids).data.argmax(axis=-1)  # (B, T), each token after the right ones before it
        right += ((said == targets) | (targets == -1)).all(axis=1).tolist()
    return sum(right) / len(right)


def reply(sentences: Sequence[str], question: str, answer: str, facts: Sequence[int]) -> list[str]:
    """What the model learns to say: what is asked about, the proof, the answer.

    Where something was before it came to a place, is found from that place: it is named first, and
    the sentence about it quoted.
    """
    told = place_stories.proof(sentences, facts)
    if question.startswith("Where was"):
        place = question.strip("?").split()[-1]
        came = next(sentence for sentence in told if sentence.endswith(f" {place}."))
        told.remove(came)
        told[-1:-1] = [place, came]
    return [place_stories.asked_about(question), *told, answer]


def ask(model: mg.GPT, tokenizer: mg.Tokenizer, texts: Sequence[str]) -> list[str]:
    """What is said to stories that end with a question."""
    prompts = [spaced(text) for text in texts]
    return [said.strip() for said in answer(model, tokenizer, prompts, max_new_tokens=LONGEST)]


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
