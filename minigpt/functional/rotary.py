"""Rotary positions: queries and keys are turned by angles that grow with their places.

The features of a head are taken in pairs, each a point in a plane, and the pair i of a token at
place m is turned by the angle m·θᵢ (Su et al. 2021, "RoFormer", §3.2.2):

    (a, b)  ->  (a·cos mθᵢ − b·sin mθᵢ,  b·cos mθᵢ + a·sin mθᵢ),   θᵢ = base^(−2i/d)

With R(m) for all pairs' rotations at once, the score of a query at m and a key at n is
(R(m) q)ᵀ(R(n) k) = qᵀ R(n − m) k: it knows how far they are apart, and not where they stand.

A rotation keeps lengths, and what turns it back is its transpose. So the derivative of y = R(m) x
is ∂L/∂x = R(−m) ∂L/∂y: the gradient is turned back by the same angle.

**Pairs.** Which features are a pair is a convention. The paper pairs neighbours, (2i, 2i + 1), as
do Llama's own files and GGUF files of that architecture; Transformers, and this library's models,
pair the halves of a head, (i, i + d/2), which are two slices, not d/2. No model can tell: the
score is a sum over the features of q and k, so that any order will do which both share. Reordering
the columns of W_Q and W_K (rows, where a file has them transposed) within each head turns one
convention into the other: feature 2i of the neighbours is feature i of the halves, 2i + 1 is
i + d/2. A file that is read with the wrong one loads, and writes nonsense.

**Longer texts.** A model has seen angles up to its training length. Dividing all θᵢ by a factor
makes places that much closer (linear scaling: Chen et al. 2023, "position interpolation"). Llama
3's scaling divides only those of the long waves, of which a text never holds a whole one, keeps
those of the short waves, which tell neighbours apart, and goes from one to the other in between.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from minigpt import checks
from minigpt.autograd import Array, record
from minigpt.chunks import CHUNK
from minigpt.tensor import Tensor

PAIRINGS = {"halves": "Transformers, minigpt's models", "neighbours": "the paper, GGUF files"}
SCALINGS = {"linear": "Chen et al. 2023", "llama3": "Llama 3.1 and later"}

_FIRST_PLACES = 256  # of a table, which is computed for twice as many places as often as needed,
_LAST_PLACES = 1 << 14  # up to here: beyond, a table would take more memory than it saves time


@dataclass(frozen=True)
class RotaryScaling:
    """How the frequencies θᵢ of rotary positions are changed, for longer texts.

        kind="linear":  θ/factor                                         (Chen et al. 2023)
        kind="llama3":  with waves of length λ = 2π/θ, and the original context L,
                        θ            where λ < L/high_frequency_factor
                        θ/factor     where λ > L/low_frequency_factor
                        (1 − s)·θ/factor + s·θ   in between, s = (L/λ − low)/(high − low)

    Attributes:
        kind: "linear" or "llama3".
        factor: how many times longer texts are to become.
        low_frequency_factor, high_frequency_factor: of "llama3", where waves count as long and as
            short.
        original_context: of "llama3", the length of texts in training before.

    Raises:
        ValueError, TypeError: name the field, what came and what was expected.

    Example:
        >>> import minigpt as mg
        >>> mg.nn.RotaryScaling("linear", factor=4.0).scaled(np.array([1.0, 0.1]))
        array([0.25 , 0.025])
    """

    kind: str
    factor: float
    low_frequency_factor: float | None = None
    high_frequency_factor: float | None = None
    original_context: int | None = None

    def __post_init__(self) -> None:
        for name, value in _check_scaling(self).items():
            object.__setattr__(self, name, value)

    def scaled(self, frequencies: Array) -> Array:
        """The changed ``frequencies`` θᵢ: (d/2,) -> (d/2,)."""
        if self.kind == "linear":
            return frequencies / self.factor
        assert self.low_frequency_factor and self.high_frequency_factor and self.original_context
        low, high = self.low_frequency_factor, self.high_frequency_factor
        waves = frequencies * (self.original_context / (2 * math.pi))  # L/λ: how many a text holds
        s = np.clip((waves - low) / (high - low), 0, 1)
        scaled: Array = (1 - s) * frequencies / self.factor + s * frequencies
        return scaled


def rotary_frequencies(
    d: int, base: float = 10_000.0, scaling: RotaryScaling | None = None
) -> Array:
    """θᵢ = base^(−2i/d) for the pairs i = 0 … d/2 − 1, scaled where told so.

    The first pair turns by 1 a place, the last hardly at all (Su et al. 2021, §3.2.2).

    Args:
        d: how many features a head has, even.
        base: the larger, the more slowly the last pairs turn.
        scaling: of the frequencies for longer texts, a :class:`RotaryScaling`; None for none.

    Shapes:
        returns: (d/2,), float64

    Raises:
        ValueError: an odd ``d``, or a ``base`` that is not positive.

    Example:
        >>> rotary_frequencies(4)
        array([1.  , 0.01])
    """
    _check_frequencies(d, base, scaling)
    frequencies: Array = base ** (-np.arange(0, d, 2) / d)
    return frequencies if scaling is None else scaling.scaled(frequencies)


def rotary(
    x: Tensor,
    positions: Array,
    base: float = 10_000.0,
    scaling: RotaryScaling | None = None,
    pairing: str = "halves",
) -> Tensor:
    """y = R(m) x: each pair i of features turned by the angle m·θᵢ (Su et al. 2021, §3.2.2).

        y = x∘cos + swapped(x)∘sin,   ∂L/∂x = R(−m) ∂L/∂y

    where ``swapped`` has b in a's place and a in b's, and sin has the sign − for a.

    Args:
        positions: the place m of each token, integers from 0.
        base, scaling: of the frequencies, as :func:`rotary_frequencies` has them.
        pairing: which features are a pair, "halves" or "neighbours": see the head of this file.

    Shapes:
        x and returns: (..., T, d)
        positions: (T,), or a shape that broadcasts to (..., T)

    Raises:
        ValueError: an odd d, positions of another shape or below 0, or another pairing.
        TypeError: positions that are not integers.

    Example:
        >>> import numpy as np, minigpt as mg
        >>> import minigpt.functional as F
        >>> x = mg.Tensor(np.ones((3, 2), np.float32))  # a quarter turn is π/2 = 1.57
        >>> F.rotary(x, np.arange(3)).numpy().round(2)
        array([[ 1.  ,  1.  ],
               [-0.3 ,  1.38],
               [-1.33,  0.49]], dtype=float32)
    """
    places = _check(x, positions, base, scaling, pairing)
    rotation = rotation_at(places, x.shape[-1], base, scaling, x.dtype, pairing)  # (..., T, 2, d)
    cos, sin = rotation[..., 0, :], rotation[..., 1, :]
    y = x.data.copy()
    _turn(y, cos, sin, pairing)

    def vjp(g: Array) -> tuple[Array]:
        gx = g.copy()
        _turn(gx, cos, -sin, pairing)
        return (gx,)

    return record(y, (x,), vjp)


def rotation_at(
    positions: Array,
    d: int,
    base: float,
    scaling: RotaryScaling | None,
    dtype: np.dtype[Any],
    pairing: str = "halves",
) -> Array:
    """cos(m·θᵢ) and sin(m·θᵢ) for the places m, as :func:`multi_head_attention` takes them.

    The angles are those of :func:`rotary` (Su et al. 2021, §3.2.2); a model computes them once for
    all heads of a layer.

    Args:
        positions: the place m of each token, integers from 0.
        d: how many features a head has, even.
        base, scaling: as in :func:`rotary_frequencies`.
        dtype: of what is returned.
        pairing: "halves" or "neighbours", as in :func:`rotary`.

    Shapes:
        positions: (...) integers from 0 -> (..., 2, d): the cosines of a pair's two features, and
            their sines, that of the first with the sign −

    Example:
        >>> import numpy as np, minigpt.functional as F
        >>> F.rotation_at(np.array([0, 1]), 2, 10_000.0, None, np.dtype(np.float64)).round(2)
        array([[[ 1.  ,  1.  ],
                [-0.  ,  0.  ]],
               [[ 0.54,  0.54],
                [-0.84,  0.84]]])
    """
    places = int(positions.max(initial=0)) + 1
    if places > _LAST_PLACES:
        return _cos_and_sin(positions, d, base, scaling, pairing).astype(dtype)
    length = max(_FIRST_PLACES, 1 << (places - 1).bit_length())
    return _table(length, d, base, scaling, pairing, dtype.char)[positions]


def turn_heads(x: Array, rotation: Array, back: bool = False) -> None:
    """Turn every head's features in place, each pair by the angle of its token's place.

    Done in pieces that fit the processor's cache, where they are read and written three times.

    Shapes:
        x: (B, T, h, d)
        rotation: (T, 2, d) or (B, T, 2, d), from :func:`rotation_at`
    """
    b, t, h, d = x.shape
    cos, sin = rotation[..., 0, None, :], rotation[..., 1, None, :]  # (T or B, T, 1, d)
    sin = -sin if back else sin
    places = max(1, CHUNK // (h * d))  # of a piece: of several sequences, or a part of one
    if b * t <= places:
        _turn(x, cos, sin)
        return
    cos, sin = (np.broadcast_to(table, (b, t, 1, d)) for table in (cos, sin))
    n_rows = max(1, places // t)
    for row in range(0, b, n_rows):
        for place in range(0, t, places):
            piece = slice(row, row + n_rows), slice(place, place + places)
            _turn(x[piece], cos[piece], sin[piece])


def _turn(x: Array, cos: Array, sin: Array, pairing: str = "halves") -> None:
    """x ← x∘cos + swapped(x)∘sin: (..., d), in place."""
    swapped = np.empty(x.shape, x.dtype)
    if pairing == "halves":  # a half is moved as one item: much faster than number by number
        half = np.dtype((np.void, x.shape[-1] // 2 * x.itemsize))
        new, old = swapped.view(half), x.view(half)  # (..., 2)
        new[..., 0], new[..., 1] = old[..., 1], old[..., 0]
    else:
        swapped[..., 0::2], swapped[..., 1::2] = x[..., 1::2], x[..., 0::2]
    swapped *= sin
    x *= cos
    x += swapped


@lru_cache(maxsize=8)
def _table(
    length: int, d: int, base: float, scaling: RotaryScaling | None, pairing: str, dtype: str
) -> Array:
    """The rotations of the first places: (length, 2, d)."""
    table = _cos_and_sin(np.arange(length), d, base, scaling, pairing).astype(dtype)
    table.setflags(write=False)
    return table


def _cos_and_sin(
    positions: Array, d: int, base: float, scaling: RotaryScaling | None, pairing: str
) -> Array:
    """(...) -> (..., 2, d), float64."""
    angles = positions[..., None] * rotary_frequencies(d, base, scaling)  # (..., d/2)
    cos, sin = np.cos(angles), np.sin(angles)
    pairs = np.stack([cos, cos, -sin, sin], axis=-2)  # (..., 4, d/2)
    pairs = pairs.reshape(*positions.shape, 2, 2, d // 2)  # (..., cos or sin, a or b, pair)
    if pairing == "neighbours":
        pairs = pairs.swapaxes(-1, -2)
    return pairs.reshape(*positions.shape, 2, d)


# ── checks ────────────────────────────────────────────────────────────────────────────────────


def _check(
    x: Tensor, positions: Any, base: float, scaling: RotaryScaling | None, pairing: str
) -> Array:
    """The places as an array that broadcasts to x's without its features."""
    checks.tensors("rotary", x=x)
    checks.one_of("pairing", pairing, PAIRINGS)
    if x.ndim < 2 or x.shape[-1] % 2 or x.shape[-1] == 0:
        raise checks.wrong_value("rotary: x", "of shape (..., T, d) with an even d", x)
    _check_frequencies(x.shape[-1], base, scaling)
    places = checks.integers("positions", positions)
    tokens = x.shape[:-1]
    last = tokens[len(tokens) - places.ndim :]
    fits = places.ndim <= len(tokens) and all(
        n in (1, m) for n, m in zip(places.shape, last, strict=True)
    )
    if places.ndim == 0 or not fits:
        expected = (
            f"of shape ({tokens[-1]},), or one that broadcasts to {tokens}, as x is {x.shape}"
        )
        raise checks.wrong_value("rotary: positions", expected, places)
    if places.size and places.min() < 0:
        raise checks.wrong_value("positions", "0 or more", int(places.min()))
    return places


def _check_frequencies(d: int, base: float, scaling: RotaryScaling | None) -> None:
    checks.integer("d", d, least=2)
    if checks.size("d", d) % 2:
        mend = "features are turned in pairs"
        raise checks.wrong_value("d", "an even number", d, mend)
    checks.number("base", base, above=0)
    if scaling is not None:
        checks.instance("scaling", scaling, RotaryScaling)


def _check_scaling(scaling: RotaryScaling) -> dict[str, Any]:
    """The fields as plain values."""
    of_llama3 = {
        "low_frequency_factor": lambda name, value: checks.number(name, value, above=0),
        "high_frequency_factor": lambda name, value: checks.number(name, value, above=0),
        "original_context": checks.size,
    }
    fields: dict[str, Any] = {
        "kind": checks.one_of("kind", scaling.kind, SCALINGS),
        "factor": checks.number("factor", scaling.factor, above=0),
    }
    for name, check in of_llama3.items():
        value = getattr(scaling, name)
        if scaling.kind == "llama3":
            fields[name] = check(name, value)
        elif value is not None:
            raise ValueError(f'{name}={value!r} is for kind="llama3": leave it out')
    if scaling.kind == "llama3":
        low, high = fields["low_frequency_factor"], fields["high_frequency_factor"]
        if low >= high:
            raise ValueError(
                f"low_frequency_factor={low:g} must be below high_frequency_factor={high:g}"
            )
    return fields
