"""Names of characters: the labels are Unicode's, and no near-duplicate is in two parts."""

from __future__ import annotations

import unicodedata
from collections import Counter

import pytest

from character_names import (
    CATEGORIES,
    all_names,
    family,
    majority,
    make_cases,
    names_without,
)
from minigpt.datasets import load_text


@pytest.fixture(scope="module")
def cases():
    return make_cases(5000, 1000, 2000, seed=0)


def test_labels(cases):
    by_name = {unicodedata.name(chr(c), ""): unicodedata.category(chr(c)) for c in range(0x110000)}
    for part in cases:
        assert all(case.category == by_name[case.name] for case in part)
    assert {by_name[name] for name in all_names()} <= set(CATEGORIES)


def test_all_names_are_the_corpus():
    assert "\n".join(all_names()) + "\n" == load_text("unicode-names")
    assert len(all_names()) == len(set(all_names())) > 30_000


def test_the_parts_share_no_family(cases):
    assert [len(part) for part in cases] == [5000, 1000, 2000]
    assert len({family(case.name) for part in cases for case in part}) == 8000


def test_family():
    assert family("VARIATION SELECTOR-17") == family("VARIATION SELECTOR-256")
    assert family("DIGIT ONE") != family("DIGIT TWO")


def test_names_without_those_held_out(cases):
    train, validation, test = cases
    kept = names_without(validation + test)
    held_out = {family(case.name) for case in validation + test}
    assert not {family(name) for name in kept} & held_out
    assert {case.name for case in train} <= set(kept)
    left_out = set(all_names()) - set(kept)
    assert {case.name for case in validation + test} <= left_out
    assert {family(name) for name in left_out} == held_out


@pytest.mark.parametrize("size", [1, 2, 3, 10, 37, 100, 555, 1000, 4999])
def test_every_beginning_is_stratified(cases, size):
    train = cases[0]
    whole = Counter(case.category for case in train)
    part = Counter(case.category for case in train[:size])
    for category, count in whole.items():
        assert abs(part[category] - size * count / len(train)) < 1, category


def test_the_parts_are_like_each_other(cases):
    counts = [Counter(case.category for case in part) for part in cases]
    for category in ("Lo", "So", "Ll", "Lu", "Mn"):
        shares = [count[category] / count.total() for count in counts]
        assert max(shares) - min(shares) < 0.05
    category, share = majority(cases[0], cases[2])
    assert category == "Lo" and share == counts[2]["Lo"] / 2000
    assert 0.3 < share < 0.5


def test_more_than_there_are():
    with pytest.raises(ValueError, match="names that differ in more than a number: ask for fewer"):
        make_cases(40_000, 1, 1, seed=0)
