"""HTML that a notebook shows: arrays as tables and heat maps, on light and on dark pages.

Colours are given as how much of them covers the page (α), so that they fit any page; whatever text
comes from outside is escaped. Nothing here needs matplotlib.
"""

from __future__ import annotations

import base64
import html
import struct
import zlib

import numpy as np

from minigpt.autograd import Array

TABLE = 10  # rows and columns that are shown as numbers
SHOWN = 64  # rows and columns that are shown as a heat map
SIDE = 240  # pixels of a heat map, about
ABOVE, BELOW = (0, 114, 178), (213, 94, 0)  # blue and orange, of 0

escape = html.escape


def panel(*parts: str) -> str:
    """Parts side by side, or below each other where the page is narrow."""
    style = "display:flex;flex-wrap:wrap;gap:4px 28px;align-items:flex-start"
    return f'<div style="{style}">{"".join(parts)}</div>'


def array_html(title: str, array: Array) -> str:
    """An array under a line of words: its numbers where they are few, else a heat map.

    An array of more than two axes shows its last two, at the first place of the others.

    Args:
        title: a line of text.
        array: of any shape.
    """
    rows = array.reshape((-1, *array.shape[-2:]))[:1] if array.size else array
    matrix = np.atleast_2d(rows[0] if array.ndim > 2 and array.size else array)
    if array.size == 0:
        shown = "<i>empty</i>"
    elif matrix.shape[0] <= TABLE and matrix.shape[1] <= TABLE:
        shown = _table(matrix)
    else:
        shown = _heat_map(matrix[:SHOWN, :SHOWN])
    lines = [escape(title), *_remarks(array, matrix)]
    small = "".join(f'<div style="opacity:.7;font-size:85%">{line}</div>' for line in lines[1:])
    return f'<div><div style="margin-bottom:2px">{lines[0]}</div>{shown}{small}</div>'


def _remarks(array: Array, matrix: Array) -> list[str]:
    """What is not in sight: what was left out, where the numbers lie, those that are not finite."""
    remarks = []
    if array.ndim > 2 and array.size:
        remarks.append(f"[{', '.join(['0'] * (array.ndim - 2))}, :, :] of it")
    if max(matrix.shape) > SHOWN:
        sizes = zip(matrix.shape, ("rows", "columns"), strict=True)
        cut = " and ".join(f"{SHOWN} {what}" for size, what in sizes if size > SHOWN)
        remarks.append(f"the first {cut}")
    finite = array[np.isfinite(array)]
    if array.size > 1 and finite.size:
        remarks.append(
            f"{_number(finite.min())} to {_number(finite.max())}, "
            f"mean {_number(finite.mean())}, standard deviation {_number(finite.std())}"
        )
    if finite.size < array.size:
        count = array.size - finite.size
        remarks.append(f"<b>{count:,} of {array.size:,} are not finite</b>")
    return remarks


def _table(matrix: Array) -> str:
    """The numbers, each on its colour."""
    alpha, is_above = _strengths(matrix)
    cells = []
    for i, row in enumerate(matrix):
        cells.append("<tr>")
        for j, value in enumerate(row):
            red, green, blue = ABOVE if is_above[i, j] else BELOW
            color = f"background:rgba({red},{green},{blue},{0.55 * alpha[i, j]:.2f})"
            style = f"{color};padding:1px 7px;text-align:right;font-variant-numeric:tabular-nums"
            cells.append(f'<td style="{style}">{_number(value)}</td>')
        cells.append("</tr>")
    return f'<table style="border-collapse:collapse;margin:0">{"".join(cells)}</table>'


def _heat_map(matrix: Array) -> str:
    """A picture of one pixel a number, drawn larger."""
    alpha, is_above = _strengths(matrix)
    pixels = np.empty((*matrix.shape, 4), np.uint8)  # red, green, blue, alpha
    pixels[..., :3] = np.where(is_above[..., None], ABOVE, BELOW)
    pixels[..., 3] = (255 * alpha).round()
    content = base64.b64encode(png(pixels)).decode("ascii")
    rows, columns = matrix.shape
    cell = max(SIDE // max(rows, columns), 3)
    style = (
        f"width:{columns * cell}px;height:{rows * cell}px;image-rendering:pixelated;"
        "outline:1px solid rgba(128,128,128,.4);margin:0"
    )
    words = f"heat map of {rows} rows and {columns} columns: blue above 0, orange below"
    return f'<img alt="{words}" style="{style}" src="data:image/png;base64,{content}">'


def _strengths(matrix: Array) -> tuple[Array, Array]:
    """|x| / max |x|, which is how much of its colour a cell gets; and whether it is above 0."""
    finite = np.where(np.isfinite(matrix), matrix, 0).astype(np.float64)
    largest = np.abs(finite).max()
    return np.abs(finite) / (largest if largest > 0 else 1), finite >= 0


def _number(value: float) -> str:
    text = f"{value:.4g}"
    return text.replace("-", "−") if np.isfinite(value) else text


def png(pixels: Array) -> bytes:
    r"""The file of a picture, as the PNG specification (ISO/IEC 15948) has it.

    Shapes:
        pixels: (height, width, 4) uint8, red, green, blue and alpha

    Example:
        >>> png(np.zeros((2, 3, 4), np.uint8))[:8]
        b'\x89PNG\r\n\x1a\n'
    """
    height, width, _ = pixels.shape
    lines = np.zeros((height, 1 + 4 * width), np.uint8)  # before each line a 0: not filtered
    lines[:, 1:] = pixels.reshape(height, -1)
    header = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)  # 8 bits; 6: RGBA
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(lines.tobytes(), 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )
