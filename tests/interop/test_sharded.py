"""Weights in one file, or in shards whose index is not believed without a look at them."""

from __future__ import annotations

import json

import numpy as np
import pytest

from minigpt.interop import PretrainedError, write_safetensors
from minigpt.interop.sharded import open_weights, read_index

INDEX = "model.safetensors.index.json"
ONE, TWO = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"


def array(value):
    return np.full(3, value, np.float32)


@pytest.fixture
def folder(tmp_path):
    write_safetensors(tmp_path / ONE, {"a": array(1), "b": array(2)})
    write_safetensors(tmp_path / TWO, {"c": array(3)})
    write_index(tmp_path, {"a": ONE, "b": ONE, "c": TWO})
    return tmp_path


def write_index(folder, weight_map):
    index = {"metadata": {"total_size": 36}, "weight_map": weight_map}
    (folder / INDEX).write_text(json.dumps(index))


@pytest.mark.parametrize("memory_map", [True, False])
def test_shards(folder, memory_map):
    files = open_weights(folder, memory_map)
    assert {name: file.read(name)[0] for name, file in files.items()} == {"a": 1, "b": 2, "c": 3}
    assert files["a"] is files["b"]


def test_one_file_comes_before_an_index(folder):
    write_safetensors(folder / "model.safetensors", {"a": array(9)})
    files = open_weights(folder)
    assert list(files) == ["a"] and files["a"].read("a")[0] == 9


@pytest.mark.parametrize(
    ("weight_map", "message"),
    [
        (None, "has no weight_map"),
        ([], "has no weight_map"),
        ({}, "has no weight_map"),
        ({"a": 1}, "puts tensor 'a' into 1: expected a"),
        ({"a": ["x"]}, "puts tensor 'a' into"),
        *(
            ({"a": name}, "puts tensor 'a' into '.*': expected a .*safetensors file beside the")
            for name in (
                "../x.safetensors", "/x.safetensors", "x/y.safetensors", "..\\x.safetensors",
                "C:x.safetensors", ".safetensors", "..safetensors", "", "x.bin", "x\0.safetensors",
            )
        ),
        ({"a": ONE, "b": ONE, "c": "no.safetensors"}, "the shard no.safetensors is not beside it"),
        ({"a": ONE, "b": ONE, "c": ONE}, "tensor 'c' is not in its shard model-00001"),
        ({"a": ONE, "b": ONE, "c": TWO, "d": TWO}, "tensor 'd' is not in its shard model-00002"),
        ({"a": ONE, "c": TWO}, "tensor 'b' is in model-00001.*, and by the index in nowhere"),
    ],
)  # fmt: skip
def test_an_index_that_does_not_fit(folder, weight_map, message):
    write_index(folder, weight_map)
    with pytest.raises(PretrainedError, match=message):
        open_weights(folder)


def test_a_tensor_in_two_shards(folder):
    write_safetensors(folder / TWO, {"b": array(2), "c": array(3)})
    with pytest.raises(
        PretrainedError, match=r"tensor 'b' is in .*2-of.*, and by the index in .*1-"
    ):
        open_weights(folder)


@pytest.mark.parametrize("content", [b"", b"[]", b'{"weight_map"', b"\xff", b'{"a":1,"a":2}'])
def test_an_index_that_is_damaged(folder, content):
    (folder / INDEX).write_bytes(content)
    with pytest.raises(PretrainedError, match=f"{INDEX}: it is "):
        open_weights(folder)


def test_an_index_too_large(folder):
    with open(folder / INDEX, "wb") as file:
        file.truncate((8 << 20) + 1)
    with pytest.raises(PretrainedError, match="it has 8,388,609 bytes, 8,388,608 are"):
        read_index(folder / INDEX)


def test_a_damaged_shard_is_named(folder):
    content = (folder / TWO).read_bytes()
    (folder / TWO).write_bytes(content[:-1])
    with pytest.raises(PretrainedError, match=f"{TWO}: .* cut off"):
        open_weights(folder)


def test_no_weights(tmp_path):
    with pytest.raises(PretrainedError, match=r"it has no model.safetensors and no model.*json$"):
        open_weights(tmp_path)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "tf_model.h5", "flax_model.msgpack"])
def test_formats_that_can_run_code_are_not_read(tmp_path, name):
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(PretrainedError, match=f"does not read {name}, .*save_pretrained"):
        open_weights(tmp_path)
