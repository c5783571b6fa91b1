"""Weights files put together by hand, sound ones and others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def raw_file(
    path: Path, tensors: dict[str, tuple[str, list[int], Any]], padding: bytes = b""
) -> Path:
    """A safetensors file of name -> (dtype, shape, array whose bytes are stored)."""
    header, data = {}, b""
    for name, (dtype, shape, array) in tensors.items():
        start = len(data)
        data += array.tobytes()
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [start, len(data)]}
    text = json.dumps(header).encode() + padding
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)
    return path


def header_of(content: bytes | bytearray) -> dict[str, Any]:
    """The header of a file's content."""
    length = int.from_bytes(content[:8], "little")
    header: dict[str, Any] = json.loads(bytes(content[8 : 8 + length]))
    return header
