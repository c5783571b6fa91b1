"""Rows of different lengths in one array."""

from __future__ import annotations

import numpy as np
import pytest

from minigpt.padding import padded


@pytest.mark.parametrize("at_left", [False, True])
@pytest.mark.parametrize("rows", [[[1, 2], [], [3]], [np.array([7, 8], np.uint8)], [[]], []])
def test_the_mask_picks_out_the_rows_and_the_rest_is_padding(rows, at_left):
    ids, mask = padded(rows, pad_id=9, at_left=at_left)
    assert ids.shape == mask.shape == (len(rows), max(map(len, rows), default=0))
    assert ids.dtype == np.int64 and (ids[~mask] == 9).all()
    for row, padded_row, own in zip(rows, ids, mask, strict=True):
        assert padded_row[own].tolist() == list(row)
        assert own.tolist() == sorted(own.tolist(), reverse=not at_left)
