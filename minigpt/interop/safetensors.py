"""The safetensors format: named arrays in one file that runs nothing when it is read.

    8 bytes      n, a little-endian integer
    n bytes      the header, JSON: {"name": {"dtype": "F32", "shape": [2, 3],
                 "data_offsets": [0, 24]}, …}, beside an optional "__metadata__" of strings
    the rest     the arrays' numbers, little-endian, in C order, one after the other

What a header claims is held against the file's real size before any array is made.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from minigpt import checks
from minigpt.atomic import replacing
from minigpt.autograd import Array
from minigpt.interop.array_file import TensorFile, TensorInfo
from minigpt.interop.errors import PretrainedError, refusing
from minigpt.json_files import parse_object

ITEM_BYTES = {
    "BOOL": 1, "U8": 1, "I8": 1, "F8_E5M2": 1, "F8_E4M3": 1, "I16": 2, "U16": 2, "F16": 2,
    "BF16": 2, "I32": 4, "U32": 4, "F32": 4, "I64": 8, "U64": 8, "F64": 8,
}  # fmt: skip
METADATA = "__metadata__"
MAX_BYTES = 8 << 20  # of a header: enough for some 60,000 tensors
_ALIGNMENT = 64  # of the first array in files written here: a line of the cache
_MAX_DIMENSIONS = 32  # as many as every NumPy has


class SafetensorsFile(TensorFile):
    """The arrays of a file, each read when it is asked for.

    Args:
        path: the file.
        memory_map: let arrays of float32 and float64 lie in the file itself, where their place in
            it allows: their memory is taken page by page as it is used, and shared with other
            processes that read the file. Writing to such an array changes a private copy, never
            the file. As long as they live, the file must not be shortened, and Windows does not
            let it be replaced.

    Attributes:
        tensors: name -> type, shape and place of each array.
        metadata: strings by name, often empty.

    Raises:
        FileNotFoundError: there is no such file.
        PretrainedError: it is cut off, damaged, or another kind of file.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder, "model.safetensors")
        ...     write_safetensors(path, {"w": np.eye(2, dtype=np.float32), "b": np.ones(3)})
        ...     file = SafetensorsFile(path, memory_map=False)
        ...     print({name: tensor.shape for name, tensor in file.tensors.items()})
        ...     file.read("w")
        {'w': (2, 2), 'b': (3,)}
        array([[1., 0.],
               [0., 1.]], dtype=float32)
    """

    READABLE: ClassVar = ("F16", "BF16", "F32", "F64")

    def __init__(self, path: Path, memory_map: bool = True) -> None:
        super().__init__(path, memory_map)
        size = self._file.size
        with self._file.open() as file:
            header_bytes = int.from_bytes(file.read(8), "little")
            self._check_header_size(header_bytes, size)
            with refusing(path, "its header: "):
                header = parse_object(file.read(header_bytes))
        self.metadata = self._metadata(header.pop(METADATA, {}))
        data_start = 8 + header_bytes
        self.tensors = {
            name: self._tensor(name, fields, data_start) for name, fields in header.items()
        }
        self._check_places(data_start, size)
        if memory_map:  # at once: a file that is replaced later does not matter then
            self._file.mapped()

    def _check_header_size(self, header_bytes: int, size: int) -> None:
        if size < 8 or header_bytes > size - 8:
            claim = f" and announces a header of {header_bytes:,}" if size >= 8 else ""
            raise PretrainedError(
                self.path,
                f"it has {size:,} bytes{claim}: it is cut off, or not a safetensors file",
            )
        if header_bytes > MAX_BYTES:
            raise PretrainedError(
                self.path, f"its header has {header_bytes:,} bytes, {MAX_BYTES:,} are the most"
            )

    def _metadata(self, metadata: Any) -> dict[str, str]:
        if not isinstance(metadata, dict) or not all(isinstance(s, str) for s in metadata.values()):
            raise PretrainedError(self.path, f"its {METADATA} are not strings by name")
        return metadata

    def _tensor(self, name: str, fields: Any, data_start: int) -> TensorInfo:
        """One line of the header, each field of its type, and the shape as large as the place."""

        def refuse(reason: str) -> PretrainedError:
            return PretrainedError(self.path, f"tensor {name!r:.80} {reason}")

        if not isinstance(fields, dict) or fields.keys() != {"dtype", "shape", "data_offsets"}:
            raise refuse("is not described by a dtype, a shape and data_offsets")
        dtype, shape, offsets = fields["dtype"], fields["shape"], fields["data_offsets"]
        if not isinstance(dtype, str) or dtype not in ITEM_BYTES:
            raise refuse(f"has an unknown dtype {dtype!r:.40}")
        if not _are_sizes(shape) or len(shape) > _MAX_DIMENSIONS:
            raise refuse(f"has the shape {shape!r:.80}")
        if not _are_sizes(offsets) or len(offsets) != 2 or offsets[0] > offsets[1]:
            raise refuse(f"has the data_offsets {offsets!r:.80}: expected a start and a stop")
        n_bytes = math.prod(shape) * ITEM_BYTES[dtype]
        if n_bytes != offsets[1] - offsets[0]:
            raise refuse(
                f"is {dtype}{shape!r:.80}, which takes {n_bytes:,} bytes, and has "
                f"{offsets[1] - offsets[0]:,}"
            )
        return TensorInfo(dtype, tuple(shape), data_start + offsets[0], data_start + offsets[1])

    def _check_places(self, data_start: int, size: int) -> None:
        """The arrays lie one after the other, from the header's end to the file's."""
        end = data_start
        for name, tensor in sorted(
            self.tensors.items(), key=lambda item: (item[1].start, item[1].stop)
        ):
            if tensor.start != end:
                raise PretrainedError(
                    self.path,
                    f"tensor {name!r:.80} begins at byte {tensor.start:,}, where the one before it "
                    f"ends at {end:,}",
                )
            end = tensor.stop
        if end != size:
            raise PretrainedError(
                self.path,
                f"its header tells of {end:,} bytes, it has {size:,}: it is cut off or damaged",
            )


def write_safetensors(
    path: Path, arrays: Mapping[str, Array], metadata: Mapping[str, str] | None = None
) -> None:
    """Write arrays of float32 and float64 to one file, in place of what was there.

    Args:
        path: the file.
        arrays: the arrays by name.
        metadata: texts by name, for readers.

    Raises:
        TypeError: an array of another type.
        OSError: the file could not be written; what was there is kept.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder, "model.safetensors")
        ...     write_safetensors(path, {"w": np.zeros((2, 3), np.float32)}, {"format": "pt"})
        ...     path.stat().st_size, SafetensorsFile(path).metadata  # 24 of the bytes are numbers
        (152, {'format': 'pt'})
    """
    path = checks.path("path", path)
    _check_arrays(arrays)
    _check_metadata(metadata)
    header: dict[str, Any] = {METADATA: dict(metadata)} if metadata else {}
    end = 0
    for name, array in arrays.items():
        start, end = end, end + array.nbytes
        header[name] = {
            "dtype": f"F{8 * array.itemsize}",
            "shape": list(array.shape),
            "data_offsets": [start, end],
        }
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-(8 + len(text)) % _ALIGNMENT)
    with replacing(path) as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for array in arrays.values():
            file.write(np.ascontiguousarray(array, array.dtype.newbyteorder("<")).data)


def _check_arrays(arrays: Any) -> None:
    if not isinstance(arrays, Mapping):
        raise checks.wrong_type("arrays", "a dict of arrays by name", arrays)
    for name, array in arrays.items():
        checks.text("the name of an array", name)
        if getattr(array, "dtype", None) not in (np.float32, np.float64):
            expected = "an array of float32 or float64"
            raise checks.wrong_type(f"arrays[{name!r}]", expected, array)


def _check_metadata(metadata: Any) -> None:
    if metadata is None:
        return
    if not isinstance(metadata, Mapping):
        raise checks.wrong_type("metadata", "a dict of strings by name, or None", metadata)
    for name, text in metadata.items():
        checks.text("a name in metadata", name)
        checks.text(f"metadata[{name!r}]", text)


def _are_sizes(values: Any) -> bool:
    """Whether it is a list of integers that could be sizes."""
    return isinstance(values, list) and all(
        isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63
        for value in values
    )
