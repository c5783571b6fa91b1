"""What weights start as: normal numbers, orthogonal matrices, or nothing where others follow."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar

import numpy as np

from minigpt import checks
from minigpt.autograd import Array
from minigpt.checks import Seed

LARGEST_STD = 1e30  # of weights in float32

_draws_weights = ContextVar("_draws_weights", default=True)


def normal(shape: tuple[int, ...], std: float, seed: Seed) -> Array:
    """Normal numbers of mean 0, float32, from a seed or a Generator."""
    checks.seed(seed)
    std = checks.number("std", std, least=0, most=LARGEST_STD)
    if not _draws_weights.get():
        return np.broadcast_to(np.float32(np.nan), shape)
    draws = np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)
    draws *= np.float32(std)
    return draws


def orthogonal(n: int, rng: np.random.Generator) -> Array:
    """(n, n) with orthonormal rows, drawn uniformly among these (Saxe et al. 2014)."""
    q, r = np.linalg.qr(rng.standard_normal((n, n)))
    # QR leaves the signs open: with R's diagonal positive the draw is uniform (Mezzadri 2007).
    return (q * np.sign(np.diagonal(r))).astype(np.float32)


@contextlib.contextmanager
def without_initial_weights() -> Iterator[None]:
    """Modules made inside draw no normal numbers: for those that get other weights right away.

    Drawing them takes seconds in a large model. NaN stands in their place, which takes neither time
    nor memory, and shows where a weight was forgotten.
    """
    token = _draws_weights.set(False)
    try:
        yield
    finally:
        _draws_weights.reset(token)
