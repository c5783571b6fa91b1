"""ROUGE-L: the longest common subsequence of a summary and its reference."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from minigpt.metrics.pairs import References, in_pairs, tokenized
from minigpt.metrics.tokenization import Tokenize, lowercase_words


@dataclass(frozen=True)
class RougeScore:
    """Precision, recall and their harmonic mean.

    Attributes:
        precision: the mean over the pairs, from 0 to 1.
        recall: the same.
        f1: the same.

    Example:
        >>> from minigpt.metrics import rouge_l
        >>> score = rouge_l(["the cat"], ["the cat sat on the mat"])
        >>> score.precision, round(score.recall, 3), score.f1
        (1.0, 0.333, 0.5)
    """

    precision: float
    recall: float
    f1: float


def rouge_l(
    predictions: Iterable[str], references: References, tokenize: Tokenize = lowercase_words
) -> RougeScore:
    """F = 2PR / (P + R) with P = LCS(p, r) / |p| and R = LCS(p, r) / |r|, the mean over all pairs.

    LCS is the length of the longest common subsequence: words in the same order, others between
    them or not. Of several references the one with the highest F counts.

    Source: Lin 2004, "ROUGE: A Package for Automatic Evaluation of Summaries", §3.1, with β = 1.
    The values are those of the package rouge-score without stemming. A text without words scores
    0, even against another one without words. Where no reference has a word, as with the default
    ``tokenize`` in Chinese, a warning says so.

    Shapes:
        predictions: N strings
        references: N, each a str or several
        returns: a RougeScore

    Raises:
        TypeError: something is not a str, or one str came in place of a list.
        ValueError: there is nothing to compare, or the numbers of predictions and references
            differ.

    Example:
        >>> rouge_l(["police kill the gunman"], ["police killed the gunman"]).f1  # 3 of 4 words
        0.75
        >>> from minigpt.metrics.tokenization import characters
        >>> rouge_l(["三百四"], ["三百零四"], characters).recall
        0.75
    """
    scores, n_words = [], 0
    for prediction, accepted in in_pairs(predictions, references):
        found = tokenized("prediction", prediction, tokenize)
        wanted = [tokenized("reference", text, tokenize) for text in accepted]
        n_words += sum(map(len, wanted))
        scores.append(max((_score(found, words) for words in wanted), key=lambda score: score.f1))
    if n_words == 0:
        warnings.warn(
            "tokenize finds no word in any reference, so that ROUGE-L is 0: pass another one, "
            "such as tokenize=characters for Chinese",
            stacklevel=2,
        )
    return RougeScore(
        precision=sum(score.precision for score in scores) / len(scores),
        recall=sum(score.recall for score in scores) / len(scores),
        f1=sum(score.f1 for score in scores) / len(scores),
    )


def lcs_length(a: Sequence[str], b: Sequence[str]) -> int:
    """L(i, j) = L(i−1, j−1) + 1 where aᵢ = bⱼ, else max(L(i−1, j), L(i, j−1)); L(0, ·) = 0.

    Shapes:
        a: n tokens
        b: m tokens
        returns: L(n, m), in n·m steps and a row of m numbers

    Example:
        >>> lcs_length("the cat sat on the mat".split(), "the mat sat on a cat".split())
        3
    """
    row = [0] * (len(b) + 1)  # L(i−1, ·)
    for token in a:
        above = row
        row = [0]
        for j, other in enumerate(b):
            row.append(above[j] + 1 if token == other else max(above[j + 1], row[j]))
    return row[-1]


def _score(prediction: list[str], reference: list[str]) -> RougeScore:
    if not prediction or not reference:
        return RougeScore(0.0, 0.0, 0.0)
    common = lcs_length(prediction, reference)
    precision, recall = common / len(prediction), common / len(reference)
    f1 = 2 * precision * recall / (precision + recall) if common else 0.0
    return RougeScore(precision, recall, f1)
