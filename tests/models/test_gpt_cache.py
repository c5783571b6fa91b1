"""The key–value cache changes no logits: in one go, token by token, in chunks, with padding."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigpt import GPT, GPTConfig, no_grad

CLOSE = {"atol": 1e-5, "rtol": 0}


def in_chunks(model, cache, ids, lengths, mask=None, positions=None):
    """The logits of ids that come so many at a time."""
    found, start = [], cache.length
    for n in lengths:
        here = slice(cache.length - start, cache.length - start + n)
        options = {}
        if mask is not None:
            options["attention_mask"] = mask[:, : cache.length + n]
        if positions is not None:
            options["positions"] = positions[:, here]
        found.append(model(ids[:, here], cache=cache, **options).data)
    return np.concatenate(found, axis=1)


@no_grad()
@pytest.mark.parametrize(
    "lengths",
    [[10], [1] * 10, [3, 1, 1, 4, 1], [9, 1], [1, 9]],
    ids=lambda n: "+".join(map(str, n)),
)
def test_equals_the_full_pass(any_gpt, ids, lengths):
    cache = any_gpt.new_cache(3)
    np.testing.assert_allclose(in_chunks(any_gpt, cache, ids, lengths), any_gpt(ids).data, **CLOSE)
    assert cache.length == 10


@given(st.lists(st.integers(1, 5), min_size=1, max_size=6), st.integers(0, 2**32 - 1))
@no_grad()
def test_any_chunks(lengths, seed):
    n = sum(lengths)
    model = GPT(GPTConfig(7, 30, n_layer=2, n_head=2, n_embd=8, init_std=0.3), seed=seed)
    ids = np.random.default_rng(seed).integers(0, 7, (2, n))
    cache = model.new_cache(2, capacity=n)
    np.testing.assert_allclose(in_chunks(model, cache, ids, lengths), model(ids).data, **CLOSE)


@no_grad()
@pytest.mark.parametrize("lengths", [[10], [1] * 10, [4, 3, 3], [6, 1, 1, 2]])
def test_with_left_padding(any_gpt, ids, lengths):
    mask = np.arange(10) >= np.array([[0], [6], [3]])
    positions = np.maximum(np.cumsum(mask, axis=1) - 1, 0)
    cached = in_chunks(any_gpt, any_gpt.new_cache(3), ids, lengths, mask, positions)
    np.testing.assert_allclose(cached[mask], any_gpt(ids, mask, positions).data[mask], **CLOSE)
    for row, first in enumerate((0, 6, 3)):
        alone = any_gpt(ids[[row], first:]).data[0]
        np.testing.assert_allclose(cached[row, first:], alone, **CLOSE)


@no_grad()
@pytest.mark.parametrize("rows", [[2, 0, 1], [1, 1], [0, 2, 2, 1, 0]])
def test_reorder_goes_on_with_other_rows(any_gpt, ids, rows):
    cache = any_gpt.new_cache(3)
    any_gpt(ids[:, :6], cache=cache)
    cache.reorder(rows)
    assert cache.batch_size == len(rows)
    new = ids[: len(rows), 6:] if len(rows) <= 3 else ids[rows, 6:]
    whole = np.concatenate([ids[rows, :6], new], axis=1)
    found = in_chunks(any_gpt, cache, new, [1, 3])
    np.testing.assert_allclose(found, any_gpt(whole).data[:, 6:], **CLOSE)


@no_grad()
def test_clear_starts_anew(make_gpt, ids):
    model = make_gpt()
    cache = model.new_cache(3)
    model(ids, cache=cache)
    cache.clear()
    np.testing.assert_allclose(model(ids, cache=cache).data, model(ids).data, **CLOSE)


@no_grad()
def test_last_only_with_a_cache(make_gpt, ids):
    model = make_gpt()
    cache = model.new_cache(3)
    model(ids[:, :4], cache=cache, last_only=True)
    last = model(ids[:, 4:], cache=cache, last_only=True)
    np.testing.assert_allclose(last.data, model(ids).data[:, -1:], **CLOSE)


@no_grad()
def test_in_float64(make_gpt, ids):
    model = make_gpt().astype(np.float64)
    cache = model.new_cache(3)
    assert cache.keys.dtype == np.float64
    found = in_chunks(model, cache, ids, [3, 7])
    np.testing.assert_allclose(found, model(ids).data, atol=1e-12)


@no_grad()
def test_its_size_is_the_context_unless_said_otherwise(make_gpt):
    model = make_gpt()
    assert model.new_cache(2).capacity == 12
    cache = model.new_cache(2, capacity=5)
    assert (cache.capacity, cache.batch_size, cache.length) == (5, 2, 0)
    assert cache.keys.shape == (2, 2, 2, 5, 8)


@no_grad()
def test_an_overflow_is_an_error_that_changes_nothing(make_gpt, ids):
    model = make_gpt()
    cache = model.new_cache(3, capacity=5)
    model(ids[:, :4], cache=cache)
    with pytest.raises(ValueError, match="holds 4 of 5 tokens: 2 more do not fit"):
        model(ids[:, 4:6], cache=cache)
    assert cache.length == 4
    found = model(ids[:, 4:5], cache=cache).data
    np.testing.assert_allclose(found, model(ids).data[:, 4:5], **CLOSE)


@no_grad()
def test_more_than_the_context_is_an_error(make_gpt, ids):
    model = make_gpt()
    cache = model.new_cache(3, capacity=20)
    model(ids, cache=cache)
    with pytest.raises(ValueError, match="13 tokens do not fit the context, block_size=12"):
        model(ids[:, :3], cache=cache)
    assert cache.length == 10


@no_grad()
def test_another_batch_is_an_error(make_gpt, ids):
    model = make_gpt()
    with pytest.raises(ValueError, match="for 2 sequences: got a batch of 3"):
        model(ids, cache=model.new_cache(2))


@no_grad()
def test_the_mask_covers_what_the_cache_holds(make_gpt, ids):
    model = make_gpt()
    cache = model.new_cache(3)
    model(ids[:, :6], cache=cache)
    with pytest.raises(ValueError, match=r"shape \(3, 10\): got \(3, 4\).*in the cache"):
        model(ids[:, 6:], attention_mask=np.ones((3, 4)), cache=cache)


def test_a_cache_is_for_no_grad_alone(make_gpt, ids):
    model = make_gpt()
    with pytest.raises(RuntimeError, match=r"use it under minigpt\.no_grad\(\)"):
        model(ids, cache=model.new_cache(3))
