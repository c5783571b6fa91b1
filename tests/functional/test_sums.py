"""Sums as products with ones are those that NumPy adds up."""

from __future__ import annotations

import numpy as np
import pytest

from minigpt.functional.sums import column_sums, row_sums


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(1,), (5,), (0, 3), (3, 0), (2, 3, 4), (7, 65), (2, 2, 300)])
def test_rows_and_columns_add_up(shape, dtype):
    x = np.random.default_rng(0).standard_normal(shape).astype(dtype)
    rows, columns = row_sums(x), column_sums(x)
    assert rows.dtype == columns.dtype == dtype
    tolerance = 1e-5 if dtype == np.float32 else 1e-13
    expected = x.sum(axis=-1, keepdims=True)
    np.testing.assert_allclose(rows, expected, rtol=tolerance, atol=tolerance)
    expected = x.reshape(-1, x.shape[-1]).sum(axis=0) if x.size else np.zeros(x.shape[-1])
    np.testing.assert_allclose(columns, expected, rtol=tolerance, atol=tolerance)


def test_a_view_that_is_not_contiguous():
    x = np.arange(24.0).reshape(2, 3, 4).transpose(2, 0, 1)
    np.testing.assert_array_equal(row_sums(x), x.sum(axis=-1, keepdims=True))
    np.testing.assert_array_equal(column_sums(x), x.sum(axis=(0, 1)))
