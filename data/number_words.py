"""Numbers and dates in English words and in Chinese characters, by rule.

Chinese groups digits by four: 1234,5678 is 1234 万 5678. In a group a digit stands before its
unit 千, 百, 十; zeros within a number are read as one 零, those at the end of a group not at all;
and 一十 is 十 where the number begins with it. 二 is never 两, as where figures are read out.
"""

from __future__ import annotations

from minigpt import checks

LARGEST = 99_999_999

DIGITS = "零一二三四五六七八九"
YEAR_DIGITS = "〇一二三四五六七八九"  # years are read digit by digit, with a round zero

MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
ONES = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
    "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen",
    "nineteen",
)  # fmt: skip
TENS = ("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
ORDINALS = {
    "one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth",
    "nine": "ninth", "twelve": "twelfth", "twenty": "twentieth", "thirty": "thirtieth",
}  # fmt: skip


def chinese_number(n: int) -> str:
    """``n`` from 0 to 99,999,999 in Chinese.

    Example:
        >>> [chinese_number(n) for n in (0, 10, 304, 1010, 110_000, 20_000_050)]
        ['零', '十', '三百零四', '一千零一十', '十一万', '二千万零五十']
    """
    check_number(n)
    if n == 0:
        return DIGITS[0]
    high, low = divmod(n, 10_000)
    text = ""
    if high:
        text = _group(high) + "万"
        if 0 < low < 1000:  # the thousands are missing within the number
            text += DIGITS[0]
    if low:
        text += _group(low)
    return text.removeprefix("一") if text.startswith("一十") else text


def _group(n: int) -> str:
    """Up to four digits: ``1010`` is 一千零一十."""
    text = ""
    gap = False  # zeros since the last digit that was read
    for size, unit in ((1000, "千"), (100, "百"), (10, "十"), (1, "")):
        digit = n // size % 10
        if digit:
            if gap and text:
                text += DIGITS[0]
            text += DIGITS[digit] + unit
        gap = digit == 0
    return text


def english_number(n: int, with_and: bool = True) -> str:
    """``n`` from 0 to 99,999,999 in English, with or without the "and" before the tens.

    Example:
        >>> english_number(304), english_number(304, with_and=False)
        ('three hundred and four', 'three hundred four')
        >>> english_number(21_000_005)
        'twenty-one million and five'
    """
    check_number(n)
    parts = []
    for size, unit in ((1_000_000, "million"), (1000, "thousand")):
        if n >= size:
            parts += [_below_thousand(n // size, with_and), unit]
            n %= size
    if n or not parts:
        if with_and and parts and n < 100:
            parts.append("and")
        parts.append(_below_thousand(n, with_and))
    return " ".join(parts)


def _below_thousand(n: int, with_and: bool) -> str:
    parts = []
    if n >= 100:
        parts += [ONES[n // 100], "hundred"]
        n %= 100
        if n and with_and:
            parts.append("and")
    if n or not parts:
        parts.append(_below_hundred(n))
    return " ".join(parts)


def _below_hundred(n: int) -> str:
    if n < 20:
        return ONES[n]
    return TENS[n // 10] + (f"-{ONES[n % 10]}" if n % 10 else "")


def english_ordinal(n: int) -> str:
    """``n`` from 1 to 99 as an ordinal.

    Example:
        >>> english_ordinal(3), english_ordinal(21), english_ordinal(30)
        ('third', 'twenty-first', 'thirtieth')
    """
    front, dash, last = _below_hundred(n).rpartition("-")
    return front + dash + ORDINALS.get(last, last + "th")


def english_year(year: int, in_pairs: bool) -> str:
    """A year from 1000 to 2099, as a number or in pairs of digits where English does that.

    Example:
        >>> english_year(2006, in_pairs=True), english_year(1984, in_pairs=False)
        ('two thousand and six', 'one thousand nine hundred and eighty-four')
        >>> [english_year(year, in_pairs=True) for year in (1984, 1905, 1900)]
        ['nineteen eighty-four', 'nineteen oh five', 'nineteen hundred']
    """
    century, rest = divmod(year, 100)
    if not in_pairs or year % 1000 < 10:
        return english_number(year)
    if rest == 0:
        return f"{_below_hundred(century)} hundred"
    if rest < 10:
        return f"{_below_hundred(century)} oh {ONES[rest]}"
    return f"{_below_hundred(century)} {_below_hundred(rest)}"


def chinese_date(year: int, month: int, day: int) -> str:
    """A date in Chinese: the year digit by digit, the month and the day as numbers.

    Example:
        >>> chinese_date(2006, 5, 3)
        '二〇〇六年五月三日'
    """
    digits = "".join(YEAR_DIGITS[int(digit)] for digit in str(year))
    return f"{digits}年{chinese_number(month)}月{chinese_number(day)}日"


def check_number(n: int) -> None:
    """Refuse what the two languages are not written for here."""
    checks.integer("n", n, least=0, most=LARGEST)
