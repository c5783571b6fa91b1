"""The nonlinearities of the feed-forward network (E10): ReLU, both forms of GELU, SiLU, tanh.

GELU (Hendrycks & Gimpel 2016) is x·Φ(x), where Φ is the normal distribution function. GPT-2 uses
an approximation of it with tanh; both are here. SiLU, x·σ(x), is close to it and simpler. All are
computed in blocks that fit the cache, because a dozen passes over a large array cost more than the
arithmetic.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from minigpt import checks
from minigpt.autograd import Array, is_recorded, record
from minigpt.chunks import chunk_slices
from minigpt.functional.erf import erf
from minigpt.operations import relu, tanh
from minigpt.tensor import Tensor

LARGE = 1e4  # for all three, Φ(x) or σ(x) is 0 or 1 long before, to the last bit

__all__ = ["ACTIVATIONS", "gelu", "relu", "silu", "tanh"]


def gelu(x: Tensor, approximate: str = "tanh") -> Tensor:
    """GELU(x) = x·Φ(x), by GPT-2's approximation (the default) or exactly.

    approximate="tanh":  Φ(x) ≈ ½(1 + t), t = tanh u, u = √(2/π)·(x + 0.044715·x³), with
                         dGELU/dx = ½(1 + t) + ½·x·(1 − t²)·√(2/π)·(1 + 3·0.044715·x²)
    approximate="none":  Φ(x) = ½(1 + erf(x/√2)), with dGELU/dx = Φ(x) + x·exp(−x²/2)/√(2π)

    As a model's ``activation`` they are named "gelu_tanh" and "gelu_erf". The two differ by less
    than 0.0005 anywhere.

    Value and derivative come out of one pass, and the derivative is all that is kept.

    Raises:
        ValueError: ``approximate`` is neither "tanh" nor "none".

    Example:
        >>> import minigpt as mg
        >>> import minigpt.functional as F
        >>> F.gelu(mg.Tensor([-1.0, 0.0, 1.0])).numpy().round(4)
        array([-0.1588,  0.    ,  0.8412], dtype=float32)
    """
    _check_gelu(x, approximate)
    return _elementwise(x, _gelu_tanh if approximate == "tanh" else _gelu_erf)


def silu(x: Tensor) -> Tensor:
    """SiLU(x) = x·σ(x), σ(x) = 1/(1 + e⁻ˣ) (Hendrycks & Gimpel 2016, §2; Elfwing et al. 2018).

    Also called swish. With y = x·σ and σ′ = σ(1 − σ), dy/dx = σ + x·σ(1 − σ) = σ + y(1 − σ).

    Example:
        >>> import minigpt as mg
        >>> import minigpt.functional as F
        >>> F.silu(mg.Tensor([-1.0, 0.0, 1.0])).numpy().round(4)
        array([-0.2689,  0.    ,  0.7311], dtype=float32)
    """
    checks.tensors("silu", x=x)
    return _elementwise(x, _silu)


def _elementwise(
    x: Tensor, value_and_slope: Callable[[Array, Array, Array | None], None]
) -> Tensor:
    """y = f(x) in blocks; ``value_and_slope`` writes f, and f′ where there is an array for it.

    From LARGE on, f(x) is x, and f(−x) is 0. On the way there a power of x may overflow, and ∞·0
    is NaN: a block where that happens is computed again, and its arithmetic sees no larger numbers.
    """
    a = np.asarray(x.data, order="C")
    y = np.empty_like(a)
    slope = np.empty_like(a) if is_recorded((x,)) else None
    with np.errstate(over="ignore", invalid="ignore"):
        for block in chunk_slices(a.size):
            piece, y_piece = a.reshape(-1)[block], y.reshape(-1)[block]
            slope_piece = slope.reshape(-1)[block] if slope is not None else None
            value_and_slope(piece, y_piece, slope_piece)
            if np.isnan((y_piece if slope_piece is None else slope_piece).max()):
                value_and_slope(np.clip(piece, -LARGE, LARGE), y_piece, slope_piece)
                np.copyto(y_piece, piece, where=piece > LARGE)
    return record(y, (x,), lambda g: (g * slope,))


def _gelu_tanh(x: Array, y: Array, slope: Array | None) -> None:
    """Write the value, and where asked for the derivative; in place, to spare new arrays."""
    c = math.sqrt(2 / math.pi)
    square = x * x
    half = square * (0.044715 * c)
    half += c
    half *= x  # u = c·(x + 0.044715·x³)
    np.tanh(half, out=half)
    half += 1
    half *= 0.5  # h = ½(1 + t)
    np.multiply(x, half, out=y)
    if slope is None:
        return
    # ½(1 − t²) = 2h(1 − h), so that dy/dx = h + y·(1 − h)·2u′
    square *= 6 * 0.044715 * c
    square += 2 * c  # 2u′
    square *= y
    np.subtract(1, half, out=slope)
    slope *= square
    slope += half


def _gelu_erf(x: Array, y: Array, slope: Array | None) -> None:
    phi = 0.5 * (1 + erf(x * math.sqrt(0.5)))
    np.multiply(x, phi, out=y)
    if slope is not None:
        np.add(phi, x * np.exp(-0.5 * x * x) / math.sqrt(2 * math.pi), out=slope)


def _silu(x: Array, y: Array, slope: Array | None) -> None:
    e = np.exp(-np.abs(x))  # at most 1: nothing overflows
    sigma = np.where(x >= 0, x.dtype.type(1), e)
    e += 1
    sigma /= e  # 1/(1 + e⁻ˣ), below 0 written as eˣ/(1 + eˣ)
    np.multiply(x, sigma, out=y)
    if slope is not None:
        np.subtract(1, sigma, out=slope)
        slope *= y
        slope += sigma


def _exact_gelu(x: Tensor) -> Tensor:
    return gelu(x, approximate="none")


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu_tanh": gelu,
    "gelu_erf": _exact_gelu,
    "relu": relu,
    "silu": silu,
    "tanh": tanh,
}


def _check_gelu(x: Tensor, approximate: str) -> None:
    checks.tensors("gelu", x=x)
    checks.one_of("approximate", approximate, {"tanh": "GPT-2", "none": "exact"})
