"""Step 1: softmax(x) turns scores into probabilities."""

from __future__ import annotations

from typing import Any

import numpy as np

import minigpt as mg
import minigpt.functional as F
from calling import Wrong, call
from comparing import compare


def check(softmax: Any) -> None:
    x = np.random.default_rng(1).normal(0, 1.5, (2, 3, 4))
    e = np.exp(x)
    expected = F.softmax(mg.Tensor(x)).numpy()
    found = call("softmax", softmax, {"x": x})
    if isinstance(found, np.ndarray) and found.shape == x.shape:
        _check_sums(found, e, expected)
    compare(
        "softmax(x)",
        found,
        expected,
        {
            "numbers are divided by their own sum: exp comes first": x / x.sum(-1, keepdims=True),
            "the exponent has the wrong sign: the largest score must get the largest probability": (
                1 / e
            )
            / (1 / e).sum(-1, keepdims=True),
            "this is 2 to the power of x, and should be e: np.exp": (2**x)
            / (2**x).sum(-1, keepdims=True),
        },
    )
    _check_large(softmax)


def _check_sums(found: Any, e: Any, expected: Any) -> None:
    """Every row is to sum to 1."""
    sums = found.sum(axis=-1)
    if not np.isfinite(found).all():
        raise Wrong(
            "ordinary scores give NaN: what is subtracted first must be the largest score of the "
            "row, not a constant"
        )
    if np.allclose(sums, 1):
        return
    if np.allclose(found, np.log(expected)):
        raise Wrong("this is the logarithm of the probabilities: take np.exp of it")
    if np.isclose(found.sum(), 1):
        raise Wrong(
            f"all {found.size} numbers together sum to 1, and each row should: divide by the sum "
            "over the last axis, axis=-1, keepdims=True"
        )
    for axis in (0, 1):
        if np.allclose(found.sum(axis=axis), 1):
            raise Wrong(
                f"the sums over axis {axis} are 1, and rows sum to {sums.flat[0]:.3g}: divide by "
                "the sum over the last axis, axis=-1"
            )
    if np.allclose(found, e):
        raise Wrong("this is exp(x), which is not yet divided by its sum over the last axis")
    worst = sums.flat[abs(sums - 1).argmax()]
    raise Wrong(f"rows sum to {worst:.3g}: did you divide by the sum over the last axis?")


def _check_large(softmax: Any) -> None:
    large = np.array([[1000.0, 1000.0, 998.0], [-1000.0, -1000.0, -1002.0], [0.0, -2000.0, 0.0]])
    found = call("softmax", softmax, {"x": large})
    if not np.isfinite(found).all():
        raise Wrong(
            "a score of 1000 gives NaN: exp(1000) is more than a float holds. Subtract the largest "
            "score of each row first, which changes no probability; also where all are below 0"
        )
    if not np.allclose(found.sum(axis=-1), 1):
        raise Wrong(
            "of scores as large as 1000 rows no longer sum to 1: subtract the largest of each row, "
            "x.max(axis=-1, keepdims=True), not a constant or the largest of all"
        )
    expected = F.softmax(mg.Tensor(large)).numpy()
    compare("of scores as large as 1000, softmax(x)", found, expected)
