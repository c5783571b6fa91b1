"""Ways to cut a text into the units that a metric counts: words, characters, and two standards."""

from __future__ import annotations

import re
from collections.abc import Callable

from minigpt import checks

Tokenize = Callable[[str], list[str]]

# mteval-v13a sets these off from their neighbours wherever they stand, and . , - by the digits
# around them; the apostrophe stays in its word.
_SET_OFF = re.compile(r"""([!"#$%&()*+/:;<=>?@\[\\\]^_`{|}~])""")
_STOP_AFTER_NO_DIGIT = re.compile(r"([^0-9])([.,])")
_STOP_BEFORE_NO_DIGIT = re.compile(r"([.,])([^0-9])")
_DASH_AFTER_DIGIT = re.compile(r"([0-9])(-)")
_ENTITIES = (("&quot;", '"'), ("&amp;", "&"), ("&lt;", "<"), ("&gt;", ">"))
_LETTERS_AND_DIGITS = re.compile("[a-z0-9]+")
_ASCII_PUNCTUATION = re.compile(r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~]""")
_ARTICLES = re.compile(r"\b(a|an|the)\b")


def words(text: str) -> list[str]:
    """What stands between the white space of a text.

    Example:
        >>> words("to be, or not")
        ['to', 'be,', 'or', 'not']
    """
    return checks.text("text", text).split()


def characters(text: str) -> list[str]:
    """Every character of a text but white space: the units of Chinese, which writes no spaces.

    Example:
        >>> characters("三百 零四")
        ['三', '百', '零', '四']
    """
    return [character for character in checks.text("text", text) if not character.isspace()]


def tokenize_13a(text: str) -> list[str]:
    """The words and punctuation marks of a text by mteval-v13a, with which BLEU is reported.

    A full stop or comma is a token of its own except between digits, a dash only after a digit.
    It is sacrebleu's default (Post 2018, "A Call for Clarity in Reporting BLEU Scores").

    Example:
        >>> tokenize_13a('He paid 1,000.50 dollars, "cash".')
        ['He', 'paid', '1,000.50', 'dollars', ',', '"', 'cash', '"', '.']
    """
    text = (
        checks.text("text", text)
        .rstrip()
        .replace("<skipped>", "")
        .replace("-\n", "")
        .replace("\n", " ")
    )
    for entity, character in _ENTITIES:
        text = text.replace(entity, character)
    text = _SET_OFF.sub(r" \1 ", f" {text} ")
    text = _STOP_AFTER_NO_DIGIT.sub(r"\1 \2 ", text)
    text = _STOP_BEFORE_NO_DIGIT.sub(r" \1 \2", text)
    return _DASH_AFTER_DIGIT.sub(r"\1 \2 ", text).split()


def lowercase_words(text: str) -> list[str]:
    """The runs of a–z and 0–9 in a text in lower case, all else dropped: ROUGE's (Lin 2004).

    Example:
        >>> lowercase_words("Northfield 2–1 Eastham!")
        ['northfield', '2', '1', 'eastham']
    """
    return _LETTERS_AND_DIGITS.findall(checks.text("text", text).lower())


def normalize_answer(text: str) -> str:
    """A text as SQuAD compares answers: lower case, no punctuation, no articles, single spaces.

    Source: Rajpurkar et al. 2016, "SQuAD: 100,000+ Questions for Machine Comprehension of Text",
    §6.1. Punctuation is ASCII's.

    Example:
        >>> normalize_answer("The  Garden.")
        'garden'
    """
    text = _ASCII_PUNCTUATION.sub("", checks.text("text", text).lower())
    return " ".join(_ARTICLES.sub(" ", text).split())


def answer_words(text: str) -> list[str]:
    """The words of :func:`normalize_answer`.

    Example:
        >>> answer_words("In the old garden.")
        ['in', 'old', 'garden']
    """
    return normalize_answer(text).split()
