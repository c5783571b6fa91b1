"""GPTs out of GGUF files; tests/parity holds them against Transformers."""

from __future__ import annotations

import dataclasses
import math
import tracemalloc
from typing import Any

import numpy as np
import pytest

from minigpt import GPT
from minigpt.functional.rotary import RotaryScaling, rotary_frequencies
from minigpt.interop import PretrainedError, dequantize, quantize
from minigpt.interop.gguf_config import LLAMA3
from tests.interop.gguf_files import Tensor, value, write
from tests.interop.gguf_models import gpt2, llama, model_file, stored, tensors_of

IDS = np.arange(48).reshape(2, 24) % 40
KINDS = {
    "llama": ("llama", llama, {}),
    "llama, tied": ("llama", llama, {"tie_head": True}),
    "llama with biases": ("llama", llama, {"bias": True}),
    "wide heads": ("llama", llama, {"head_width": 12}),
    "one key and value": ("llama", llama, {"n_kv_head": 1}),
    "no groups": ("llama", llama, {"n_kv_head": 4}),
    "qwen2": ("qwen2", llama, {"qkv_bias": True}),
    "qwen3": ("qwen3", llama, {"qk_norm": True, "head_width": 6, "n_embd": 20}),
    "gpt2": ("gpt2", gpt2, {}),
    "gpt2, untied": ("gpt2", gpt2, {"tie_head": False, "n_inner": 24}),
}


def same(one: GPT, other: GPT) -> None:
    state, expected = one.state_dict(), other.state_dict()
    assert list(state) == list(expected)
    for name, array in expected.items():
        np.testing.assert_array_equal(state[name], array, strict=True, err_msg=name)
    np.testing.assert_array_equal(one(IDS).data, other(IDS).data)


# ── sound files ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("architecture", "make", "changes"), KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("memory_map", [True, False], ids=["mapped", "copied"])
def test_every_architecture(tmp_path, architecture, make, changes, memory_map):
    model = make(**changes)
    path = write(tmp_path / "a.gguf", model_file(model, architecture))
    loaded = GPT.from_pretrained(path, memory_map=memory_map)
    assert type(loaded) is GPT and not loaded.training
    same(loaded, model)
    assert all(p.data.flags.c_contiguous and p.data.flags.writeable for p in loaded.parameters())


@pytest.mark.parametrize("kind", ["F16", "BF16", "Q8_0", "Q4_0", "Q4_1"])
def test_weights_in_fewer_bits(tmp_path, kind):
    model = llama()
    loaded = GPT.from_pretrained(write(tmp_path / "a.gguf", model_file(model, kind=kind)))
    down = np.ascontiguousarray(model.blocks[1].mlp.down_proj.weight.data.T)
    if kind == "F16":
        expected = down.astype(np.float16).astype(np.float32)
    elif kind == "BF16":
        expected = (down.view(np.uint32) >> 16 << 16).view(np.float32)
    else:
        expected = dequantize(quantize(down, kind), kind)
    found = loaded.blocks[1].mlp.down_proj.weight.data
    np.testing.assert_array_equal(found, expected.T, strict=True)
    assert 0 < np.abs(found - down.T).max() < 0.5


def wide(array):
    return Tensor("F64", array.shape, array.astype("<f8").tobytes())


def test_all_in_float64(tmp_path):
    model = llama()
    tensors = {name: wide(array) for name, array in tensors_of(model, "llama").items()}
    path = write(tmp_path / "a.gguf", model_file(model, tensors=tensors))
    loaded = GPT.from_pretrained(path)
    assert {p.dtype for p in loaded.parameters()} == {np.dtype(np.float64)}
    np.testing.assert_allclose(loaded(IDS).data, model(IDS).data, atol=1e-4)
    tensors["output_norm.weight"] = stored(np.ones(32, np.float32))
    write(path, model_file(model, tensors=tensors))
    with pytest.raises(PretrainedError, match="some of its tensors are stored as F64, others are"):
        GPT.from_pretrained(path)


def test_what_a_file_may_leave_out_or_say_otherwise(tmp_path):
    model = llama(n_kv_head=4, rotary_base=10_000.0)
    keys = ("attention.head_count_kv", "attention.key_length", "attention.value_length",
            "rope.freq_base", "rope.dimension_count", "vocab_size")  # fmt: skip
    without = dict.fromkeys((f"llama.{key}" for key in keys), None)
    same(
        GPT.from_pretrained(write(tmp_path / "a.gguf", model_file(model, metadata=without))), model
    )
    harmless = {
        "llama.expert_count": value("uint32", 0),
        "llama.attention.sliding_window": value("uint32", 32),
        "llama.rope.scaling.type": value("string", "none"),
        "llama.tensor_data_layout": value("string", "x"),
        "llama.rope.scaling.factor": value("float32", 3.0),
        "general.name": value("string", "x"),
        "llama.attention.head_count_kv": value("[int32]", [4, 4]),
    }
    same(
        GPT.from_pretrained(write(tmp_path / "b.gguf", model_file(model, metadata=harmless))), model
    )


@pytest.mark.parametrize("key", ["rope.scaling.factor", "rope.scale_linear"])
def test_linear_scaling(tmp_path, key):
    scaling = RotaryScaling("linear", 2.5)
    model = llama(rotary_scaling=scaling)
    metadata = {f"llama.{key}": value("float32", 2.5)}
    loaded = GPT.from_pretrained(write(tmp_path / "a.gguf", model_file(model, metadata=metadata)))
    assert loaded.config.rotary_scaling == scaling
    same(loaded, model)


def factors_of(scaling: RotaryScaling, d: int = 8, base: float = 500.0) -> Tensor:
    factors = rotary_frequencies(d, base) / rotary_frequencies(d, base, scaling)
    return stored(factors.astype(np.float32))


def test_the_factors_of_llama_3(tmp_path):
    scaling = RotaryScaling("llama3", 8.0, **LLAMA3)
    model = llama(n_embd=128, rotary_base=500_000.0, rotary_scaling=scaling)  # d = 32
    tensors = {"rope_freqs.weight": factors_of(scaling, 32, 500_000.0)}
    loaded = GPT.from_pretrained(write(tmp_path / "a.gguf", model_file(model, tensors=tensors)))
    assert loaded.config.rotary_scaling == scaling
    same(loaded, model)
    ones = {"rope_freqs.weight": stored(np.ones(4, np.float32))}
    loaded = GPT.from_pretrained(write(tmp_path / "b.gguf", model_file(llama(), tensors=ones)))
    assert loaded.config.rotary_scaling is None


def test_a_shorter_context(tmp_path):
    model = llama()
    path = write(tmp_path / "a.gguf", model_file(model))
    loaded = GPT.from_pretrained(path, block_size=24, dropout=0.25, recompute=True)
    assert loaded.config == dataclasses.replace(
        GPT.from_pretrained(path).config, block_size=24, dropout=0.25, recompute=True
    )
    same(loaded, model)
    with pytest.raises(PretrainedError, match=r"block_size=33 is longer .* 32 tokens"):
        GPT.from_pretrained(path, block_size=33)
    for wrong in (0, -1, 2.0, "8", True):
        with pytest.raises((ValueError, TypeError), match=r"^block_size must be an integer"):
            GPT.from_pretrained(path, block_size=wrong)
    windowed = {"llama.attention.sliding_window": value("uint32", 24)}
    path = write(tmp_path / "b.gguf", model_file(model, metadata=windowed))
    with pytest.raises(PretrainedError, match=r"sliding_window=24 is shorter .*, block_size=24"):
        GPT.from_pretrained(path)
    same(GPT.from_pretrained(path, block_size=24), model)
    path = write(tmp_path / "c.gguf", model_file(gpt2(), "gpt2"))
    with pytest.raises(PretrainedError, match="block_size=24 is for models with rotary positions"):
        GPT.from_pretrained(path, block_size=24)


def test_training_a_mapped_model_leaves_its_file_alone(tmp_path):
    path = write(tmp_path / "a.gguf", model_file(llama()))
    before = path.read_bytes()
    loaded = GPT.from_pretrained(path)
    for parameter in loaded.parameters():
        parameter.data += 1
    assert path.read_bytes() == before


def test_memory_is_taken_once(tmp_path):
    """One float32 for every weight, and beside it less than 2 MB, whatever is in the file."""
    model = llama(vocab_size=4000, n_embd=256, n_inner=1024, tie_head=True)
    numbers = model.num_parameters()
    for kind in ("Q4_1", "F16", "F32"):
        path = write(tmp_path / f"{kind}.gguf", model_file(model, kind=kind))
        GPT.from_pretrained(path)  # what is computed once
        tracemalloc.start()
        try:
            GPT.from_pretrained(path)
            assert tracemalloc.get_traced_memory()[1] < 4 * numbers + 2_000_000
        finally:
            tracemalloc.stop()


# ── what is refused ───────────────────────────────────────────────────────────────────────────────

REFUSED: list[tuple[str, str, Any, str]] = [
    ("general.architecture", "string", "mamba", "general.architecture='mamba' is not supported"),
    ("general.architecture", "uint32", 3, "architecture=3 is not supported: known are gpt2, llama"),
    ("llama.expert_count", "uint32", 8, "llama.expert_count=8 is not supported"),
    ("llama.expert_used_count", "uint32", 2, "llama.expert_used_count=2 is not supported"),
    ("llama.attention.causal", "bool", False, "llama.attention.causal=False is not supported"),
    ("llama.logit_scale", "float32", 2.0, "llama.logit_scale=2.0 is not supported"),
    ("llama.attention.clamp_kqv", "float32", 2.0, "llama.attention.clamp_kqv=2.0 is not supported"),
    ("llama.rope.scaling.type", "string", "yarn", "rope.scaling.type='yarn' is not supported"),
    ("llama.rope.scaling.type", "[uint8]", [1], "rope.scaling.type=.* is not supported"),
    ("llama.rope.scaling.factor", "float32", -2.0, "rope.scaling: factor must be a number above 0"),
    ("llama.rope.scaling.factor", "string", "2", "rope.scaling: factor must be a number above 0"),
    ("llama.rope.scaling.factor", "[float32]", [2.0, 1.0], "rope.scaling.factor=.* is not sup"),
    ("llama.rope.dimension_count", "uint32", 4, "rope.dimension_count=4 is not .* a head, 8"),
    ("llama.rope.freq_base", "float32", 0.0, "rotary_base must be a number above 0"),
    ("llama.rope.freq_base", "float32", math.nan, "rotary_base must be a number above 0"),
    ("llama.rope.freq_base", "string", "1e4", "rotary_base must be a number above 0"),
    ("llama.attention.value_length", "uint32", 4, "attention.value_length=4 is not .* a head, 8"),
    ("llama.attention.key_length", "uint32", 10, "attention.value_length=8 is not"),
    ("llama.attention.key_length", "uint32", 2**31, "attention.value_length=8 is not"),
    ("llama.attention.head_count", "uint32", 0, "attention.head_count must be .*: got 0"),
    ("llama.attention.head_count", "[uint32]", [4, 2], "differs from layer to layer"),
    ("llama.attention.head_count", "string", "4", "attention.head_count must be"),
    ("llama.attention.head_count_kv", "uint32", 3, "n_kv_head"),
    ("llama.attention.head_count_kv", "uint32", 2**31, "n_kv_head"),
    ("llama.embedding_length", "uint32", 2**31, "token_embd.weight is .*, by the configuration"),
    ("llama.embedding_length", "uint64", 2**63, "embedding_length must be"),
    ("llama.block_count", "uint32", 2**32 - 1, "n_layer=4294967295, and the weights are 21 tensor"),
    ("llama.block_count", "uint32", 3, "blk.2.attn_norm.weight .* is missing"),
    ("llama.block_count", "uint32", 1, "'blk.1.attn_.*' is not a parameter of such a model"),
    ("llama.block_count", "float32", 2.0, "n_layer must be an integer"),
    ("llama.feed_forward_length", "uint32", 2**32 - 1, "ffn_gate.weight is .*, by the config"),
    ("llama.feed_forward_length", "[uint32]", [64, 32], "differs from layer to layer"),
    ("llama.context_length", "uint32", 0, "block_size must be an integer of at least 1: got 0"),
    ("llama.vocab_size", "uint32", 41, "token_embd.weight is .*, by the configuration it is"),
    ("llama.attention.layer_norm_rms_epsilon", "float32", math.inf, "layer_norm_eps must be"),
]


@pytest.mark.parametrize(("key", "kind", "content", "message"), REFUSED)
def test_metadata_that_are_refused(tmp_path, key, kind, content, message):
    path = write(tmp_path / "a.gguf", model_file(llama(), metadata={key: value(kind, content)}))
    with pytest.raises(PretrainedError, match=message) as caught:
        GPT.from_pretrained(path)
    assert str(caught.value).startswith(f"{path}: ") and len(str(caught.value)) < 600


@pytest.mark.parametrize(
    "key",
    ["general.architecture", "llama.context_length", "llama.block_count",
     "llama.attention.head_count", "llama.attention.layer_norm_rms_epsilon"],
)  # fmt: skip
def test_metadata_that_are_missing(tmp_path, key):
    path = write(tmp_path / "a.gguf", model_file(llama(), metadata={key: None}))
    message = key if key.startswith("general") else f"do not say {key}"
    with pytest.raises(PretrainedError, match=message):
        GPT.from_pretrained(path)


SMALL = stored(np.ones((4, 4), np.float32))
TENSORS: dict[str, tuple[Tensor | None, str]] = {
    "blk.1.ffn_up.weight": (None, r"blk.1.ffn_up.weight \(64, 32\) is missing"),
    "token_embd.weight": (None, r"token_embd.weight .* is missing|vocab_size must be"),
    "blk.0.attn_q.weight": (SMALL, r"attn_q.weight is \(4, 4\), by the configuration it is \(32"),
    "blk.0.attn_qkv.weight": (SMALL, "'blk.0.attn_qkv.weight' is not a parameter of such a model"),
    "blk.0.attn_q.bias": (stored(np.ones(32, np.float32)), r"attn_k.bias \(16,\) is missing"),
    "blk.0.ffn_gate_exps.weight": (SMALL, "'blk.0.ffn_gate_exps.weight' is not a parameter"),
    "blk.0.attn_norm.weight": (Tensor("I8", (32,), bytes(32)), "is stored as I8: expected F64"),
    "blk.0.ffn_norm.weight": (Tensor("F64", (32,), bytes(256)), "stored as F64, others are not"),
    "blk.0.attn_v.weight": (Tensor("Q2_K", (16, 256), bytes(16 * 84)), "by the configuration"),
    "rope_freqs.weight": (SMALL, r"rope_freqs.weight is \(4, 4\): expected \(4,\)"),
}  # fmt: skip


@pytest.mark.parametrize(("name", "tensor"), TENSORS.items(), ids=TENSORS)
def test_tensors_that_do_not_fit(tmp_path, name, tensor):
    path = write(tmp_path / "a.gguf", model_file(llama(), tensors={name: tensor[0]}))
    with pytest.raises(PretrainedError, match=tensor[1]):
        GPT.from_pretrained(path)


def test_rotary_factors_of_other_models_are_refused(tmp_path):
    path = tmp_path / "a.gguf"
    others = [
        factors_of(RotaryScaling("llama3", 8.0, 1.0, 4.0, 64)),
        stored(np.array([1, 2, np.nan, 4], np.float32)),
        stored(np.array([1, 2, np.inf, 4], np.float32)),
        stored(np.array([0, 0, 0, -1], np.float32)),
    ]
    for factors in others:
        write(path, model_file(llama(), tensors={"rope_freqs.weight": factors}))
        with pytest.raises(PretrainedError, match=r"rope_freqs\.weight"):
            GPT.from_pretrained(path)
    both = {"llama.rope.scaling.factor": value("float32", 2.0)}
    write(path, model_file(llama(), metadata=both, tensors={"rope_freqs.weight": others[0]}))
    with pytest.raises(PretrainedError, match=r"rope\.scaling\.factor and rope_freqs\.weight"):
        GPT.from_pretrained(path)


def test_weights_that_are_not_finite_are_warned_of(tmp_path):
    model = llama()
    model.blocks[1].attention.qkv_proj.weight.data[3, :2] = np.inf
    path = write(tmp_path / "a.gguf", model_file(model))
    message = r"2 of 2,048 numbers of blk.1.attn_q.weight, blk.1.attn_k.weight, .* NaN or infinite"
    with pytest.warns(RuntimeWarning, match=message) as caught:
        GPT.from_pretrained(path)
    assert caught[0].filename == __file__


def test_a_folder_with_only_a_gguf_file_says_so(tmp_path):
    path = write(tmp_path / "a.gguf", model_file(llama()))
    with pytest.raises(PretrainedError, match=r"no config\.json: pass the file itself, .*a\.gguf"):
        GPT.from_pretrained(tmp_path)
    with pytest.raises(FileNotFoundError):
        GPT.from_pretrained(tmp_path / "b.gguf")
    (tmp_path / "c.gguf").mkdir()
    with pytest.raises(PretrainedError, match="no config"):
        GPT.from_pretrained(tmp_path / "c.gguf")
    with pytest.raises(PretrainedError, match="not a GGUF file"):
        GPT.from_pretrained(write(tmp_path / "d.gguf", bytes(100)))
    assert GPT.from_pretrained(path, progress=False)
