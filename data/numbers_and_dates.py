"""English numbers and dates and their Chinese translations, exact by construction.

    python data/numbers_and_dates.py --train 20000 --test 1000 --seed 0 --output prepared/numbers

Half of the cases are numbers from 0 to 99,999,999, half are days from 1000 to 2099. No number and
no day is in two of the parts, in whatever words.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from case_files import Parts, check_sizes, check_supply, pick, run_command, shuffled
from number_words import (
    MONTHS,
    chinese_date,
    chinese_number,
    english_number,
    english_ordinal,
    english_year,
)

KINDS = ("number", "date")
LONGEST = 8  # digits of a number
ZERO_DIGITS = 0.35  # so often a digit after the first is 0: the zeros are what is hard in Chinese
FIRST_DAY, LAST_DAY = date(1000, 1, 1), date(2099, 12, 31)
N_DAYS = (LAST_DAY - FIRST_DAY).days + 1
DATE_PHRASINGS = (
    "the {day} of {month}, {year}",
    "{month} the {day}, {year}",
    "{month} {day}, {year}",
    "the {day} day of {month} in the year {year}",
)


@dataclass(frozen=True)
class Translation:
    """An English text and the one Chinese text that is right, and what both stand for.

    Attributes:
        source: English.
        target: Chinese.
        kind: "number" or "date".
        figures: the same in digits, such as 304 or 1905-05-03.
    """

    source: str
    target: str
    kind: str
    figures: str


def make_cases(
    n_train: int, n_validation: int, n_test: int, seed: int, kinds: Sequence[str] = KINDS
) -> Parts[Translation]:
    """Three parts, each with as many cases of each of the kinds; no target is there twice.

    Raises:
        ValueError: a size below 1, a negative seed, more cases than there are days, or an unknown
            kind.

    Example:
        >>> train, validation, test = make_cases(1000, 10, 10, seed=0)
        >>> test[0].source, test[0].target
        ('July fifth, eighteen twenty-two', '一八二二年七月五日')
    """
    rng = check_sizes(n_train, n_validation, n_test, seed)
    chosen = [kind for kind in KINDS if kind in kinds]
    if isinstance(kinds, str) or not kinds or sorted(kinds) != sorted(chosen):
        raise ValueError(f"kinds={kinds!r} must be a list of {' or '.join(KINDS)}, or of both")
    check_supply(n_train, n_validation, n_test, len(chosen) * N_DAYS, "days and numbers")
    parts: Parts[Translation] = ([], [], [])
    for i, kind in enumerate(chosen):
        sizes = [(n + i) // len(chosen) for n in (n_train, n_validation, n_test)]  # add up to n
        cases = numbers(rng, sum(sizes)) if kind == "number" else dates(rng, sum(sizes))
        cases = shuffled(rng, cases)  # the first to be drawn are the short numbers
        for part, size in zip(parts, sizes, strict=True):
            part += cases[:size]
            cases = cases[size:]
    train, validation, test = (shuffled(rng, part) for part in parts)
    return train, validation, test


def numbers(rng: np.random.Generator, count: int) -> list[Translation]:
    """Different numbers; every length is as likely, until the short ones are used up."""
    values: dict[int, None] = {}
    while len(values) < count:
        length = int(rng.integers(1, LONGEST + 1))
        digits = rng.integers(1, 10, size=length)
        digits[1:] *= rng.random(length - 1) >= ZERO_DIGITS
        if length == 1:
            digits -= rng.random() < 0.1  # the only way to 0
        values[int("".join(map(str, digits)))] = None
    return [_number(rng, n) for n in values]


def dates(rng: np.random.Generator, count: int) -> list[Translation]:
    """Different days of the (proleptic Gregorian) calendar, each as likely."""
    return [_date(rng, FIRST_DAY + timedelta(days=int(i))) for i in rng.permutation(N_DAYS)[:count]]


def _number(rng: np.random.Generator, n: int) -> Translation:
    source = english_number(n, with_and=pick(rng, (True, False)))
    return Translation(source, chinese_number(n), "number", str(n))


def _date(rng: np.random.Generator, day: date) -> Translation:
    source = pick(rng, DATE_PHRASINGS).format(
        day=english_ordinal(day.day),
        month=MONTHS[day.month - 1],
        year=english_year(day.year, in_pairs=pick(rng, (True, False))),
    )
    target = chinese_date(day.year, day.month, day.day)
    return Translation(source, target, "date", day.isoformat())


def describe(train: list[Translation], test: list[Translation]) -> list[str]:
    """One case of each kind."""
    cases = {case.kind: case for case in test}
    return [f"{case.kind}: {case.source} → {case.target}" for _, case in sorted(cases.items())]


if __name__ == "__main__":
    sys.exit(run_command(__doc__ or "", make_cases, describe, 20_000, 1000, 1000))
