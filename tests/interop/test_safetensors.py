"""The safetensors format: what is written is read again, and no file can do harm."""

from __future__ import annotations

import json
import os
import re
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from minigpt.interop import PretrainedError, SafetensorsFile, write_safetensors
from minigpt.interop.safetensors import MAX_BYTES
from tests.interop.files import header_of, raw_file

ARRAYS = {
    "matrix": np.arange(6, dtype=np.float32).reshape(2, 3),
    "vector": np.array([1.5, -2.5]),
    "scalar": np.array(3, np.float32),
    "empty": np.zeros((0, 4), np.float32),
}
both_ways = pytest.mark.parametrize("memory_map", [True, False], ids=["mapped", "copied"])


@pytest.fixture
def path(tmp_path) -> Path:
    write_safetensors(tmp_path / "x.safetensors", ARRAYS, {"format": "pt"})
    return tmp_path / "x.safetensors"


# ── what is written is read again ─────────────────────────────────────────────────────────────────


@both_ways
def test_arrays_come_back(path, memory_map):
    file = SafetensorsFile(path, memory_map)
    assert file.metadata == {"format": "pt"}
    assert list(file.tensors) == list(ARRAYS)
    for name, array in ARRAYS.items():
        read = file.read(name)
        np.testing.assert_array_equal(read, array, strict=True)
        assert read.flags.aligned and read.flags.c_contiguous and read.flags.writeable


@given(
    st.dictionaries(
        st.text(max_size=10).filter(lambda name: name != "__metadata__"),
        npst.arrays(st.sampled_from([np.float32, np.float64]), npst.array_shapes(min_dims=0)),
        max_size=4,
    )
)
def test_any_arrays_under_any_names(tmp_path_factory, arrays):
    path = tmp_path_factory.mktemp("any") / "x"
    write_safetensors(path, arrays)
    file = SafetensorsFile(path, memory_map=False)
    assert list(file.tensors) == list(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(file.read(name), array, strict=True)


def test_an_array_in_any_order_of_memory(tmp_path):
    array = np.arange(24, dtype=np.float32).reshape(4, 6)
    views = {
        "transposed": array.T,
        "every other": array[::2, ::-1],
        "Fortran": np.asfortranarray(array),
    }
    write_safetensors(tmp_path / "x", views)
    for name, view in views.items():
        np.testing.assert_array_equal(SafetensorsFile(tmp_path / "x").read(name), view)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (None, "arrays must be a dict of arrays by name: got None"),
        ([np.ones(1)], "arrays must be a dict of arrays by name: got"),
        ({"x": [1.0]}, r"arrays\['x'\] must be an array of float32 or float64: got \[1.0\]"),
        ({3: np.ones(1)}, "the name of an array must be a str: got 3"),
    ],
)
def test_what_is_not_a_dict_of_arrays_is_not_written(tmp_path, arrays, message):
    with pytest.raises(TypeError, match=message):
        write_safetensors(tmp_path / "x", arrays)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("dtype", [np.float16, np.int64, np.dtype(">f4"), object])
def test_other_types_are_not_written(tmp_path, dtype):
    with pytest.raises(
        TypeError, match=r"arrays\['x'\] must be an array of float32 or float64: got an? "
    ):
        write_safetensors(tmp_path / "x", {"x": np.zeros(2, dtype)})
    assert list(tmp_path.iterdir()) == []


@both_ways
def test_half_precision_becomes_float32_bit_for_bit(tmp_path, memory_map):
    every = np.arange(1 << 16, dtype=np.uint16)
    half = every.view(np.float16)
    brain = (every.astype(np.uint32) << 16).view(np.float32)
    stored = {"half": ("F16", [1 << 16], half), "brain": ("BF16", [1 << 16], every)}
    file = SafetensorsFile(raw_file(tmp_path / "x", stored), memory_map)
    np.testing.assert_array_equal(file.read("half"), half.astype(np.float32), strict=True)
    np.testing.assert_array_equal(
        file.read("brain").view(np.uint32), brain.view(np.uint32), strict=True
    )


@pytest.mark.parametrize("shift", range(8))
@both_ways
def test_arrays_that_begin_anywhere(tmp_path, shift, memory_map):
    stored = {"a": ("F32", [3], np.arange(3, dtype="<f4")), "b": ("F64", [2], np.ones(2))}
    path = raw_file(tmp_path / "x", stored, padding=b" " * shift)
    file = SafetensorsFile(path, memory_map)
    for name, (_, _, array) in stored.items():
        np.testing.assert_array_equal(file.read(name), array, strict=True)
        assert file.read(name).flags.aligned and file.read(name).flags.writeable


def test_writing_to_a_mapped_array_leaves_the_file_alone(path):
    before = path.read_bytes()
    array = SafetensorsFile(path).read("matrix")
    array += 100
    assert array[0, 0] == 100
    assert path.read_bytes() == before
    assert SafetensorsFile(path).read("matrix")[0, 0] == 0


def test_mapped_arrays_take_no_memory_of_their_own(tmp_path):
    write_safetensors(tmp_path / "x", {"x": np.zeros(1 << 20, np.float32)})
    tracemalloc.start()
    try:
        array = SafetensorsFile(tmp_path / "x").read("x")
        assert tracemalloc.get_traced_memory()[0] < 100_000 < array.nbytes
    finally:
        tracemalloc.stop()


@pytest.mark.skipif(os.name == "nt", reason="a mapped file is not replaced on Windows")
def test_arrays_outlive_a_file_that_is_replaced(path):
    array = SafetensorsFile(path).read("matrix")
    write_safetensors(path, {"matrix": np.full((2, 3), 7, np.float32)})
    np.testing.assert_array_equal(array, ARRAYS["matrix"])


def test_the_first_array_is_aligned_to_a_line_of_the_cache(path):
    file = SafetensorsFile(path)
    assert file.tensors["matrix"].start % 64 == 0


# ── files that are not what they claim ────────────────────────────────────────────────────────────


def complaint(content: bytes, folder: Path) -> str:
    """The one-line error of a file, which names it; no memory is taken for what it claims."""
    path = folder / "bad.safetensors"
    path.write_bytes(content)
    tracemalloc.start()
    try:
        with pytest.raises(PretrainedError) as caught:
            file = SafetensorsFile(path)
            for name in file.tensors:
                file.read(name)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 1_000_000 + 50 * len(content)
    error = caught.value
    assert isinstance(error, OSError) and isinstance(error, ValueError)
    message = str(error)
    assert message.startswith(f"{path}: ") and "\n" not in message and len(message) < 500
    assert error.path == path
    return message


def test_cut_off_anywhere(path, tmp_path):
    content = path.read_bytes()
    for length in sorted({0, 1, 7, 8, 9, *range(0, len(content), max(1, len(content) // 100))}):
        assert "cut off" in complaint(content[:length], tmp_path), length
    assert "cut off or damaged" in complaint(content + b"\0", tmp_path)


@pytest.mark.parametrize(
    ("length", "message"),
    [
        (0, "its header: it is not JSON"),
        (1, "its header: it is not JSON"),
        (2**63, "announces a header of 9,223"),
        (2**64 - 1, "cut off"),
        (10 << 30, "cut off"),
    ],
)
def test_header_lengths(path, tmp_path, length, message):
    content = length.to_bytes(8, "little") + path.read_bytes()[8:]
    assert message in complaint(content, tmp_path)


def test_a_header_too_long(tmp_path):
    length = MAX_BYTES + 1
    path = tmp_path / "long"
    with open(path, "wb") as file:
        file.write(length.to_bytes(8, "little"))
        file.truncate(8 + length)
    with pytest.raises(PretrainedError, match="its header has 8,388,609 bytes, 8,388,608 are the"):
        SafetensorsFile(path)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (b"", "not JSON"),
        (b"[]", "not a JSON object but a list"),
        (b"null", "not a JSON object but a NoneType"),
        (b'{"a"', "not JSON"),
        (b"\xff\xfe", "not JSON in UTF-8"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"a":' * 100_000, "nested too deeply"),
        (b'{"a": NaN}', "NaN is not a number of JSON"),
        (b'{"a": -Infinity}', "-Infinity is not a number"),
        (b'{"a": 1, "a": 1}', "the name 'a' stands twice in one object"),
        (b'{"a": {"dtype": "F32", "dtype": "F64"}}', "the name 'dtype' stands twice"),
        (b'{"a": {"dtype":"F32","shape":[' + b"9" * 5000 + b'],"data_offsets":[0,4]}}', "a.*"),
        (b'{"__metadata__": []}', "__metadata__ are not strings"),
        (b'{"__metadata__": {"a": 1}}', "__metadata__ are not strings"),
    ],
)
def test_headers_that_are_no_headers(tmp_path, header, message):
    content = len(header).to_bytes(8, "little") + header
    assert re.search(message, complaint(content, tmp_path))


HUGE = 10 * 2**30
ENTRY: dict[str, Any] = {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dtype": "F64"}, "takes 48 bytes, and has 24"),
        ({"dtype": "F16"}, "takes 12 bytes, and has 24"),
        ({"dtype": "f32"}, "unknown dtype 'f32'"),
        ({"dtype": "O"}, "unknown dtype"),
        ({"dtype": 32}, "unknown dtype 32"),
        ({"dtype": None}, "unknown dtype None"),
        ({"dtype": ["F32"]}, "unknown dtype"),
        ({"dtype": "I32"}, "is stored as I32: expected F16, BF16, F32, F64"),
        ({"shape": [3, 3]}, "takes 36 bytes, and has 24"),
        ({"shape": [-2, -3]}, "has the shape [-2, -3]"),
        ({"shape": [2.0, 3]}, "has the shape [2.0, 3]"),
        ({"shape": [True, 6]}, "has the shape"),
        ({"shape": 6}, "has the shape 6"),
        ({"shape": "23"}, "has the shape '23'"),
        ({"shape": None}, "has the shape None"),
        ({"shape": {}}, "has the shape {}"),
        ({"shape": [2**32, 2**32, 6]}, "takes 442,721"),  # 24 bytes, if it wrapped around
        ({"shape": [2**62, 4, 6]}, "takes 442,721"),
        ({"shape": [2**63]}, "has the shape [9223"),
        ({"shape": [1] * 40}, "has the shape [1, 1"),
        ({"shape": [2**62] * 30_000}, "has the shape [4611"),
        ({"shape": [HUGE // 4]}, "takes 10,737,418,240 bytes, and has 24"),
        ({"shape": [HUGE // 4], "data_offsets": [0, HUGE]}, "tells of 10,737,418,"),
        ({"data_offsets": [0, HUGE]}, "takes 24 bytes, and has 10,737,418,240"),
        ({"data_offsets": [4, 28]}, "begins at byte"),
        ({"data_offsets": [24, 0]}, "expected a start and a stop"),
        ({"data_offsets": [-24, 0]}, "has the data_offsets [-24, 0]"),
        ({"data_offsets": [0, 24, 48]}, "has the data_offsets"),
        ({"data_offsets": [0]}, "has the data_offsets [0]"),
        ({"data_offsets": [0.0, 24.0]}, "has the data_offsets"),
        ({"data_offsets": None}, "has the data_offsets None"),
        ({"data_offsets": [2**63, 2**63 + 24]}, "has the data_offsets"),
        ({"more": 1}, "is not described by a dtype, a shape and data_offsets"),
    ],
)
def test_each_field_wrong(tmp_path, changes, message):
    header = json.dumps({"a": ENTRY | changes}).encode()
    assert message in complaint(len(header).to_bytes(8, "little") + header + bytes(24), tmp_path)


@pytest.mark.parametrize("missing", ENTRY)
def test_each_field_missing(tmp_path, missing):
    header = json.dumps({"a": {key: ENTRY[key] for key in ENTRY if key != missing}}).encode()
    content = len(header).to_bytes(8, "little") + header + bytes(24)
    assert "is not described by" in complaint(content, tmp_path)


@pytest.mark.parametrize(
    ("places", "message"),
    [
        ([(0, 24), (0, 24)], "'b' begins at byte .* where the one before it ends"),
        ([(0, 24), (12, 36)], "'b' begins"),
        ([(0, 24), (28, 52)], "'b' begins"),
        ([(0, 24), (24, 48)], "it has"),  # four bytes are left over
        ([(28, 52), (0, 24)], "'a' begins"),
    ],
)
def test_places_that_overlap_or_leave_gaps(tmp_path, places, message):
    entries = zip("ab", places, strict=True)
    header = json.dumps({name: ENTRY | {"data_offsets": list(at)} for name, at in entries}).encode()
    content = len(header).to_bytes(8, "little") + header + bytes(52)
    assert re.search(message, complaint(content, tmp_path))


@given(st.data())
def test_a_byte_of_the_header_changed_is_an_error_or_another_sound_file(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("changed")
    path = raw_file(folder / "x", {"a": ("F32", [2, 3], np.zeros(6, "<f4"))})
    content = bytearray(path.read_bytes())
    content[data.draw(st.integers(0, len(content) - 25))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    try:
        file = SafetensorsFile(path, memory_map=False)
        arrays = {name: file.read(name) for name in file.tensors}
    except PretrainedError as error:
        assert str(error).startswith(str(path))
    else:
        header = header_of(content)
        assert {name: list(array.shape) for name, array in arrays.items()} == {
            name: entry["shape"] for name, entry in header.items() if name != "__metadata__"
        }


@pytest.mark.parametrize("happens", ["shortened", "replaced"])
def test_a_file_that_is_changed_while_it_is_read(path, happens):
    file = SafetensorsFile(path, memory_map=False)
    if happens == "shortened":
        os.truncate(path, file.tensors["vector"].start)
    else:
        write_safetensors(path, ARRAYS, {"format": "pt"})
    with pytest.raises(PretrainedError, match="it was changed while it was read: try again"):
        file.read("vector")


def test_what_is_no_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        SafetensorsFile(tmp_path / "nothing")
    with pytest.raises(PretrainedError, match="it is not a file"):
        SafetensorsFile(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(PretrainedError, match="it is not a file"):
        SafetensorsFile(tmp_path / "pipe")
