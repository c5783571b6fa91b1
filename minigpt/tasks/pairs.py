"""Predictions and their references, checked before a metric counts anything."""

from __future__ import annotations

from collections.abc import Iterable

from minigpt.tasks.tokenization import Tokenize

References = Iterable[str | Iterable[str]]


def check_pairs(
    predictions: Iterable[str], references: References
) -> list[tuple[str, tuple[str, ...]]]:
    """Each prediction with all its references; a reference that is one str becomes a tuple of it.

    Raises:
        TypeError: one str in place of a list of them, or something that is no str.
        ValueError: no pairs, as many predictions as references there are not, or a prediction
            without a reference.
    """
    predicted = [_text(f"predictions[{i}]", p) for i, p in _numbered("predictions", predictions)]
    accepted = [_accepted(i, given) for i, given in _numbered("references", references)]
    if len(predicted) != len(accepted):
        raise ValueError(
            f"there are {len(predicted):,} predictions and {len(accepted):,} references: "
            "give each prediction its reference, in the same order"
        )
    if not predicted:
        raise ValueError("predictions is empty: a metric is a mean over at least one of them")
    return list(zip(predicted, accepted, strict=True))


def tokenized(name: str, text: str, tokenize: Tokenize) -> list[str]:
    """``tokenize(text)``, refused where it gives a str, say, whose characters would be counted."""
    tokens: object = tokenize(text)
    if not isinstance(tokens, list):
        raise TypeError(
            f"tokenize({name}) gave a {type(tokens).__name__}: "
            "it must give a list of tokens, as str.split does"
        )
    return tokens


def _numbered(name: str, values: object) -> Iterable[tuple[int, object]]:
    if isinstance(values, (str, bytes)) or not isinstance(values, Iterable):
        raise TypeError(f"{name} must be a list of strings: got {type(values).__name__}")
    return enumerate(values)


def _text(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a str: got {type(value).__name__} {value!r:.40}")
    return value


def _accepted(i: int, given: object) -> tuple[str, ...]:
    name = f"references[{i}]"
    if isinstance(given, str):
        return (given,)
    if isinstance(given, bytes) or not isinstance(given, Iterable):
        raise TypeError(
            f"{name} must be a str or a list of strings: got {type(given).__name__} {given!r:.40}"
        )
    texts = tuple(_text(f"{name}[{j}]", text) for j, text in enumerate(given))
    if not texts:
        raise ValueError(f"{name} is empty: give at least one text that is right")
    return texts
