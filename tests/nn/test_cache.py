"""The key–value cache as a container; that it changes no logits is shown with the GPT."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigpt import Tensor, no_grad
from minigpt.nn import BlockConfig, CausalSelfAttention, KeyValueCache


def filled(rng) -> KeyValueCache:
    cache = KeyValueCache(n_layer=2, batch_size=3, n_head=2, capacity=6, head_size=4)
    for layer in range(2):
        k = rng.standard_normal((3, 2, 4, 4)).astype(np.float32)
        cache.extend(layer, k, 2 * k)
    cache.advance(4)
    return cache


def test_sizes(rng):
    cache = KeyValueCache(2, 3, 2, 6, 4)
    assert (cache.batch_size, cache.capacity, cache.length) == (3, 6, 0)
    assert cache.keys.dtype == np.float32
    assert KeyValueCache(1, 1, 1, 1, 1, np.float64).values.dtype == np.float64
    assert filled(rng).length == 4


def test_extend_gives_back_the_old_and_the_new(rng):
    cache = filled(rng)
    new = rng.standard_normal((3, 2, 2, 4)).astype(np.float32)
    k, v = cache.extend(0, new, -new)
    assert k.shape == v.shape == (3, 2, 6, 4)
    np.testing.assert_array_equal(k[:, :, 4:], new)
    np.testing.assert_array_equal(v[:, :, 4:], -new)
    np.testing.assert_array_equal(v[:, :, :4], 2 * k[:, :, :4])
    assert cache.length == 4  # until every layer has been here
    cache.advance(2)
    assert cache.length == 6


@pytest.mark.parametrize("rows", [[2, 0], [1, 1, 1, 0], np.array([0]), [2, 1, 0]])
def test_reorder_picks_and_doubles_rows(rng, rows):
    cache = filled(rng)
    keys, values = cache.keys.copy(), cache.values.copy()
    cache.reorder(rows)
    assert cache.batch_size == len(rows)
    assert cache.length == 4
    np.testing.assert_array_equal(cache.keys, keys[:, rows])
    np.testing.assert_array_equal(cache.values, values[:, rows])
    cache.keys[0, 0] = 99  # a row held twice is two rows
    np.testing.assert_array_equal(cache.keys[0, 1:], keys[0, rows][1:])


def test_reorder_copies_what_is_held_and_only_rows_that_move(rng):
    cache = filled(rng)
    keys, before = cache.keys, cache.keys.copy()
    keys[:, :, :, 4:] = [[7], [8]]  # behind the length: nobody's
    cache.reorder([0, 2, 2])
    assert cache.keys is keys
    np.testing.assert_array_equal(keys[:, :, :, :4], before[:, [0, 2, 2], :, :4])
    assert (keys[:, :, :, 4:] == [[7], [8]]).all()
    cache.reorder([1, 1, 2, 0])
    assert cache.capacity == 6
    np.testing.assert_array_equal(cache.keys[:, :, :, :4], before[:, [2, 2, 2, 0], :, :4])
    k, _ = cache.extend(1, np.ones((4, 2, 2, 4)), np.ones((4, 2, 2, 4)))
    np.testing.assert_array_equal(k[:, :, :4], before[1, [2, 2, 2, 0], :, :4])


@given(st.lists(st.integers(0, 2), min_size=1, max_size=5), st.integers(0, 6))
def test_reorder_equals_indexing(rows, length):
    cache = KeyValueCache(n_layer=2, batch_size=3, n_head=2, capacity=6, head_size=4)
    k = np.random.default_rng(0).standard_normal((3, 2, length, 4)).astype(np.float32)
    for layer in range(2):
        cache.extend(layer, k + layer, k - layer)
    cache.advance(length)
    cache.reorder(rows)
    for layer in range(2):
        np.testing.assert_array_equal(cache.keys[layer, :, :, :length], k[rows] + layer)
        np.testing.assert_array_equal(cache.values[layer, :, :, :length], k[rows] - layer)


def test_reorder_names_no_row_that_is_not_there(rng):
    with pytest.raises(IndexError, match="3"):
        filled(rng).reorder([0, 3])


def test_clear_keeps_the_memory(rng):
    cache = filled(rng)
    keys = cache.keys
    cache.clear()
    assert cache.length == 0
    assert cache.keys is keys


def test_overflow_and_another_batch_are_errors_that_change_nothing(rng):
    cache = filled(rng)
    before = cache.keys.copy()
    new = np.ones((3, 2, 3, 4), np.float32)
    with pytest.raises(ValueError, match=r"holds 4 of 6 tokens: 3 more do not fit.*capacity"):
        cache.extend(0, new, new)
    with pytest.raises(ValueError, match="for 3 sequences: got a batch of 2"):
        cache.extend(0, new[:2, :, :1], new[:2, :, :1])
    assert cache.length == 4
    np.testing.assert_array_equal(cache.keys, before)


@pytest.mark.parametrize(
    ("size", "error", "message"),
    [
        ({"capacity": 0}, ValueError, "capacity must be an integer of at least 1: got 0"),
        ({"batch_size": -1}, ValueError, "batch_size must be an integer of at least 1: got -1"),
        ({"n_layer": 1.0}, TypeError, r"n_layer must be an integer of at least 1: got 1\.0"),
    ],
)
def test_wrong_sizes(size, error, message):
    sizes = {"n_layer": 1, "batch_size": 1, "n_head": 1, "capacity": 1, "head_size": 1} | size
    with pytest.raises(error, match=message):
        KeyValueCache(**sizes)


@pytest.mark.parametrize("causal", [True, False])
def test_attention_over_a_cache_sees_what_came_before(rng, causal):
    """Not causal, in one go: as an encoder would use it."""
    attention = CausalSelfAttention(BlockConfig(8, 2, causal=causal), seed=0)
    x = Tensor(rng.standard_normal((2, 5, 8)).astype(np.float32))
    with no_grad():
        cache = KeyValueCache(1, 2, 2, 5, 4)
        np.testing.assert_allclose(attention(x, cache=cache).data, attention(x).data, atol=1e-6)
