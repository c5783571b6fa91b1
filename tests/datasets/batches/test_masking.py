"""The masking recipe of BERT: how many tokens, what becomes of them, and when again."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigpt.datasets import MaskedBatches, masked

RECIPE = {"mask_id": 30, "vocab_size": 31, "special_ids": [28, 29]}


@given(
    st.integers(1, 8),
    st.integers(1, 40),
    st.floats(0.05, 0.9),
    st.integers(0, 2**32 - 1),
)
def test_what_is_chosen(rows, width, probability, seed):
    rng = np.random.default_rng(seed)
    ids = rng.integers(0, 31, (rows, width))
    attention_mask = rng.random(ids.shape) < 0.8
    before = ids.copy()
    hidden, targets = masked(
        ids, rng, probability=probability, attention_mask=attention_mask, **RECIPE
    )
    np.testing.assert_array_equal(ids, before)
    chosen = targets != -1
    free = attention_mask & (ids < 28)
    assert not (chosen & ~free).any()
    np.testing.assert_array_equal(targets[chosen], ids[chosen])
    np.testing.assert_array_equal(hidden[~chosen], ids[~chosen])
    n = free.sum(axis=1)
    expected = np.minimum(np.maximum(np.rint(probability * n), 1), n)
    np.testing.assert_array_equal(chosen.sum(axis=1), expected)
    assert ((hidden[chosen] < 28) | (hidden[chosen] == 30)).all()


def test_80_10_10(rng):
    ids = rng.integers(0, 28, (400, 100))
    hidden, targets = masked(ids, rng, **RECIPE)
    chosen = targets != -1
    assert chosen.mean() == 0.15
    is_mask, same = hidden[chosen] == 30, hidden[chosen] == ids[chosen]
    assert is_mask.mean() == pytest.approx(0.8, abs=0.02)
    assert same.mean() == pytest.approx(0.1 + 0.1 / 28, abs=0.02)
    replaced = hidden[chosen][~is_mask & ~same]
    assert set(replaced) == set(range(28))  # every token that may be, and no other
    places = chosen.mean(axis=0)
    assert places.min() > 0.08 and places.max() < 0.23  # everywhere alike


def test_it_is_repeatable(rng):
    ids = rng.integers(0, 28, (3, 20))
    first, again, other = (masked(ids, np.random.default_rng(s), **RECIPE) for s in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (first[0] != other[0]).any()


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        (
            {"ids": np.array([1, 2])},
            ValueError,
            r"ids must be integers \(B, T\): got an int64 array of shape",
        ),
        ({"ids": np.ones((1, 2))}, TypeError, "ids must be integers"),
        ({"ids": np.array([[31]])}, ValueError, "ids run from 31 to 31: with vocab_size=31"),
        ({"ids": np.array([[-1]])}, ValueError, "ids run from -1 to -1"),
        ({"probability": 0}, ValueError, "probability must be a number above 0 and below 1: got 0"),
        ({"probability": float("nan")}, ValueError, "probability must be .*: got nan"),
        ({"probability": "0.1"}, TypeError, "probability must be a number"),
        ({"mask_id": 31}, ValueError, "mask_id must be below vocab_size=31: got 31"),
        ({"special_ids": [40]}, ValueError, "special_ids must be below vocab_size=31: got 40"),
        ({"special_ids": range(30)}, ValueError, "leaves no token but special ones"),
    ],
)
def test_wrong_arguments(changes, error, message):
    options = {"ids": np.zeros((1, 3), int)} | RECIPE | changes
    ids = options.pop("ids")
    with pytest.raises(error, match=message):
        masked(ids, np.random.default_rng(0), **options)


# ── batches ───────────────────────────────────────────────────────────────────────────────────


def rows(rng, count=50):
    return [rng.integers(0, 28, rng.integers(1, 30)).tolist() for _ in range(count)]


def test_every_sequence_once_an_epoch_hidden_anew(rng):
    sequences = rows(rng)
    batches = MaskedBatches(sequences, 8, seed=0, **RECIPE)
    hidden_places = []
    for _ in range(2):
        found, places = [], {}
        for ids, targets, mask in batches:
            original = np.where(targets == -1, ids, targets)
            assert not ids[~mask].any() and (targets[~mask] == -1).all()
            for row, chosen, n in zip(original, targets != -1, mask.sum(axis=1), strict=True):
                found.append(row[:n].tolist())
                places[tuple(row[:n])] = chosen.nonzero()[0].tolist()
        assert sorted(found) == sorted(sequences)
        hidden_places.append(places)
    assert hidden_places[0] != hidden_places[1]


@given(st.integers(0, 20))
def test_a_state_goes_on_exactly(steps):
    sequences = rows(np.random.default_rng(0))
    batches = MaskedBatches(sequences, 8, seed=1, **RECIPE)
    for _ in range(steps):
        batches.next_batch()
    state = json.loads(json.dumps(batches.state_dict()))
    resumed = MaskedBatches(sequences, 8, seed=2, **RECIPE)
    resumed.load_state_dict(state)
    for _ in range(10):
        for here, there in zip(batches.next_batch(), resumed.next_batch(), strict=True):
            np.testing.assert_array_equal(here, there)


def test_sequences_of_one_length_need_no_attention_mask(rng):
    stream = rng.integers(0, 28, 64).astype(np.uint16)
    batches = MaskedBatches(stream.reshape(-1, 16), 2, seed=0, **RECIPE)
    ids, targets = batches.next_batch()
    assert ids.shape == targets.shape == (2, 16)


@pytest.mark.parametrize(
    ("sequences", "changes", "message"),
    [
        ([[1], [28, 30]], {}, r"sequences\[1\] has no token that may be hidden"),
        ([[1], []], {}, r"sequences\[1\] has no token that may be hidden"),
        ([[1, 31]], {}, "there is an id 31, but vocab_size=31"),
        ([[1]], {"pad_id": 31}, "there is an id 31, but vocab_size=31"),
        ([[1]], {"probability": 1}, "probability must be a number above 0 and below 1: got 1"),
    ],
)
def test_wrong_arguments_of_batches(sequences, changes, message):
    with pytest.raises(ValueError, match=message):
        MaskedBatches(sequences, 2, seed=0, **RECIPE | changes)


def test_a_state_of_another_recipe_is_refused(rng):
    sequences = rows(rng)
    state = MaskedBatches(sequences, 8, seed=0, **RECIPE).state_dict()
    other = MaskedBatches(sequences, 8, seed=0, probability=0.3, **RECIPE)
    with pytest.raises(ValueError, match=r"probability=0\.15, but here probability=0\.3"):
        other.load_state_dict(state)
