"""The same blocks, the same metadata and the same tensors as the package gguf reads."""

from __future__ import annotations

import math

import numpy as np
import pytest

from minigpt.interop import GGUFFile, dequantize, find_smollm2, quantize
from minigpt.interop.gguf import TYPES
from minigpt.interop.quantization import FORMATS, QUANTIZED
from tests.interop.gguf_files import EVERY_VALUE, every_type, random_blocks, write
from tests.interop.gguf_files import gguf as content_of

gguf = pytest.importorskip("gguf", reason='gguf is not installed: pip install -e ".[parity]"')

COMPARED = [name for name in FORMATS if name != "F64"]  # which gguf only copies


def assert_same_bits(ours, theirs):
    """Equal to the last bit, signs of zeros included; NaN where there is NaN."""
    assert ours.shape == theirs.shape and ours.dtype == theirs.dtype == np.float32
    same = (ours.view(np.uint32) == theirs.view(np.uint32)) | (np.isnan(ours) & np.isnan(theirs))
    assert same.all(), f"{(~same).sum():,} of {same.size:,} numbers differ"


def theirs(blocks, name):
    raw = blocks.reshape(len(blocks), -1).view(np.uint8)
    with np.errstate(all="ignore"):
        return gguf.dequantize(raw, gguf.GGMLQuantizationType[name])


@pytest.mark.parametrize("name", COMPARED)
def test_random_blocks(name, rng):
    blocks = random_blocks(name, (300, 2048), rng)  # infinite and NaN scales among them
    assert_same_bits(dequantize(blocks, name), theirs(blocks, name))


@pytest.mark.parametrize("name", [name for name in COMPARED if FORMATS[name].size > 1])
def test_scales_of_every_kind(name, rng):
    """Zeros of both signs, subnormal and largest numbers, infinity and NaN, in each combination."""
    kinds = np.array([0, 6e-8, 1e-5, 1, 65504, np.inf, np.nan], np.float16)
    kinds = np.concatenate([kinds, -kinds])
    keys = [key for key in ("d", "m", "dm") if key in FORMATS[name].layout.names]
    scales = np.array(np.meshgrid(*[kinds] * len(keys))).reshape(len(keys), -1)
    blocks = random_blocks(name, (scales.shape[1], 4 * FORMATS[name].size), rng)
    for key, scale in zip(keys, scales, strict=True):
        blocks[key] = scale[:, None]
    assert_same_bits(dequantize(blocks, name), theirs(blocks, name))


def weights(kind, rng):
    x = rng.normal(size=(256, 2560)).astype(np.float32)
    if kind == "of few sizes":  # many that lie between two levels, and several largest
        return np.round(x * 4) / 4
    if kind == "of many sizes":
        return x * np.exp(rng.uniform(-9, 9, (256, 1))).astype(np.float32)
    if kind == "with blocks of zeros":
        x.reshape(-1, 32)[::3] = 0
    if kind == "with one sign":
        return -np.abs(x) - 3
    return x


@pytest.mark.parametrize(
    "kind", ["normal", "of few sizes", "of many sizes", "with blocks of zeros", "with one sign"]
)
@pytest.mark.parametrize("name", QUANTIZED)
def test_the_same_bytes_on_the_way_in(name, kind, rng):
    x = weights(kind, rng)
    ours = quantize(x, name).view(np.uint8).reshape(len(x), -1)
    np.testing.assert_array_equal(ours, gguf.quantize(x, gguf.GGMLQuantizationType[name]))


def test_the_table_of_types():
    known = gguf.constants.GGML_QUANT_SIZES
    for code, (name, size, n_bytes) in TYPES.items():
        kind = gguf.GGMLQuantizationType(code)
        assert (kind.name, *known[kind]) == (name, size, n_bytes)


def assert_same_file(path):
    file, reader = GGUFFile(path), gguf.GGUFReader(path)
    fields = {key: field for key, field in reader.fields.items() if not key.startswith("GGUF.")}
    assert list(file.metadata) == list(fields)
    for key, field in fields.items():
        found = file.metadata[key]
        if key.startswith("nested"):  # which their reader lays flat
            continue
        if isinstance(found, np.ndarray):
            assert found.tolist() == field.contents(), key
            item = gguf.GGUFReader.gguf_scalar_to_np.get(field.types[-1], found.dtype.type)
            assert found.dtype == item, key
        else:
            assert found == field.contents() and type(found) is type(field.contents()), key
    assert list(file.tensors) == [tensor.name for tensor in reader.tensors]
    for tensor in reader.tensors:
        mine = file.tensors[tensor.name]
        assert mine.type == tensor.tensor_type.name
        assert mine.shape == tuple(reversed(tensor.shape.tolist()))
        assert (mine.start, mine.stop) == (tensor.data_offset, tensor.data_offset + tensor.n_bytes)
        array = file.read(tensor.name)
        if mine.type == "F64":
            np.testing.assert_array_equal(array, tensor.data, strict=True)
            continue
        with np.errstate(all="ignore"):
            expected = gguf.dequantize(tensor.data, tensor.tensor_type)
        assert_same_bits(array, expected.reshape(array.shape))


def test_every_type_in_one_file(tmp_path, rng):
    tensors = every_type(rng)
    del tensors["number"]  # their reader gives numbers a dimension
    assert_same_file(write(tmp_path / "x.gguf", content_of(tensors, EVERY_VALUE)))


def test_a_file_that_they_write(tmp_path, rng):
    path = tmp_path / "theirs.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_custom_alignment(64)
    writer.add_block_count(2)
    writer.add_array("tokenizer.ggml.tokens", ["<s>", "猫", ""])
    writer.add_array("tokenizer.ggml.scores", [0.5, -1.0, 0.25])
    writer.add_array("tokenizer.ggml.token_type", [3, 1, 1])
    x = rng.normal(size=(3, 5, 256)).astype(np.float32)
    writer.add_tensor("plain", x)
    writer.add_tensor("half", x.astype(np.float16))
    for name in QUANTIZED:
        kind = gguf.GGMLQuantizationType[name]
        writer.add_tensor(name, gguf.quantize(x, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    assert_same_file(path)
    file = GGUFFile(path)
    assert file.metadata["tokenizer.ggml.tokens"] == ["<s>", "猫", ""]
    np.testing.assert_array_equal(file.read("plain"), x, strict=True)
    for name in QUANTIZED:
        np.testing.assert_array_equal(file.read(name), dequantize(quantize(x, name), name))


def test_a_published_file():
    try:
        path = find_smollm2()
    except FileNotFoundError as error:
        pytest.skip(str(error))
    assert_same_file(path)
    assert sum(math.prod(tensor.shape) for tensor in GGUFFile(path).tensors.values()) > 134_000_000
