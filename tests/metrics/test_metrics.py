"""The metrics by hand-computed values, on the borders, and their errors."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigpt.metrics import (
    accuracy,
    characters,
    corpus_bleu,
    exact_match,
    lowercase_words,
    normalize_answer,
    rouge_l,
    token_f1,
    tokenize_13a,
    words,
)
from minigpt.metrics.bleu import ngrams
from minigpt.metrics.rouge import lcs_length

ON_TEXTS = [
    exact_match,
    token_f1,
    lambda p, r: corpus_bleu(p, r).score,
    lambda p, r: rouge_l(p, r).f1,
]
texts = st.lists(st.text("ab c", min_size=1, max_size=8), min_size=1, max_size=5)


@pytest.mark.parametrize("metric", ON_TEXTS)
@pytest.mark.parametrize(
    ("predictions", "references", "error", "message"),
    [
        ("one", ["one"], TypeError, "predictions must be a list of strings: got 'one'"),
        (["one"], "one", TypeError, "references must be a list of strings: got 'one'"),
        (["one"], b"one", TypeError, "references must be a list of strings: got b'one'"),
        (None, ["one"], TypeError, "predictions must be a list of strings: got None"),
        (["a", 2], ["a", "b"], TypeError, r"predictions\[1\] must be a str: got 2"),
        (["a"], [2], TypeError, r"references\[0\] must be a str or a list of strings: got 2"),
        (["a"], [b"a"], TypeError, r"references\[0\] must be a str or a list of strings: got b'a'"),
        (["a"], [["a", None]], TypeError, r"references\[0\]\[1\] must be a str: got None"),
        (["a"], [[]], ValueError, r"references\[0\] is empty: give at least one text"),
        (["a", "b"], ["a"], ValueError, "there are 2 predictions and 1 references"),
        ([], [], ValueError, "predictions is empty"),
    ],
)
def test_what_cannot_be_compared(metric, predictions, references, error, message):
    with pytest.raises(error, match=message):
        metric(predictions, references)


@pytest.mark.parametrize("metric", ON_TEXTS)
def test_iterators_are_read_once(metric):
    pairs = ["a b c d e", "f"], ["a b c d e", "f g"]
    assert metric(iter(pairs[0]), iter(pairs[1])) == metric(*pairs)


@pytest.mark.parametrize("metric", ON_TEXTS)
@given(texts)
def test_between_0_and_1_and_1_only_for_what_agrees(metric, predictions):
    references = [text + " d e f g" for text in predictions]
    assert 0 <= metric(predictions, references) < 1
    assert metric(references, references) == pytest.approx(1)


@pytest.mark.parametrize("metric", [*ON_TEXTS])
@given(texts, texts)
def test_more_references_never_count_less(metric, predictions, others):
    if metric is ON_TEXTS[2]:
        return  # the brevity penalty of BLEU can rise with a reference that is closer in length
    references = [text + " a" for text in predictions]
    more = [[text, *others] for text in references if text.split()]
    assert metric(predictions, more) >= metric(predictions, references)


def test_exact_match_counts_every_character():
    assert exact_match(["a", "a ", "A", "á"], ["a", "a", "a", "a"]) == 0.25
    assert exact_match(["", ""], ["", " "]) == 0.5
    assert exact_match(["b"], [["a", "b"]]) == 1


def test_normalize_answer():
    assert normalize_answer("An  Apple, the (red) one\n") == "apple red one"
    assert normalize_answer("theatre") == "theatre"
    assert normalize_answer("三百零四") == "三百零四"
    assert exact_match(["THE cat!"], ["a cat"], normalize=normalize_answer) == 1


def test_accuracy():
    assert accuracy(np.array([[1, 2], [3, 4]]), np.array([[1, 0], [3, -1]])) == 2 / 3
    assert accuracy([1, 2], [1, 7], ignore_index=7) == 1
    assert type(accuracy([1], [1])) is float


@pytest.mark.parametrize(
    ("predictions", "targets", "error", "message"),
    [
        ([1, 2], [1], ValueError, r"predictions have shape \(2,\), targets \(1,\)"),
        ([], [], ValueError, "no target counts: 0 given"),
        ([3, 4], [-1, -1], ValueError, "no target counts: 2 given, all of them ignore_index=-1"),
        ([1.0], [1], TypeError, "predictions must be integers"),
        ([1], ["1"], TypeError, "targets must be integers"),
        ([1], [[1], [1, 2]], ValueError, "targets must be an array with rows of one length"),
    ],
)
def test_accuracy_errors(predictions, targets, error, message):
    with pytest.raises(error, match=message):
        accuracy(predictions, targets)


@pytest.mark.parametrize(
    ("prediction", "reference", "expected"),
    [
        ("the garden", "Garden!", 1.0),
        ("old garden", "garden", 2 / 3),  # P = 1/2, R = 1
        ("x x y", "x z", 2 / 5),  # one x of two matches: P = 1/3, R = 1/2
        ("cellar", "garden", 0.0),
        ("", "", 1.0),
        ("the", "a", 1.0),  # both nothing but an article
        ("", "garden", 0.0),
        ("garden", "", 0.0),
        ("garden", ["cellar", "garden path"], 2 / 3),
    ],
)
def test_token_f1(prediction, reference, expected):
    assert token_f1([prediction], [reference]) == pytest.approx(expected)


def test_token_f1_is_the_mean_over_the_pairs():
    assert token_f1(["a1 b1", "c1"], ["a1 b1", "d1"]) == 0.5
    assert token_f1(["三四"], ["三百四"], tokenize=characters) == pytest.approx(0.8)


def test_bleu_of_the_papers_example():
    """Papineni et al. 2002, §2.1: 'the' seven times has the clipped precision 2/7."""
    references = [["the cat is on the mat", "there is a cat on the mat"]]
    found = corpus_bleu(["the the the the the the the"], references, max_order=1)
    assert found.precisions == (2 / 7,) and found.score == pytest.approx(2 / 7)
    assert found.prediction_length == 7 and found.reference_length == 7


def test_bleu_brevity_penalty():
    found = corpus_bleu(["a b c d"], ["a b c d e f"])
    assert found.precisions == (1, 1, 1, 1)
    assert found.score == found.brevity_penalty == pytest.approx(math.exp(1 - 6 / 4))
    # 3 tokens lie between references of 2 and 4: the shorter one counts, no penalty.
    equal = corpus_bleu(["a b c"], [["a b c d", "a b"]], max_order=1)
    assert (equal.reference_length, equal.brevity_penalty) == (2, 1)


def test_bleu_smoothing():
    exp = corpus_bleu(["a x b y"], ["a b c d"])
    assert exp.precisions == (2 / 4, 1 / (2 * 3), 1 / (4 * 2), 1 / (8 * 1))
    none = corpus_bleu(["a x b y"], ["a b c d"], smoothing="none")
    assert none.precisions == (2 / 4, 0, 0, 0) and none.score == 0


@pytest.mark.parametrize("smoothing", ["exp", "none"])
@pytest.mark.parametrize(
    ("predictions", "references"),
    [(["a b c"], ["a b c"]), ([""], ["a"]), ([""], [""]), (["x y z u"], ["a b c d"])],
)
def test_bleu_of_0(smoothing, predictions, references):
    """Too short for an n-gram of every order, empty, or without a match."""
    assert corpus_bleu(predictions, references, smoothing=smoothing).score == 0


def test_bleu_is_of_the_corpus_not_a_mean():
    whole = corpus_bleu(["a b c d e", "x"], ["a b c d e", "y"]).score
    assert whole == pytest.approx((5 / 6) ** 0.25)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (
            {"smoothing": "floor"},
            ValueError,
            r'smoothing must be "exp" \(.*\) or "none" \(.*\): got .floor',
        ),
        ({"max_order": 0}, ValueError, "max_order must be an integer from 1 to 100: got 0"),
        ({"max_order": True}, TypeError, "max_order must be an integer from 1 to 100: got True"),
        ({"max_order": 4.0}, TypeError, "max_order must be an integer from 1 to 100: got 4.0"),
        (
            {"tokenize": str.lower},
            TypeError,
            r"tokenize\(prediction\) must be a list of tokens: got .a.; cut the text",
        ),
    ],
)
def test_bleu_errors(options, error, message):
    with pytest.raises(error, match=message):
        corpus_bleu(["a"], ["a"], **options)


def test_ngrams_longer_than_the_text_are_none():
    assert ngrams(["a", "b"], 3) == {} and ngrams([], 1) == {}


@given(st.text("abc", max_size=7), st.text("abc", max_size=7))
def test_lcs_by_trying_every_subsequence(a, b):
    def subsequences(text):
        found = {""}
        for character in text:
            found |= {s + character for s in found}
        return found

    longest = max(map(len, subsequences(a) & subsequences(b)))
    assert lcs_length(a, b) == lcs_length(b, a) == longest


def test_rouge_l_of_the_papers_example():
    """Lin 2004, §3.1: 3 of 4 words in order against 2 of 4."""
    reference = "police killed the gunman"
    assert rouge_l(["police kill the gunman"], [reference]).f1 == 3 / 4
    assert rouge_l(["the gunman kill police"], [reference]).f1 == 2 / 4


def test_rouge_l_borders():
    assert rouge_l([""], ["a"]).f1 == rouge_l(["a", ""], ["", "a"]).f1 == 0
    found = rouge_l(["a b", "c"], [["a", "a b c d"], "c"])  # F of a: 2/3, of a b c d: 2/3
    assert found.precision == 0.75 and found.recall == 1
    with pytest.raises(
        TypeError, match=r"tokenize\(prediction\) must be a list of tokens: got .A."
    ):
        rouge_l(["a"], ["a"], tokenize=str.upper)


def test_a_text_without_words_counts_0_and_a_corpus_without_any_says_so():
    assert rouge_l(["a", "三百"], ["a", "三百"]).f1 == rouge_l(["a", "x"], ["a", "—"]).f1 == 0.5
    with pytest.warns(UserWarning, match="no word in any reference.*tokenize=characters"):
        assert rouge_l(["三百"], ["三百"]).f1 == 0


@pytest.mark.parametrize(
    ("tokenize", "text", "expected"),
    [
        (words, " a  b,\n", ["a", "b,"]),
        (characters, "二〇〇六年 五月\u3000三日", list("二〇〇六年五月三日")),
        (lowercase_words, "Don't STOP—now 3.5", ["don", "t", "stop", "now", "3", "5"]),
        (tokenize_13a, "So: 3.5, not 4-2.", ["So", ":", "3.5", ",", "not", "4", "-", "2", "."]),
        (tokenize_13a, "a &amp;lt; &quot;b&quot;", ["a", "<", '"', "b", '"']),
        (tokenize_13a, "well-\nknown it's", ["wellknown", "it's"]),
        (tokenize_13a, "", []),
    ],
)  # fmt: skip
def test_tokenization(tokenize, text, expected):
    assert tokenize(text) == expected


def test_something_else_than_a_function_or_a_text():
    for metric in (token_f1, rouge_l, corpus_bleu):
        with pytest.raises(TypeError, match=r"tokenize must be a function from a text.*: got 'x'"):
            metric(["a"], ["a"], tokenize="x")
    with pytest.raises(TypeError, match=r"normalize must be a function from a text.*: got 'x'"):
        exact_match(["a"], ["a"], normalize="x")
    for function in (words, characters, lowercase_words, normalize_answer, tokenize_13a):
        with pytest.raises(TypeError, match="text must be a str: got None"):
            function(None)
    with pytest.raises(TypeError, match="ignore_index must be an integer: got 'x'"):
        accuracy([1], [1], ignore_index="x")
