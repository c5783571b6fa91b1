"""Stories of places: replayed from their text, every answer and every proof is right."""

from __future__ import annotations

import re
from collections import Counter
from itertools import chain, combinations

import pytest

from place_stories import DEPTHS, baselines, make_cases
from story_world import GAVE, LEFT, TOOK, WENT


def replay(sentences):
    """Who is where, who has what, and everywhere each thing has been, from the words alone.

    Sentences may be missing: then what depends on them is unknown, which is None.
    """
    where, holder, been = {}, {}, {}

    def note(thing):
        place = where.get(holder.get(thing))
        if place and (not been.get(thing) or been[thing][-1] != place):
            been.setdefault(thing, []).append(place)

    for sentence in sentences:
        if found := re.fullmatch(rf"(\w+) (?:{'|'.join(WENT)}) the (\w+)\.", sentence):
            where[found[1]] = found[2]
            for thing, person in holder.items():
                if person == found[1]:
                    note(thing)
        elif found := re.fullmatch(rf"(\w+) (?:{'|'.join(TOOK)}) the (\w+)\.", sentence):
            holder[found[2]] = found[1]
            note(found[2])
        elif found := re.fullmatch(rf"(\w+) (?:{'|'.join(GAVE)}) the (\w+) to (\w+)\.", sentence):
            holder[found[2]] = found[3]
            note(found[2])
        else:
            found = re.fullmatch(rf"(\w+) (?:{'|'.join(LEFT)}) the (\w+)\.", sentence)
            assert found, sentence
            holder[found[2]] = found[1]  # where not said before, leaving it says so
            note(found[2])
            del holder[found[2]]
    return where, holder, been


def solve(sentences, question):
    where, holder, been = replay(sentences)
    if found := re.fullmatch(r"Where is the (\w+)\?", question):
        return been.get(found[1], [None])[-1]
    if found := re.fullmatch(r"Where is (\w+)\?", question):
        return where.get(found[1])
    if found := re.fullmatch(r"Who has the (\w+)\?", question):
        return holder.get(found[1])
    found = re.fullmatch(r"Where was the (\w+) before the (\w+)\?", question)
    assert found, question
    places = been.get(found[1], [])
    if places.count(found[2]) != 1 or places[0] == found[2]:
        return None
    return places[places.index(found[2]) - 1]


@pytest.fixture(scope="module")
def cases():
    return make_cases(1500, 300, 600, seed=0)


def test_every_answer_follows_from_the_story(cases):
    for story in chain(*cases):
        assert solve(story.sentences, story.question) == story.answer, story
        for question, answer in story.others:
            assert solve(story.sentences, question) == answer, (story, question)


def test_the_other_questions(cases):
    for story in cases[2]:
        questions = [story.question, *(question for question, _ in story.others)]
        assert len(set(questions)) == len(questions)
    several = [len(story.others) for story in cases[0]]
    assert 3 < sum(several) / len(several) < 12


def test_what_happens_is_possible(cases):
    for story in cases[2]:
        for end, sentence in enumerate(story.sentences):
            where, holder, been = replay(story.sentences[:end])
            words = sentence.strip(".").split()
            person = words[0]
            if any(f" {verb} " in sentence for verb in WENT):
                assert where.get(person) != words[-1]
            elif any(f" {verb} the" in sentence for verb in TOOK):
                thing = words[-1]
                assert thing not in holder and person in where
                assert been.get(thing, [where[person]])[-1] == where[person]
            else:
                thing = words[words.index("the") + 1]
                assert holder[thing] == person
                if "to" in words:
                    assert where[words[-1]] == where[person] and words[-1] != person


def test_the_facts_prove_the_answer_and_none_can_be_spared(cases):
    """What they prove without one of them is not the answer, as the story tells it."""
    for story in cases[2]:
        facts = [story.sentences[i] for i in story.facts]
        assert solve(facts, story.question) == story.answer, story
        for fewer in combinations(facts, len(facts) - 1):
            assert solve(fewer, story.question) != story.answer, story


def test_depths(cases):
    for part in cases:
        assert Counter(story.depth for story in part) == dict.fromkeys(DEPTHS, len(part) // 3)
    parts = make_cases(20, 5, 10, seed=0, depths=[3])
    assert {story.depth for story in chain(*parts)} == {3}


def test_the_answer_is_a_word_of_the_story(cases):
    for story in cases[2]:
        assert re.fullmatch(r"\w+", story.answer)
        assert story.answer in re.findall(r"\w+", story.text)
        assert story.answer not in story.question


def test_no_story_twice(cases):
    texts = [story.text for part in cases for story in part]
    assert len(set(texts)) == len(texts)


def test_no_glance_finds_the_answer(cases):
    """Chance is one in six places; where one is as likely as another, one in about four."""
    train, _, test = cases
    for depth in (2, 3):
        shares = baselines(train, [story for story in test if story.depth == depth])
        assert len(shares) == 5 and all(0 <= share < 0.4 for share in shares.values()), shares
    for depth in DEPTHS:
        stories = [story for story in test if story.depth == depth]
        assert baselines(train, stories)["last place"] < 0.4
        counts = Counter(story.answer for story in stories)
        assert counts.most_common(1)[0][1] < 0.25 * len(stories)


def test_lengths():
    stories, *_ = make_cases(300, 1, 1, seed=0, sentences=(6, 8))
    assert {len(story.sentences) for story in stories} == {6, 7, 8}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"depths": [4]}, r"depths=\[4\] must be a list of some of 1, 2 and 3"),
        ({"depths": []}, r"depths=\[\] must be"),
        ({"depths": [1, 1]}, r"depths=\[1, 1\] must be"),
        ({"sentences": (4, 9)}, r"sentences=\(4, 9\) must be .* from 5 \(for depth 3\) to 100"),
        ({"sentences": (9, 8)}, r"sentences=\(9, 8\) must be"),
        ({"sentences": (5, 101)}, r"sentences=\(5, 101\) must be"),
    ],
)
def test_wrong_options(options, message):
    with pytest.raises(ValueError, match=message):
        make_cases(5, 5, 5, seed=0, **options)
