"""GPTConfig and the presets: every field is checked, and GPT-2's sizes come out to the last one."""

from __future__ import annotations

import dataclasses
import json
import math

import numpy as np
import pytest

from minigpt import GPT, GPTConfig
from minigpt.models import EncoderConfig, Seq2SeqConfig, build_model
from minigpt.nn import RotaryScaling

SMALL = {"vocab_size": 11, "block_size": 8, "n_layer": 2, "n_head": 2, "n_embd": 8}


def test_defaults_are_gpt2():
    config = GPTConfig(**SMALL)
    assert dataclasses.asdict(config) == SMALL | {
        "dropout": 0.0,
        "bias": True,
        "activation": "gelu_tanh",
        "norm": "pre",
        "positions": "learned",
        "tie_head": True,
        "n_inner": None,
        "layer_norm_eps": 1e-5,
        "init_std": 0.02,
        "recompute": False,
        "causal": True,
        "residual": True,
        "alibi_scale": 1.0,
        "scale_attention": True,
        "scale_attention_by_layer": False,
        "normalization": "layer",
        "mlp": "plain",
        "n_kv_head": None,
        "head_width": None,
        "qk_norm": False,
        "qkv_bias": None,
        "rotary_base": 10_000.0,
        "rotary_scaling": None,
        "short_convolution": None,
    }


def test_it_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        GPTConfig(**SMALL).n_layer = 3


def test_it_goes_to_json_and_back_whatever_numbers_it_was_made_of():
    config = GPTConfig(
        **{name: np.int64(value) for name, value in SMALL.items()},
        dropout=np.float32(0.125),
        bias=np.False_,
        tie_head=np.True_,
        n_inner=np.int32(5),
        layer_norm_eps=np.float32(0.5),
        init_std=1,
    )
    text = json.dumps(dataclasses.asdict(config))
    assert GPTConfig(**json.loads(text)) == config
    assert config.bias is False
    assert config.dropout == 0.125


@pytest.mark.parametrize("field", ["vocab_size", "block_size", "n_layer", "n_head", "n_embd"])
@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (0, ValueError, "{} must be an integer of at least 1: got 0"),
        (-3, ValueError, "{} must be an integer of at least 1: got -3"),
        (2.0, TypeError, r"{} must be an integer of at least 1: got 2\.0"),
        ("8", TypeError, "{} must be an integer of at least 1: got '8'"),
        (True, TypeError, "{} must be an integer of at least 1: got True"),
        (None, TypeError, "{} must be an integer of at least 1: got None"),
        (math.nan, TypeError, "{} must be an integer of at least 1: got nan"),
    ],
)
def test_sizes(field, value, error, message):
    with pytest.raises(error, match=message.format(field)):
        GPTConfig(**SMALL | {field: value})


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"n_inner": 0}, ValueError, "n_inner must be an integer of at least 1: got 0"),
        ({"n_inner": 2.5}, TypeError, r"n_inner must be an integer of at least 1: got 2\.5"),
        ({"n_embd": 130, "n_head": 4}, ValueError,
         "n_embd=130 is not divisible by n_head=4: choose n_embd=128 or n_head=5"),
        ({"dropout": 1.0}, ValueError,
         r"dropout must be a probability, 0 <= dropout < 1: got 1\.0"),
        ({"dropout": -0.1}, ValueError, r"dropout must be a probability.*: got -0\.1"),
        ({"dropout": math.nan}, ValueError, "dropout must be a probability.*: got nan"),
        ({"dropout": "0.1"}, TypeError,
         r"dropout must be a probability, 0 <= dropout < 1: got '0\.1'"),
        ({"dropout": True}, TypeError, "dropout must be a probability, 0 <= dropout < 1: got True"),
        ({"bias": 1}, TypeError, "bias must be True or False: got 1"),
        ({"tie_head": "yes"}, TypeError, "tie_head must be True or False: got 'yes'"),
        ({"activation": "swish"}, ValueError,
         'activation must be "gelu_tanh", "gelu_erf", "relu", .*: got \'swish\''),
        ({"norm": "rms"}, ValueError,
         "norm must be \"pre\" .*, \"post\" .* or \"none\" .*: got 'rms'"),
        ({"positions": "random"}, ValueError, "positions must be \"learned\" .*, \"sinusoidal\" .*"
         "\"alibi\".*\"rotary\".*\"none\".*: got 'random'"),
        ({"positions": "alibi", "causal": False}, ValueError,
         "positions must be \"learned\" .*, \"sinusoidal\" or \"none\" in .*: got 'alibi'"),
        ({"n_layer": 10**400}, ValueError, "n_layer must be at most .*got an integer of 1329 bits"),
        ({"init_std": 10**400}, ValueError,
         "init_std must be a number above 0 .*: got an integer of"),
        ({"activation": []}, TypeError, r"activation must be .*got \[\]"),
        ({"n_layer": ["x" * 10**6]}, TypeError, r"n_layer must be .{1,120}$"),
        ({"causal": 0}, TypeError, "causal must be True or False: got 0"),
        ({"residual": None}, TypeError, "residual must be True or False: got None"),
        ({"positions": "sinusoidal", "n_embd": 9, "n_head": 3}, ValueError,
         "n_embd must be even for sinusoidal positions: got 9"),
        ({"layer_norm_eps": 0.0}, ValueError, r"layer_norm_eps must be a number above 0: got 0\.0"),
        ({"layer_norm_eps": math.nan}, ValueError,
         "layer_norm_eps must be a number above 0: got nan"),
        ({"layer_norm_eps": True}, TypeError, "layer_norm_eps must be a number above 0: got True"),
        ({"init_std": -0.02}, ValueError, r"init_std must be a number above 0 .*: got -0\.02"),
        ({"init_std": math.inf}, ValueError, "init_std must be a number above 0 .*: got inf"),
        ({"alibi_scale": 8.0}, ValueError,
         r"alibi_scale=8\.0 is for positions=\"alibi\", not 'learned': leave it out"),
        ({"positions": "alibi", "alibi_scale": 0}, ValueError,
         "alibi_scale must be a number above 0: got 0"),
        ({"init_std": "0.02"}, TypeError, r"init_std must be a number above 0 .*: got '0\.02'"),
        ({"normalization": "rmsnorm"}, ValueError,
         'normalization must be "layer" \\(GPT-2\\) or "rms" \\(Llama\\): got \'rmsnorm\''),
        ({"normalization": "rms", "norm": "none"}, ValueError,
         'normalization="rms" with norm="none", which has no norms: leave it out'),
        ({"mlp": "swiglu"}, ValueError,
         'mlp must be "plain" \\(GPT-2\\) or "gated" \\(Llama\\): got \'swiglu\''),
        ({"n_kv_head": 0}, ValueError, "n_kv_head must be an integer of at least 1: got 0"),
        ({"n_head": 8, "n_kv_head": 3}, ValueError,
         "n_head=8 is not divisible by n_kv_head=3: choose n_kv_head=2, as each head"),
        ({"n_kv_head": 4}, ValueError, "n_head=2 is not .* by n_kv_head=4: choose n_kv_head=2"),
        ({"head_width": 2.0}, TypeError, r"head_width must be an integer of at least 1: got 2\.0"),
        ({"head_width": 5, "positions": "rotary"}, ValueError,
         "turn features in pairs: head_width must be even, got 5; choose head_width=6"),
        ({"n_embd": 6, "positions": "rotary"}, ValueError,
         "head_width must be even, got n_embd / n_head = 3; choose head_width=4"),
        ({"qk_norm": True, "head_width": 1}, ValueError,
         "qk_norm=True needs a head_width of at least 2, got 1: of a single number a norm leaves"),
        ({"qk_norm": 1}, TypeError, "qk_norm must be True or False: got 1"),
        ({"short_convolution": 1}, ValueError,
         "short_convolution must be an integer of at least 2: got 1"),
        ({"qkv_bias": "no"}, TypeError, "qkv_bias must be True or False: got 'no'"),
        ({"rotary_base": 5e5}, ValueError,
         "rotary_base=500000\\.0 is for positions=\"rotary\", not 'learned': leave it out"),
        ({"rotary_scaling": RotaryScaling("linear", 2.0), "positions": "alibi"}, ValueError,
         "rotary_scaling=RotaryScaling.* is for positions=\"rotary\", not 'alibi': leave it out"),
        ({"rotary_base": 0, "positions": "rotary"}, ValueError,
         "rotary_base must be a number above 0: got 0"),
        ({"rotary_scaling": 2.0, "positions": "rotary"}, TypeError,
         r"rotary_scaling must be a RotaryScaling: got 2\.0"),
        ({"rotary_scaling": {"kind": "linear", "factr": 2.0}, "positions": "rotary"}, ValueError,
         "rotary_scaling does not fit a RotaryScaling: .*factr"),
        ({"alibi_scale": 2.0, "positions": "rotary"}, ValueError,
         "alibi_scale=2\\.0 is for positions=\"alibi\", not 'rotary': leave it out"),
    ],
)  # fmt: skip
def test_the_other_fields(changes, error, message):
    with pytest.raises(error, match=message):
        GPTConfig(**SMALL | changes)


@pytest.mark.parametrize("positions", ["alibi", "rotary"])
@pytest.mark.parametrize("make", [EncoderConfig, Seq2SeqConfig])
def test_other_models_say_that_such_positions_are_for_a_gpt(make, positions):
    sizes = {"vocab_size": 9, "block_size": 8}
    if make is Seq2SeqConfig:
        sizes = {f"{side}_{name}": n for side in ("source", "target") for name, n in sizes.items()}
    with pytest.raises(ValueError, match=f'got {positions!r}; "{positions}" is for a GPT: minigpt'):
        make(**sizes, n_layer=1, n_head=2, n_embd=8, positions=positions)


# ── the two families ──────────────────────────────────────────────────────────────────────────


def test_the_family_of_gpt2_is_the_default():
    assert GPTConfig.gpt2(11, 8, 2, 2, 8) == GPTConfig(**SMALL)
    assert GPTConfig.gpt2(11, 8, 2, 2, 8, dropout=0.1).dropout == 0.1


def test_the_family_of_llama():
    config = GPTConfig.llama(49152, 2048, 30, 9, 576, n_kv_head=3, tie_head=True)
    assert config == GPTConfig(
        49152, 2048, 30, 9, 576, bias=False, activation="silu", positions="rotary", n_inner=1536,
        normalization="rms", mlp="gated", n_kv_head=3,
    )  # fmt: skip
    assert not GPTConfig.llama(11, 8, 2, 2, 8).tie_head
    assert GPTConfig.llama(11, 8, 2, 2, 8, n_inner=20, rotary_base=5e5).n_inner == 20
    with pytest.raises(TypeError, match="rope_theta"):
        GPTConfig.llama(11, 8, 2, 2, 8, rope_theta=5e5)
    with pytest.raises(TypeError, match="n_embd must be an integer of at least 1: got '8'"):
        GPTConfig.llama(11, 8, 2, 2, "8")


def test_a_scaling_goes_to_json_and_back():
    scaling = RotaryScaling("llama3", 8.0, 1.0, 4.0, 8192)
    config = GPTConfig.llama(11, 8, 2, 2, 8, rotary_scaling=scaling)
    assert GPTConfig(**json.loads(json.dumps(dataclasses.asdict(config)))) == config
    assert hash(config) == hash(dataclasses.replace(config))


def test_a_gated_network_has_as_many_weights_as_a_plain_one():
    plain, gated = (
        GPT(GPTConfig(11, 8, 1, 2, 48, bias=False, mlp=mlp)).num_parameters()
        for mlp in ("plain", "gated")
    )
    assert plain == gated


# ── GPT-2's four sizes ────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("gpt2", 124_439_808),
        ("gpt2-medium", 354_823_168),
        ("gpt2-large", 774_030_080),
        ("gpt2-xl", 1_557_611_200),
    ],
)
def test_presets_have_gpt2s_parameters(name, count, monkeypatch):
    # Arrays of any shape that all lie on one number, so that no memory is taken.
    monkeypatch.setattr(
        "minigpt.nn.layers.normal",
        lambda shape, std, seed: np.broadcast_to(np.float32(std), shape),
    )
    model = GPT(GPTConfig.preset(name))
    assert model.num_parameters() == count
    assert f"{count:,} parameters" in repr(model).split("\n")[0]


def test_a_preset_can_be_changed():
    config = GPTConfig.preset("gpt2", n_layer=2, dropout=0.1)
    assert (config.n_layer, config.n_head, config.n_embd, config.dropout) == (2, 12, 768, 0.1)
    assert (config.vocab_size, config.block_size) == (50257, 1024)
    with pytest.raises(ValueError, match="not divisible by n_head=7"):
        GPTConfig.preset("gpt2", n_head=7)


def test_an_unknown_preset_names_the_known_ones():
    with pytest.raises(ValueError, match=r'name must be "gpt2", "gpt2-medium", .*: got \'gpt3\''):
        GPTConfig.preset("gpt3")


# ── building by name ──────────────────────────────────────────────────────────────────────────


def test_build_model():
    model = build_model("GPT", dataclasses.asdict(GPTConfig(**SMALL)), seed=3)
    expected = GPT(GPTConfig(**SMALL), seed=3)
    assert type(model) is GPT
    assert model.config == expected.config
    for name, array in expected.state_dict().items():
        np.testing.assert_array_equal(model.state_dict()[name], array)


@pytest.mark.parametrize(
    ("name", "config", "message"),
    [
        ("LSTM?", SMALL, r'name must be "GPT", .*: got \'LSTM\?\''),
        ("GPT", SMALL | {"n_layers": 2}, "does not fit GPT: .*n_layers"),
        ("GPT", {}, "does not fit GPT: .*vocab_size"),
        ("GPT", SMALL | {"n_head": 3}, "not divisible"),
    ],
)
def test_build_model_of_what_is_not_there(name, config, message):
    with pytest.raises(ValueError, match=message):
        build_model(name, config)


def test_a_model_needs_a_config():
    with pytest.raises(TypeError, match="config must be a GPTConfig: got"):
        GPT(SMALL)
