"""What a row draws does not depend on the rows beside it."""

from __future__ import annotations

import copy

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from minigpt.functional.dropout import keep_mask
from minigpt.functional.row_draws import RowsGenerator


@given(
    sizes=st.lists(st.integers(1, 3), min_size=1, max_size=4),
    shapes=st.lists(st.lists(st.integers(1, 5), max_size=2), min_size=1, max_size=3),
    seed=st.integers(0, 2**32),
)
def test_shards_draw_what_the_whole_batch_draws(sizes, shapes, seed) -> None:
    total = sum(sizes)
    whole = np.random.default_rng([seed])
    expected = [keep_mask((total, *shape), 0.5, whole) for shape in shapes]
    first = 0
    for rows in sizes:
        rng = RowsGenerator([seed], first, total)
        again = copy.deepcopy(rng)
        for shape, mask in zip(shapes, expected, strict=True):
            drawn = keep_mask((rows, *shape), 0.5, rng)
            np.testing.assert_array_equal(drawn, mask[first : first + rows])
            np.testing.assert_array_equal(drawn, keep_mask((rows, *shape), 0.5, again))
        first += rows


def test_whatever_else_shards_draw_differs() -> None:
    draws = {RowsGenerator([1], first, 4).random() for first in range(4)}
    assert len(draws) == 4


def test_a_mask_keeps_as_many_as_it_should() -> None:
    for p in (0.0, 0.1, 0.5, 0.9):
        kept = keep_mask((100, 1001), p, np.random.default_rng(0))
        assert abs(kept.mean() - (1 - p)) < 0.005
        assert np.abs(kept.mean(axis=0) - (1 - p)).max() < 0.25
