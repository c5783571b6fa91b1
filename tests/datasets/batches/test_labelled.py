"""Batches of labelled texts: what they hold, in which order, and going on from a state."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigpt.datasets import LabelledBatches

TEXTS = st.lists(
    st.tuples(st.lists(st.integers(1, 20), min_size=1, max_size=6), st.integers(0, 4)),
    min_size=1,
    max_size=40,
)


def make(texts, batch_size=4, seed=0, **changes):
    sequences, labels = zip(*texts, strict=True)
    return LabelledBatches(list(sequences), list(labels), batch_size, seed, **changes)


def taken_apart(batch):
    """The texts and labels of a batch, and what surrounds them checked."""
    ids, labels, mask = batch if len(batch) == 3 else (*batch, np.ones(batch[0].shape, bool))
    assert ids.dtype == labels.dtype == np.int64 and mask.dtype == bool
    assert ids.shape == mask.shape and labels.shape == ids.shape[:1]
    assert mask.any(axis=0).all()  # no wider than the longest
    for row, label, own in zip(ids, labels, mask, strict=True):
        n = own.sum()
        assert own[:n].all() and not row[n:].any()
        yield tuple(row[:n].tolist()), int(label)


@given(TEXTS, st.integers(1, 7), st.integers(0, 2**64))
def test_every_text_once_an_epoch_with_its_label(texts, batch_size, seed):
    batches = make(texts, batch_size, seed)
    expected = sorted((tuple(ids), label) for ids, label in texts)
    for _ in range(2):
        epoch = list(batches)
        assert len(epoch) == batches.batches_per_epoch
        assert sorted(text for batch in epoch for text in taken_apart(batch)) == expected


def test_the_mask_is_left_out_where_nothing_is_padded():
    assert len(make([([1, 2], 0), ([3, 4], 1)], batch_size=1).next_batch()) == 2
    assert len(make([([1, 2], 0), ([3], 1)], batch_size=1).next_batch()) == 3  # in each batch alike
    ids, _ = LabelledBatches(np.array([[1, 2]]), np.array([3], np.uint8), 1, 0).next_batch()
    assert ids.tolist() == [[1, 2]]


def test_padding_is_of_the_token_asked_for():
    ids, _, mask = make([([1, 2, 3], 0), ([4], 1)], pad_id=9).next_batch()
    assert (ids[~mask] == 9).all() and (~mask).sum() == 2


@given(TEXTS, st.integers(1, 5), st.integers(0, 30))
def test_a_state_goes_on_exactly(texts, batch_size, steps):
    batches = make(texts, batch_size, seed=3)
    for _ in range(steps):
        batches.next_batch()
    state = json.loads(json.dumps(batches.state_dict()))
    resumed = make(texts, batch_size, seed=4)
    resumed.load_state_dict(state)
    for _ in range(2 * len(batches)):
        for here, there in zip(batches.next_batch(), resumed.next_batch(), strict=True):
            np.testing.assert_array_equal(here, there)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"texts": [([5], 0), ([8], 1)]}, "sha256"),
        ({"texts": [([5], 0), ([7], 2)]}, "sha256"),
        ({"pad_id": 3}, "pad_id=0, but here pad_id=3"),
        ({"batch_size": 3}, "batch_size=4, but here batch_size=3"),
    ],
)
def test_a_state_of_other_batches_is_refused(changes, message):
    texts = [([5], 0), ([7], 1)]
    state = make(texts).state_dict()
    with pytest.raises(ValueError, match=message):
        make(**{"texts": texts} | changes).load_state_dict(state)


@pytest.mark.parametrize(
    ("sequences", "labels", "changes", "error", "message"),
    [
        ([[1], [2]], [0], {}, ValueError, "there are 2 sequences and 1 labels"),
        ([], [], {}, ValueError, "sequences is empty"),
        ([[1], []], [0, 1], {}, ValueError, r"sequences\[1\] is empty: there is nothing to read"),
        ([[1]], [-1], {}, ValueError, "labels holds -1: a label is 0 or more"),
        ([[1]], [0.5], {}, TypeError, "labels must be integers: got a float64 array"),
        ([[1]], ["Lu"], {}, TypeError, "labels must be integers"),
        ([[1]], [True], {}, TypeError, "labels must be integers: got a bool array"),
        ([[1]], 0, {}, ValueError, "labels must be 1-D"),
        (
            ["ab"],
            [0],
            {},
            TypeError,
            r"sequences\[0\] must be a 1-D array of integers: got 'ab'; encode the text first",
        ),
        ([[1]], [0], {"pad_id": -1}, ValueError, "pad_id must be an integer of at least 0: got -1"),
        (
            [[1]],
            [0],
            {"batch_size": 0},
            ValueError,
            "batch_size must be an integer of at least 1: got 0",
        ),
        ([[1]], [0], {"seed": -1}, ValueError, "seed must be an integer of at least 0: got -1"),
    ],
)
def test_wrong_arguments(sequences, labels, changes, error, message):
    options = {"batch_size": 2, "seed": 0} | changes
    with pytest.raises(error, match=message):
        LabelledBatches(sequences, labels, **options)
