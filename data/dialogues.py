"""Conversations of a user and an assistant, with requests whose answers can be checked exactly.

    python data/dialogues.py --train 10000 --test 500 --seed 0 --output prepared/dialogues

No phrasing is in two of the parts: of each request's phrasings a fifth is for the validation part
and a fifth for the test. What the requests are about (countries, words, towns) is in all of them:
it has to be learnt somewhere.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from case_files import Parts, check_sizes, pick, run_command, shuffled
from dialogue_requests import PHRASINGS, Request, answers, kind_of_answer, subjects

HELD_OUT = 0.2  # of the phrasings of each request, for either part
MOST_EXCHANGES = 4
GOES_ON = ("capital", "opposite", "train")  # after which "And of France?" makes sense
STARTERS = tuple(intent for intent in PHRASINGS if intent not in ("repeat", "next"))
NEXT, REPEAT = 0.35, 0.15  # how often a request leans on the one before it, where it can


@dataclass(frozen=True)
class Conversation:
    """Turns, and what the user wants in each of theirs.

    Attributes:
        turns: (role, text) in order, "user" and "assistant" by turns, the user first.
        requests: one for each turn of the user; ``kind_of_answer`` checks an answer to it.
        intents: with which of ``PHRASINGS`` the user says it: "next" for "And of France?".
    """

    turns: tuple[tuple[str, str], ...]
    requests: tuple[Request, ...]
    intents: tuple[str, ...]


def make_cases(n_train: int, n_validation: int, n_test: int, seed: int) -> Parts[Conversation]:
    """Three parts, in each of which the user speaks in phrasings of their own.

    Raises:
        ValueError: a size below 1, or a negative seed.

    Example:
        >>> train, validation, test = make_cases(10, 1, 1, seed=0)
        >>> for turn, request in zip(test[0].turns[1::2], test[0].requests):
        ...     assert turn[0] == "assistant" and kind_of_answer(turn[1], request)
    """
    rng = check_sizes(n_train, n_validation, n_test, seed)
    sizes = n_train, n_validation, n_test
    train, validation, test = (
        [converse(rng, phrasings) for _ in range(size)]
        for size, phrasings in zip(sizes, split_phrasings(rng), strict=True)
    )
    return train, validation, test


Phrasings = dict[str, tuple[str, ...]]


def split_phrasings(rng: np.random.Generator) -> tuple[Phrasings, Phrasings, Phrasings]:
    """The phrasings to train with, those of the validation part and of the test, by intent."""
    train, validation, test = {}, {}, {}
    for intent, phrasings in PHRASINGS.items():
        order = tuple(shuffled(rng, phrasings))
        n = round(HELD_OUT * len(order))
        test[intent], validation[intent] = order[:n], order[n : 2 * n]
        train[intent] = order[2 * n :]
    return train, validation, test


def converse(rng: np.random.Generator, phrasings: Phrasings) -> Conversation:
    """A conversation of one to four exchanges."""
    turns: list[tuple[str, str]] = []
    requests: list[Request] = []
    intents: list[str] = []
    topic = ""  # what "And of France?" would go on with
    for _ in range(int(rng.integers(1, MOST_EXCHANGES + 1))):
        chance = rng.random()
        if topic and chance < NEXT:
            said = "next"
            others = [s for s in subjects(topic) if s != requests[-1].subject]
            request = Request(topic, pick(rng, others))
        elif requests and chance > 1 - REPEAT:
            said = "repeat"
            request = Request("repeat", turns[-1][1])
        else:
            said = pick(rng, STARTERS)
            request = Request(said, pick(rng, subjects(said)))
        topic = request.intent if request.intent in GOES_ON else ""
        words = pick(rng, phrasings[said]).format(request.subject)
        turns += [("user", words), ("assistant", pick(rng, answers(request)))]
        requests.append(request)
        intents.append(said)
    return Conversation(tuple(turns), tuple(requests), tuple(intents))


def baseline(train: Sequence[Conversation], test: Sequence[Conversation]) -> tuple[str, float]:
    """The most frequent answer of the training part, and to how many requests it is right."""
    given = Counter(text for case in train for role, text in case.turns if role == "assistant")
    answer = given.most_common(1)[0][0]
    requests = [request for case in test for request in case.requests]
    return answer, sum(kind_of_answer(answer, request) for request in requests) / len(requests)


def describe(train: list[Conversation], test: list[Conversation]) -> list[str]:
    """The longest of the first conversations, and the baseline."""
    answer, share = baseline(train, test)
    longest = max(test[:20], key=lambda case: len(case.turns))
    return [
        *(f"    {role}: {text}" for role, text in longest.turns),
        f"always {answer!r}: right to {share:.1%} of the test's requests",
    ]


if __name__ == "__main__":
    sys.exit(run_command(__doc__ or "", make_cases, describe, 10_000, 500, 500))
