"""config.json: every key of GPT-2's maps to a field, is refused by name, or changes no number."""

from __future__ import annotations

import dataclasses
import json
import math

import pytest

from minigpt import GPTConfig
from minigpt.functional import ACTIVATIONS
from minigpt.interop import PretrainedError, gpt2_config
from minigpt.interop.config_json import ACTIVATIONS as NAMES
from minigpt.interop.config_json import read_keys

# OpenAI's own, as it is published.
PUBLISHED = {
    "activation_function": "gelu_new", "architectures": ["GPT2LMHeadModel"], "attn_pdrop": 0.1,
    "bos_token_id": 50256, "embd_pdrop": 0.1, "eos_token_id": 50256, "initializer_range": 0.02,
    "layer_norm_epsilon": 1e-05, "model_type": "gpt2", "n_ctx": 1024, "n_embd": 768, "n_head": 12,
    "n_layer": 12, "n_positions": 1024, "resid_pdrop": 0.1, "summary_activation": None,
    "summary_first_dropout": 0.1, "summary_proj_to_labels": True, "summary_type": "cls_index",
    "summary_use_proj": True, "vocab_size": 50257,
    "task_specific_params": {"text-generation": {"do_sample": True, "max_length": 50}},
}  # fmt: skip
SMALL = GPTConfig(vocab_size=11, block_size=8, n_layer=2, n_head=2, n_embd=8)


@pytest.fixture
def read(tmp_path):
    """A function that reads a config.json of these keys."""

    def read(keys, dropout=None):
        path = tmp_path / "config.json"
        path.write_text(json.dumps(keys))
        return GPTConfig(**gpt2_config.gpt2_fields(path, read_keys(path), dropout))

    return read


def test_the_published_file(read):
    assert read(PUBLISHED) == GPTConfig.preset("gpt2", dropout=0.1)


def test_what_is_not_in_the_file_is_gpt2s(read):
    assert read({"model_type": "gpt2"}) == GPTConfig.preset("gpt2", dropout=0.1)


@pytest.mark.parametrize(
    ("key", "value", "field", "expected"),
    [
        ("vocab_size", 100, "vocab_size", 100),
        ("n_positions", 7, "block_size", 7),
        ("max_position_embeddings", 7, "block_size", 7),
        ("n_layer", 3, "n_layer", 3),
        ("num_hidden_layers", 3, "n_layer", 3),
        ("n_head", 8, "n_head", 8),
        ("num_attention_heads", 8, "n_head", 8),
        ("n_embd", 24, "n_embd", 24),
        ("hidden_size", 24, "n_embd", 24),
        ("n_inner", 5, "n_inner", 5),
        ("n_inner", None, "n_inner", None),
        ("layer_norm_epsilon", 1e-6, "layer_norm_eps", 1e-6),
        ("initializer_range", 0.5, "init_std", 0.5),
        ("tie_word_embeddings", False, "tie_head", False),
        ("activation_function", "gelu_pytorch_tanh", "activation", "gelu_tanh"),
        ("activation_function", "gelu_fast", "activation", "gelu_tanh"),
        ("activation_function", "gelu", "activation", "gelu_erf"),
        ("activation_function", "relu", "activation", "relu"),
        ("activation_function", "silu", "activation", "silu"),
        ("activation_function", "swish", "activation", "silu"),
        ("activation_function", "tanh", "activation", "tanh"),
        ("scale_attn_weights", False, "scale_attention", False),
        ("scale_attn_by_inverse_layer_idx", True, "scale_attention_by_layer", True),
    ],
)
def test_keys(read, key, value, field, expected):
    config = read({"model_type": "gpt2", key: value})
    assert getattr(config, field) == expected
    unchanged = dataclasses.replace(config, **{field: getattr(read(PUBLISHED), field)})
    assert unchanged == read(PUBLISHED)


@pytest.mark.parametrize(
    "keys",
    [
        {"reorder_and_upcast_attn": True}, {"use_cache": False}, {"eos_token_id": [1, 2]},
        {"pad_token_id": 3}, {"n_ctx": 5}, {"dtype": "float16"}, {"torch_dtype": "bfloat16"},
        {"transformers_version": "9"}, {"someone's own": {"a": 1}},
        {"scale_attn_weights": True, "add_cross_attention": False, "pruned_heads": {}},
        {"architectures": None}, {"architectures": ["GPT2Model"]},
    ],
)  # fmt: skip
def test_keys_that_change_no_number(read, keys):
    assert read(PUBLISHED | keys) == read(PUBLISHED)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"architectures": ["GPT2ForSequenceClassification"]}, "architectures=.* known are GPT2LM"),
        ({"architectures": "GPT2LMHeadModel"}, "architectures='GPT2LMHeadModel' is not supported"),
        ({"activation_function": "quick_gelu"}, "activation_function='quick_gelu' .*gelu_new"),
        ({"activation_function": ["relu"]}, "activation_function="),
        ({"activation_function": None}, "activation_function=None"),
        ({"add_cross_attention": True}, "add_cross_attention=True"),
        ({"is_encoder_decoder": True}, "is_encoder_decoder=True"),
        ({"pruned_heads": {"0": [1]}}, "pruned_heads="),
        ({"quantization_config": {"bits": 4}}, "quantization_config="),
        ({"hidden_size": 24}, "n_embd=768 and hidden_size=24"),
        ({"attn_pdrop": 0.2}, "resid_pdrop=0.1, embd_pdrop=0.1, attn_pdrop=0.2: .* dropout=0.1"),
    ],
)  # fmt: skip
def test_keys_that_are_refused(read, tmp_path, keys, message):
    with pytest.raises(PretrainedError, match=message) as caught:
        read(PUBLISHED | keys)
    assert str(caught.value).startswith(f"{tmp_path / 'config.json'}: ")


def test_dropout_can_be_chosen(read):
    assert read(PUBLISHED | {"attn_pdrop": 0.2}, dropout=0.3).dropout == 0.3
    assert read(PUBLISHED | {"attn_pdrop": "?"}, dropout=0.0).dropout == 0.0
    assert read(PUBLISHED | dict.fromkeys(gpt2_config.DROPOUTS, 0)).dropout == 0


# ── out ───────────────────────────────────────────────────────────────────────────────────────────

OUT = {
    "as it is": {},
    "every field": {
        "dropout": 0.25, "tie_head": False, "n_inner": 5, "layer_norm_eps": 0.5, "init_std": 0.5
    },
    **{name: {"activation": name} for name in ACTIVATIONS},
}  # fmt: skip


@pytest.mark.parametrize("changes", OUT.values(), ids=OUT)
def test_there_and_back(read, changes):
    config = dataclasses.replace(SMALL, **changes)
    keys = gpt2_config.gpt2_config(dataclasses.asdict(config), "float32", end_of_text=3)
    assert keys["eos_token_id"] == keys["bos_token_id"] == 3
    assert keys["dtype"] == "float32" and keys["architectures"] == ["GPT2LMHeadModel"]
    assert read(keys) == config


REFUSED = {
    "bias": False,
    "norm": "post",
    "positions": "sinusoidal",
    "causal": False,
    "residual": False,
    "normalization": "rms",
    "mlp": "gated",
    "n_kv_head": 1,
    "head_width": 6,
    "qk_norm": True,
    "qkv_bias": False,
    "short_convolution": 3,
}


@pytest.mark.parametrize(("name", "value"), REFUSED.items())
def test_options_that_gpt2_has_not_got(name, value):
    config = dataclasses.replace(SMALL, **{name: value})
    with pytest.raises(
        ValueError, match=f"^{name}={value!r} cannot be saved as a GPT-2, which only has"
    ):
        gpt2_config.gpt2_config(dataclasses.asdict(config), "float32")


def test_every_option_of_gptconfig_maps_or_is_refused():
    mapped = {*gpt2_config.FIELDS, "dropout", "activation"}
    assert set(REFUSED) == set(gpt2_config.GPT2_OPTIONS)
    changes_no_number = {"recompute"}
    with_positions_that_are_refused = {"alibi_scale", "rotary_base", "rotary_scaling"}
    fields = {field.name for field in dataclasses.fields(GPTConfig)}
    assert fields == (mapped | set(REFUSED) | changes_no_number | with_positions_that_are_refused)


def test_every_activation_has_a_name_there():
    assert set(NAMES.values()) == set(ACTIVATIONS)
    names = {
        gpt2_config.gpt2_config(
            dataclasses.asdict(dataclasses.replace(SMALL, activation=activation)), "float32"
        )["activation_function"]
        for activation in ACTIVATIONS
    }
    assert names == {"gelu_new", "gelu", "relu", "relu2", "silu", "tanh"}


def test_no_number_is_nan():
    with pytest.raises(ValueError, match="nan"):
        dataclasses.replace(SMALL, layer_norm_eps=math.nan)
