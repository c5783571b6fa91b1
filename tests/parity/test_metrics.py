"""BLEU and its tokens are sacrebleu's, ROUGE-L and its words are rouge-score's."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigpt.metrics import (
    characters,
    corpus_bleu,
    lowercase_words,
    rouge_l,
    tokenize_13a,
    words,
)

WHY = "compares with sacrebleu and rouge-score: pip install -e '.[parity]'"
sacrebleu = pytest.importorskip("sacrebleu", reason=WHY)
rouge_scorer = pytest.importorskip("rouge_score.rouge_scorer", reason=WHY)
rouge_tokenize = pytest.importorskip("rouge_score.tokenize", reason=WHY)

# Few words, so that n-grams match now and then; the punctuation is where 13a does something.
ENGLISH = st.lists(
    st.sampled_from(["the", "cat", "sat", "mat,", "mat.", "3.5", "1,000", "-", "it's", "The"]),
    max_size=9,
).map(" ".join)  # fmt: skip
CHINESE = st.text("〇一二三十百零年月日 ", max_size=9)


def corpora_of(lines):
    """Predictions, and for each as many references."""
    return st.integers(1, 3).flatmap(
        lambda n: st.lists(
            st.tuples(lines, st.lists(lines, min_size=n, max_size=n)), min_size=1, max_size=6
        ).map(lambda pairs: ([p for p, _ in pairs], [r for _, r in pairs]))
    )


def by_sacrebleu(corpus, tokenize, max_order, smoothing):
    predictions, references = corpus
    metric = sacrebleu.BLEU(
        tokenize=tokenize, max_ngram_order=max_order, smooth_method=smoothing, force=True
    )
    return metric.corpus_score(predictions, list(zip(*references, strict=True)))


def assert_same_bleu(corpus, ours, theirs, max_order, smoothing):
    found = corpus_bleu(*corpus, tokenize=ours, max_order=max_order, smoothing=smoothing)
    wanted = by_sacrebleu(corpus, theirs, max_order, smoothing)
    assert found.score == pytest.approx(wanted.score / 100, abs=1e-12)
    assert found.precisions == pytest.approx([p / 100 for p in wanted.precisions], abs=1e-12)
    assert found.brevity_penalty == pytest.approx(wanted.bp, abs=1e-12)
    assert (found.prediction_length, found.reference_length) == (wanted.sys_len, wanted.ref_len)


smoothings = st.sampled_from(["exp", "none"])


@given(corpora_of(ENGLISH), st.integers(1, 5), smoothings)
def test_bleu(corpus, max_order, smoothing):
    assert_same_bleu(corpus, tokenize_13a, "13a", max_order, smoothing)
    assert_same_bleu(corpus, words, "none", max_order, smoothing)


@given(corpora_of(CHINESE), st.integers(1, 5), smoothings)
def test_bleu_of_chinese_by_characters(corpus, max_order, smoothing):
    assert_same_bleu(corpus, characters, "char", max_order, smoothing)


@pytest.mark.parametrize("lines", [[""], ["", ""], ["", "a b c d e"]])
def test_bleu_with_empty_strings(lines):
    for corpus in ((lines, [["a b c d"]] * len(lines)), (lines, [[line] for line in lines])):
        assert_same_bleu(corpus, tokenize_13a, "13a", 4, "exp")


@given(st.text(st.characters(min_codepoint=9, max_codepoint=0x2FF, exclude_categories=["Cs"])))
def test_13a(text):
    theirs = sacrebleu.BLEU(tokenize="13a")._preprocess_segment(text)
    assert tokenize_13a(text) == theirs.split()


@pytest.mark.parametrize(
    "text",
    ["a-\nb", "a -\n", "<skipped> a", "&amp;quot; &lt;b&gt;", "1.5. .5 5. a.b,c 1-2 a-2", "\n", ""],
)
def test_13a_where_it_has_rules(text):
    assert tokenize_13a(text) == sacrebleu.BLEU(tokenize="13a")._preprocess_segment(text).split()


class ByCharacters:
    """What rouge-score takes as a tokenizer."""

    def tokenize(self, text):
        return characters(text)


@pytest.mark.filterwarnings("ignore:tokenize finds no word")
@pytest.mark.parametrize(
    ("lines", "ours", "theirs"),
    [(ENGLISH, lowercase_words, None), (CHINESE, characters, ByCharacters())],
    ids=["English", "Chinese"],
)
def test_rouge_l(lines, ours, theirs):
    scorer = rouge_scorer.RougeScorer(["rougeL"], tokenizer=theirs)

    @given(corpora_of(lines | st.just("—")))  # a text may have no word
    def same(corpus):
        found = rouge_l(*corpus, tokenize=ours)
        scores = [
            scorer.score_multi(references, prediction)["rougeL"]
            for prediction, references in zip(*corpus, strict=True)
        ]
        for name, value in (
            ("precision", found.precision), ("recall", found.recall), ("fmeasure", found.f1)
        ):  # fmt: skip
            wanted = sum(getattr(score, name) for score in scores) / len(scores)
            assert value == pytest.approx(wanted, abs=1e-12), name

    same()


@given(st.text(st.characters(max_codepoint=0x2FF, exclude_categories=["Cs"])))
def test_words_of_rouge(text):
    assert lowercase_words(text) == rouge_tokenize.tokenize(text, None)
