"""The sampler with the LSTM: a cache without an end, left padding, scores of a whole text."""

from __future__ import annotations

import numpy as np
import pytest

from minigpt.models import LSTMConfig, LSTMLanguageModel
from minigpt.sampling import Sampler, token_log_probabilities
from minigpt.sampling.context import Context


@pytest.fixture(scope="module")
def model():
    config = LSTMConfig(vocab_size=17, n_embd=8, n_hidden=16, n_layer=2, dropout=0.3)
    model = LSTMLanguageModel(config, seed=0)
    model.head.weight.data *= 3  # so that every token has a say
    return model


def test_the_logits_are_the_same_with_and_without_the_cache(model):
    rng = np.random.default_rng(0)
    ids, mask = rng.integers(0, 17, (3, 7)), np.arange(7) >= np.array([[0], [4], [2]])
    for m in (None, mask):
        cached, anew = (Context(model, ids, m, 20, use_cache) for use_cache in (True, False))
        for token in rng.integers(0, 17, (20, 3)):
            np.testing.assert_allclose(cached.next_logits(), anew.next_logits(), atol=1e-5)
            cached.append(token)
            anew.append(token)


@pytest.mark.parametrize("temperature", [0, 1.2])
def test_generation_with_and_without_the_cache_alone_and_in_a_batch(fakes, model, temperature):
    model.eval()
    options = {"temperature": temperature, "top_k": 5, "seed": 3}
    prompts = [[1], [2, 3, 4, 5, 6], list(range(15))]
    out = [Sampler(model).generate_ids([p], 20, **options)[0].tolist() for p in prompts]
    if temperature == 0:
        assert out == [fakes.write_one_by_one(model, p, 20) for p in prompts]
    without = [
        Sampler(model).generate_ids([p], 20, use_cache=False, **options)[0].tolist()
        for p in prompts
    ]
    assert out == without
    ids = np.array([[0] * (15 - len(p)) + p for p in prompts])
    mask = np.array([[0] * (15 - len(p)) + [1] * len(p) for p in prompts])
    batch = Sampler(model).generate_ids(
        ids, 20, attention_mask=mask, num_return_sequences=2, **options
    )
    for row, p in enumerate(prompts):
        assert batch[2 * row, 15 - len(p) :].tolist() == out[row]


def test_rows_that_end_leave_the_others_as_they_are(model):
    ids = np.arange(4)[:, None]
    free = Sampler(model).generate_ids(ids, 30, seed=1)
    stop = int(free[1, 5])
    stopped = Sampler(model).generate_ids(ids, 30, seed=1, stop_tokens=stop)
    for one, other in zip(free, stopped, strict=True):
        end = np.flatnonzero(one[1:] == stop)
        n = min([*(end[:1] + 2), len(other)])
        np.testing.assert_array_equal(one[:n], other[:n])


def test_the_score_of_a_text_has_no_windows(model):
    model.eval()
    ids = np.random.default_rng(0).integers(0, 17, (2, 50))
    logits = model(ids[:, :-1]).data.astype(np.float64)
    expected = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    expected = np.take_along_axis(expected, ids[:, 1:, None], axis=-1)[..., 0]
    np.testing.assert_allclose(token_log_probabilities(model, ids), expected, atol=1e-5)


def test_a_score_in_pieces_is_the_same(model, monkeypatch):
    ids = np.random.default_rng(0).integers(0, 17, 50)
    whole = token_log_probabilities(model, ids)
    monkeypatch.setattr("minigpt.sampling.scoring.LOGITS_AT_ONCE", 17 * 6)
    np.testing.assert_allclose(token_log_probabilities(model, ids), whole, atol=1e-5)
