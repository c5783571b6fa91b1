"""Names of characters: the labels are Unicode's, and no near-duplicate is in both parts."""

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
    return make_cases(5000, 2000, seed=0)


def test_labels(cases):
    by_name = {unicodedata.name(chr(c), ""): unicodedata.category(chr(c)) for c in range(0x110000)}
    for part in cases:
        assert all(case.category == by_name[case.name] for case in part)
    assert {by_name[name] for name in all_names()} <= set(CATEGORIES)


def test_all_names_are_the_corpus():
    assert "\n".join(all_names()) + "\n" == load_text("unicode-names")
    assert len(all_names()) == len(set(all_names())) > 30_000


def test_train_and_test_share_no_family(cases):
    train, test = ([family(case.name) for case in part] for part in cases)
    assert not set(train) & set(test)
    assert len(set(train)) == len(train) == 5000 and len(set(test)) == len(test) == 2000


def test_family():
    assert family("VARIATION SELECTOR-17") == family("VARIATION SELECTOR-256")
    assert family("DIGIT ONE") != family("DIGIT TWO")


def test_names_without_the_test(cases):
    test = cases[1]
    kept = names_without(test)
    assert not {family(name) for name in kept} & {family(case.name) for case in test}
    assert {case.name for case in cases[0]} <= set(kept)
    left_out = set(all_names()) - set(kept)
    assert {case.name for case in test} <= left_out
    assert {family(name) for name in left_out} == {family(case.name) for case in test}


@pytest.mark.parametrize("size", [1, 2, 3, 10, 37, 100, 555, 1000, 4999])
def test_every_beginning_is_stratified(cases, size):
    train = cases[0]
    whole = Counter(case.category for case in train)
    part = Counter(case.category for case in train[:size])
    for category, count in whole.items():
        assert abs(part[category] - size * count / len(train)) < 1, category


def test_the_test_is_like_the_training_part(cases):
    shares = [Counter(case.category for case in part) for part in cases]
    for category in ("Lo", "So", "Ll", "Lu", "Mn"):
        assert abs(shares[0][category] / 5000 - shares[1][category] / 2000) < 0.03
    category, share = majority(*cases)
    assert category == "Lo" and share == shares[1]["Lo"] / 2000
    assert 0.3 < share < 0.5


def test_more_than_there_are():
    with pytest.raises(ValueError, match="names that differ in more than a number: ask for fewer"):
        make_cases(40_000, 1, seed=0)
