"""What a notebook shows of an array."""

import base64
import re
import struct
import zlib

import numpy as np
import pytest

from minigpt.drawing.array_html import array_html, png


def pixels_of(page: str) -> np.ndarray:
    """The pixels of the picture in a page, decoded as the PNG specification says."""
    content = base64.b64decode(re.search(r"base64,([^\"]+)", page)[1])
    width, height, depth, color = struct.unpack(">IIBB", content[16:26])
    assert (depth, color) == (8, 6)
    chunks, place = {}, 8
    while place < len(content):
        (size,) = struct.unpack(">I", content[place : place + 4])
        body = content[place + 4 : place + 8 + size]
        assert struct.unpack(">I", content[place + 8 + size : place + 12 + size])[0] == zlib.crc32(
            body
        )
        chunks[body[:4]] = body[4:]
        place += 12 + size
    assert list(chunks) == [b"IHDR", b"IDAT", b"IEND"]
    lines = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(height, -1)
    assert (lines[:, 0] == 0).all()
    return lines[:, 1:].reshape(height, width, 4)


def test_few_numbers_are_a_table():
    page = array_html("X", np.array([[1.0, -2.5], [0.0, 0.125]]))
    cells = re.findall(r"<td[^>]*rgba\(([\d,.]+)\)[^>]*>([^<]*)</td>", page)
    assert cells == [
        ("0,114,178,0.22", "1"),
        ("213,94,0,0.55", "−2.5"),
        ("0,114,178,0.00", "0"),
        ("0,114,178,0.03", "0.125"),
    ]
    assert "−2.5 to 1, mean −0.3438" in page


def test_many_numbers_are_a_heat_map():
    array = np.linspace(-1, 3, 20 * 70).reshape(20, 70)
    page = array_html("X", array)
    pixels = pixels_of(page)
    assert pixels.shape == (20, 64, 4) and "the first 64 columns" in page
    np.testing.assert_array_equal(pixels[..., 2], np.where(array[:, :64] >= 0, 178, 0))
    strength = np.abs(array[:, :64]) / np.abs(array[:, :64]).max()
    np.testing.assert_allclose(pixels[..., 3], 255 * strength, atol=0.5)


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (np.zeros((0, 3)), "<i>empty</i>"),
        (np.float32(3.5).reshape(()), ">3.5</td>"),
        (np.arange(3.0), ">2</td>"),
        (np.arange(24.0).reshape(2, 2, 2, 3), "[0, 0, :, :] of it"),
        (np.array([1.0, np.nan, np.inf]), "<b>2 of 3 are not finite</b>"),
        (np.full((2, 2), np.nan), "<b>4 of 4 are not finite</b>"),
        (np.zeros((2, 2)), "0 to 0"),
        (np.full((2, 2), 1e30, np.float32), "1e+30 to 1e+30"),
        (np.array([[5]], np.int64), ">5</td>"),
    ],
)
def test_any_array_is_shown(array, said):
    with np.errstate(all="raise"):
        page = array_html("X", array)
    assert said in page and page.count("<div") == page.count("</div>")


def test_the_title_is_escaped():
    assert "<script>" not in array_html("<script>", np.zeros(1))


def test_a_picture_of_known_pixels():
    pixels = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    page = f'base64,{base64.b64encode(png(pixels)).decode()}"'
    np.testing.assert_array_equal(pixels_of(page), pixels)
