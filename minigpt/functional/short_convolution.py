"""The short convolution: each feature of a token mixed with itself in the few tokens before it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from minigpt import checks
from minigpt.autograd import Array, kept, record
from minigpt.chunks import CHUNK
from minigpt.functional.sums import column_sums
from minigpt.tensor import Tensor


def short_convolution(x: Tensor, weight: Tensor) -> Tensor:
    """yₜ = Σₖ wₖ ∘ xₜ₋ₖ for k = 0 … K−1: causal and depthwise, with nothing before the first token.

        ∂L/∂xₜ = Σₖ wₖ ∘ gₜ₊ₖ,   ∂L/∂wₖ = Σₜ gₜ ∘ xₜ₋ₖ

    A feature is mixed with itself only, so that K numbers for each are all there is to learn. So et
    al. 2021 ("Primer", §3) have it after the projections to queries, keys and values, with K = 3.
    Values that come from a place or two before let one layer find what stood *before* a word, for
    which attention without it takes two layers that are worth nothing without each other (Olsson
    et al. 2022, "In-context Learning and Induction Heads", the argument with smeared keys).

    Shapes:
        x and returns: (B, T, C)
        weight: (K, C): w₀ is for the token itself, w₁ for the one before it

    Raises:
        ValueError: shapes that do not fit.
        TypeError: the dtypes differ.

    Example:
        >>> import minigpt as mg, minigpt.functional as F
        >>> x = mg.Tensor([[[1.0], [10.0], [100.0]]])
        >>> F.short_convolution(x, weight=mg.Tensor([[1.0], [2.0]])).numpy()[0, :, 0]
        array([  1.,  12., 120.], dtype=float32)
    """
    _check(x, weight)
    shape, w = x.shape, weight.data
    y = np.zeros(shape, x.dtype)
    for rows, k, now, before in _shifts(shape, len(w)):
        y[rows, now] += w[k] * x.data[rows, before]
    needs_x, needs_weight = x.requires_grad, weight.requires_grad
    x_again = kept(x) if needs_weight else None

    def vjp(g: Array) -> tuple[Array | None, Array | None]:
        gx = np.zeros(shape, g.dtype) if needs_x else None
        gw = np.zeros(w.shape, g.dtype) if x_again is not None else None
        inputs = None if x_again is None else x_again()
        for rows, k, now, before in _shifts(shape, len(w)):
            if gx is not None:
                gx[rows, before] += w[k] * g[rows, now]
            if gw is not None and inputs is not None:
                gw[k] += column_sums(g[rows, now] * inputs[rows, before])
        return gx, gw

    return record(y, (x, weight), vjp)


def _shifts(shape: tuple[int, ...], n_taps: int) -> Iterator[tuple[slice, int, slice, slice]]:
    """For sequences that fit the processor's cache together, and each k: the places t, and t − k.

    Example:
        >>> [(k, now.start, before.stop) for _, k, now, before in _shifts((1, 5, 8), 3)]
        [(0, 0, 5), (1, 1, 4), (2, 2, 3)]
    """
    b, t, c = shape
    n = max(1, CHUNK // max(1, t * c))
    for start in range(0, b, n):
        for k in range(min(n_taps, t)):
            yield slice(start, start + n), k, slice(k, t), slice(0, t - k)


def _check(x: Tensor, weight: Tensor) -> None:
    checks.tensors("short_convolution", x=x, weight=weight)
    if x.ndim != 3:
        raise checks.wrong_value("short_convolution: x", "of shape (B, T, C)", x)
    if weight.ndim != 2 or weight.shape[0] == 0 or weight.shape[1] != x.shape[-1]:
        expected = f"of shape (K, {x.shape[-1]}), as x is {x.shape}"
        raise checks.wrong_value("short_convolution: weight", expected, weight)
    checks.same_dtype("short_convolution", x=x, weight=weight)
