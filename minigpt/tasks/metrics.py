"""Shares of right answers: exact match, accuracy, and the overlap of words.

Every metric here and beside is a fraction from 0 to 1, not a percentage.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from minigpt.functional.embedding import check_integers
from minigpt.tasks.pairs import References, check_pairs, tokenized
from minigpt.tasks.tokenization import Tokenize, answer_words


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
        TypeError: something that is no str, or one str in place of a list.
        ValueError: nothing to compare, or numbers of them that differ.

    Example:
        >>> exact_match(["三百零四", "十"], ["三百零四", "一十"])
        0.5
        >>> from minigpt.tasks.tokenization import normalize_answer
        >>> exact_match(["the garden"], [["Garden.", "In the garden."]], normalize_answer)
        1.0
    """
    pairs = check_pairs(predictions, references)
    form = normalize or (lambda text: text)
    right = sum(form(prediction) in map(form, accepted) for prediction, accepted in pairs)
    return right / len(pairs)


def accuracy(predictions: Any, targets: Any, ignore_index: int = -1) -> float:
    """The share of places whose prediction is the target: 1/N · Σᵢ [predictionᵢ = targetᵢ].

    Shapes:
        predictions: (...) integers, such as ``logits.argmax(-1)``
        targets: the same shape, integers; those of ``ignore_index`` are left out, as in the loss
        returns: a float from 0 to 1

    Raises:
        ValueError: shapes that differ, or no target that counts.
        TypeError: something else than integers.

    Example:
        >>> accuracy([3, 1, 2, 0], [3, 1, 0, -1]) == 2 / 3
        True
    """
    predictions, targets = np.asarray(predictions), np.asarray(targets)
    if predictions.shape != targets.shape:
        raise ValueError(
            f"predictions have shape {predictions.shape}, targets {targets.shape}: "
            "give one prediction for each target"
        )
    if targets.size:
        check_integers(predictions, "predictions")
        check_integers(targets, "targets")
    counted = targets != ignore_index
    if not counted.any():
        raise ValueError(
            f"no target counts: {targets.size} given, all of them ignore_index={ignore_index}"
        )
    return float((predictions == targets)[counted].mean())


def token_f1(
    predictions: Iterable[str], references: References, tokenize: Tokenize = answer_words
) -> float:
    """F1 = 2PR / (P + R) of the words in common, the best over the references, the mean over all.

    P = |prediction ∩ reference| / |prediction| and R = |prediction ∩ reference| / |reference|, of
    bags of words: a word that stands twice counts twice. Two empty bags agree (1), an empty one and
    a full one don't (0).

    Source: Rajpurkar et al. 2016, §6.1. The words are those of ``normalize_answer``; for Chinese
    pass ``tokenize=characters``.

    Shapes:
        predictions: N strings
        references: N, each a str or several of which the best counts
        returns: a float from 0 to 1

    Raises:
        TypeError: something that is no str, or one str in place of a list.
        ValueError: nothing to compare, or numbers of them that differ.

    Example:
        >>> token_f1(["in the old garden"], ["the garden"])  # P = 1/3, R = 1
        0.5
    """
    pairs = check_pairs(predictions, references)
    total = 0.0
    for prediction, accepted in pairs:
        found = Counter(tokenized("prediction", prediction, tokenize))
        total += max(_f1(found, Counter(tokenized("reference", r, tokenize))) for r in accepted)
    return total / len(pairs)


def _f1(prediction: Counter[str], reference: Counter[str]) -> float:
    n_prediction, n_reference = sum(prediction.values()), sum(reference.values())
    if n_prediction == 0 or n_reference == 0:
        return float(n_prediction == n_reference)
    # 2PR / (P + R) with P = c/p and R = c/r is 2c / (p + r), which is defined for c = 0 too.
    return 2 * sum((prediction & reference).values()) / (n_prediction + n_reference)
