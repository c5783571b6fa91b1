"""Dropout: regularisation by chance (E14)."""

from __future__ import annotations

import math

import numpy as np

from minigpt import checks
from minigpt.autograd import Array, record
from minigpt.functional.row_draws import row_words
from minigpt.tensor import Tensor


def dropout(x: Tensor, p: float, rng: np.random.Generator) -> Tensor:
    """y = x∘m/(1 − p), where each mᵢ is 0 with probability p, else 1 (Srivastava et al. 2014).

    Dividing by 1 − p keeps the expected value, so that nothing changes at evaluation, where
    dropout is simply left out.

    Args:
        x: a Tensor.
        p: the probability of a zero, 0 ≤ p < 1.
        rng: where the m come from.

    Shapes:
        x and returns: any, the same

    Raises:
        ValueError: p is outside [0, 1).
        TypeError: rng is not a ``numpy.random.Generator``.

    Example:
        >>> import numpy as np, minigpt as mg, minigpt.functional as F
        >>> y = F.dropout(mg.Tensor(np.ones(10_000, np.float32)), 0.2, np.random.default_rng(0))
        >>> sorted({*y.numpy().tolist()}), round(y.mean().item(), 2)  # 0 or 1/0.8, on average 1
        ([0.0, 1.25], 1.0)
    """
    _check(x, p, rng)
    if p == 0:
        return x
    kept = keep_mask(x.shape, p, rng)
    scale = x.dtype.type(1 / (1 - p))

    def apply(a: Array) -> Array:
        y = a * kept
        y *= scale
        return y

    return record(apply(x.data), (x,), lambda g: (apply(g),))


def keep_mask(shape: tuple[int, ...], p: float, rng: np.random.Generator) -> Array:
    """Booleans that are True with probability 1 − p, to the nearest 1/65,536.

    Sixteen random bits for each, four to a draw: four times faster than drawing floats. The first
    axis is the rows of a batch, which :mod:`~minigpt.functional.row_draws` keeps apart.
    """
    n_rows, n = shape[0] if shape else 1, math.prod(shape[1:])
    words = row_words(rng, n_rows, -(-n // 4))
    return (words.view(np.uint16)[:, :n] >= round(p * 2**16)).reshape(shape)


def _check(x: Tensor, p: float, rng: np.random.Generator) -> None:
    checks.tensors("dropout", x=x)
    if checks.probability("p", p):
        checks.generator(rng)
