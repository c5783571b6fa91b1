"""Streams side by side: each row goes on, and every token is a target once."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigpt.datasets import StreamBatches


@given(st.integers(2, 60), st.integers(1, 7), st.integers(1, 7), st.sampled_from(["u1", "i8"]))
def test_rows_go_on_and_every_token_is_a_target_once(n, block_size, batch_size, dtype):
    block_size = min(block_size, n - 1)
    batches = StreamBatches(np.arange(n, dtype=dtype), block_size, batch_size)
    seen = list(batches)
    assert len(seen) == len(batches) == batches.batches_per_epoch
    ids, targets = (np.concatenate(arrays, axis=1) for arrays in zip(*seen, strict=True))
    assert len(ids) == batch_size
    assert all(array.dtype == np.int64 for array in (ids, targets))
    assert all(part[0].shape[1] == block_size for part in seen[:-1])
    counted = targets >= 0
    assert sorted(targets[counted]) == list(range(1, n))
    np.testing.assert_array_equal(targets[counted], ids[counted] + 1)
    assert (ids[~counted] == 0).all()
    for row, real in zip(ids, counted, strict=True):
        assert (np.diff(row[real]) == 1).all()
        assert not np.diff(real.astype(int)).any() or real[0]  # filled up at the end alone
    assert (batches.epoch, batches.position) == (1, 0)


def test_streams_that_divide_evenly():
    batches = StreamBatches(np.arange(13), block_size=2, batch_size=3)
    rows = [ids.tolist() for ids, _ in batches]
    assert rows == [[[0, 1], [4, 5], [8, 9]], [[2, 3], [6, 7], [10, 11]]]


def test_it_goes_on_from_its_state():
    batches = StreamBatches(np.arange(50), block_size=4, batch_size=3)
    for _ in range(3):
        batches.next_batch()
    state = batches.state_dict()
    expected = [batches.next_batch()[0] for _ in range(6)]
    other = StreamBatches(np.arange(50), block_size=4, batch_size=3)
    other.load_state_dict(state)
    for ids in expected:
        np.testing.assert_array_equal(other.next_batch()[0], ids)
    with pytest.raises(ValueError, match="batch_size=3, but here batch_size=4"):
        StreamBatches(np.arange(50), block_size=4, batch_size=4).load_state_dict(state)


def test_a_memory_map_is_read_where_it_is_needed(tmp_path):
    np.save(tmp_path / "t.npy", np.arange(40, dtype=np.uint16))
    batches = StreamBatches(np.load(tmp_path / "t.npy", mmap_mode="r"), 5, 2)
    ids, targets = batches.next_batch()
    assert ids.tolist() == [[0, 1, 2, 3, 4], [20, 21, 22, 23, 24]]
    assert not np.shares_memory(ids, targets)


def test_too_short_a_text():
    with pytest.raises(ValueError, match="block_size=5 needs at least 6"):
        StreamBatches(np.arange(5), 5, 2)
