"""Short stories about people, places and things, and questions that take one to three facts.

    python data/place_stories.py --train 30000 --test 1000 --seed 0 --output prepared/stories

In the manner of the bAbI tasks (Weston et al. 2015, "Towards AI-Complete Question Answering"), with
a vocabulary and sentences of its own. The answer is one word of the story. A question of depth

    1   asks where somebody is, or who has a thing: one sentence answers it;
    2   asks where a thing is: who took, got or left it, and where that person was;
    3   asks where a thing was before it came to some place: it takes both places, and the taking.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from case_files import Parts, check_sizes, pick, run_command, shuffled
from story_world import PEOPLE, PLACES, THINGS, Question, World

DEPTHS = (1, 2, 3)
SENTENCES = (5, 10)
KEPT = 0.3  # of the stories where a glance gives the answer
LONGEST = 100  # sentences; far below it a question of any depth is found


@dataclass(frozen=True)
class Story:
    """A story, a question about its end, and the answer.

    Attributes:
        sentences: what happens, in order.
        question: a sentence with a question mark.
        answer: one word, which the story holds.
        facts: the places in ``sentences`` of those that together prove the answer, ascending.
        others: everything else that can be asked at the end of the story, with the answers, of any
            depth: a story teaches more when it is asked more than once.
    """

    sentences: tuple[str, ...]
    question: str
    answer: str
    facts: tuple[int, ...]
    others: tuple[tuple[str, str], ...]

    @property
    def depth(self) -> int:
        """How many sentences the answer takes."""
        return len(self.facts)

    @property
    def text(self) -> str:
        """The sentences with a space between them."""
        return " ".join(self.sentences)


def make_cases(
    n_train: int,
    n_validation: int,
    n_test: int,
    seed: int,
    depths: Sequence[int] = DEPTHS,
    sentences: tuple[int, int] = SENTENCES,
) -> Parts[Story]:
    """Three parts, each with as many cases of each of the depths; no story is told twice.

    Args:
        n_train: how many training cases.
        n_validation: how many validation cases.
        n_test: how many test cases.
        seed: the same seed gives the same cases.
        depths: of the questions, some of 1, 2 and 3.
        sentences: the least and the most of a story, each number in between as likely.

    Raises:
        ValueError: a size below 1, a negative seed, another depth, or too few sentences for one.

    Example:
        >>> train, validation, test = make_cases(10, 3, 3, seed=0, depths=[2])
        >>> [len(story.facts) for story in test]
        [2, 2, 2]
        >>> all(story.answer in story.text for story in test)
        True
    """
    rng = check_sizes(n_train, n_validation, n_test, seed)
    chosen = [depth for depth in DEPTHS if depth in depths]
    if not depths or sorted(depths) != chosen:
        raise ValueError(f"depths={depths!r} must be a list of some of 1, 2 and 3, each once")
    least, most = sentences
    if not 2 * chosen[-1] - 1 <= least <= most <= LONGEST:
        raise ValueError(
            f"sentences={sentences!r} must be the least and the most of a story, from "
            f"{2 * chosen[-1] - 1} (for depth {chosen[-1]}) to {LONGEST}"
        )
    seen: set[str] = set()
    parts = []
    for count in (n_train, n_test, n_validation):  # this one last: its size changes no other
        stories: list[Story] = []
        while len(stories) < count:
            depth = chosen[len(stories) % len(chosen)]
            story = tell(rng, depth, int(rng.integers(least, most + 1)))
            if story.text not in seen:
                seen.add(story.text)
                stories.append(story)
        parts.append(shuffled(rng, stories))
    train, test, validation = parts
    return train, validation, test


def tell(rng: np.random.Generator, depth: int, n_sentences: int) -> Story:
    """A story of that length with a question of that depth, by trying until there is one.

    Where a glance at the story would do (:func:`glances`), it is mostly thrown away.
    """
    while True:
        world = World(rng)
        while len(world.sentences) < n_sentences:
            world.go_on()
        asked: list[Question] = world.questions()
        deep = [question for question in asked if len(question.facts) == depth]
        if not deep:
            continue
        chosen = pick(rng, deep)
        others = tuple((other.text, other.answer) for other in asked if other is not chosen)
        told = tuple(world.sentences)
        story = Story(told, chosen.text, chosen.answer, chosen.facts, others)
        if depth == 1 or story.answer not in glances(story).values() or rng.random() < KEPT:
            return story


def glances(story: Story) -> dict[str, str]:
    """Places that one might guess without following what happens.

    The last that is mentioned; the one mentioned most often (of two, the later one); and those next
    to the last mention of what is asked about, after it and before it.
    """
    words = [word.strip(".") for word in story.text.split()]
    asked = asked_about(story.question)
    at = max(i for i, word in enumerate(words) if word == asked)
    places = [(i, word) for i, word in enumerate(words) if word in PLACES]
    before = [place for i, place in places if i < at]
    after = [place for i, place in places if i > at]
    counts = Counter(place for _, place in reversed(places))  # the later one comes first
    return {
        "last place": places[-1][1],
        "most mentioned place": counts.most_common(1)[0][0],
        "place before": (before or after)[-1],
        "place after": (after or before)[0],
    }


def asked_about(question: str) -> str:
    """The person or the thing that a question asks about.

    Example:
        >>> asked_about("Where was the map before the attic?")
        'map'
    """
    return next(word for word in question.strip("?").split() if word in PEOPLE + THINGS)


def proof(sentences: Sequence[str], facts: Sequence[int]) -> list[str]:
    """The sentences that prove an answer, in the order in which one looks for them.

    First what happened to the thing that is asked about, then where the person was who had it.

    Example:
        >>> proof(["Rosa went to the attic.", "Rosa took the map."], facts=[0, 1])
        ['Rosa took the map.', 'Rosa went to the attic.']
    """
    told = [sentences[fact] for fact in facts]
    return sorted(told, key=lambda sentence: sentence.rstrip(".").split()[-1] in PLACES)


def baselines(train: Sequence[Story], test: Sequence[Story]) -> dict[str, float]:
    """The share of the test that each of the glances gets right, and the most frequent answer.

    "most frequent" is the training part's most frequent answer to questions of the same depth.
    """
    frequent = {
        depth: Counter(s.answer for s in train if s.depth == depth).most_common(1)[0][0]
        for depth in sorted({story.depth for story in train})
    }
    right: Counter[str] = Counter()
    for story in test:
        guesses = {"most frequent": frequent.get(story.depth, ""), **glances(story)}
        right.update({name: int(guess == story.answer) for name, guess in guesses.items()})
    return {name: count / len(test) for name, count in right.items()}


def describe(train: list[Story], test: list[Story]) -> list[str]:
    """A story of each depth, and the baselines for it."""
    lines = []
    for depth in DEPTHS:
        stories = [story for story in test if story.depth == depth]
        if stories:
            story = stories[0]
            lines.append(f"depth {depth}: {story.text} {story.question} → {story.answer}")
            shares = baselines(train, stories).items()
            lines.append("   " + ", ".join(f"{name} {share:.1%}" for name, share in shares))
    return lines


if __name__ == "__main__":
    sys.exit(run_command(__doc__ or "", make_cases, describe, 30_000, 1000, 1000))
