"""Block formats: each layout by hand, numbers in and out, and how far off they may be."""

from __future__ import annotations

import tracemalloc
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from minigpt.chunks import CHUNK
from minigpt.interop import dequantize, quantize
from minigpt.interop.gguf import TYPES
from minigpt.interop.quantization import FORMATS, Q4_0, Q4_1, Q8_0, QUANTIZED
from tests.interop.gguf_files import random_blocks

HALF = np.float16


def plain(name: str, raw: bytes) -> list[float]:
    """One block's numbers, one at a time, from bytes and bits, as the format is described."""

    def half(at: int) -> np.float32:
        return np.frombuffer(raw, "<f2", 1, at).astype(np.float32)[0]

    def signed(at: int) -> int:
        return raw[at] - 256 * (raw[at] > 127)

    def nibble(at: int, i: int) -> int:  # number i of 32, whose bytes begin there
        return raw[at + i] & 15 if i < 16 else raw[at + i - 16] >> 4

    def bit(at: int, i: int) -> int:
        return raw[at + i // 8] >> i % 8 & 1

    def six_bits(i: int) -> tuple[int, int]:  # scale and minimum of part i of Q4_K
        at = 4
        if i < 4:
            return raw[at + i] & 63, raw[at + 4 + i] & 63
        both = raw[at + 4 + i]
        return (
            both & 15 | (raw[at + i - 4] >> 6) << 4,
            both >> 4 | (raw[at + i] >> 6) << 4,
        )

    def q4_k(i: int) -> np.float32:
        part, k = divmod(i, 32)
        byte = raw[16 + 32 * (part // 2) + k]
        q = byte >> 4 if part % 2 else byte & 15
        scale, minimum = map(np.float32, six_bits(part))
        return half(0) * scale * np.float32(q) - half(2) * minimum

    def q6_k(i: int) -> np.float32:
        side, rest = divmod(i, 128)
        quarter, k = divmod(rest, 32)
        low = raw[64 * side + 32 * (quarter % 2) + k]
        low = low >> 4 if quarter > 1 else low & 15
        high = raw[128 + 32 * side + k] >> 2 * quarter & 3
        scale = half(208) * np.float32(signed(192 + i // 16))
        return scale * np.float32((low | high << 4) - 32)

    equations = {
        "Q8_0": lambda i: half(0) * np.float32(signed(2 + i)),
        "Q4_0": lambda i: half(0) * np.float32(nibble(2, i) - 8),
        "Q4_1": lambda i: half(0) * np.float32(nibble(4, i)) + half(2),
        "Q5_0": lambda i: half(0) * np.float32(nibble(6, i) + 16 * bit(2, i) - 16),
        "Q5_1": lambda i: half(0) * np.float32(nibble(8, i) + 16 * bit(4, i)) + half(2),
        "Q4_K": q4_k,
        "Q6_K": q6_k,
    }
    return [float(equations[name](i)) for i in range(FORMATS[name].size)]


BLOCKS = [name for name, block_format in FORMATS.items() if block_format.size > 1]


@pytest.mark.parametrize("name", BLOCKS)
def test_each_format_is_what_its_bits_say(name, rng):
    blocks = random_blocks(name, (8, FORMATS[name].size), rng)[:, 0]
    for key in {"d", "m", "dm"} & set(blocks.dtype.names):
        blocks[key] = rng.normal(size=8) * [1, 1, 1, 1, 1, 1, 0, 1e-7]  # zero and subnormal too
    expected = [plain(name, block.tobytes()) for block in blocks]
    np.testing.assert_array_equal(dequantize(blocks[:, None], name), np.float32(expected))


@pytest.mark.parametrize("name", FORMATS)
def test_a_layout_takes_the_bytes_that_the_format_says(name):
    sizes = {known: (size, n_bytes) for known, size, n_bytes in TYPES.values()}
    assert sizes[name] == (FORMATS[name].size, FORMATS[name].layout.itemsize)
    assert CHUNK % FORMATS[name].size == 0  # pieces of whole blocks


def test_half_precision_is_widened_exactly():
    every = np.arange(1 << 16, dtype=np.uint16)
    np.testing.assert_array_equal(
        dequantize(every.view(HALF), "F16"), every.view(HALF).astype(np.float32), strict=True
    )
    brain = (every.astype(np.uint32) << 16).view(np.float32)
    np.testing.assert_array_equal(
        dequantize(every, "BF16").view(np.uint32), brain.view(np.uint32), strict=True
    )


@pytest.mark.parametrize("name", FORMATS)
def test_pieces_and_shapes(name, rng):
    shape = (3, 2, CHUNK // 2 + 256)  # more than a piece in all, and the last one shorter
    blocks = random_blocks(name, shape, rng)
    whole = dequantize(blocks, name)
    assert whole.shape == shape and whole.dtype == FORMATS[name].dtype
    for row in np.ndindex(3, 2):
        np.testing.assert_array_equal(whole[row], dequantize(blocks[row], name))
    np.testing.assert_array_equal(dequantize(blocks[::2, :, ::-1], name)[1, 0],
                                  dequantize(blocks[2, 0, ::-1], name))  # fmt: skip


@pytest.mark.parametrize("name", BLOCKS)
def test_infinite_scales_give_no_warning(name, rng):
    blocks = random_blocks(name, (4, FORMATS[name].size), rng)
    blocks["d"] = np.array([[np.inf], [np.nan], [-np.inf], [1]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        x = dequantize(blocks, name)
    assert not np.isfinite(x[:3]).any()


@pytest.mark.parametrize("name", FORMATS)
def test_no_memory_but_the_numbers_and_a_piece(name, rng):
    blocks = random_blocks(name, (64, CHUNK), rng)
    tracemalloc.start()
    try:
        x = dequantize(blocks, name)
        assert tracemalloc.get_traced_memory()[1] < x.nbytes + 2_000_000 < 1.2 * x.nbytes
    finally:
        tracemalloc.stop()


# ── the way in ────────────────────────────────────────────────────────────────────────────────────


def bound(name, blocks):
    """How far off the numbers of each block may be, with its scales rounded to float16."""
    d, m = (
        np.abs(blocks[key].astype(np.float64)) if key in blocks.dtype.names else 0 for key in "dm"
    )
    rounding = np.maximum(d * 2.0**-11, 2.0**-25)  # half the last bit of d
    if name == "Q8_0":
        return (d + rounding) / 2 + 127 * rounding
    if name == "Q4_0":
        return (d + rounding) + 8 * rounding
    levels = 31 if name == "Q5_1" else 15
    return (d + rounding) / 2 + levels * rounding + np.maximum(m * 2.0**-11, 2.0**-25)


@pytest.mark.parametrize("name", QUANTIZED)
@given(
    x=npst.arrays(
        np.float32, (4, 64), elements=st.floats(-1000, 1000, width=32, allow_subnormal=False)
    )
)
def test_no_number_is_farther_off_than_its_equation_says(name, x):
    blocks = quantize(x, name)
    error = np.abs(dequantize(blocks, name).astype(np.float64) - x).reshape(4, 2, 32)
    most = bound(name, blocks)[..., None] + 1e-6 * np.abs(x).reshape(4, 2, 32)  # float32's
    assert (error <= most).all()


@pytest.mark.parametrize("name", QUANTIZED)
def test_numbers_of_a_format_come_back_as_they_are(name, rng):
    x = rng.integers(-7, 9, (5, 96)).astype(np.float32)
    ends = {"Q4_1": (8, -7), "Q5_1": (-15, 16)}.get(name, (-8, 7))
    x[:, ::32], x[:, 1::32] = ends  # of every block
    x = np.minimum(x, 7) if name == "Q4_0" else x
    scaled = x * 127 / 8 if name == "Q8_0" else x
    if name == "Q8_0":
        scaled = np.round(scaled)
    np.testing.assert_array_equal(dequantize(quantize(scaled, name), name), scaled)


@pytest.mark.parametrize("name", QUANTIZED)
def test_blocks_go_in_again_as_they_came_out(name, rng):
    blocks = quantize(rng.normal(size=(7, 320)).astype(np.float32), name)
    again = dequantize(quantize(dequantize(blocks, name), name), name)
    # Not the same bytes: a scale is computed from numbers that were rounded.
    np.testing.assert_allclose(again, dequantize(blocks, name), atol=2e-3)


def test_known_blocks():
    x = np.zeros(32, np.float32)
    x[0], x[1], x[16], x[31] = -8, 7, 3, -1
    four = quantize(x, "Q4_0")[0]
    assert four["d"] == 1
    assert four["q"][0] == 0 | (3 + 8) << 4 and four["q"][1] == 15 | 8 << 4
    assert four["q"][15] == 8 | 7 << 4
    four = quantize(x, "Q4_1")[0]
    assert (four["d"], four["m"]) == (1, -8)
    assert four["q"][0] == 0 | 11 << 4 and four["q"][1] == 15 | 8 << 4
    eight = quantize(x * 127 / 8, "Q8_0")[0]
    assert eight["d"] == 1
    assert eight["q"][:2].tolist() == [-127, 111]


def test_halves_are_rounded_away_from_zero():
    x = np.zeros(32, np.float32)
    x[:6] = [127, 0.5, -0.5, 1.5, 2.5, np.nextafter(np.float32(0.5), np.float32(0))]
    assert quantize(x, "Q8_0")["q"][0, :6].tolist() == [127, 1, -1, 2, 3, 0]


@pytest.mark.parametrize("name", QUANTIZED)
@pytest.mark.parametrize("size", [0.0, 1e-45, 1e-39, 1e-20])
def test_what_is_too_small_for_a_scale_becomes_zero(name, size):
    x = np.full((2, 32), size, np.float32)
    x[1, ::2] *= -1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert (dequantize(quantize(x, name), name) == 0).all()


@pytest.mark.parametrize("name", QUANTIZED)
@pytest.mark.parametrize("dtype", [np.float16, np.float64, ">f4"])
def test_other_floats_and_orders_of_memory(name, dtype, rng):
    x = rng.normal(size=(64, 3)).astype(dtype).T
    expected = quantize(np.ascontiguousarray(x, np.float32), name)
    assert quantize(x, name).tobytes() == expected.tobytes()


@pytest.mark.parametrize("name", QUANTIZED)
def test_quantizing_works_in_pieces(name, rng):
    x = rng.normal(size=(3, CHUNK // 2 + 32)).astype(np.float32)
    blocks = quantize(x, name)
    for row in range(3):
        assert quantize(x[row], name).tobytes() == blocks[row].tobytes()


@pytest.mark.parametrize("name", QUANTIZED)
@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf, 3e38, 1e8])
def test_what_no_scale_can_hold_is_refused(name, wrong):
    x = np.zeros((2, 64), np.float32)
    x[1, 40] = wrong
    with pytest.raises(
        ValueError, match=f"x must be finite, with scales of at most 65,504 in {name}"
    ):
        quantize(x, name)


@pytest.mark.parametrize(
    ("x", "name", "error", "message"),
    [
        (np.zeros(33, np.float32), "Q8_0", ValueError, "rows of a multiple of 32 numbers"),
        (np.zeros((32, 2), np.float32), "Q8_0", ValueError, r"array of shape \(32, 2\)"),
        (np.ones((), np.float32), "Q4_0", ValueError, "rows of a multiple of 32"),
        (np.zeros(32, int), "Q4_0", TypeError, "x must be an array of floats"),
        ([0.0] * 32, "Q4_0", TypeError, "x must be an array of floats"),
        (np.zeros(32), "Q4_K", ValueError, 'name must be "Q8_0", .* "Q5_1": got .Q4_K'),
        (np.zeros(32), 8, TypeError, "name must be"),
    ],
)
def test_what_cannot_be_quantized(x, name, error, message):
    with pytest.raises(error, match=message):
        quantize(x, name)


@pytest.mark.parametrize(
    ("blocks", "name", "error", "message"),
    [
        (
            np.zeros(2, Q4_0),
            "Q4_1",
            TypeError,
            r"blocks must be an array of Q4_1 blocks: .* view bytes",
        ),
        (np.zeros(34, np.uint8), "Q8_0", TypeError, "Q8_0 blocks: got an? uint8 array of shape"),
        (np.zeros((), Q8_0), "Q8_0", TypeError, "blocks must be an array of Q8_0 blocks"),
        (b"0" * 34, "Q8_0", TypeError, "blocks must be an array of Q8_0 blocks"),
        (np.zeros(1, Q4_1), "Q2_K", ValueError, "name must be .* got 'Q2_K'"),
    ],
)
def test_what_are_no_blocks(blocks, name, error, message):
    with pytest.raises(error, match=message):
        dequantize(blocks, name)


def test_bytes_are_viewed_as_blocks():
    raw = np.zeros((3, 2 * Q4_1.itemsize), np.uint8)
    assert dequantize(raw.view(Q4_1), "Q4_1").shape == (3, 64)
