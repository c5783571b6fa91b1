"""Predictions and their references, put together before a metric counts anything."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from minigpt import checks
from minigpt.metrics.tokenization import Tokenize

References = Iterable[str | Iterable[str]]


def in_pairs(
    predictions: Iterable[str], references: References
) -> list[tuple[str, tuple[str, ...]]]:
    """Each prediction with all its references; a reference that is one str becomes a tuple of it.

    Raises:
        TypeError: one str in place of a list of them, or something that is not a str.
        ValueError: there are no pairs, the numbers of predictions and references differ, or a
            prediction has no reference.

    Example:
        >>> in_pairs(["ten", "two"], ["ten", ["2", "two"]])
        [('ten', ('ten',)), ('two', ('2', 'two'))]
    """
    given = each("predictions", predictions)
    predicted = [checks.text(f"predictions[{i}]", p) for i, p in enumerate(given)]
    accepted = [_accepted(i, texts) for i, texts in enumerate(each("references", references))]
    if len(predicted) != len(accepted):
        raise ValueError(
            f"there are {len(predicted):,} predictions and {len(accepted):,} references: "
            "give each prediction its reference, in the same order"
        )
    if not predicted:
        raise ValueError("predictions is empty: a metric is a mean over at least one of them")
    return list(zip(predicted, accepted, strict=True))


def tokenized(name: str, text: str, tokenize: Tokenize) -> list[str]:
    """``tokenize(text)``, refused where it is a str, say, whose characters would be counted."""
    if not callable(tokenize):
        raise checks.wrong_type("tokenize", "a function from a text to its tokens", tokenize)
    tokens: object = tokenize(text)
    if not isinstance(tokens, list):
        mend = "cut the text as str.split does"
        raise checks.wrong_type(f"tokenize({name})", "a list of tokens", tokens, mend)
    return tokens


def each(name: str, values: object) -> Iterable[Any]:
    """``values``, refused where one str came in place of a list of them, or no list at all."""
    if isinstance(values, (str, bytes)) or not checks.iterates(values):
        mend = f"write [{name}]" if isinstance(values, str) else ""
        raise checks.wrong_type(name, "a list of strings", values, mend)
    return values


def _accepted(i: int, given: object) -> tuple[str, ...]:
    name = f"references[{i}]"
    if isinstance(given, str):
        return (given,)
    if isinstance(given, bytes) or not checks.iterates(given):
        raise checks.wrong_type(name, "a str or a list of strings", given)
    texts = tuple(checks.text(f"{name}[{j}]", text) for j, text in enumerate(given))
    if not texts:
        raise ValueError(f"{name} is empty: give at least one text that is right")
    return texts
