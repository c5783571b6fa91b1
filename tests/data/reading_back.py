"""Readers of numbers and dates in words, which know nothing of how the project writes them.

They take a text apart from the right and from the left, where the writers put it together digit by
digit, and refuse what is not well formed.
"""

from __future__ import annotations

import re

DIGITS = {digit: value for value, digit in enumerate("零一二三四五六七八九")}
UNITS = {"十": 10, "百": 100, "千": 1000}
BELOW_TWENTY = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven",
    "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
WORDS = {word: n for n, word in enumerate(BELOW_TWENTY)}
WORDS |= {word: 10 * n for n, word in enumerate(TENS, start=2)}
MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
ORDINALS = (
    "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth",
    "eleventh", "twelfth", "thirteenth", "fourteenth", "fifteenth", "sixteenth", "seventeenth",
    "eighteenth", "nineteenth", "twentieth", "twenty-first", "twenty-second", "twenty-third",
    "twenty-fourth", "twenty-fifth", "twenty-sixth", "twenty-seventh", "twenty-eighth",
    "twenty-ninth", "thirtieth", "thirty-first",
)  # fmt: skip


def read_chinese(text: str) -> int:
    """三百零四 → 304."""
    assert re.fullmatch("[零一二三四五六七八九十百千万]+", text), text
    if text == "零":
        return 0
    assert "零零" not in text and not text.startswith("零") and not text.endswith("零"), text
    assert text.count("万") <= 1, text
    high, wan, low = text.rpartition("万")
    if not wan:
        return _read_group(low, leading=True)
    return 10_000 * _read_group(high, leading=True) + (
        _read_group(low, leading=False) if low else 0
    )


def _read_group(text: str, leading: bool) -> int:
    if leading and text.startswith("十"):
        text = "一" + text
    total, last_unit = 0, 10_000
    skipped = False  # a 零 was just read
    for character, unit in re.findall("([零一二三四五六七八九])([千百十]?)", text):
        if character == "零":
            assert not unit and not skipped, text
            skipped = True
            continue
        size = UNITS.get(unit, 1)
        assert size < last_unit, text  # from large to small
        # 零 stands exactly where a unit is skipped (not where a group begins in full).
        first = last_unit == 10_000
        if first and leading:
            assert not skipped, text
        else:
            assert skipped == (size * 10 < last_unit), text
        total += DIGITS[character] * size
        last_unit, skipped = size, False
    assert not skipped and re.sub("[零一二三四五六七八九][千百十]?", "", text) == "", text
    return total


def read_english(text: str) -> int:
    """Three hundred and four → 304."""
    total = current = 0
    for word in text.replace("-", " ").split():
        if word == "and":
            assert total or current, text
        elif word == "hundred":
            assert 1 <= current <= 99, text  # nineteen hundred is a year
            current *= 100
        elif word in ("thousand", "million"):
            assert 1 <= current <= 999, text
            total += current * {"thousand": 1000, "million": 10**6}[word]
            current = 0
        else:
            current += WORDS[word]
    return total + current


def read_chinese_date(text: str) -> tuple[int, int, int]:
    """二〇〇六年五月三日 → 2006, 5, 3."""
    found = re.fullmatch("([〇一二三四五六七八九]{4})年(.+)月(.+)日", text)
    assert found, text
    year = int("".join(str("〇一二三四五六七八九".index(digit)) for digit in found[1]))
    return year, read_chinese(found[2]), read_chinese(found[3])


def read_english_date(text: str) -> tuple[int, int, int]:
    """The third of May, two thousand and six → 2006, 5, 3."""
    month = next(month for month in MONTHS if re.search(rf"\b{month}\b", text))
    before, after = text.split(month)
    after = after.strip(", ")
    day = re.sub("^the | day of | of ", "", before).strip()
    if not day:  # May the third, …
        day, after = after.split(", ")
        day = day.removeprefix("the ")
    year = after.removeprefix("in the year ")
    return _read_year(year), MONTHS.index(month) + 1, ORDINALS.index(day) + 1


def _read_year(text: str) -> int:
    if "thousand" in text or "hundred" in text:
        return read_english(text)
    century, rest = text.split(" ", 1)  # one word up to 2099
    return 100 * WORDS[century] + read_english(rest.removeprefix("oh "))
