"""GGUF files: what they hold is read, and no file can do harm."""

from __future__ import annotations

import math
import os
import struct
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigpt.chunks import CHUNK
from minigpt.interop import GGUFFile, PretrainedError, dequantize
from minigpt.interop.gguf import MAX_ENTRIES, MAX_TENSORS, TYPES
from minigpt.interop.gguf_values import MAX_ARRAYS, MAX_BYTES, MAX_DEPTH, MAX_NAME, MAX_TEXTS
from minigpt.interop.quantization import FORMATS
from tests.interop.gguf_files import (
    EVERY_VALUE,
    Tensor,
    every_type,
    gguf,
    line,
    random_blocks,
    text,
    value,
    write,
)

both_ways = pytest.mark.parametrize("memory_map", [True, False], ids=["mapped", "copied"])
NUMBERS = Tensor("F32", (2, 3), np.arange(6, dtype="<f4").tobytes())


@pytest.fixture
def path(tmp_path, rng) -> Path:
    return write(tmp_path / "x.gguf", gguf(every_type(rng), EVERY_VALUE))


# ── what is written is read ───────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("version", [2, 3])
def test_every_type_of_value(tmp_path, version):
    metadata = GGUFFile(write(tmp_path / "x", gguf({}, EVERY_VALUE, version))).metadata
    assert list(metadata) == list(EVERY_VALUE)
    arrays = {
        "some.numbers": np.array([1, -2, 3], np.int32),
        "some.floats": np.array([0.5, -0.25], np.float32),
        "no.numbers": np.array([], np.uint64),
        "some.booleans": np.array([True, False]),
    }
    for key, expected in arrays.items():
        np.testing.assert_array_equal(metadata.pop(key), expected, strict=True)
    nested = [array.tolist() for array in metadata.pop("nested")]
    assert nested == [[1, 2], [], [3]]
    expected = {
        "a.uint8": 255, "a.int8": -128, "a.uint16": 65535, "a.int16": -32768,
        "a.uint32": 2**32 - 1, "a.int32": -(2**31), "a.uint64": 2**64 - 1, "a.int64": -(2**63),
        "a.float32": float(np.float32(0.1)), "a.float64": 0.1, "a.true": True, "a.false": False,
        "a.string": "naïve 猫\n", "an.empty.string": "", "some.strings": ["", "a", "猫"],
        "no.strings": [], "nested.deeper": [[["a"], ["b", "c"]], []],
    }  # fmt: skip
    assert metadata == expected
    assert {key: type(v) for key, v in metadata.items()} == {
        key: type(v) for key, v in expected.items()
    }


@pytest.mark.parametrize("version", [2, 3])
@both_ways
def test_every_type_of_tensor(tmp_path, rng, version, memory_map):
    stored = every_type(rng)
    file = GGUFFile(write(tmp_path / "x", gguf(stored, version=version)), memory_map)
    assert list(file.tensors) == list(stored)
    for name, tensor in stored.items():
        block_format = FORMATS[tensor.type]
        assert (file.tensors[name].type, file.tensors[name].shape) == (tensor.type, tensor.shape)
        blocks = file.blocks(name)
        assert blocks.tobytes() == tensor.content
        assert blocks.dtype == block_format.layout and blocks.flags.writeable
        read = file.read(name)
        assert read.shape == tensor.shape and read.dtype == block_format.dtype
        assert read.flags.aligned and read.flags.c_contiguous and read.flags.writeable
        if tensor.shape:
            np.testing.assert_array_equal(read, dequantize(blocks, tensor.type))
    assert file.read("number") == 1.5


@pytest.mark.parametrize("shape", [(512,), (1, 256), (3, 512), (2, 3, 256), (2, 1, 3, 256)])
@pytest.mark.parametrize("name", FORMATS)
def test_shapes_are_in_the_order_of_numpy(tmp_path, rng, name, shape):
    blocks = random_blocks(name, shape, rng)
    file = GGUFFile(write(tmp_path / "x", gguf({"w": Tensor(name, shape, blocks.tobytes())})))
    assert file.tensors["w"].shape == shape
    np.testing.assert_array_equal(file.read("w"), dequantize(blocks, name), strict=True)


@both_ways
@pytest.mark.parametrize("name", FORMATS)
def test_longer_than_a_piece(tmp_path, rng, name, memory_map):
    blocks = random_blocks(name, (3, CHUNK + 256), rng)
    tensors = {"before": NUMBERS, "w": Tensor(name, (3, CHUNK + 256), blocks.tobytes())}
    file = GGUFFile(write(tmp_path / "x", gguf(tensors)), memory_map)
    np.testing.assert_array_equal(file.read("w"), dequantize(blocks, name), strict=True)


@pytest.mark.parametrize("alignment", [1, 2, 8, 32, 64, 4096])
@both_ways
def test_alignments(tmp_path, rng, alignment, memory_map):
    metadata = {"general.alignment": value("uint32", alignment), "odd": value("string", "x")}
    stored = {"a": Tensor("Q8_0", (96,), random_blocks("Q8_0", (96,), rng).tobytes()), "b": NUMBERS}
    content = gguf(stored, metadata, alignment=alignment)
    file = GGUFFile(write(tmp_path / "x", content), memory_map)
    assert [tensor.start % alignment for tensor in file.tensors.values()] == [0, 0]
    for _ in range(2):
        np.testing.assert_array_equal(file.read("b"), np.arange(6).reshape(2, 3))
        assert file.read("b").flags.aligned
        assert file.blocks("a").tobytes() == stored["a"].content


def test_tensors_may_lie_in_any_order_and_with_gaps(tmp_path):
    stored = {
        "second": Tensor("F32", (2, 3), bytes(128), offset=64),
        "first": Tensor("F32", (2,), np.float32([1, 2]).tobytes(), offset=0),
    }
    file = GGUFFile(write(tmp_path / "x", gguf(stored)))
    assert file.tensors["first"].start + 64 == file.tensors["second"].start
    np.testing.assert_array_equal(file.read("second"), np.zeros((2, 3), np.float32))


def test_a_file_of_metadata_only(tmp_path):
    content = gguf({}, {"general.name": value("string", "vocabulary")}).rstrip(b"\0")
    file = GGUFFile(str(write(tmp_path / "x", content)))
    assert file.metadata == {"general.name": "vocabulary"} and file.tensors == {}
    assert GGUFFile(write(tmp_path / "y", gguf())).metadata == {}


def test_the_last_tensor_needs_no_padding(tmp_path):
    content = gguf({"w": NUMBERS})
    assert content.endswith(bytes(8))
    file = GGUFFile(write(tmp_path / "x", content[:-8]))
    np.testing.assert_array_equal(file.read("w"), np.arange(6).reshape(2, 3))


@given(
    st.dictionaries(
        st.text(max_size=10),
        st.one_of(
            st.text().map(lambda s: (value("string", s), s)),
            st.lists(st.text(), max_size=5).map(lambda s: (value("[string]", s), s)),
            st.integers(-(2**63), 2**63 - 1).map(lambda i: (value("int64", i), i)),
            st.booleans().map(lambda b: (value("bool", b), b)),
            st.floats(allow_nan=False).map(lambda x: (value("float64", x), x)),
        ),
        max_size=8,
    )
)
def test_any_values_under_any_keys(tmp_path_factory, entries):
    path = tmp_path_factory.mktemp("any") / "x"
    write(path, gguf({}, {key: stored for key, (stored, _) in entries.items()}))
    assert GGUFFile(path).metadata == {key: expected for key, (_, expected) in entries.items()}


def test_writing_to_a_mapped_array_leaves_the_file_alone(tmp_path):
    path = write(tmp_path / "x", gguf({"w": NUMBERS}))
    before = path.read_bytes()
    array = GGUFFile(path).read("w")
    array += 100
    GGUFFile(path).blocks("w")[...] = 7
    assert path.read_bytes() == before
    assert GGUFFile(path).read("w")[0, 1] == 1


def test_mapped_arrays_take_no_memory_of_their_own(tmp_path):
    stored = {"w": Tensor("F32", (1 << 20,), bytes(4 << 20))}
    path = write(tmp_path / "x", gguf(stored))
    tracemalloc.start()
    try:
        array = GGUFFile(path).read("w")
        assert tracemalloc.get_traced_memory()[0] < 100_000 < array.nbytes
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", FORMATS)
def test_reading_takes_the_numbers_and_a_piece(tmp_path, rng, name):
    shape = (32, CHUNK)
    stored = {"w": Tensor(name, shape, random_blocks(name, shape, rng).tobytes())}
    file = GGUFFile(write(tmp_path / "x", gguf(stored)), memory_map=False)
    tracemalloc.start()
    try:
        array = file.read("w")
        assert tracemalloc.get_traced_memory()[1] < array.nbytes + 1_000_000
    finally:
        tracemalloc.stop()


# ── files that are not what they claim ────────────────────────────────────────────────────────────


def complaint(content: bytes, folder: Path) -> str:
    """The one-line error of a file, which names it; no memory is taken for what it claims."""
    path = write(folder / "bad.gguf", content)
    tracemalloc.start()
    try:
        with pytest.raises(PretrainedError) as caught:
            file = GGUFFile(path)
            for name in file.tensors:
                file.read(name)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 1_000_000 + 10 * len(content)
    error = caught.value
    message = str(error)
    assert message.startswith(f"{path}: ") and "\n" not in message and len(message) < 600
    assert error.path == path
    return message


def test_cut_off_anywhere(tmp_path, rng):
    content = gguf(every_type(rng), EVERY_VALUE)[: -(32 - 4)]  # to the end of the last number
    lengths = {0, 1, 3, 4, 7, 8, 23, 24, *range(25, len(content), max(1, len(content) // 150))}
    for length in sorted(lengths | {len(content) - 1}):
        assert "cut off" in complaint(content[:length], tmp_path), length


@pytest.mark.parametrize(
    ("start", "message"),
    [
        (b"", "it has 0 bytes: it is cut off, or not a GGUF file"),
        (b"GGUF", "it has 4 bytes: it is cut off, or not a GGUF file"),
        (b"\x80\0\0\0\0\0\0\0" + b'{"a": 1}' * 4, r"it is not a GGUF file: it begins with b'\x80"),
        (b"FUGG" + bytes(40), "it is not a GGUF file: it begins with b'FUGG', not b'GGUF'"),
        (b"tjgg" + bytes(40), "it begins with b'tjgg'"),
        (struct.pack("<4sI16x", b"GGUF", 1), "it is GGUF of version 1: expected 2 or 3"),
        (struct.pack("<4sI16x", b"GGUF", 4), "it is GGUF of version 4: expected 2 or 3"),
        (struct.pack("<4sI16x", b"GGUF", 0), "it is GGUF of version 0: expected 2 or 3"),
        (struct.pack(">4sI16x", b"GGUF", 3), "its numbers are big-endian: only little-endian"),
        (struct.pack(">4sI16x", b"GGUF", 2), "its numbers are big-endian: only little-endian"),
        (struct.pack("<4sIQQ", b"GGUF", 3, 2**64 - 1, 0), f"tensors, {MAX_TENSORS:,} are the most"),
        (struct.pack("<4sIQQ", b"GGUF", 3, 0, 2**63), f"metadata, {MAX_ENTRIES:,} are the most"),
        (struct.pack("<4sIQQ", b"GGUF", 3, 1000, 0), "1,000 tensors would end at byte 24,016, and"),
        (struct.pack("<4sIQQ", b"GGUF", 3, 0, 1000), "1,000 entries of metadata would end at"),
    ],
)
def test_beginnings(tmp_path, start, message):
    assert message in complaint(start, tmp_path)


def array_of(kind: int, n: int, content: bytes = b"") -> bytes:
    return struct.pack("<IIQ", 9, kind, n) + content


NESTED = struct.pack("<I", 9) + struct.pack("<IQ", 9, 1) * 100_000 + struct.pack("<IQ", 0, 0)


@pytest.mark.parametrize(
    ("stored", "message"),
    [
        (struct.pack("<I", 13), "the value of 'key' has the unknown type 13"),
        (struct.pack("<I", 2**32 - 1), "has the unknown type 4294967295"),
        (array_of(13, 0), "the value of 'key' has items of the unknown type 13"),
        (struct.pack("<IB", 7, 2), "the value of 'key' is neither True nor False but 2"),
        (array_of(7, 3, b"\0\1\xff"), "the value of 'key' is neither True nor False but 255"),
        (value("string", "x")[:4] + text(b"\xff\xfe"), "the value of 'key' is not in UTF-8: b'"),
        (array_of(8, 2, text("a") + text(b"\xc3")), "the value of 'key' is not in UTF-8: b'"),
        (struct.pack("<IQ", 8, 2**64 - 1), "has 18,446,744,073,709,551,615 bytes, 67,108,864 are"),
        (struct.pack("<IQ", 8, 1 << 20), "the value of 'key' would end at byte 1,048,62"),
        (array_of(0, 2**63), "the value of 'key' would end at byte 9,223,372,036,854,775,8"),
        (array_of(12, 2**62), "the value of 'key' would end at byte 36,893,488,"),
        (array_of(8, 2**62), "the value of 'key' would end at byte"),
        (array_of(9, 2**62), "the value of 'key' would end at byte"),
        (array_of(8, 2, text("a") + struct.pack("<Q", 2**64 - 1)), "an item of the value of 'key'"),
        (array_of(8, 1, struct.pack("<Q", 1 << 40)), "an item of the value of 'key' would end at"),
        (NESTED, f"the value of 'key' has arrays nested more than {MAX_DEPTH} deep"),
    ],
)
def test_values(tmp_path, stored, message):
    assert message in complaint(gguf({}, {"key": stored}), tmp_path)


def test_depths_up_to_the_bound(tmp_path):
    deep = "[" * MAX_DEPTH + "uint8" + "]" * MAX_DEPTH
    content = [7]
    for _ in range(MAX_DEPTH - 1):
        content = [content]
    found = GGUFFile(write(tmp_path / "x", gguf({}, {"key": value(deep, content)}))).metadata["key"]
    for _ in range(MAX_DEPTH - 1):
        (found,) = found
    assert found.tolist() == [7]
    assert "nested more than" in complaint(
        gguf({}, {"key": value(f"[{deep}]", [content])}), tmp_path
    )


def test_keys(tmp_path):
    one = text("key") + value("uint8", 1)
    start = struct.pack("<4sIQQ", b"GGUF", 3, 0, 2)
    assert "the key 'key' is there twice" in complaint(start + one + one, tmp_path)
    other = text(b"\xff") + value("uint8", 1)
    assert "key 1 of the metadata is not in UTF-8" in complaint(start + one + other, tmp_path)
    long = text("k" * (MAX_NAME + 1)) + value("uint8", 1)
    assert "key 1 of the metadata has 65,536 bytes, 65,535 are the most" in complaint(
        start + one + long, tmp_path
    )
    longest = gguf({}, {"k" * MAX_NAME: value("uint8", 1)})
    assert GGUFFile(write(tmp_path / "x", longest)).metadata == {"k" * MAX_NAME: 1}


@pytest.mark.parametrize(
    "stored",
    [value("uint32", 0), value("uint32", 24), value("int32", -8), value("float32", 32.0),
     value("string", "32"), value("bool", True), value("[uint32]", [32])],
)  # fmt: skip
def test_alignments_that_are_none(tmp_path, stored):
    message = complaint(gguf({"w": NUMBERS}, {"general.alignment": stored}), tmp_path)
    assert "its general.alignment is " in message and "expected a power of two" in message


HUGE = 10 * 2**30


@pytest.mark.parametrize(
    ("tensor", "message"),
    [
        (Tensor(4, (2, 3), bytes(24)), "tensor 'w' has the unknown type 4"),
        (Tensor(1000, (2, 3), bytes(24)), "tensor 'w' has the unknown type 1000"),
        (Tensor("Q2_K", (1, 256), bytes(84)), "is stored as Q2_K: expected F64, F32, F16, BF16, Q"),
        (Tensor("I32", (6,), bytes(24)), "tensor 'w' is stored as I32: expected F64, F32"),
        (Tensor("F32", (1,) * 5, bytes(4)), "tensor 'w' has 5 dimensions, 4 are the most"),
        (Tensor("F32", (1,) * 1000, bytes(4)), "tensor 'w' has 1,000 dimensions, 4 are the most"),
        (Tensor("F32", (0, 3), b""), "has the shape (0, 3), which holds no numbers"),
        (Tensor("F32", (0, 2**63), b""), "which holds no numbers"),
        (Tensor("F32", (3, 3), bytes(24)), "and the file has"),
        (Tensor("F32", (HUGE // 4,), bytes(24)), "ends at byte 10,737,418,"),
        (Tensor("Q4_0", (HUGE,), bytes(24)), "ends at byte 6,039,797,"),
        (Tensor("F32", (2**32, 2**32, 6), bytes(24)), "ends at byte 442,721"),  # 0 if it wrapped
        (Tensor("F32", (2**62, 4, 6), bytes(24)), "ends at byte 442,721"),
        (Tensor("F32", (2**64 - 1,) * 4, bytes(24)), "it is cut off or damaged"),
        (
            Tensor("Q4_0", (2, 33), bytes(60)),
            "33 columns are not a multiple of 32, the block size of Q4_0",
        ),
        (Tensor("Q8_0", (32, 16), bytes(60)), "has the shape (32, 16): 16 columns are not"),
        (Tensor("Q6_K", (2, 128), bytes(210)), "a multiple of 256, the block size of Q6_K"),
        (Tensor("Q8_0", (), bytes(34)), "has the shape (): 1 columns are not a multiple"),
        (Tensor("F32", (2, 3), bytes(24), 4), "tensor 'w' begins at 4, not at a multiple of 32"),
        (Tensor("F32", (2, 3), bytes(24), 2**64 - 32), "ends at byte 18,446,744,073,709,551,"),
        (Tensor("F32", (2, 3), bytes(24), HUGE), "ends at byte 10,737,418,"),
    ],
)
def test_tensors(tmp_path, tensor, message):
    assert message in complaint(gguf({"w": tensor}), tmp_path)


def test_types_that_are_not_read_leave_the_others_readable(tmp_path):
    stored = {"w": NUMBERS, "other": Tensor("IQ4_XS", (2, 256), bytes(272))}
    file = GGUFFile(write(tmp_path / "x", gguf(stored)))
    assert file.read("w").shape == (2, 3)
    for read in (file.read, file.blocks):
        with pytest.raises(PretrainedError, match="'other' is stored as IQ4_XS: expected F64, F32"):
            read("other")


def test_names_that_are_not_there(tmp_path):
    stored = {f"blk.{i}.weight": NUMBERS for i in range(5)}
    file = GGUFFile(write(tmp_path / "x", gguf(stored)))
    message = (
        "has no tensor 'w': the first of its 5 are 'blk.0.weight', 'blk.1.weight', 'blk.2.weight'"
    )
    with pytest.raises(PretrainedError, match=message):
        file.read("w")
    with pytest.raises(PretrainedError, match="has no tensor 'w': the first of its 0 are none"):
        GGUFFile(write(tmp_path / "y", gguf())).read("w")


def test_names_of_tensors(tmp_path):
    def file(*names: bytes | str) -> bytes:
        header = struct.pack("<4sIQQ", b"GGUF", 3, len(names), 0)
        header += b"".join(line(name, NUMBERS, 32 * i) for i, name in enumerate(names))
        return header + bytes(-len(header) % 32) + NUMBERS.content * 8

    assert "tensor 'w' is there twice" in complaint(file("w", "v", "w"), tmp_path)
    assert "the name of tensor 1 is not in UTF-8" in complaint(file("w", b"\xff"), tmp_path)
    assert "the name of tensor 0 has 70,000 bytes" in complaint(file("w" * 70_000), tmp_path)


@pytest.mark.parametrize(
    ("places", "message"),
    [
        ([0, 0], "tensor 'b' begins at byte .*, before the end of 'a' at "),
        ([32, 32], "tensor 'b' begins at byte .*, before the end of 'a'"),
        ([0, 64], "tensor 'b' begins at byte .*, before the end of 'a'"),
        ([64, 0], "tensor 'a' begins at byte .*, before the end of 'b'"),
    ],
)
def test_tensors_that_overlap(tmp_path, places, message):
    stored = {
        name: Tensor("F32", (2, 12), bytes(96), offset)
        for name, offset in zip("ab", places, strict=True)
    }
    with pytest.raises(PretrainedError, match=message):
        GGUFFile(write(tmp_path / "x", gguf(stored)))


def test_a_header_too_long(tmp_path):
    path = tmp_path / "long"
    start = struct.pack("<4sIQQ", b"GGUF", 3, 0, 1) + text("key") + array_of(0, MAX_BYTES)
    with open(path, "wb") as file:
        file.write(start)
        file.truncate(MAX_BYTES + 1000)
    message = "its header has more than 67,108,864 bytes, with the value of 'key'"
    with pytest.raises(PretrainedError, match=message):
        GGUFFile(path)


@pytest.mark.parametrize(
    ("kind", "n", "content", "message"),
    [
        (
            8,
            MAX_TEXTS + 1,
            b"",
            f"more than {MAX_TEXTS:,} texts in arrays, with the value of 'key'",
        ),
        (9, MAX_ARRAYS + 1, b"", f"more than {MAX_ARRAYS:,} arrays in arrays, with the value of"),
    ],
)
def test_more_items_than_any_model_has(tmp_path, kind, n, content, message):
    path = tmp_path / "many"
    with open(path, "wb") as file:
        file.write(gguf({}, {"key": array_of(kind, n)}))
        file.truncate(MAX_BYTES // 2)
    with pytest.raises(PretrainedError, match=message):
        GGUFFile(path)


def test_time_grows_with_the_file_and_not_faster(tmp_path):
    def seconds(n: int) -> float:
        stored = {f"tensor.{i}": Tensor("F32", (1,), bytes(4), 32 * i) for i in range(n)}
        header = struct.pack("<4sIQQ", b"GGUF", 3, n, n)
        header += b"".join(text(f"key.{i}") + value("uint8", 1) for i in range(n))
        header += b"".join(line(name, tensor, tensor.offset) for name, tensor in stored.items())
        path = write(tmp_path / "x", header + bytes(32 * n + 32))
        start = time.process_time()
        assert len(GGUFFile(path).tensors) == n
        return time.process_time() - start

    seconds(100)
    assert seconds(16_000) < 16 * 4 * max(seconds(1000), 0.005)


@pytest.mark.parametrize("happens", ["shortened", "replaced"])
@both_ways
def test_a_file_that_is_changed_while_it_is_read(path, happens, memory_map):
    file = GGUFFile(path, memory_map)
    content = path.read_bytes()
    if happens == "shortened":
        os.truncate(path, file.tensors["q8_0"].start)
    else:
        path.unlink()
        path.with_name("other").write_bytes(b"")  # takes the place on the disk
        write(path, content + b"\0")
    for read in (file.read, file.blocks):
        for name in ("q8_0", "f32"):
            with pytest.raises(
                PretrainedError, match="it was changed while it was read: try again"
            ):
                read(name)


def test_what_is_no_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        GGUFFile(tmp_path / "nothing")
    with pytest.raises(PretrainedError, match="it is not a file"):
        GGUFFile(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(PretrainedError, match="it is not a file"):
        GGUFFile(tmp_path / "pipe")


def test_the_table_of_types_names_each_once():
    names = [name for name, _, _ in TYPES.values()]
    assert len(set(names)) == len(names) and set(FORMATS) <= set(names)
    assert all(math.log2(size) % 1 == 0 for _, size, _ in TYPES.values())
