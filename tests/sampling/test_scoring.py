from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigpt.sampling import (
    Score,
    bits_per_byte,
    log_probability,
    perplexity,
    scoring,
    softmax,
    token_log_probabilities,
)


def log_p_of_last(model, ids):
    """ln p of the last of ``ids`` after all the others."""
    logits = model(np.array([ids[:-1]])).data[0, -1]
    return math.log(softmax(logits)[ids[-1]])


def brute_force(model, ids, stride):
    """Each token once, with the context that the first window that reaches it gives."""
    block_size, n, scores = model.config.block_size or len(ids), len(ids) - 1, []
    width = min(n, block_size)
    starts = [*range(0, n - width, stride), n - width]
    for t in range(1, len(ids)):  # ids[t] is predicted by the first window whose inputs reach t - 1
        start = next(s for s in starts if s + width >= t)
        scores.append(log_p_of_last(model, ids[start : t + 1]))
    return scores


@given(
    ids=st.lists(st.integers(0, 10), min_size=2, max_size=30),
    stride=st.integers(1, 6),
    block_size=st.sampled_from([None, 6]),
    at_once=st.sampled_from([1, 150, 2**24]),
)
def test_each_token_is_scored_once_with_its_window(fakes, ids, stride, block_size, at_once):
    model = fakes.HashModel(block_size=block_size)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scoring, "LOGITS_AT_ONCE", at_once)
        scores = token_log_probabilities(model, np.array(ids), stride)
    assert scores.shape == (len(ids) - 1,) and scores.dtype == np.float64
    np.testing.assert_allclose(scores, brute_force(model, ids, stride), rtol=1e-5, atol=1e-6)
    assert model.training and model.training_in_calls >= {False}


@pytest.mark.parametrize("stride", [1, 2, 4, 6])
def test_a_token_sees_at_least_what_the_stride_promises(fakes, stride):
    """Stride 1 is the exact sliding window of generation."""
    model, ids = fakes.HashModel(block_size=6), np.random.default_rng(0).integers(0, 11, 25)
    scores = token_log_probabilities(model, ids, stride)
    for t in range(1, len(ids)):
        possible = [
            log_p_of_last(model, ids[t - n : t + 1].tolist())
            for n in range(min(t, 6 - stride + 1), min(t, 6) + 1)
        ]
        assert np.abs(np.array(possible) - scores[t - 1]).min() < 1e-5


def test_a_batch_equals_its_rows(fakes):
    model, ids = fakes.HashModel(), np.random.default_rng(0).integers(0, 11, (3, 14))
    together = token_log_probabilities(model, ids)
    assert together.shape == (3, 13)
    for row, scores in zip(ids, together, strict=True):
        np.testing.assert_allclose(token_log_probabilities(model, row), scores)
    assert perplexity(model, ids) == pytest.approx(math.exp(-together.mean()))


@pytest.mark.parametrize("block_size", [None, 6])
def test_a_file_of_small_integers_is_read_as_it_is_and_the_bar_counts_tokens(
    fakes, block_size, tmp_path, capsys
):
    ids = np.random.default_rng(0).integers(0, 11, 40)
    np.save(tmp_path / "ids.npy", ids.astype(np.uint8))
    mapped = np.load(tmp_path / "ids.npy", mmap_mode="r")
    model = fakes.HashModel(block_size=block_size)
    scores = token_log_probabilities(model, mapped, stride=2, progress=True)
    assert "39.0/39.0" in capsys.readouterr().err
    np.testing.assert_array_equal(scores, token_log_probabilities(model, ids, stride=2))
    assert capsys.readouterr().err == ""


def test_the_chain_rule_adds_up(fakes):
    model, ids = fakes.HashModel(block_size=50), np.array([3, 1, 4, 1, 5, 9, 2, 6])
    whole = log_probability(model, ids)
    assert whole == pytest.approx(sum(brute_force(model, ids.tolist(), 1)), rel=1e-5)
    conditional = log_probability(model, ids, start=5)
    assert whole == pytest.approx(log_probability(model, ids[:5]) + conditional, rel=1e-5)


def test_the_probabilities_of_all_continuations_sum_to_one(fakes):
    model = fakes.HashModel(vocab_size=3)
    total = sum(
        math.exp(log_probability(model, np.array([0, a, b, c])))
        for a in range(3)
        for b in range(3)
        for c in range(3)
    )
    assert total == pytest.approx(1, rel=1e-5)


def test_a_model_that_knows_nothing_has_the_perplexity_of_its_vocabulary(fakes):
    model = fakes.HashModel(sharpness=0.0)
    assert perplexity(model, np.arange(11)) == pytest.approx(11)


def test_bits_per_byte_and_score():
    assert bits_per_byte(math.log(256) * 10, 10) == pytest.approx(8)
    score = Score(-6.0, 3, 6)
    assert score.perplexity == pytest.approx(math.exp(2))
    assert score.bits_per_byte == pytest.approx(1 / math.log(2))
    assert "perplexity=7.389" in repr(score)


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda m: token_log_probabilities(m, np.array([1])), ValueError, "at least 2 tokens"),
        (lambda m: token_log_probabilities(m, np.array([], int)), ValueError, "at least one"),
        (lambda m: token_log_probabilities(m, np.array([1, 11])), IndexError, "0 to 10.*: got 11"),
        (
            lambda m: token_log_probabilities(m, np.array([1.5, 2])),
            TypeError,
            "ids must be integers: got a float64",
        ),
        (
            lambda m: perplexity(m, np.arange(9), stride=7),
            ValueError,
            "stride .* from 1 to 6: got 7.*block_size=6",
        ),
        (lambda m: perplexity(m, np.arange(9), stride=0), ValueError, "stride must be .*: got 0"),
        (
            lambda m: log_probability(m, np.arange(9), start=0),
            ValueError,
            "start must be .* at least 1: got 0",
        ),
        (lambda m: log_probability(m, np.arange(9), start=9), ValueError, "start=9"),
        (lambda m: log_probability(m, np.array([[1, 2]])), ValueError, r"\(1, 2\)"),
        (lambda m: bits_per_byte(1.0, 0), ValueError, "n_bytes must be .*: got 0"),
        (lambda m: perplexity(None, np.arange(9)), TypeError, "model must be .*: got None"),
        (lambda m: perplexity(m, None), TypeError, "ids must be .*: got None"),
        (lambda m: perplexity(m, "text"), TypeError, "ids must be .*: got 'text'; encode"),
        (lambda m: log_probability(m, [1, 2, 3], stride="x"), TypeError, "stride must be"),
        (lambda m: perplexity(m, np.arange(9), stride=10**400), ValueError, "stride must be"),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_name(fakes, call, error, says):
    with pytest.raises(error, match=says):
        call(fakes.HashModel())
