"""GGUF: metadata and weights of a model in one file, as llama.cpp and its kin publish them.

    4 bytes      GGUF
    4 bytes      the version: 2 or 3
    8 + 8 bytes  how many tensors there are, and how many entries of metadata
    entries      each a key (text) and a value                              (see ``gguf_values``)
    tensors      each a name (text), how many dimensions it has (4), its dimensions (8 each, the one
                 whose numbers are side by side first), its type (4), and where it begins (8)
    padding      up to a multiple of ``general.alignment``, or of 32
    the rest     the tensors' blocks, each tensor aligned likewise         (see ``quantization``)

The description is docs/gguf.md in github.com/ggml-org/ggml. What a header claims is compared with
the file's real size before memory is taken for it, and nothing in a file is ever run.
"""

from __future__ import annotations

import math
import os
from dataclasses import replace
from typing import Any

import numpy as np

from minigpt.autograd import Array
from minigpt.interop.array_file import TensorFile, TensorInfo
from minigpt.interop.errors import PretrainedError
from minigpt.interop.gguf_values import MAX_NAME, HeaderReader

MAGIC, VERSIONS = b"GGUF", (2, 3)
ALIGNMENT = "general.alignment"
MAX_TENSORS = MAX_ENTRIES = 1 << 16
MAX_DIMENSIONS = 4

# code: (name, numbers in a block, bytes of a block). Those not in FORMATS have their sizes checked,
# and are refused when they are read; 9 and 15 (Q8_1, Q8_K) exist only while ggml computes.
TYPES = {
    0: ("F32", 1, 4), 1: ("F16", 1, 2), 2: ("Q4_0", 32, 18), 3: ("Q4_1", 32, 20),
    6: ("Q5_0", 32, 22), 7: ("Q5_1", 32, 24), 8: ("Q8_0", 32, 34), 10: ("Q2_K", 256, 84),
    11: ("Q3_K", 256, 110), 12: ("Q4_K", 256, 144), 13: ("Q5_K", 256, 176), 14: ("Q6_K", 256, 210),
    16: ("IQ2_XXS", 256, 66), 17: ("IQ2_XS", 256, 74), 18: ("IQ3_XXS", 256, 98),
    19: ("IQ1_S", 256, 50), 20: ("IQ4_NL", 32, 18), 21: ("IQ3_S", 256, 110),
    22: ("IQ2_S", 256, 82), 23: ("IQ4_XS", 256, 136), 24: ("I8", 1, 1), 25: ("I16", 1, 2),
    26: ("I32", 1, 4), 27: ("I64", 1, 8), 28: ("F64", 1, 8), 29: ("IQ1_M", 256, 56),
    30: ("BF16", 1, 2), 34: ("TQ1_0", 256, 54), 35: ("TQ2_0", 256, 66), 39: ("MXFP4", 32, 17),
}  # fmt: skip


class GGUFFile(TensorFile):
    """The metadata of a file, and its tensors, each read when it is asked for.

    Args:
        path: the file.
        memory_map: let arrays of float32 and float64 lie in the file itself: their memory is taken
            page by page as it is used, and shared with other processes that read the file. Writing
            to such an array changes a private copy, never the file. As long as one of them lives,
            the file must not be shortened, and Windows does not let it be replaced.

    Attributes:
        metadata: key -> number, bool, str, NumPy array of numbers or booleans, or list of texts.
        tensors: name -> type, shape and place of each tensor.

    Raises:
        FileNotFoundError: there is no such file.
        PretrainedError: it is cut off, damaged, or another kind of file.

    Example:
        >>> import struct, tempfile
        >>> from pathlib import Path
        >>> def text(s):
        ...     return struct.pack("<Q", len(s)) + s.encode()
        >>> header = b"GGUF" + struct.pack("<IQQ", 3, 1, 1)  # one tensor, one entry
        >>> header += text("general.name") + struct.pack("<I", 8) + text("tiny")
        >>> header += text("w") + struct.pack("<IQQIQ", 2, 3, 2, 1, 0)  # (2, 3) in F16, at 0
        >>> header += bytes(-len(header) % 32)
        >>> numbers = np.arange(6, dtype="<f2")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder, "tiny.gguf")
        ...     _ = path.write_bytes(header + numbers.tobytes())
        ...     file = GGUFFile(path)
        ...     w = file.read("w")
        >>> file.metadata, file.tensors["w"].shape
        ({'general.name': 'tiny'}, (2, 3))
        >>> w
        array([[0., 1., 2.],
               [3., 4., 5.]], dtype=float32)
    """

    def __init__(self, path: str | os.PathLike[str], memory_map: bool = True) -> None:
        super().__init__(path, memory_map)
        with self._file.open() as file:
            header = HeaderReader(self._file, file)
            _check_kind(header, self._file.size)
            n_tensors = header.count(24, MAX_TENSORS, "tensors")  # with no name and no dimensions
            n_entries = header.count(13, MAX_ENTRIES, "entries of metadata")
            self.metadata = _metadata(header, n_entries)
            alignment = self._alignment()
            self.tensors = _tensors(header, n_tensors, alignment)
            header.finish()
        self._check_places()

    def blocks(self, name: str) -> Array:
        """The tensor ``name`` as the file holds it, to inspect: each row an array of blocks.

        Shapes:
            Returns (…, k / size) blocks for a tensor of (…, k) numbers, with the fields of its
            layout in ``quantization``, such as ``blocks["d"]``; F64, F32 and F16 are plain numbers.

        Raises:
            PretrainedError: as for ``read``.
        """
        tensor, block_format = self._stored(name)
        *rows, columns = tensor.shape or (1,)
        shape = (*rows, columns // block_format.size) if tensor.shape else ()
        if self._memory_map:
            blocks = self._file.map(block_format.layout, math.prod(shape), tensor.start)
        else:
            blocks = np.empty(math.prod(shape), block_format.layout)
            with self._file.open() as file:
                file.seek(tensor.start)
                self._file.read_into(file, blocks)
        return blocks.reshape(shape)

    def _alignment(self) -> int:
        alignment = self.metadata.get(ALIGNMENT, 32)
        if type(alignment) is not int or alignment < 1 or alignment & (alignment - 1):
            raise PretrainedError(
                self.path, f"its {ALIGNMENT} is {alignment!r:.40}: expected a power of two"
            )
        return alignment

    def _check_places(self) -> None:
        """Every tensor ends within the file, and before the next one begins."""
        end, before = 0, ""
        for name, tensor in sorted(self.tensors.items(), key=lambda item: item[1].start):
            if tensor.stop > self._file.size:
                raise PretrainedError(
                    self.path,
                    f"tensor {name!r:.80} ends at byte {tensor.stop:,}, and the file has "
                    f"{self._file.size:,}: it is cut off or damaged",
                )
            if tensor.start < end:
                raise PretrainedError(
                    self.path,
                    f"tensor {name!r:.80} begins at byte {tensor.start:,}, before the end of "
                    f"{before!r:.80} at {end:,}",
                )
            end, before = tensor.stop, name


def _check_kind(header: HeaderReader, size: int) -> None:
    """The file is GGUF, of a version and byte order that can be read."""
    if size < 24:
        raise header.refusal(f"it has {size:,} bytes: it is cut off, or not a GGUF file")
    magic = header.take(len(MAGIC), "the first word")
    if magic != MAGIC:
        raise header.refusal(f"it is not a GGUF file: it begins with {magic!r}, not {MAGIC!r}")
    version = header.take(4, "the version")
    if int.from_bytes(version, "big") in VERSIONS:
        raise header.refusal(
            "its numbers are big-endian: only little-endian GGUF is read; gguf-convert-endian of "
            "the package gguf converts it"
        )
    if int.from_bytes(version, "little") not in VERSIONS:
        raise header.refusal(
            f"it is GGUF of version {int.from_bytes(version, 'little'):,}: expected 2 or 3"
        )


def _metadata(header: HeaderReader, n: int) -> dict[str, Any]:
    metadata: dict[str, Any] = {}
    for i in range(n):
        key = header.text(f"key {i} of the metadata", MAX_NAME)
        if key in metadata:
            raise header.refusal(f"the key {key!r:.80} is there twice")
        metadata[key] = header.value(f"the value of {key!r:.80}")
    return metadata


def _tensors(header: HeaderReader, n: int, alignment: int) -> dict[str, TensorInfo]:
    tensors: dict[str, TensorInfo] = {}
    for i in range(n):
        name = header.text(f"the name of tensor {i}", MAX_NAME)
        if name in tensors:
            raise header.refusal(f"tensor {name!r:.80} is there twice")
        tensors[name] = _tensor(header, f"tensor {name!r:.80}", alignment)
    data = header.position + -header.position % alignment  # where the padding ends
    return {
        name: replace(tensor, start=data + tensor.start, stop=data + tensor.stop)
        for name, tensor in tensors.items()
    }


def _tensor(header: HeaderReader, tensor: str, alignment: int) -> TensorInfo:
    """What comes after a tensor's name; its place is counted from where the data begin."""
    n_dimensions = header.integer(4, f"the number of dimensions of {tensor}")
    if n_dimensions > MAX_DIMENSIONS:
        raise header.refusal(
            f"{tensor} has {n_dimensions:,} dimensions, {MAX_DIMENSIONS} are the most"
        )
    dimensions = [header.integer(8, f"the shape of {tensor}") for _ in range(n_dimensions)]
    shape = tuple(reversed(dimensions))
    code = header.integer(4, f"the type of {tensor}")
    start = header.integer(8, f"the place of {tensor}")
    if code not in TYPES:
        raise header.refusal(f"{tensor} has the unknown type {code}")
    name, size, block_bytes = TYPES[code]
    if 0 in shape:
        raise header.refusal(f"{tensor} has the shape {shape}, which holds no numbers")
    columns = shape[-1] if shape else 1
    if columns % size:
        raise header.refusal(
            f"{tensor} has the shape {shape}: {columns:,} columns are not a multiple of {size}, "
            f"the block size of {name}"
        )
    if start % alignment:
        raise header.refusal(f"{tensor} begins at {start:,}, not at a multiple of {alignment}")
    return TensorInfo(name, shape, start, start + math.prod(shape) // size * block_bytes)
