"""Quantisation: weights as small integers in blocks of 32 or 256, each block with its own scale.

    x_i ≈ d · q_i + m          q_i a small integer; d (and m) one number for the whole block

Neighbouring weights are of similar size, so once their common scale is known a few bits tell them
apart: Q4_0 takes 18 bytes for 32 weights, 4.5 bits each instead of float32's 32. A block never
continues into the next row. The formats are those of ggml (github.com/ggml-org/ggml); the K in a
name means two levels of scales. Dettmers et al. 2022, "LLM.int8()", §2, explains the idea.

Each format is the layout of one block, written as a NumPy type; ``dequantize_…``, the equation; and
for four of them ``quantize_…``, its inverse. These work on many blocks at once. Scales are stored
in float16 and computed with in float32; the bounds on errors given below leave out what rounding
them costs, up to 2⁻¹¹ of a weight.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from minigpt import checks
from minigpt.autograd import Array
from minigpt.chunks import chunk_slices

# ── single numbers ────────────────────────────────────────────────────────────────────────────

F64, F32, F16, BF16 = (np.dtype(code) for code in ("<f8", "<f4", "<f2", "<u2"))


def dequantize_float(block: Array, x: Array) -> None:
    """F64, F32 and F16 are numbers already: x = block."""
    x[:, 0] = block


def dequantize_bf16(block: Array, x: Array) -> None:
    """BF16 is the upper half of a float32, whose lower half is zero."""
    np.left_shift(block, 16, out=x.view(np.uint32)[:, 0], dtype=np.uint32)


# ── blocks of 32 ──────────────────────────────────────────────────────────────────────────────

Q8_0 = np.dtype([("d", "<f2"), ("q", "i1", 32)])
Q4_0 = np.dtype([("d", "<f2"), ("q", "u1", 16)])
Q4_1 = np.dtype([("d", "<f2"), ("m", "<f2"), ("q", "u1", 16)])
Q5_0 = np.dtype([("d", "<f2"), ("h", "u1", 4), ("q", "u1", 16)])
Q5_1 = np.dtype([("d", "<f2"), ("m", "<f2"), ("h", "u1", 4), ("q", "u1", 16)])


def dequantize_q8_0(block: Array, x: Array) -> None:
    """x_i = d · q_i, with q_i from −128 to 127: 8.5 bits a weight.

    Shapes:
        block: (n,) of ``Q8_0``: the scale d, then q_0 … q_31, a byte each.
        x: (n, 32), filled.
    """
    np.multiply(_column(block["d"]), block["q"], out=x)  # (n, 1) · (n, 32) -> (n, 32)


def quantize_q8_0(x: Array) -> Array:
    """d = max|x| / 127 and q_i = x_i / d, rounded: |x_i − d·q_i| ≤ d / 2.

    Shapes:
        x: (n, 32) float32. Returns (n,) blocks of ``Q8_0``.
    """
    block = np.empty(len(x), Q8_0)
    d = np.abs(x).max(axis=1, keepdims=True) / np.float32(127)  # (n, 1)
    y = x * _inverse(d)
    block["q"] = np.trunc(2 * y) - np.trunc(y)  # to the nearest integer, a half away from zero
    block["d"] = d[:, 0]
    return block


def dequantize_q4_0(block: Array, x: Array) -> None:
    """x_i = d · (q_i − 8), with q_i from 0 to 15: 4.5 bits a weight.

    Shapes:
        block: (n,) of ``Q4_0``: the scale d, then 16 bytes, of which byte i holds q_i in its lower
            half and q_{i+16} in its upper one.
        x: (n, 32), filled.
    """
    _halves_of_bytes(block["q"], x)
    x -= 8
    x *= _column(block["d"])


def quantize_q4_0(x: Array) -> Array:
    """d = x_k / −8 and q_i = x_i / d + 8, rounded, where x_k is the one farthest from zero.

    Of the 16 levels 8 lie on the side of x_k and 7 on the other, so x_k gets q = 0 exactly. A
    weight as far out on the other side would need q = 16, and gets 15: |x_i − d·(q_i − 8)| ≤ |d|.

    Shapes:
        x: (n, 32) float32. Returns (n,) blocks of ``Q4_0``.
    """
    block = np.empty(len(x), Q4_0)
    k = np.abs(x).argmax(axis=1, keepdims=True)
    d = np.take_along_axis(x, k, axis=1) / np.float32(-8)  # (n, 1)
    q = (x * _inverse(d) + np.float32(8.5)).astype(np.uint8)
    block["q"] = _bytes_of_halves(np.minimum(q, 15))
    block["d"] = d[:, 0]
    return block


def dequantize_q4_1(block: Array, x: Array) -> None:
    """x_i = d · q_i + m, with q_i from 0 to 15: 5 bits a weight.

    Shapes:
        block: (n,) of ``Q4_1``: the scale d, the smallest weight m, then q as in ``Q4_0``.
        x: (n, 32), filled.
    """
    _halves_of_bytes(block["q"], x)
    x *= _column(block["d"])
    x += _column(block["m"])


def quantize_q4_1(x: Array) -> Array:
    """m = min x, d = (max x − m) / 15, q_i = (x_i − m) / d, rounded: an error of at most d / 2.

    Shapes:
        x: (n, 32) float32. Returns (n,) blocks of ``Q4_1``.
    """
    block = np.empty(len(x), Q4_1)
    m = x.min(axis=1, keepdims=True)  # (n, 1)
    d = (x.max(axis=1, keepdims=True) - m) / np.float32(15)
    q = ((x - m) * _inverse(d) + np.float32(0.5)).astype(np.uint8)
    block["q"] = _bytes_of_halves(np.minimum(q, 15))
    block["d"], block["m"] = d[:, 0], m[:, 0]
    return block


def dequantize_q5_0(block: Array, x: Array) -> None:
    """x_i = d · (q_i + 16·h_i − 16): 5.5 bits a weight.

    Shapes:
        block: (n,) of ``Q5_0``: the scale d; the fifth bits h_0 … h_31, the lowest bit of each of
            the 4 bytes first; then q as in ``Q4_0``.
        x: (n, 32), filled.
    """
    _halves_of_bytes(block["q"], x)
    x += _fifth_bits(block["h"])
    x -= 16
    x *= _column(block["d"])


def dequantize_q5_1(block: Array, x: Array) -> None:
    """x_i = d · (q_i + 16·h_i) + m: 6 bits a weight.

    Shapes:
        block: (n,) of ``Q5_1``: d and m as in ``Q4_1``, then h and q as in ``Q5_0``.
        x: (n, 32), filled.
    """
    _halves_of_bytes(block["q"], x)
    x += _fifth_bits(block["h"])
    x *= _column(block["d"])
    x += _column(block["m"])


def quantize_q5_1(x: Array) -> Array:
    """As ``Q4_1`` with 32 levels: d = (max x − m) / 31, an error of at most d / 2.

    Shapes:
        x: (n, 32) float32. Returns (n,) blocks of ``Q5_1``.
    """
    block = np.empty(len(x), Q5_1)
    m = x.min(axis=1, keepdims=True)  # (n, 1)
    d = (x.max(axis=1, keepdims=True) - m) / np.float32(31)
    q = ((x - m) * _inverse(d) + np.float32(0.5)).astype(np.uint8)
    q = np.minimum(q, 31)
    block["q"] = _bytes_of_halves(q & 15)
    block["h"] = np.packbits(q >> 4, axis=1, bitorder="little")  # (n, 32) -> (n, 4)
    block["d"], block["m"] = d[:, 0], m[:, 0]
    return block


# ── blocks of 256, in parts whose scales are integers times the block's own ───────────────────────

Q4_K = np.dtype([("d", "<f2"), ("dm", "<f2"), ("s", "u1", (3, 4)), ("q", "u1", (4, 32))])
Q6_K = np.dtype([("q", "u1", (2, 2, 32)), ("h", "u1", (2, 32)), ("s", "i1", 16), ("d", "<f2")])


def dequantize_q4_k(block: Array, x: Array) -> None:
    """x_ji = (d · s_j) · q_ji − (d_m · m_j), s_j and m_j from 0 to 63: 4.5 bits a weight.

    Shapes:
        block: (n,) of ``Q4_K``: the scales d and d_m; 12 bytes with s and m, six bits each; then
            4 × 32 bytes, each with a q of one part of 32 in its lower half and one of the next
            part in its upper half.
        x: (n, 256), filled: 8 parts j of 32 numbers i.
    """
    low, high, both = block["s"][:, 0], block["s"][:, 1], block["s"][:, 2]  # (n, 4) each
    s = np.hstack([low & 63, (both & 15) | (low >> 6) << 4])  # (n, 8): the last four are
    m = np.hstack([high & 63, (both >> 4) | (high >> 6) << 4])  # put together from two places
    ds = _column(block["d"]) * s.astype(np.float32)
    dm = _column(block["dm"]) * m.astype(np.float32)
    pairs = x.reshape(-1, 4, 2, 32)
    np.bitwise_and(block["q"], 15, out=pairs[:, :, 0])
    np.right_shift(block["q"], 4, out=pairs[:, :, 1])
    parts = x.reshape(-1, 8, 32)
    parts *= ds[:, :, None]
    parts -= dm[:, :, None]


def dequantize_q6_k(block: Array, x: Array) -> None:
    """x_ji = (d · s_j) · (q_ji + 16·h_ji − 32), s_j from −128 to 127: 6.56 bits a weight.

    Shapes:
        block: (n,) of ``Q6_K``: for each half of the 256 numbers, 2 × 32 bytes with the lower four
            bits q of four quarters of 32 numbers (quarters 0 and 1 in the bytes' lower halves, 2
            and 3 in the upper ones); for each half, 32 bytes with the two upper bits h of all four
            quarters; the scales s; and d.
        x: (n, 256), filled: 16 parts j of 16 numbers i.
    """
    quarters = x.reshape(-1, 2, 4, 32)
    np.bitwise_and(block["q"], 15, out=quarters[:, :, :2])
    np.right_shift(block["q"], 4, out=quarters[:, :, 2:])
    for k in range(4):
        quarters[:, :, k] += (block["h"] >> 2 * k & 3) << 4
    x -= 32
    ds = _column(block["d"]) * block["s"].astype(np.float32)  # (n, 16)
    parts = x.reshape(-1, 16, 16)
    parts *= ds[:, :, None]


# ── any of them ───────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class BlockFormat:
    """One way to store numbers: the layout of a block, and how to get in and out of it."""

    layout: np.dtype[Any]
    size: int  # numbers in a block
    dequantize: Callable[[Array, Array], None]  # blocks (n,), and (n, size) to be filled
    quantize: Callable[[Array], Array] | None = None  # (n, size) -> blocks (n,)
    dtype: type[np.floating[Any]] = np.float32  # of the numbers outside

    def fill(self, blocks: Array, x: Array) -> None:
        """Write the numbers of ``blocks``, (n,), into ``x``, (n · size,)."""
        # In damaged files a scale may be infinite or NaN, and its weights are then NaN.
        with np.errstate(invalid="ignore", over="ignore"):
            self.dequantize(blocks, x.reshape(-1, self.size))


FORMATS = {
    "F64": BlockFormat(F64, 1, dequantize_float, dtype=np.float64),
    "F32": BlockFormat(F32, 1, dequantize_float),
    "F16": BlockFormat(F16, 1, dequantize_float),
    "BF16": BlockFormat(BF16, 1, dequantize_bf16),
    "Q8_0": BlockFormat(Q8_0, 32, dequantize_q8_0, quantize_q8_0),
    "Q4_0": BlockFormat(Q4_0, 32, dequantize_q4_0, quantize_q4_0),
    "Q4_1": BlockFormat(Q4_1, 32, dequantize_q4_1, quantize_q4_1),
    "Q5_0": BlockFormat(Q5_0, 32, dequantize_q5_0),
    "Q5_1": BlockFormat(Q5_1, 32, dequantize_q5_1, quantize_q5_1),
    "Q4_K": BlockFormat(Q4_K, 256, dequantize_q4_k),
    "Q6_K": BlockFormat(Q6_K, 256, dequantize_q6_k),
}
QUANTIZED = [name for name, block_format in FORMATS.items() if block_format.quantize]


def dequantize(blocks: Array, name: str) -> Array:
    """The numbers that blocks of a format stand for.

    Args:
        blocks: what :func:`quantize` gave, or a file holds.
        name: of the format, such as "Q8_0".

    Shapes:
        blocks: (…, m) of ``FORMATS[name].layout``.
        Returns (…, m · size), in float32 (for F64, float64).

    Raises:
        ValueError: another format, or blocks of another layout.

    Example:
        >>> block = np.zeros(1, Q4_1)
        >>> block["d"], block["m"], block["q"][0, 0] = 0.5, -1, 0x30  # q_0 = 0, q_16 = 3
        >>> x = dequantize(block, "Q4_1")
        >>> x.shape, float(x[0]), float(x[16])
        ((32,), -1.0, 0.5)
    """
    _check_blocks(blocks, name)
    block_format = FORMATS[name]
    size = block_format.size
    x = np.empty((*blocks.shape[:-1], blocks.shape[-1] * size), block_format.dtype)
    flat, filled = np.ascontiguousarray(blocks).reshape(-1), x.reshape(-1)
    for piece in chunk_slices(x.size):
        block_format.fill(flat[piece.start // size : piece.stop // size], filled[piece])
    return x


def quantize(x: Array, name: str) -> Array:
    """Numbers as blocks of Q8_0, Q5_1, Q4_1 or Q4_0.

    Shapes:
        x: (…, k) of floats, where k is a multiple of 32.
        Returns (…, k / 32) blocks, of ``FORMATS[name].layout``.

    Raises:
        ValueError: the rows do not divide into blocks, or a number is not finite, or is too large
            for a scale in float16.

    Example:
        >>> x = np.sin(np.arange(64, dtype=np.float32))
        >>> for name in ("Q8_0", "Q5_1", "Q4_1", "Q4_0"):
        ...     blocks = quantize(x, name)
        ...     error = np.abs(dequantize(blocks, name) - x).max()
        ...     print(f"{name}: {8 * blocks.nbytes / x.size} bits a number, off by {error:.3f}")
        Q8_0: 8.5 bits a number, off by 0.004
        Q5_1: 6.0 bits a number, off by 0.031
        Q4_1: 5.0 bits a number, off by 0.065
        Q4_0: 4.5 bits a number, off by 0.125
    """
    _check_rows(x, name)
    block_format = FORMATS[name]
    size = block_format.size
    assert block_format.quantize is not None
    flat, blocks = x.reshape(-1), np.empty(x.size // size, block_format.layout)
    for piece in chunk_slices(x.size):
        numbers = flat[piece].astype(np.float32, copy=False).reshape(-1, size)
        with np.errstate(all="ignore"):  # what is too large is refused below
            blocks[piece.start // size : piece.stop // size] = block_format.quantize(numbers)
    _check_scales(blocks, name)
    return blocks.reshape(*x.shape[:-1], x.shape[-1] // size)


def _column(scale: Array) -> Array:
    """One scale for each block, (n,), as a column in float32: (n, 1)."""
    return scale.astype(np.float32)[:, None]


def _inverse(d: Array) -> Array:
    """1 / d, or 0 for scales so small that float16 makes zero of them anyway."""
    tiny = np.abs(d) < np.finfo(np.float32).tiny
    return np.where(tiny, 0, 1 / np.where(tiny, 1, d))


def _halves_of_bytes(q: Array, x: Array) -> None:
    """The lower four bits of each byte, then the upper ones: (n, 16) -> (n, 32)."""
    np.bitwise_and(q, 15, out=x[:, :16])
    np.right_shift(q, 4, out=x[:, 16:])


def _bytes_of_halves(q: Array) -> Array:
    """Two numbers of four bits in each byte: (n, 32) -> (n, 16)."""
    return q[:, :16] | q[:, 16:] << 4


def _fifth_bits(h: Array) -> Array:
    """Each bit as 0 or 16: (n, 4) -> (n, 32)."""
    return np.unpackbits(h, axis=1, bitorder="little") << 4


def _check_blocks(blocks: Array, name: str) -> None:
    layout = FORMATS[checks.one_of("name", name, tuple(FORMATS))].layout
    if not isinstance(blocks, np.ndarray) or not blocks.ndim or blocks.dtype != layout:
        mend = f"view bytes as blocks: blocks.view(FORMATS[{name!r}].layout)"
        raise checks.wrong_type("blocks", f"an array of {name} blocks", blocks, mend)


def _check_rows(x: Array, name: str) -> None:
    size = FORMATS[checks.one_of("name", name, QUANTIZED)].size
    if not isinstance(x, np.ndarray) or x.dtype.kind != "f":
        raise checks.wrong_type("x", "an array of floats", x)
    if not x.ndim or x.shape[-1] % size:
        raise checks.wrong_value("x", f"rows of a multiple of {size} numbers, as its blocks", x)


def _check_scales(blocks: Array, name: str) -> None:
    scales = [key for key in blocks.dtype.names or () if key in ("d", "m")]
    if not all(np.isfinite(blocks[scale]).all() for scale in scales):
        most = np.finfo(np.float16).max
        raise ValueError(
            f"x must be finite, with scales of at most {most:,.0f} in {name}: got infinite "
            "numbers, NaN, or larger ones; leave this array in float32"
        )
