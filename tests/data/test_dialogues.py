"""Conversations: the answers are right, and the test is said in other words."""

from __future__ import annotations

import re
from collections import Counter
from itertools import chain

import numpy as np
import pytest

from dialogue_requests import (
    CAPITALS,
    OPPOSITES,
    PHRASINGS,
    Request,
    answers,
    kind_of_answer,
    subjects,
)
from dialogues import STARTERS, baseline, make_cases, split_phrasings


def phrasings_of(cases):
    """Which phrasing the user speaks in, each time."""
    for case in cases:
        said = [text for role, text in case.turns if role == "user"]
        for text, request, intent in zip(said, case.requests, case.intents, strict=True):
            (phrasing,) = (p for p in PHRASINGS[intent] if p.format(request.subject) == text)
            yield intent, phrasing


@pytest.fixture(scope="module")
def cases():
    return make_cases(4000, 500, 500, seed=0)


def test_the_parts_share_no_phrasing(cases):
    said = Counter(pair for part in cases for pair in set(phrasings_of(part)))
    assert set(said) == {(intent, p) for intent, several in PHRASINGS.items() for p in several}
    assert set(said.values()) == {1}
    for part in cases:  # known requests: each is in all
        assert {intent for intent, _ in phrasings_of(part)} == set(PHRASINGS)


@pytest.mark.parametrize("seed", range(5))
def test_three_phrasings_are_held_out_for_either_part(seed):
    train, validation, test = split_phrasings(np.random.default_rng(seed))
    for intent, phrasings in PHRASINGS.items():
        assert sorted(train[intent] + validation[intent] + test[intent]) == sorted(phrasings)
        assert len(set(phrasings)) == len(phrasings)
        assert len(validation[intent]) == len(test[intent]) == 3


def test_what_a_request_is_about_stands_after_a_space():
    """At the beginning of a turn it would be other tokens than in all that is trained."""
    phrasings = [phrasing for several in PHRASINGS.values() for phrasing in several]
    assert sum("{}" in phrasing for phrasing in phrasings) > 90
    assert all(" {}" in phrasing for phrasing in phrasings if "{}" in phrasing)


def test_turns(cases):
    for case in chain(*cases):
        roles = [role for role, _ in case.turns]
        assert roles == ["user", "assistant"] * (len(roles) // 2) and 2 <= len(roles) <= 8
        assert len(case.requests) == len(case.intents) == len(roles) // 2
        assert all("{" not in text for _, text in case.turns)


def test_the_answers_are_right(cases):
    for case in chain(*cases):
        given = [text for role, text in case.turns if role == "assistant"]
        for i, (text, request) in enumerate(zip(given, case.requests, strict=True)):
            assert kind_of_answer(text, request)
            if case.intents[i] == "repeat":
                assert request == Request("repeat", given[i - 1]) and text == given[i - 1]
            if case.intents[i] == "next":
                before = case.requests[i - 1]
                assert before.intent == request.intent and before.subject != request.subject
            elif case.intents[i] != "repeat":
                assert case.intents[i] == request.intent


def test_every_fact_of_the_test_can_be_learnt(cases):
    train, *others = ({r for case in part for r in case.requests} for part in cases)
    for part in others:
        assert not {r for r in part - train if r.intent not in ("echo", "repeat")}


def test_what_the_conversations_are_like(cases):
    intents = Counter(intent for case in cases[0] for intent in case.intents)
    total = sum(intents.values())
    assert set(intents) == set(PHRASINGS)
    assert all(0.03 < count / total < 0.2 for count in intents.values()), intents
    lengths = Counter(len(case.requests) for case in cases[0])
    assert set(lengths) == {1, 2, 3, 4}
    assert 0.03 < baseline(cases[0], cases[2])[1] < 0.2


def test_every_request_has_answers_of_its_own():
    requests = [Request(intent, s) for intent in STARTERS for s in subjects(intent)]
    owners: dict[str, list[Request]] = {}
    for request in requests:
        for answer in answers(request):
            owners.setdefault(answer, []).append(request)
    for answer, several in owners.items():
        assert len({request.intent for request in several}) == 1, answer


def test_facts_by_hand():
    assert OPPOSITES["cold"] == "hot" and OPPOSITES["hot"] == "cold"
    assert all(OPPOSITES[OPPOSITES[word]] == word for word in OPPOSITES)
    assert CAPITALS["Norway"] == "Oslo" and len(set(CAPITALS.values())) == len(CAPITALS)
    assert kind_of_answer("r-i-v-e-r.", Request("spell", "river"))
    for word in subjects("spell"):
        (found,) = re.findall(r"[a-z](?:-[a-z])+", answers(Request("spell", word))[0])
        assert found.replace("-", "") == word


@pytest.mark.parametrize(
    ("answer", "request_", "right"),
    [
        ("My name is Minnie.", Request("name"), True),
        (" My name is Minnie.\n", Request("name"), True),
        ("My name is Winnie.", Request("name"), False),
        ("my name is Minnie.", Request("name"), False),
        ("", Request("name"), False),
        ("It leaves at 7:05.", Request("train", "Northfield"), True),
        ("It leaves at 7:40.", Request("train", "Northfield"), False),
        ("apple and bread.", Request("echo", "apple and bread"), True),
        ("You are welcome.", Request("greeting"), False),
        ("anything", Request("repeat", "anything"), True),
    ],
)
def test_kind_of_answer(answer, request_, right):
    assert kind_of_answer(answer, request_) is right


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (Request("dance"), "there is no intent 'dance': expected one of greeting, name"),
        (Request("next", "France"), "there is no intent 'next'"),
        (Request("capital", "Atlantis"), "'capital' has no subject 'Atlantis'"),
        (Request("name", "Paris"), "'name' has no subject 'Paris'"),
    ],
)
def test_requests_that_there_are_not(request_, message):
    with pytest.raises(ValueError, match=message):
        answers(request_)
