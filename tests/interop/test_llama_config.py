"""config.json of Llama and its kin: every key maps to a field, is refused, or changes no number."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from minigpt import GPT, GPTConfig
from minigpt.functional.rotary import RotaryScaling
from minigpt.interop import PretrainedError
from minigpt.interop.config_json import read_keys
from minigpt.interop.llama_config import ARCHITECTURES, FIELDS, OPTIONS, llama_config
from minigpt.interop.llama_config import llama_fields as fields_of
from minigpt.interop.published import as_published

SIZES = {
    "vocab_size": 40, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 64,
}  # fmt: skip
LLAMA3 = {
    "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
}  # fmt: skip
SMALL = GPTConfig.llama(
    vocab_size=40, block_size=64, n_layer=2, n_head=4, n_embd=32, n_kv_head=2, n_inner=48,
    layer_norm_eps=1e-6,
)  # fmt: skip


@pytest.fixture
def read(tmp_path):
    """A function that reads a config.json of these keys."""

    def read(family: str = "llama", _dropout: Any = None, _block_size: Any = None, **keys: Any):
        window = {} if family != "mistral" else {"sliding_window": None}
        path = tmp_path / "config.json"
        path.write_text(json.dumps({"model_type": family} | SIZES | window | keys))
        return GPTConfig(**fields_of(path, read_keys(path), _dropout, _block_size))

    return read


# ── in ────────────────────────────────────────────────────────────────────────────────────────────


def test_four_families(read):
    assert read("llama") == SMALL
    assert read("mistral") == SMALL
    assert read("qwen2") == dataclasses.replace(SMALL, qkv_bias=True)
    assert read("qwen3") == dataclasses.replace(SMALL, qk_norm=True, head_width=128)
    assert read("qwen3", head_dim=10).head_width == 10


def test_what_is_not_in_the_file_is_the_familys(tmp_path):
    path = tmp_path / "config.json"
    sizes = {"llama": (32000, 11008, 32, 2048), "qwen2": (151936, 22016, 32, 32768),
             "qwen3": (151936, 22016, 32, 32768)}  # fmt: skip
    for family, expected in sizes.items():
        config = GPTConfig(**fields_of(path, {"model_type": family}))
        found = config.vocab_size, config.n_inner, config.n_kv_head or 32, config.block_size
        assert found == expected
    with pytest.raises(PretrainedError, match=r"sliding_window=4096 .* context of 131072 tokens"):
        fields_of(path, {"model_type": "mistral"})
    fields = fields_of(path, {"model_type": "mistral"}, block_size=4096)
    assert (fields["n_kv_head"], fields["n_inner"]) == (8, 14336)


@pytest.mark.parametrize(
    ("key", "value", "field", "expected"),
    [
        ("vocab_size", 100, "vocab_size", 100),
        ("max_position_embeddings", 7, "block_size", 7),
        ("num_hidden_layers", 3, "n_layer", 3),
        ("num_attention_heads", 8, "n_head", 8),
        ("num_key_value_heads", 1, "n_kv_head", 1),
        ("num_key_value_heads", 4, "n_kv_head", None),
        ("num_key_value_heads", None, "n_kv_head", None),
        ("hidden_size", 24, "n_embd", 24),
        ("intermediate_size", 5, "n_inner", 5),
        ("head_dim", 10, "head_width", 10),
        ("head_dim", None, "head_width", None),
        ("rms_norm_eps", 0.5, "layer_norm_eps", 0.5),
        ("initializer_range", 0.5, "init_std", 0.5),
        ("tie_word_embeddings", True, "tie_head", True),
        ("hidden_act", "gelu", "activation", "gelu_erf"),
        ("hidden_act", "relu2", "activation", "relu_squared"),
        ("rope_theta", 5e5, "rotary_base", 5e5),
    ],
)
def test_keys(read, key, value, field, expected):
    config = read(**{key: value})
    assert getattr(config, field) == expected
    assert dataclasses.replace(config, **{field: getattr(SMALL, field)}) == SMALL


def test_biases(read):
    config = read(attention_bias=True, mlp_bias=True)
    assert config == dataclasses.replace(SMALL, bias=True)
    assert read("mistral", attention_bias=True) == SMALL  # which its code does not read


LINEAR = RotaryScaling("linear", 4.0)
THREE = RotaryScaling("llama3", 8.0, 1.0, 4.0, 32)
ROTARY: dict[str, tuple[dict[str, Any], float, RotaryScaling | None]] = {
    "Transformers 4": ({"rope_theta": 300.0, "rope_scaling": None}, 300.0, None),
    "Transformers 5": ({"rope_parameters": {"rope_type": "default", "rope_theta": 300}}, 300, None),
    "nothing": ({"rope_scaling": {}, "rope_parameters": None}, 10_000.0, None),
    "linear, 4": ({"rope_scaling": {"type": "linear", "factor": 4.0}}, 10_000.0, LINEAR),
    "linear, 5": (
        {"rope_parameters": {"rope_type": "linear", "factor": 4.0, "rope_theta": 7.0}}, 7.0, LINEAR
    ),
    "both names": (
        {"rope_scaling": {"type": "linear", "rope_type": "linear", "factor": 4}}, 10_000.0, LINEAR
    ),
    "Llama 3, 4": ({"rope_theta": 5e5, "rope_scaling": LLAMA3}, 5e5, THREE),
    "Llama 3, 5": ({"rope_parameters": LLAMA3 | {"rope_theta": 5e5}}, 5e5, THREE),
    "in both places": (
        {"rope_theta": 5e5, "rope_scaling": LLAMA3, "rope_parameters": {"rope_theta": 5e5}},
        5e5, THREE,
    ),
    "all of each head": ({"partial_rotary_factor": 1.0}, 10_000.0, None),
    "the context before": (
        {"rope_scaling": {k: v for k, v in LLAMA3.items() if not k.startswith("original")},
         "original_max_position_embeddings": 32}, 10_000.0, THREE,
    ),
}  # fmt: skip


@pytest.mark.parametrize(("keys", "base", "scaling"), ROTARY.values(), ids=ROTARY)
def test_rotary_positions(read, keys, base, scaling):
    config = read(**keys)
    assert (config.rotary_base, config.rotary_scaling) == (base, scaling)


@pytest.mark.parametrize(
    ("family", "keys", "block_size"),
    [
        ("mistral", {"sliding_window": 64}, None),
        ("mistral", {"sliding_window": 100}, None),
        ("mistral", {"sliding_window": 16}, 16),
        ("qwen2", {"sliding_window": 16}, None),
        ("qwen2", {"sliding_window": 16, "use_sliding_window": False}, None),
        ("qwen2", {"sliding_window": 16, "use_sliding_window": True,
                   "layer_types": ["full_attention"] * 2}, None),
        ("qwen2", {"sliding_window": 16, "use_sliding_window": True, "max_window_layers": 2}, None),
        ("qwen3", {"sliding_window": 64, "use_sliding_window": True}, None),
        ("qwen3", {"sliding_window": None, "use_sliding_window": True}, None),
        ("llama", {"sliding_window": 16}, None),  # which its code does not read
    ],
)  # fmt: skip
def test_windows_without_effect(read, family, keys, block_size):
    expected = read(family)
    if block_size:
        expected = dataclasses.replace(expected, block_size=block_size)
    assert read(family, None, block_size, **keys) == expected


@pytest.mark.parametrize(
    "keys",
    [
        {"pretraining_tp": 2}, {"use_cache": False}, {"bos_token_id": [1, 2]}, {"dtype": "float16"},
        {"torch_dtype": "bfloat16"}, {"transformers_version": "9"}, {"someone's own": {"a": 1}},
        {"architectures": None}, {"architectures": ["LlamaModel"]}, {"attention_dropout": None},
        {"quantization_config": None, "is_encoder_decoder": False, "pruned_heads": {}},
    ],
)  # fmt: skip
def test_keys_that_change_no_number(read, keys):
    assert read(**keys) == SMALL


@pytest.mark.parametrize(
    ("family", "keys", "message"),
    [
        ("llama", {"architectures": ["LlamaForSequenceClassification"]}, "known are LlamaFor"),
        ("qwen2", {"architectures": ["LlamaForCausalLM"]}, "known are Qwen2ForCausalLM"),
        ("llama", {"hidden_act": "quick_gelu"}, "hidden_act='quick_gelu' is not supported"),
        ("llama", {"attention_bias": True}, "attention_bias=True with mlp_bias=False is not"),
        ("llama", {"mlp_bias": True}, "attention_bias=False with mlp_bias=True is not"),
        ("qwen3", {"attention_bias": True}, "attention_bias=True with no biases in the MLP is not"),
        ("llama", {"attention_dropout": 0.1}, "attention_dropout=0.1: .* choose it: dropout=0.0"),
        ("llama", {"quantization_config": {"bits": 4}}, "quantization_config="),
        ("llama", {"is_encoder_decoder": True}, "is_encoder_decoder=True is not supported"),
        ("mistral", {"sliding_window": 63}, "sliding_window=63 is shorter .*, block_size=63"),
        ("mistral", {"sliding_window": "63"}, "sliding_window='63' is shorter"),
        ("qwen2", {"sliding_window": 63, "use_sliding_window": True, "max_window_layers": 1},
         "sliding_window=63 is shorter"),
        ("qwen3", {"sliding_window": 9, "layer_types": ["full_attention", "sliding_attention"]},
         "sliding_window=9 is shorter"),
        ("qwen3", {"layer_types": ["linear_attention"]}, "layer_types=.* known are full_attention"),
        ("qwen3", {"layer_types": 3}, "layer_types=3 is not supported"),
        ("llama", {"partial_rotary_factor": 0.5}, "partial_rotary_factor=0.5 is not supported"),
        ("llama", {"rope_parameters": {"partial_rotary_factor": 0.5}}, "partial_rotary_factor=0.5"),
        ("llama", {"rope_scaling": {"type": "yarn", "factor": 2.0}}, "rope_type='yarn' is not"),
        ("llama", {"rope_scaling": {"type": "dynamic", "factor": 2.0}}, "rope_type='dynamic' is"),
        ("llama", {"rope_scaling": {"type": ["linear"]}}, "rope_type=.* is not supported"),
        ("llama", {"rope_scaling": {"type": "linear"}}, "factor must be a number above 0"),
        ("llama", {"rope_scaling": {"factor": 2.0}}, "positions with factor=2.0 are not supported"),
        ("llama", {"rope_scaling": {"type": "linear", "factor": 0}}, "factor must be a num"),
        ("llama", {"rope_scaling": LLAMA3 | {"low_freq_factor": 5}}, "low_frequency_factor=5 must"),
        ("llama", {"rope_scaling": LLAMA3 | {"beta_fast": 32}}, "positions with beta_fast=32 are"),
        ("llama", {"rope_scaling": "linear"}, "rope_scaling='linear' is not an object"),
        ("llama", {"rope_parameters": [1]}, "rope_parameters=.* is not an object"),
        ("llama", {"rope_theta": 1.0, "rope_parameters": {"rope_theta": 2.0}}, "both rope_theta="),
        ("llama", {"rope_scaling": {"type": "linear", "rope_type": "llama3"}}, "both rope_type="),
        ("llama", {"rope_scaling": {"type": "linear", "factor": 2.0},
                   "rope_parameters": {"rope_type": "default"}}, "both rope_type="),
    ],
)  # fmt: skip
def test_keys_that_are_refused(read, tmp_path, family, keys, message):
    with pytest.raises(PretrainedError, match=message) as caught:
        read(family, **keys)
    assert str(caught.value).startswith(f"{tmp_path / 'config.json'}: ")
    assert len(str(caught.value)) < 600


def test_dropout_and_a_shorter_context(read):
    assert read(attention_dropout=0.5, _dropout=0.25).dropout == 0.25
    assert read(_block_size=16) == dataclasses.replace(SMALL, block_size=16)
    shorter = read(_block_size=16, rope_scaling={k: LLAMA3[k] for k in LLAMA3 if k[0] != "o"})
    assert shorter.rotary_scaling is not None
    assert shorter.rotary_scaling.original_context == 64  # the file's context, not the shorter one
    with pytest.raises(PretrainedError, match=r"block_size=65 is longer .* model, 64 tokens"):
        read(_block_size=65)


# ── out ───────────────────────────────────────────────────────────────────────────────────────────

OUT: dict[str, tuple[str, dict[str, Any]]] = {
    "as it is": ("llama", {}),
    "every field": ("llama", {"tie_head": True, "n_inner": 5, "layer_norm_eps": 0.5,
                              "init_std": 0.5, "activation": "relu_squared", "n_kv_head": None,
                              "head_width": 6, "rotary_base": 7.0}),
    "biases": ("llama", {"bias": True}),
    "linear": ("llama", {"rotary_scaling": LINEAR}),
    "llama3": ("llama", {"rotary_scaling": THREE}),
    "a width of no multiple": ("mistral", {"n_embd": 30, "head_width": 8}),
    "qkv_bias": ("qwen2", {"qkv_bias": True}),
    "qkv_bias and such a width": ("qwen2", {"qkv_bias": True, "n_embd": 30, "head_width": 8}),
    "qk_norm": ("qwen3", {"qk_norm": True, "head_width": 10}),
}  # fmt: skip


@pytest.mark.parametrize(("family", "changes"), OUT.values(), ids=OUT)
def test_there_and_back(tmp_path, read, family, changes):
    config = dataclasses.replace(SMALL, **changes)
    keys = llama_config(dataclasses.asdict(config), "float32", end_of_text=3)
    assert keys["eos_token_id"] == keys["bos_token_id"] == 3
    assert keys["model_type"] == family and keys["dtype"] == "float32"
    assert keys["architectures"] == [f"{ARCHITECTURES[family]}ForCausalLM"]
    assert read(family, **keys) == config


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"normalization": "layer"}, "^normalization='layer' cannot be saved as a llama, which"),
        ({"positions": "learned", "rotary_base": 1e4}, "^positions='learned' cannot be saved as a"),
        ({"mlp": "plain"}, "^mlp='plain' cannot be saved as a llama"),
        ({"norm": "post"}, "^norm='post' cannot be saved as a llama"),
        ({"causal": False}, "^causal=False cannot be saved as a llama"),
        ({"residual": False}, "^residual=False cannot be saved as a llama"),
        ({"scale_attention": False}, "^scale_attention=False cannot be saved as a llama"),
        ({"qk_norm": True, "bias": True}, "^bias=True cannot be saved as a .*, a Qwen 3"),
        ({"qk_norm": True, "qkv_bias": True}, "^qkv_bias=True cannot be saved as a .*, a Qwen 3"),
        ({"bias": True, "qkv_bias": False}, "^bias=True cannot be saved as a .*, a Qwen 2"),
        ({"bias": True, "n_embd": 30, "head_width": 8}, "^bias=True cannot be saved as a model"),
    ],
)  # fmt: skip
def test_options_that_no_family_has(changes, message):
    model = GPT(dataclasses.replace(SMALL, **changes))
    arrays = {name: parameter.data for name, parameter in model.named_parameters()}
    with pytest.raises(ValueError, match=message):
        as_published(dataclasses.asdict(model.config), arrays)


def test_every_option_of_gptconfig_maps_or_is_refused():
    fields = {field.name for field in dataclasses.fields(GPTConfig)}
    mapped = {*FIELDS, "activation", "bias", "qkv_bias", "qk_norm", "rotary_base", "rotary_scaling"}
    in_training_only = {"dropout", "recompute"}
    with_positions_that_are_refused = {"alibi_scale"}
    assert fields == mapped | set(OPTIONS) | in_training_only | with_positions_that_are_refused
