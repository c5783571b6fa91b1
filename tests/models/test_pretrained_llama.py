"""Llamas and their kin into folders and out of them; tests/parity compares with Transformers."""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

import numpy as np
import pytest

from minigpt import GPT, BPETokenizer, Sampler, load_tokenizer
from minigpt.interop import PretrainedError, SafetensorsFile, write_safetensors
from minigpt.nn import RotaryScaling
from tests.interop.gguf_files import write
from tests.interop.gguf_models import llama, model_file

KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("llama", {}),
    "tied, biases, no groups": ("llama", {"tie_head": True, "bias": True, "n_kv_head": None}),
    "wide heads, scaled": (
        "llama", {"head_width": 12, "rotary_scaling": RotaryScaling("llama3", 8.0, 1.0, 4.0, 16)}
    ),
    "mistral": ("mistral", {"n_embd": 30, "head_width": 8}),
    "qwen2": ("qwen2", {"qkv_bias": True}),
    "qwen3": ("qwen3", {"qk_norm": True, "head_width": 6}),
}  # fmt: skip
IDS = np.arange(48).reshape(2, 24) % 40


def same(one: GPT, other: GPT) -> None:
    assert one.config == other.config
    state, expected = one.state_dict(), other.state_dict()
    assert list(state) == list(expected)
    for name, array in expected.items():
        np.testing.assert_array_equal(state[name], array, strict=True, err_msg=name)
    np.testing.assert_array_equal(one(IDS).data, other(IDS).data)


def tensors(folder):
    file = SafetensorsFile(folder / "model.safetensors", memory_map=False)
    return {name: file.read(name) for name in file.tensors}


@pytest.fixture
def folder(tmp_path):
    """The folder of a small model."""
    llama().save_pretrained(tmp_path)
    return tmp_path


# ── there and back ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("family", "changes"), KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("memory_map", [True, False], ids=["mapped", "copied"])
def test_there_and_back(tmp_path, family, changes, memory_map):
    model = llama(**changes)
    model.save_pretrained(tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["model_type"] == family
    loaded = GPT.from_pretrained(tmp_path, memory_map=memory_map)
    assert not loaded.training
    same(loaded, model)
    assert all(p.data.flags.c_contiguous and p.data.flags.writeable for p in loaded.parameters())


def test_the_names_and_shapes_of_the_family(folder):
    stored = {name: array.shape for name, array in tensors(folder).items()}
    assert list(stored)[:5] == [
        "model.embed_tokens.weight", "model.layers.0.input_layernorm.weight",
        "model.layers.0.self_attn.q_proj.weight", "model.layers.0.self_attn.k_proj.weight",
        "model.layers.0.self_attn.v_proj.weight",
    ]  # fmt: skip
    assert stored["model.layers.0.self_attn.q_proj.weight"] == (32, 32)
    assert stored["model.layers.1.self_attn.k_proj.weight"] == (16, 32)
    assert stored["model.layers.1.mlp.down_proj.weight"] == (32, 64)
    assert list(stored)[-2:] == ["model.norm.weight", "lm_head.weight"]


def test_out_of_gguf_into_a_folder(tmp_path):
    path = write(tmp_path / "a.gguf", model_file(llama(), kind="Q8_0"))
    model = GPT.from_pretrained(path)
    model.save_pretrained(tmp_path / "folder")
    same(GPT.from_pretrained(tmp_path / "folder"), model)
    written = Sampler(model).generate_ids(IDS[:, :4], 8, temperature=0)
    again = Sampler(GPT.from_pretrained(tmp_path / "folder"))
    np.testing.assert_array_equal(again.generate_ids(IDS[:, :4], 8, temperature=0), written)


def test_float64_stays(tmp_path):
    model = llama().astype(np.float64)
    model.save_pretrained(tmp_path)
    same(GPT.from_pretrained(tmp_path), model)


def test_tables_of_older_files_and_wrappers_prefixes(folder):
    model, arrays = llama(), tensors(folder)
    table = {"model.layers.0.self_attn.rotary_emb.inv_freq": np.ones(4, np.float32)}
    for prefix in ("", "module.", "_orig_mod.", "model."):
        renamed = {prefix + name: array for name, array in {**arrays, **table}.items()}
        write_safetensors(folder / "model.safetensors", renamed)
        same(GPT.from_pretrained(folder, memory_map=False), model)


def test_a_tied_head_may_be_stored_once_more_or_only(tmp_path):
    model = llama(tie_head=True)
    model.save_pretrained(tmp_path)
    arrays = tensors(tmp_path)
    embedding = arrays["model.embed_tokens.weight"]
    path = tmp_path / "model.safetensors"
    write_safetensors(path, {**arrays, "lm_head.weight": embedding})
    same(GPT.from_pretrained(tmp_path, memory_map=False), model)
    write_safetensors(path, {**arrays, "lm_head.weight": embedding + 1})
    with pytest.raises(PretrainedError, match=r"ties the head .*, but lm_head\.weight differs"):
        GPT.from_pretrained(tmp_path, memory_map=False)
    del arrays["model.embed_tokens.weight"]
    write_safetensors(path, {**arrays, "lm_head.weight": embedding})
    same(GPT.from_pretrained(tmp_path, memory_map=False), model)


@pytest.mark.parametrize("memory_map", [True, False], ids=["mapped", "copied"])
def test_memory_is_taken_once(tmp_path, memory_map):
    """One number for each weight at most, and beside it less than 2 MB."""
    model = llama(vocab_size=4000, n_embd=256, n_inner=1024, tie_head=True)
    model.save_pretrained(tmp_path)
    GPT.from_pretrained(tmp_path)  # what is computed once
    numbers = model.num_parameters() - (4000 * 256 if memory_map else 0)  # left in the file
    tracemalloc.start()
    try:
        GPT.from_pretrained(tmp_path, memory_map=memory_map)
        assert tracemalloc.get_traced_memory()[1] < 4 * numbers + 2_000_000
    finally:
        tracemalloc.stop()


def test_a_tokenizer_goes_along(tmp_path):
    text = "to be or not to be, that is the question "
    tokenizer = BPETokenizer.train(text * 9, 270, ["<|endoftext|>"], progress=False)
    llama(vocab_size=tokenizer.vocab_size).save_pretrained(tmp_path, tokenizer)
    assert load_tokenizer(tmp_path).encode(text) == tokenizer.encode(text)
    keys = json.loads((tmp_path / "config.json").read_text())
    assert keys["eos_token_id"] == tokenizer.special_tokens["<|endoftext|>"]


# ── what does not fit ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"vocab_size": 41}, r"embed_tokens.weight is \(40, 32\), by the configuration it is \(41"),
        ({"num_key_value_heads": 4}, r"k_proj.weight is \(16, 32\), by .* \(32, 32\)"),
        ({"head_dim": 4}, r"q_proj.weight is \(32, 32\), by the configuration it is \(16, 32\)"),
        ({"head_dim": 7}, r"by minigpt's names, .*7"),
        ({"num_key_value_heads": 3}, r"by minigpt's names, .*n_kv_head=3"),
        ({"num_attention_heads": 0}, r"n_head must be an integer of at least 1: got 0"),
        ({"num_hidden_layers": 10**15}, r"n_layer=1000000000000000, and the weights are 21"),
        ({"intermediate_size": 10**15}, r"gate_proj.weight is \(64, 32\)"),
        ({"max_position_embeddings": -1}, r"block_size must be an integer of at least 1: got -1"),
        ({"hidden_size": 10**400}, r"n_embd must be at most"),
        ({"rope_theta": 0}, r"rotary_base must be a number above 0"),
        ({"rope_theta": "1e4"}, r"rotary_base must be a number above 0"),
        ({"rms_norm_eps": None}, r"layer_norm_eps must be a number above 0"),
        ({"tie_word_embeddings": True}, r"ties the head"),
        ({"attention_bias": True, "mlp_bias": True}, r"q_proj.bias \(32,\) is missing"),
        ({"model_type": "mamba"}, r"model_type='mamba': minigpt reads gpt2, llama, mistral, qwen2"),
        ({"model_type": None}, r"no model_type: minigpt reads"),
        ({"model_type": ["llama"]}, r"model_type=\['llama'\]: minigpt reads"),
        ({"model_type": "qwen3", "architectures": None}, r"q_norm.weight \(8,\) is missing"),
        ({"model_type": "gpt2", "architectures": None}, r"wte.weight \(40, 32\) is missing"),
    ],
)  # fmt: skip
def test_a_config_that_does_not_fit(folder, keys, message):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | keys))
    with pytest.raises(PretrainedError, match=message) as caught:
        GPT.from_pretrained(folder)
    assert str(caught.value).startswith(str(folder)) and len(str(caught.value)) < 1000


def test_a_very_long_context_takes_no_memory(folder):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"max_position_embeddings": 2**40}))
    model = GPT.from_pretrained(folder)
    assert model.config.block_size == 2**40
    assert Sampler(model).generate_ids(IDS[:, :4], 3, temperature=0).shape == (2, 7)
