"""Numbers and dates in words are read back, by readers that know nothing of the writers."""

from __future__ import annotations

from collections import Counter
from datetime import date
from itertools import chain

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from number_words import (
    LARGEST,
    chinese_date,
    chinese_number,
    english_number,
    english_ordinal,
    english_year,
)
from numbers_and_dates import DATE_PHRASINGS, make_cases
from tests.data.reading_back import (
    MONTHS,
    ORDINALS,
    read_chinese,
    read_chinese_date,
    read_english,
    read_english_date,
)

BY_HAND = {
    0: ("zero", "零"),
    10: ("ten", "十"),
    14: ("fourteen", "十四"),
    20: ("twenty", "二十"),
    100: ("one hundred", "一百"),
    101: ("one hundred and one", "一百零一"),
    110: ("one hundred and ten", "一百一十"),
    304: ("three hundred and four", "三百零四"),
    1001: ("one thousand and one", "一千零一"),
    1010: ("one thousand and ten", "一千零一十"),
    2020: ("two thousand and twenty", "二千零二十"),
    10_000: ("ten thousand", "一万"),
    10_010: ("ten thousand and ten", "一万零一十"),
    10_100: ("ten thousand one hundred", "一万零一百"),
    100_000: ("one hundred thousand", "十万"),
    101_000: ("one hundred and one thousand", "十万一千"),
    110_000: ("one hundred and ten thousand", "十一万"),
    1_010_000: ("one million ten thousand", "一百零一万"),
    20_000_050: ("twenty million and fifty", "二千万零五十"),
    10_203_040: ("ten million two hundred and three thousand and forty", "一千零二十万三千零四十"),
}


@pytest.mark.parametrize("n", BY_HAND)
def test_numbers_by_hand(n):
    assert (english_number(n), chinese_number(n)) == BY_HAND[n]


def assert_read_back(n):
    assert read_chinese(chinese_number(n)) == n
    assert read_english(english_number(n)) == read_english(english_number(n, False)) == n


def test_every_group_of_four_digits_is_read_back():
    for n in range(10_000):
        assert_read_back(n)


@given(st.integers(0, 9999), st.integers(0, 9999))
@example(9999, 9999)
@example(10, 10)
def test_numbers_are_read_back(high, low):
    assert_read_back(10_000 * high + low)


def test_the_readers_refuse_what_is_malformed():
    for text in (
        "三百四",
        "一千一",
        "三百零零四",
        "零三",
        "一百十",
        "一万一十",
        "二十零",
        "三十百",
    ):
        with pytest.raises(AssertionError):
            read_chinese(text)


@given(st.dates(date(1000, 1, 1), date(2099, 12, 31)))
def test_dates_are_read_back(day):
    parts = (day.year, day.month, day.day)
    assert read_chinese_date(chinese_date(*parts)) == parts
    for phrasing in DATE_PHRASINGS:
        for in_pairs in (True, False):
            text = phrasing.format(
                day=english_ordinal(day.day),
                month=MONTHS[day.month - 1],
                year=english_year(day.year, in_pairs),
            )
            assert read_english_date(text) == parts


def test_years_and_ordinals_by_hand():
    years = {1066: "ten sixty-six", 1900: "nineteen hundred", 1905: "nineteen oh five",
             2000: "two thousand", 2006: "two thousand and six", 2013: "twenty thirteen",
             1000: "one thousand", 1100: "eleven hundred"}  # fmt: skip
    assert {year: english_year(year, in_pairs=True) for year in years} == years
    assert [english_ordinal(n) for n in range(1, 32)] == list(ORDINALS)


@pytest.mark.parametrize(
    ("n", "error", "message"),
    [
        (-1, ValueError, "n must be an integer from 0 to 99999999: got -1"),
        (LARGEST + 1, ValueError, "n must be an integer from 0 to 99999999: got 100000000"),
        (True, TypeError, "n must be an integer from 0 to 99999999: got True"),
        (3.0, TypeError, "n must be an integer from 0 to 99999999: got 3.0"),
    ],
)
def test_numbers_that_there_are_no_words_for(n, error, message):
    for words in (chinese_number, english_number):
        with pytest.raises(error, match=message):
            words(n)


@pytest.fixture(scope="module")
def cases():
    return make_cases(6000, 1000, 1000, seed=0)


def test_every_case_is_right(cases):
    for case in chain(*cases):
        if case.kind == "number":
            assert read_english(case.source) == read_chinese(case.target), case
            assert case.figures == str(read_english(case.source)), case
        else:
            assert read_english_date(case.source) == read_chinese_date(case.target), case
            day = date(*read_chinese_date(case.target))  # of the calendar
            assert date.fromisoformat(case.figures) == day, case


def test_no_number_and_no_day_is_there_twice(cases):
    """Read from the English, so that another phrasing of the same day would be found too."""
    read = {"number": read_english, "date": read_english_date}
    assert [len(part) for part in cases] == [6000, 1000, 1000]
    assert len({read[case.kind](case.source) for case in chain(*cases)}) == 8000


def test_what_the_cases_are_like(cases):
    for part in cases:
        assert Counter(case.kind for case in part)["number"] == len(part) // 2
        lengths = Counter(
            len(str(read_english(case.source))) for case in part if case.kind == "number"
        )
        assert set(lengths) == set(range(1, 9))
        assert all(0.1 < lengths[n] / (len(part) / 2) < 0.25 for n in range(4, 9))
        with_zeros = sum("零" in case.target for case in part if case.kind == "number")
        assert 0.4 < with_zeros / (len(part) / 2) < 0.8
        texts = " ".join(case.source for case in part)
        for phrase in (" oh ", " hundred and ", " day of ", " in the year ", "nineteen hundred"):
            assert phrase in texts or len(part) < 2000, phrase


def test_one_kind_alone():
    for kind in ("number", "date"):
        parts = make_cases(7, 2, 3, seed=0, kinds=[kind])
        assert {case.kind for case in chain(*parts)} == {kind}
        assert [len(part) for part in parts] == [7, 2, 3]
    for kinds in ([], ["dates"], "number", ["date", "date"]):
        with pytest.raises(ValueError, match=r"kinds=.* must be a list of number or date"):
            make_cases(7, 2, 3, seed=0, kinds=kinds)


def test_more_cases_than_days():
    with pytest.raises(ValueError, match="are 900,001 together, and there are 401,767 days"):
        make_cases(800_000, 1, 100_000, seed=0, kinds=["date"])
