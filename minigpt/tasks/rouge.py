"""ROUGE-L: the longest common subsequence of a summary and its reference."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from minigpt.tasks.pairs import References, check_pairs, tokenized
from minigpt.tasks.tokenization import Tokenize, lowercase_words


@dataclass(frozen=True)
class RougeScore:
    """Precision, recall and their harmonic mean, each the mean over the pairs; from 0 to 1."""

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
    0, against another one without words too.

    Shapes:
        predictions: N strings
        references: N, each a str or several
        returns: a RougeScore

    Raises:
        TypeError: something that is no str, or one str in place of a list.
        ValueError: nothing to compare, numbers of them that differ, or a reference in which
            ``tokenize`` finds no word at all, as the default does in Chinese.

    Example:
        >>> rouge_l(["police kill the gunman"], ["police killed the gunman"]).f1  # 3 of 4 words
        0.75
        >>> from minigpt.tasks.tokenization import characters
        >>> rouge_l(["三百四"], ["三百零四"], characters).recall
        0.75
    """
    pairs = check_pairs(predictions, references)
    scores = []
    for i, (prediction, accepted) in enumerate(pairs):
        found = tokenized("prediction", prediction, tokenize)
        scores.append(
            max(
                (_score(found, _reference_tokens(i, text, tokenize)) for text in accepted),
                key=lambda score: score.f1,
            )
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


def _reference_tokens(i: int, text: str, tokenize: Tokenize) -> list[str]:
    tokens = tokenized("reference", text, tokenize)
    if text.strip() and not tokens:
        raise ValueError(
            f"tokenize finds no word in references[{i}] {text!r:.40}: pass another one, such as "
            "tokenize=characters for Chinese"
        )
    return tokens
