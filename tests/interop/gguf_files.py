"""GGUF files put together by hand, sound ones and others."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from minigpt.autograd import Array
from minigpt.interop.gguf import TYPES
from minigpt.interop.quantization import FORMATS

VALUE_TYPES = {
    "uint8": (0, "<B"), "int8": (1, "<b"), "uint16": (2, "<H"), "int16": (3, "<h"),
    "uint32": (4, "<I"), "int32": (5, "<i"), "float32": (6, "<f"), "bool": (7, "<?"),
    "uint64": (10, "<Q"), "int64": (11, "<q"), "float64": (12, "<d"),
}  # fmt: skip
STRING, ARRAY = 8, 9
TYPE_CODES = {name: code for code, (name, _, _) in TYPES.items()}


@dataclass(frozen=True)
class Tensor:
    """A line of the header and the bytes that it speaks of."""

    type: str | int
    shape: tuple[int, ...]
    content: bytes
    offset: int | None = None  # where it claims to begin, if not where it does


def text(string: str | bytes) -> bytes:
    content = string.encode() if isinstance(string, str) else string
    return struct.pack("<Q", len(content)) + content


def value(kind: str, content: Any) -> bytes:
    """A value after its type; ``"[uint8]"`` is an array, ``"[[string]]"`` an array of arrays."""
    return struct.pack("<I", code(kind)) + payload(kind, content)


def code(kind: str) -> int:
    if kind[0] == "[":
        return ARRAY
    return STRING if kind == "string" else VALUE_TYPES[kind][0]


def payload(kind: str, content: Any) -> bytes:
    if kind[0] == "[":
        items = kind[1:-1]
        start = struct.pack("<IQ", code(items), len(content))
        return start + b"".join(payload(items, item) for item in content)
    return text(content) if kind == "string" else struct.pack(VALUE_TYPES[kind][1], content)


def line(name: str | bytes, tensor: Tensor, offset: int) -> bytes:
    """What the header says of one tensor."""
    kind = TYPE_CODES[tensor.type] if isinstance(tensor.type, str) else tensor.type
    dimensions = [struct.pack("<Q", size) for size in reversed(tensor.shape)]
    start = text(name) + struct.pack("<I", len(dimensions)) + b"".join(dimensions)
    return start + struct.pack("<IQ", kind, offset)


def gguf(
    tensors: Mapping[str, Tensor] | None = None,
    metadata: Mapping[str, bytes] | None = None,
    version: int = 3,
    alignment: int = 32,
) -> bytes:
    """The content of a file; metadata as ``value`` makes it."""
    tensors, metadata = tensors or {}, metadata or {}
    header = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(metadata))
    header += b"".join(text(key) + content for key, content in metadata.items())
    data = b""
    for name, tensor in tensors.items():
        header += line(name, tensor, len(data) if tensor.offset is None else tensor.offset)
        data += tensor.content + bytes(-len(tensor.content) % alignment)
    return header + bytes(-len(header) % alignment) + data


def random_blocks(name: str, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Blocks of random bytes for a tensor of that shape; scales may be anything."""
    layout, size = FORMATS[name].layout, FORMATS[name].size
    blocks = (*shape[:-1], shape[-1] // size)
    content = rng.integers(0, 256, int(np.prod(blocks)) * layout.itemsize, dtype=np.uint8)
    return content.view(layout).reshape(blocks)


EVERY_VALUE = {
    "a.uint8": value("uint8", 255), "a.int8": value("int8", -128),
    "a.uint16": value("uint16", 65535), "a.int16": value("int16", -32768),
    "a.uint32": value("uint32", 2**32 - 1), "a.int32": value("int32", -(2**31)),
    "a.uint64": value("uint64", 2**64 - 1), "a.int64": value("int64", -(2**63)),
    "a.float32": value("float32", 0.1), "a.float64": value("float64", 0.1),
    "a.true": value("bool", True), "a.false": value("bool", False),
    "a.string": value("string", "naïve 猫\n"), "an.empty.string": value("string", ""),
    "some.strings": value("[string]", ["", "a", "猫"]), "no.strings": value("[string]", []),
    "some.numbers": value("[int32]", [1, -2, 3]), "some.floats": value("[float32]", [0.5, -0.25]),
    "no.numbers": value("[uint64]", []), "some.booleans": value("[bool]", [True, False]),
    "nested": value("[[uint8]]", [[1, 2], [], [3]]),
    "nested.deeper": value("[[[string]]]", [[["a"], ["b", "c"]], []]),
}  # fmt: skip


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def every_type(rng: np.random.Generator) -> dict[str, Tensor]:
    """A tensor in each format that can be read, of two rows (and one with a single number)."""
    tensors = {
        name.lower(): Tensor(name, (2, 512), random_blocks(name, (2, 512), rng).tobytes())
        for name in FORMATS
    }
    return tensors | {"number": Tensor("F32", (), np.float32(1.5).tobytes())}
