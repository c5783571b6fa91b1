"""Batches of pairs: what they hold, in which order, and going on from a state."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigpt.datasets import PairBatches, Sequences
from minigpt.datasets.batches.examples import shuffled_batches

IDS = st.integers(3, 20)
PAIRS = st.lists(
    st.tuples(st.lists(IDS, min_size=1, max_size=6), st.lists(IDS, max_size=6)),
    min_size=1,
    max_size=40,
)


def make(pairs, batch_size=4, seed=0, **changes):
    sources, targets = zip(*pairs, strict=True)
    options = {"bos_id": 1, "eos_id": 2} | changes
    return PairBatches(list(sources), list(targets), batch_size, seed, **options)


def taken_apart(batch):
    """The pairs that a batch holds, and what surrounds them checked."""
    source_ids, target_in, target_out, source_mask = batch
    assert source_ids.dtype == target_in.dtype == target_out.dtype == np.int64
    assert source_mask.dtype == bool and source_mask.shape == source_ids.shape
    assert target_in.shape == target_out.shape
    for source, read, said, mask in zip(*batch, strict=True):
        n, m = mask.sum(), (said != -1).sum()
        assert mask[:n].all() and not source[n:].any()
        assert read[0] == 1 and said[m - 1] == 2 and (said[m:] == -1).all()
        assert read[1:m].tolist() == said[: m - 1].tolist() and not read[m:].any()
        yield tuple(source[:n].tolist()), tuple(said[: m - 1].tolist())
    widest = max(source_mask.sum(axis=1))
    assert source_ids.shape[1] == widest


@given(PAIRS, st.integers(1, 7), st.integers(0, 2**64))
def test_every_pair_once_an_epoch(pairs, batch_size, seed):
    batches = make(pairs, batch_size, seed)
    expected = sorted((tuple(source), tuple(target)) for source, target in pairs)
    for _ in range(2):
        epoch = list(batches)
        assert len(epoch) == len(batches) == batches.batches_per_epoch
        assert sorted(pair for batch in epoch for pair in taken_apart(batch)) == expected


def test_epochs_differ_and_seeds_do():
    pairs = [([i], [i]) for i in range(3, 60)]
    first, again, other = (make(pairs, seed=seed) for seed in (0, 0, 1))
    orders = [[batch[0].tolist() for batch in batches] for batches in (first, again, other, first)]
    assert orders[0] == orders[1] and orders[0] != orders[2] and orders[0] != orders[3]


@given(PAIRS, st.integers(1, 5), st.integers(0, 30))
def test_a_state_goes_on_exactly(pairs, batch_size, steps):
    batches = make(pairs, batch_size, seed=3)
    for _ in range(steps):
        batches.next_batch()
    state = json.loads(json.dumps(batches.state_dict()))
    resumed = make(pairs, batch_size, seed=4)
    resumed.load_state_dict(state)
    for _ in range(2 * len(batches)):
        for here, there in zip(batches.next_batch(), resumed.next_batch(), strict=True):
            np.testing.assert_array_equal(here, there)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pairs": [([5], [6]), ([7], [9])]}, "sha256"),
        ({"pairs": [([5], [6])]}, "examples=2, but here examples=1"),
        ({"batch_size": 3}, "batch_size=4, but here batch_size=3"),
        ({"eos_id": 0}, "eos_id=2, but here eos_id=0"),
    ],
)
def test_a_state_of_other_batches_is_refused(changes, message):
    state = make([([5], [6]), ([7], [8])]).state_dict()
    options = {"pairs": [([5], [6]), ([7], [8])]} | changes
    other = make(**options)
    before = other.state_dict()
    with pytest.raises(ValueError, match=message):
        other.load_state_dict(state)
    assert other.state_dict() == before


def test_like_lengths_are_together(rng):
    lengths = rng.integers(1, 100, 6400)
    batches = shuffled_batches(lengths, 32, rng)
    assert sorted(np.concatenate(batches).tolist()) == list(range(6400))
    padded = sum(len(batch) * lengths[batch].max() for batch in batches)
    assert padded < 1.03 * lengths.sum()
    means = [lengths[batch].mean() for batch in batches]
    assert abs(np.corrcoef(means, np.arange(len(means)))[0, 1]) < 0.3  # and in no order


def test_arrays_are_sequences_too():
    listed = PairBatches([[5, 6], [7, 8]], [[9], [3]], 2, 0, bos_id=1, eos_id=2)
    arrays = PairBatches(
        np.array([[5, 6], [7, 8]], np.uint16), np.array([[9], [3]]), 2, 0, bos_id=1, eos_id=2
    )
    assert listed.state_dict() == arrays.state_dict()
    for here, there in zip(listed.next_batch(), arrays.next_batch(), strict=True):
        np.testing.assert_array_equal(here, there)


def test_a_generator_as_seed_is_drawn_from():
    pairs = [([i], [i]) for i in range(3, 30)]
    first, again = (make(pairs, seed=np.random.default_rng(5)) for _ in range(2))
    np.testing.assert_array_equal(first.next_batch()[0], again.next_batch()[0])


@pytest.mark.parametrize(
    ("sources", "targets", "changes", "error", "message"),
    [
        ([[1], [2]], [[1]], {}, ValueError, "there are 2 sources and 1 targets"),
        ([], [], {}, ValueError, "sources is empty"),
        ([[1], []], [[1], [2]], {}, ValueError, r"sources\[1\] is empty: there is nothing to read"),
        ("ab", [[1]], {}, TypeError, "sources must be a list of lists of ids.*got 'ab'"),
        (
            ["ab"],
            [[1]],
            {},
            TypeError,
            r"sources\[0\] must be a 1-D array of integers: got 'ab'; encode the text first",
        ),
        ([[1.0]], [[1]], {}, TypeError, r"sources\[0\] must be integers: got a float64 array"),
        ([[1]], [[True]], {}, TypeError, r"targets\[0\] must be integers: got a bool array"),
        ([[1]], [[-1]], {}, ValueError, "targets holds -1: an id is 0 or more"),
        (
            [[1]],
            [[1]],
            {"bos_id": -1},
            ValueError,
            "bos_id must be an integer of at least 0: got -1",
        ),
        (
            [[1]],
            [[1]],
            {"eos_id": None},
            TypeError,
            "eos_id must be an integer of at least 0: got None",
        ),
        (
            [[1]],
            [[1]],
            {"pad_id": True},
            TypeError,
            "pad_id must be an integer of at least 0: got True",
        ),
        (
            [[1]],
            [[1]],
            {"batch_size": 0},
            ValueError,
            "batch_size must be an integer of at least 1: got 0",
        ),
        ([[1]], [[1]], {"seed": -1}, ValueError, "seed must be an integer of at least 0: got -1"),
    ],
)
def test_wrong_arguments(sources, targets, changes, error, message):
    options = {"batch_size": 2, "seed": 0, "bos_id": 1, "eos_id": 2} | changes
    with pytest.raises(error, match=message):
        PairBatches(sources, targets, **options)


def test_counting():
    sequences = Sequences([[1, 2, 2], [], [0, 1]], "x")
    among = np.array([False, True, False])
    assert sequences.count(among).tolist() == [1, 0, 1]
    assert sequences.max_id == 2 and len(sequences) == 3
