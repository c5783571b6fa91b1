"""Corpus BLEU: how many of the n-grams of a translation its references have too."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from minigpt import checks
from minigpt.metrics.pairs import References, in_pairs, tokenized
from minigpt.metrics.tokenization import Tokenize, tokenize_13a

SMOOTHINGS = {
    "exp": "the k-th order without a match gets the precision 1/(2ᵏ · n-grams)",
    "none": "one order without a match makes the score 0",
}


@dataclass(frozen=True)
class BleuScore:
    """BLEU and what it is made of.

    Attributes:
        score: BP · exp(Σₙ ln pₙ / N), from 0 to 1.
        precisions: p₁ … p_N, smoothed.
        brevity_penalty: BP.
        prediction_length: c, tokens of all predictions.
        reference_length: r, tokens of the references that are closest in length.

    Example:
        >>> from minigpt.metrics import corpus_bleu
        >>> bleu = corpus_bleu(["the cat sat"], ["the cat sat on the mat"], max_order=2)
        >>> bleu.precisions, round(bleu.brevity_penalty, 3)  # all of it right, and half as long
        ((1.0, 1.0), 0.368)
    """

    score: float
    precisions: tuple[float, ...]
    brevity_penalty: float
    prediction_length: int
    reference_length: int


def corpus_bleu(
    predictions: Iterable[str],
    references: References,
    tokenize: Tokenize = tokenize_13a,
    max_order: int = 4,
    smoothing: str = "exp",
) -> BleuScore:
    """BLEU = BP · exp(1/N · Σₙ ln pₙ), n = 1 … N = ``max_order``, over the whole corpus at once.

    pₙ = Σ clipped matches / Σ n-grams of the predictions: an n-gram matches at most as often as one
    reference has it. BP = 1 where the predictions are as long as their references (c ≥ r), and
    exp(1 − r/c) where they are shorter; each prediction is held against the reference closest to it
    in length, the shorter of two equally close.

    Sources: Papineni et al. 2002, "BLEU: a Method for Automatic Evaluation of Machine Translation",
    §2; the values are sacrebleu's (Post 2018), divided by 100. Smoothing "exp" gives the k-th order
    without a match the precision 1/(2ᵏ · n-grams) (Chen & Cherry 2014, method 3); with "none" one
    such order makes the score 0. An order of which the predictions have no n-gram at all makes it 0
    either way, and so does a corpus without a matching word.

    Args:
        predictions: texts.
        references: what is right for each, one text or several.
        tokenize: what the words of a text are; for Chinese ``characters``.
        max_order: N.
        smoothing: "exp" or "none".

    Shapes:
        predictions: S strings
        references: S, each a str or several
        returns: a BleuScore

    Raises:
        TypeError: something is not a str, or one str came in place of a list.
        ValueError: there is nothing to compare, the numbers of predictions and references differ,
            the smoothing is unknown, or max_order is not from 1 to 100.

    Example:
        >>> bleu = corpus_bleu(["the cat sat on a mat"], ["the cat sat on the mat"])
        >>> [round(p, 3) for p in bleu.precisions]  # 5/6, 3/5, 2/4, 1/3
        [0.833, 0.6, 0.5, 0.333]
        >>> round(bleu.score, 4)
        0.5373
    """
    max_order = _check(smoothing, max_order)
    matches, totals = [0] * max_order, [0] * max_order
    c = r = 0
    for prediction, accepted in in_pairs(predictions, references):
        found = tokenized("prediction", prediction, tokenize)
        wanted = [tokenized("reference", text, tokenize) for text in accepted]
        c += len(found)
        r += min((abs(len(tokens) - len(found)), len(tokens)) for tokens in wanted)[1]
        for n in range(1, max_order + 1):
            counts = ngrams(found, n)
            most: Counter[tuple[str, ...]] = Counter()
            for tokens in wanted:
                most |= ngrams(tokens, n)  # the most often that any one reference has it
            matches[n - 1] += sum((counts & most).values())
            totals[n - 1] += sum(counts.values())

    precisions = smoothed_precisions(matches, totals, smoothing)
    brevity_penalty = 1.0 if c >= r else math.exp(1 - r / c) if c else 0.0
    score = 0.0
    if min(precisions) > 0:
        score = brevity_penalty * math.exp(sum(map(math.log, precisions)) / max_order)
    return BleuScore(score, tuple(precisions), brevity_penalty, c, r)


def ngrams(tokens: list[str], n: int) -> Counter[tuple[str, ...]]:
    """How often each run of ``n`` tokens occurs.

    Example:
        >>> ngrams(["to", "be", "to", "be"], 2)[("to", "be")]
        2
    """
    return Counter(tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1))


def smoothed_precisions(matches: list[int], totals: list[int], smoothing: str) -> list[float]:
    """Matches / totals; with "exp" the k-th order without a match gets 1 / (2ᵏ · total)."""
    if not any(matches):
        return [0.0] * len(totals)
    precisions = []
    without = 0  # k
    for matched, total in zip(matches, totals, strict=True):
        if matched == 0 and total and smoothing == "exp":
            without += 1
            precisions.append(1 / (2**without * total))
        else:
            precisions.append(matched / total if total else 0.0)
    return precisions


def _check(smoothing: object, max_order: object) -> int:
    checks.one_of("smoothing", smoothing, SMOOTHINGS)
    return checks.integer("max_order", max_order, 1, 100, mend="as a rule it is 4")
