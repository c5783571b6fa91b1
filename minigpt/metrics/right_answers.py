"""Shares of right answers: exact match, the overlap of words, and accuracy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from minigpt import checks
from minigpt.autograd import Array
from minigpt.metrics.pairs import References, in_pairs, tokenized
from minigpt.metrics.tokenization import Tokenize, answer_words


def exact_match(
    predictions: Iterable[str],
    references: References,
    normalize: Callable[[str], str] | None = None,
) -> float:
    """EM = 1/N · Σᵢ max over the references r of i of [predictionᵢ = r].

    Source: Rajpurkar et al. 2016, §6.1. By default every character counts; with
    ``normalize=normalize_answer`` the answers are compared as SQuAD does.

    Shapes:
        predictions: N strings
        references: N, each a str or several of which any is right
        returns: a float from 0 to 1

    Raises:
        TypeError: something is not a str, or one str came in place of a list.
        ValueError: there is nothing to compare, or the numbers of predictions and references
            differ.

    Example:
        >>> exact_match(["三百零四", "十"], ["三百零四", "一十"])
        0.5
        >>> from minigpt.metrics.tokenization import normalize_answer
        >>> exact_match(["the garden"], [["Garden.", "In the garden."]], normalize_answer)
        1.0
    """
    pairs = in_pairs(predictions, references)
    form = check_normalize(normalize) or _as_it_is
    right = sum(form(prediction) in map(form, accepted) for prediction, accepted in pairs)
    return right / len(pairs)


def token_f1(
    predictions: Iterable[str], references: References, tokenize: Tokenize = answer_words
) -> float:
    """F1 = 2PR / (P + R) of the words in common, the best over the references, the mean over all.

    P = |prediction ∩ reference| / |prediction| and R = |prediction ∩ reference| / |reference|, of
    bags of words: a word that stands twice counts twice. Two empty bags agree (1), an empty one and
    a full one do not (0).

    Source: Rajpurkar et al. 2016, §6.1. The words are those of ``normalize_answer``; for Chinese
    pass ``tokenize=characters``.

    Shapes:
        predictions: N strings
        references: N, each a str or several of which the best counts
        returns: a float from 0 to 1

    Raises:
        TypeError: something is not a str, or one str came in place of a list.
        ValueError: there is nothing to compare, or the numbers of predictions and references
            differ.

    Example:
        >>> token_f1(["in the old garden"], ["the garden"])  # P = 1/3, R = 1
        0.5
    """
    pairs = in_pairs(predictions, references)
    total = 0.0
    for prediction, accepted in pairs:
        found = Counter(tokenized("prediction", prediction, tokenize))
        total += max(_f1(found, Counter(tokenized("reference", r, tokenize))) for r in accepted)
    return total / len(pairs)


def accuracy(predictions: Any, targets: Any, ignore_index: int = -1) -> float:
    """The share of places whose prediction is the target: 1/N · Σᵢ [predictionᵢ = targetᵢ].

    Shapes:
        predictions: (...) integers, such as ``logits.argmax(-1)``
        targets: the same shape, integers; those of ``ignore_index`` are left out, as in the loss
        returns: a float from 0 to 1

    Raises:
        ValueError: the shapes differ, or no target counts.
        TypeError: predictions or targets are not integers.

    Example:
        >>> accuracy([3, 1, 2, 0], [3, 1, 0, -1]) == 2 / 3
        True
    """
    predictions, targets, counted = _check(predictions, targets, ignore_index)
    return float((predictions == targets)[counted].mean())


def _f1(prediction: Counter[str], reference: Counter[str]) -> float:
    n_prediction, n_reference = sum(prediction.values()), sum(reference.values())
    if n_prediction == 0 or n_reference == 0:
        return float(n_prediction == n_reference)
    # 2PR / (P + R) with P = c/p and R = c/r is 2c / (p + r), which is defined for c = 0 too.
    return 2 * sum((prediction & reference).values()) / (n_prediction + n_reference)


def check_normalize(normalize: object) -> Callable[[str], str] | None:
    """A function from a text to the form in which it is compared, or None for the text itself."""
    if normalize is not None and not callable(normalize):
        raise checks.wrong_type("normalize", "a function from a text to its form", normalize)
    return normalize


def _as_it_is(text: str) -> str:
    return text


def _check(
    predictions: object, targets: object, ignore_index: object
) -> tuple[Array, Array, Array]:
    """Both as arrays, and where a target counts."""
    found, right = checks.regular("predictions", predictions), checks.regular("targets", targets)
    if found.shape != right.shape:
        raise ValueError(
            f"predictions have shape {found.shape}, targets {right.shape}: "
            "give one prediction for each target"
        )
    if right.size:
        checks.integers("predictions", found)
        checks.integers("targets", right)
    counted = right != checks.integer("ignore_index", ignore_index)
    if not counted.any():
        raise ValueError(
            f"no target counts: {right.size} given, all of them ignore_index={ignore_index}"
        )
    return found, right, counted
