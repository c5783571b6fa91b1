"""The nonlinearities of the feed-forward network (E10): ReLU and its square, GELU, SiLU, tanh.

GELU (Hendrycks & Gimpel 2016) is x·Φ(x), where Φ is the normal distribution function. GPT-2 uses
an approximation of it with tanh; both are here. SiLU, x·σ(x), is close to it and simpler. A gated
unit multiplies one of them with a second input. All are computed in blocks that fit the cache,
because a dozen passes over a large array cost more than the arithmetic.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from minigpt import checks
from minigpt.autograd import Array, is_recorded, record
from minigpt.chunks import CHUNK, chunk_slices
from minigpt.functional.erf import erf
from minigpt.operations import relu, tanh
from minigpt.tensor import Tensor

Formula = Callable[[Array, Array, "Array | None"], None]  # of x: writes f(x), and f′(x)

LARGE = 1e4  # for all three, Φ(x) or σ(x) is 0 or 1 long before, to the last bit

__all__ = ["ACTIVATIONS", "gated_unit", "gelu", "relu", "relu_squared", "silu", "tanh"]


def gelu(x: Tensor, approximate: str = "tanh") -> Tensor:
    """GELU(x) = x·Φ(x), by GPT-2's approximation (the default) or exactly.

        approximate="tanh":  Φ(x) ≈ ½(1 + t), t = tanh u, u = √(2/π)·(x + 0.044715·x³), with
                             dGELU/dx = ½(1 + t) + ½·x·(1 − t²)·√(2/π)·(1 + 3·0.044715·x²)
        approximate="none":  Φ(x) = ½(1 + erf(x/√2)), with dGELU/dx = Φ(x) + x·exp(−x²/2)/√(2π)

    (Hendrycks & Gimpel 2016, §2.) As a model's ``activation`` they are named "gelu_tanh" and
    "gelu_erf". The two differ by less than 0.0005 anywhere.

    Value and derivative come out of one pass, and the derivative is all that is kept.

    Args:
        x: a Tensor.
        approximate: "tanh" or "none".

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


def relu_squared(x: Tensor) -> Tensor:
    """max(x, 0)² (So et al. 2021, "Primer", §3), with the derivative 2·max(x, 0).

    Example:
        >>> import minigpt as mg
        >>> import minigpt.functional as F
        >>> F.relu_squared(mg.Tensor([-1.0, 0.5, 3.0])).numpy()
        array([0.  , 0.25, 9.  ], dtype=float32)
    """
    checks.tensors("relu_squared", x=x)
    return _elementwise(x, _relu_squared)


def gated_unit(gate: Tensor, up: Tensor, activation: str = "silu") -> Tensor:
    """y = f(gate)∘up: SwiGLU where f is SiLU, GEGLU where it is GELU (Shazeer 2020, §2).

        ∂L/∂gate = g∘up∘f′(gate),   ∂L/∂up = g∘f(gate)

    Both factors come out of one pass, and are all that is kept besides y.

    Args:
        activation: f, one of :data:`ACTIVATIONS`.

    Shapes:
        gate, up and returns: any, the same

    Raises:
        ValueError: the shapes differ, or another activation.
        TypeError: the dtypes differ.

    Example:
        >>> import minigpt as mg
        >>> import minigpt.functional as F
        >>> F.gated_unit(mg.Tensor([-1.0, 1.0]), mg.Tensor([10.0, 10.0])).numpy().round(3)
        array([-2.689,  7.311], dtype=float32)
    """
    _check_gated_unit(gate, up, activation)
    recorded = is_recorded((gate, up))
    x, u, shape = gate.data.reshape(-1), up.data.reshape(-1), gate.shape
    y = np.empty(shape, x.dtype)
    value = np.empty(shape if recorded else min(x.size, CHUNK), x.dtype)
    slope = np.empty(shape, x.dtype) if recorded else None
    with np.errstate(over="ignore", invalid="ignore"):
        for block in chunk_slices(x.size):
            x_piece, u_piece = x[block], u[block]
            value_piece = value.reshape(-1)[block] if recorded else value[: x_piece.size]
            slope_piece = None if slope is None else slope.reshape(-1)[block]
            _write_block(_FORMULAS[activation], x_piece, value_piece, slope_piece)
            np.multiply(value_piece, u_piece, out=y.reshape(-1)[block])
            if slope_piece is not None:
                slope_piece *= u_piece  # up∘f′(gate)

    return record(y, (gate, up), lambda g: (_times(g, slope), _times(g, value)))


def _elementwise(x: Tensor, value_and_slope: Formula) -> Tensor:
    """y = f(x) in blocks; ``value_and_slope`` writes f, and f′ where there is an array for it."""
    a = np.asarray(x.data, order="C")
    y = np.empty_like(a)
    slope = np.empty_like(a) if is_recorded((x,)) else None
    with np.errstate(over="ignore", invalid="ignore"):
        for block in chunk_slices(a.size):
            piece, y_piece = a.reshape(-1)[block], y.reshape(-1)[block]
            slope_piece = slope.reshape(-1)[block] if slope is not None else None
            _write_block(value_and_slope, piece, y_piece, slope_piece)

    def vjp(g: Array) -> tuple[Array]:
        return (_times(g, slope),)

    vjp.__qualname__ = value_and_slope.__name__.strip("_")  # what a graph calls the operation
    return record(y, (x,), vjp)


def _times(g: Array, kept: Array | None) -> Array:
    """g∘kept, in the place of what was kept for it: the walk back comes there once."""
    assert kept is not None
    return np.multiply(g, kept, out=kept)


def _write_block(value_and_slope: Formula, x: Array, y: Array, slope: Array | None) -> None:
    """Write f and f′ of a block.

    GELU and SiLU are x from LARGE on, and 0 below −LARGE. On the way there a power of x may
    overflow, and ∞·0 is NaN: a block where that happens is computed again, and its arithmetic sees
    no larger numbers.
    """
    value_and_slope(x, y, slope)
    if value_and_slope in _LIKE_X and math.isnan((y if slope is None else slope).max()):
        value_and_slope(np.clip(x, -LARGE, LARGE), y, slope)
        np.copyto(y, x, where=x > LARGE)


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
    phi = erf(x * math.sqrt(0.5))
    phi += 1
    phi *= 0.5  # Φ = ½(1 + erf(x/√2))
    np.multiply(x, phi, out=y)
    if slope is None:
        return
    np.multiply(x, x, out=slope)
    slope *= -0.5
    np.exp(slope, out=slope)
    slope *= 1 / math.sqrt(2 * math.pi)
    slope *= x
    slope += phi  # Φ + x·exp(−x²/2)/√(2π)


def _silu(x: Array, y: Array, slope: Array | None) -> None:
    e = np.abs(x)
    np.negative(e, out=e)
    np.exp(e, out=e)  # e⁻|ˣ|, at most 1: nothing overflows
    sigma = (x >= 0).astype(x.dtype)
    np.maximum(sigma, e, out=sigma)  # 1 from 0 on, and below eˣ: faster than np.where
    e += 1
    sigma /= e  # 1/(1 + e⁻ˣ), below 0 written as eˣ/(1 + eˣ)
    np.multiply(x, sigma, out=y)
    if slope is not None:
        np.subtract(1, sigma, out=slope)
        slope *= y
        slope += sigma


def _relu(x: Array, y: Array, slope: Array | None) -> None:
    np.maximum(x, 0, out=y)
    if slope is not None:
        np.greater(x, 0, out=slope, casting="unsafe")


def _relu_squared(x: Array, y: Array, slope: Array | None) -> None:
    np.maximum(x, 0, out=y)
    if slope is not None:
        np.multiply(y, 2, out=slope)
    y *= y


def _tanh(x: Array, y: Array, slope: Array | None) -> None:
    np.tanh(x, out=y)
    if slope is not None:  # 1 − tanh²
        np.multiply(y, y, out=slope)
        np.subtract(1, slope, out=slope)


def _exact_gelu(x: Tensor) -> Tensor:
    return gelu(x, approximate="none")


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu_tanh": gelu,
    "gelu_erf": _exact_gelu,
    "relu": relu,
    "relu_squared": relu_squared,
    "silu": silu,
    "tanh": tanh,
}
_FORMULAS: dict[str, Formula] = {
    "gelu_tanh": _gelu_tanh,
    "gelu_erf": _gelu_erf,
    "relu": _relu,
    "relu_squared": _relu_squared,
    "silu": _silu,
    "tanh": _tanh,
}
_LIKE_X = (_gelu_tanh, _gelu_erf, _silu)


def _check_gelu(x: Tensor, approximate: str) -> None:
    checks.tensors("gelu", x=x)
    checks.one_of("approximate", approximate, {"tanh": "GPT-2", "none": "exact"})


def _check_gated_unit(gate: Tensor, up: Tensor, activation: str) -> None:
    if isinstance(gate, Tensor) and isinstance(up, Tensor) and isinstance(activation, str):
        same = gate.data.shape == up.data.shape and gate.data.dtype == up.data.dtype
        if same and activation in ACTIVATIONS:
            return  # as nearly always, and quicker than one look after the other
    checks.tensors("gated_unit", gate=gate, up=up)
    checks.one_of("activation", activation, tuple(ACTIVATIONS))
    checks.same_shape("gated_unit: up", up, gate.shape, ", as gate has")
    checks.same_dtype("gated_unit", gate=gate, up=up)
