"""The layers, MLP, attention and blocks as modules: sizes, initial weights, modes, equations."""

from __future__ import annotations

import math

import numpy as np
import pytest

import minigpt.functional as F
from minigpt import Tensor, gradcheck, no_grad
from minigpt.functional import plain, plain_llama
from minigpt.nn import (
    MLP,
    Block,
    BlockConfig,
    CausalSelfAttention,
    CrossAttention,
    DecoderBlock,
    Dropout,
    Embedding,
    GatedMLP,
    Identity,
    KeyValueCache,
    LayerNorm,
    LearnedPositions,
    Linear,
    Module,
    RMSNorm,
    RotaryScaling,
    SinusoidalPositions,
)


def inputs(*shape, dtype=np.float32, seed=0):
    return Tensor(np.random.default_rng(seed).standard_normal(shape).astype(dtype))


def randomised(module: Module, seed=0) -> Module:
    """The module in float64 with biases and norms that are not 0 and 1."""
    rng = np.random.default_rng(seed)
    for p in module.astype(np.float64).parameters():
        p.data += 0.3 * rng.standard_normal(p.shape)
    return module


# ── what a layer computes ─────────────────────────────────────────────────────────────────────


def test_linear():
    layer, x = randomised(Linear(3, 2, seed=0)), inputs(4, 5, 3, dtype=np.float64)
    expected = x.data @ layer.weight.data + layer.bias.data
    np.testing.assert_allclose(layer(x).data, expected, rtol=1e-13)
    assert Linear(3, 2, bias=False, seed=0).bias is None


def test_linear_keeps_the_variance_by_default():
    layer = Linear(400, 300, seed=0)
    assert layer.weight.data.std() == pytest.approx(1 / math.sqrt(400), rel=0.02)
    assert layer.weight.data.mean() == pytest.approx(0, abs=1e-3)
    assert not layer.bias.data.any()
    assert Linear(400, 300, std=0.5, seed=0).weight.data.std() == pytest.approx(0.5, rel=0.02)


def test_embedding():
    layer = Embedding(100, 200, seed=0)
    assert layer.weight.data.std() == pytest.approx(0.02, rel=0.02)
    ids = np.array([[3, 99], [0, 3]])
    np.testing.assert_array_equal(layer(ids).data, layer.weight.data[ids])
    with pytest.raises(IndexError, match="100 entries"):
        layer(np.array([100]))


def test_layer_norm_starts_as_the_plain_normalisation():
    x = inputs(4, 6)
    expected = (x.data - x.data.mean(-1, keepdims=True)) / x.data.std(-1, keepdims=True)
    np.testing.assert_allclose(LayerNorm(6)(x).data, expected, atol=1e-4)
    assert LayerNorm(6, bias=False).bias is None
    assert LayerNorm(6, eps=0.5).eps == 0.5


def test_the_same_seed_gives_the_same_weights():
    for make in (
        lambda seed: Linear(3, 4, seed=seed),
        lambda seed: Embedding(3, 4, seed=seed),
        lambda seed: Block(BlockConfig(4, 2), seed=seed),
    ):
        once, again, other = make(3).state_dict(), make(3).state_dict(), make(4).state_dict()
        generated = make(np.random.default_rng(3)).state_dict()
        for name, array in once.items():
            np.testing.assert_array_equal(array, again[name])
            np.testing.assert_array_equal(array, generated[name])
        assert any((array != other[name]).any() for name, array in once.items())


def test_dropout_in_training_alone_and_with_a_generator_alone():
    layer, x = Dropout(0.5), inputs(10, 10)
    with pytest.raises(
        TypeError,
        match=r"rng of dropout in training must be a Generator.*; pass rng=.*model\.eval\(\)",
    ):
        layer(x)
    y = layer(x, np.random.default_rng(0))
    assert ((y.data == 0) | (y.data == 2 * x.data)).all()
    assert 20 < (y.data == 0).sum() < 80
    assert layer.eval()(x) is x
    assert Dropout(0.0)(x) is x


def test_positions():
    x = inputs(3, 2, 4)
    learned = LearnedPositions(8, 4, seed=0)
    y = learned(x, np.array([2, 0]))
    np.testing.assert_array_equal(y.data, x.data + learned.weight.data[[2, 0]])
    fixed = SinusoidalPositions(8, 4)
    y = fixed(x, np.array([2, 0]))
    assert y.dtype == np.float32
    assert not y.requires_grad
    np.testing.assert_allclose(
        y.data - x.data, [F.sinusoidal_positions(8, 4)[[2, 0]]] * 3, atol=1e-6
    )
    x = inputs(1, 1, 4, dtype=np.float64)
    np.testing.assert_array_equal(
        fixed(x, np.array([[1]])).data, x.data + F.sinusoidal_positions(8, 4)[1]
    )
    assert fixed.num_parameters() == 0
    with pytest.raises(IndexError, match="positions must be from 0 to 7"):
        fixed(x, np.array([8]))
    with pytest.raises(ValueError, match="even"):
        SinusoidalPositions(8, 5)


def test_sinusoidal_positions_take_memory_for_the_places_that_are_used():
    many = SinusoidalPositions(2**40, 4)
    places = np.array([0, 5, 3000])
    found = many(inputs(1, 3, 4, dtype=np.float64), places).data - inputs(1, 3, 4).data
    np.testing.assert_allclose(found[0], F.sinusoidal_positions(3001, 4)[places], atol=1e-6)
    assert len(many.table) == 6000
    few = SinusoidalPositions(5, 4)
    few(inputs(1, 1, 4), np.array([4]))
    assert len(few.table) == 5


@pytest.mark.parametrize("name", F.ACTIVATIONS)
@pytest.mark.parametrize("bias", [True, False])
def test_mlp(name, bias):
    mlp = randomised(MLP(BlockConfig(4, 1, n_inner=6, activation=name, bias=bias), seed=0))
    x = inputs(2, 3, 4, dtype=np.float64)
    expected = plain.feed_forward(
        x,
        (mlp.up_proj.weight, mlp.up_proj.bias),
        (mlp.down_proj.weight, mlp.down_proj.bias),
        F.ACTIVATIONS[name],
    )
    np.testing.assert_allclose(mlp(x).data, expected.data, rtol=1e-12)
    assert MLP(BlockConfig(4, 1), seed=0).up_proj.weight.shape == (4, 16)


@pytest.mark.parametrize("causal", [True, False])
def test_self_attention(causal):
    attention = randomised(CausalSelfAttention(BlockConfig(6, 3, causal=causal), seed=0))
    x = inputs(2, 4, 6, dtype=np.float64)
    mask = np.array([[1, 1, 1, 1], [1, 1, 0, 0]], bool)[:, None, None]
    qkv = plain.linear(x, attention.qkv_proj.weight, attention.qkv_proj.bias)
    heads = plain.multi_head_attention(qkv, 3, mask, causal)
    expected = plain.linear(heads, attention.out_proj.weight, attention.out_proj.bias)
    np.testing.assert_allclose(attention(x, mask).data, expected.data, rtol=1e-10)


def test_the_attention_weights_are_those_that_the_output_is_made_with():
    attention = randomised(CausalSelfAttention(BlockConfig(6, 3), seed=0))
    x = inputs(2, 4, 6, dtype=np.float64)
    weights = attention.weights(x)
    assert weights.shape == (2, 3, 4, 4)
    np.testing.assert_allclose(weights.sum(axis=-1), 1)
    assert not np.triu(weights, 1).any()
    values = attention.qkv_proj(x).data[..., 12:].reshape(2, 4, 3, 2).swapaxes(1, 2)
    heads = (weights @ values).swapaxes(1, 2).reshape(2, 4, 6)
    expected = attention.out_proj(Tensor(heads))
    np.testing.assert_allclose(attention(x).data, expected.data, rtol=1e-12)


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_block(norm):
    block = randomised(Block(BlockConfig(4, 2, norm=norm), seed=0))
    x = inputs(2, 3, 4, dtype=np.float64)
    if norm == "pre":
        h = x + block.attention(block.attention_norm(x))
        expected = h + block.mlp(block.mlp_norm(h))
    else:
        h = block.attention_norm(x + block.attention(x))
        expected = block.mlp_norm(h + block.mlp(h))
    np.testing.assert_array_equal(block(x).data, expected.data)


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_a_whole_block_passes_gradcheck(norm):
    block = randomised(
        Block(BlockConfig(4, 2, n_inner=5, norm=norm, dropout=0.2, layer_norm_eps=1e-2), seed=0)
    )
    x = inputs(1, 3, 4, dtype=np.float64)
    x.requires_grad = True

    def run(*_):
        return block(x, rng=np.random.default_rng(5))

    assert gradcheck(run, [x, *block.parameters()])


class Shift(Module):
    """A part of one's own that takes x, and nothing else."""

    def forward(self, x):
        return x + 1


class ShiftByChance(Module):
    def forward(self, x, mask=None, rng=None):
        return x + rng.random() + (0 if mask is None else 1)


def test_parts_of_ones_own_are_given_a_generator_only_where_they_take_one():
    block, x = Block(BlockConfig(4, 2, dropout=0.5), seed=0), inputs(1, 3, 4)
    block.attention, block.mlp = Shift(), ShiftByChance()
    h = x + block.attention_norm(x) + 1
    chance = np.random.default_rng(2).random()
    expected = (h + block.mlp_norm(h) + chance).data
    np.testing.assert_allclose(block(x, rng=np.random.default_rng(2)).data, expected, rtol=1e-6)
    with pytest.raises(TypeError, match="mask"):  # not left out without a word
        block(x, np.ones((1, 1, 1, 3), bool), rng=np.random.default_rng(2))


def test_a_block_is_made_from_any_object_that_has_what_it_reads():
    from types import SimpleNamespace

    fields = {"n_embd": 4, "n_head": 2, "n_inner": None, "activation": "relu", "norm": "post"}
    fields |= {"dropout": 0.0, "bias": False, "layer_norm_eps": 1e-5, "init_std": 0.1}
    rest = {"residual_std": 0.1, "causal": True, "residual": True, "slopes": None}
    rest |= {"scale_attention": True, "scale_attention_by_layer": False, "rotary": None}
    rest |= {"normalization": "layer", "mlp": "plain", "n_kv_head": None, "head_width": None}
    rest |= {"qk_norm": False, "qkv_bias": None, "short_convolution": None}
    own = SimpleNamespace(**fields, **rest)
    block, x = Block(own, seed=0), inputs(1, 3, 4)
    np.testing.assert_array_equal(block(x).data, Block(BlockConfig(**fields), seed=0)(x).data)
    del own.slopes
    with pytest.raises(TypeError, match=r"config must be a configuration, with .*slopes"):
        Block(own, seed=0)


# ── the parts of a modern block ───────────────────────────────────────────────────────────────

LLAMA = {
    "normalization": "rms", "mlp": "gated", "activation": "silu", "bias": False,
    "rotary_base": 10_000.0,
}  # fmt: skip


def test_rms_norm():
    norm, x = randomised(RMSNorm(5, eps=0.1)), inputs(2, 3, 5, dtype=np.float64)
    expected = plain_llama.rms_norm(x, norm.weight, 0.1)
    np.testing.assert_allclose(norm(x).data, expected.data, rtol=1e-12)
    np.testing.assert_array_equal(RMSNorm(5).weight.data, 1)


@pytest.mark.parametrize("bias", [True, False])
def test_a_gated_mlp(bias):
    mlp = randomised(GatedMLP(BlockConfig(4, 2, n_inner=6, activation="silu", bias=bias), seed=0))
    x = inputs(2, 3, 4, dtype=np.float64)
    gate, up, down = ((p.weight, p.bias) for p in (mlp.gate_proj, mlp.up_proj, mlp.down_proj))
    expected = plain_llama.gated_feed_forward(x, gate, up, down)
    np.testing.assert_allclose(mlp(x).data, expected.data, rtol=1e-12)


@pytest.mark.parametrize("n_kv_head", [1, 2, 4])
@pytest.mark.parametrize("qk_norm", [True, False])
def test_a_block_with_the_parts_of_llama_is_the_plain_one(n_kv_head, qk_norm):
    config = BlockConfig(8, 4, n_kv_head=n_kv_head, qk_norm=qk_norm, **LLAMA)
    block, x = randomised(Block(config, seed=0)), inputs(2, 5, 8, dtype=np.float64)
    mask = np.random.default_rng(1).random((2, 1, 1, 5)) < 0.7
    mask[..., 0] = True
    expected = plain_llama.llama_block(x, dict(block.named_parameters()), 4, n_kv_head, mask)
    np.testing.assert_allclose(block(x, mask).data, expected.data, rtol=1e-10)


def test_places_go_on_after_a_cache_and_may_be_given():
    block = randomised(Block(BlockConfig(8, 2, n_kv_head=1, **LLAMA), seed=0))
    x = inputs(1, 6, 8, dtype=np.float64)
    whole = block(x).data
    np.testing.assert_array_equal(block(x, positions=np.arange(6)).data, whole)
    np.testing.assert_allclose(block(x, positions=np.arange(6) + 9).data, whole, rtol=1e-10)
    assert abs(block(x, positions=2 * np.arange(6)).data - whole).max() > 1e-3
    cache = KeyValueCache(1, 1, 1, 6, 4, np.float64)
    with no_grad():
        for here in (slice(0, 4), slice(4, 5), slice(5, 6)):
            part = block(x[:, here], cache=cache).data
            cache.advance(part.shape[1])
            np.testing.assert_allclose(part, whole[:, here], rtol=1e-10)


def test_what_a_replaced_projection_gives_is_not_written_to():
    attention = CausalSelfAttention(BlockConfig(6, 1, rotary_base=10.0), seed=0)
    attention.qkv_proj = Identity()
    x = inputs(1, 4, 18)
    before = x.data.copy()
    attention(x)
    np.testing.assert_array_equal(x.data, before)


def test_biases_of_queries_keys_and_values_only():
    attention = CausalSelfAttention(BlockConfig(8, 2, bias=False, qkv_bias=True), seed=0)
    assert attention.qkv_proj.bias is not None and attention.out_proj.bias is None
    attention = CausalSelfAttention(BlockConfig(8, 2, bias=True, qkv_bias=False), seed=0)
    assert attention.qkv_proj.bias is None and attention.out_proj.bias is not None


def test_a_block_says_what_its_attention_is():
    config = BlockConfig(12, 4, n_kv_head=2, head_width=6, rotary_base=5e5)
    attention = CausalSelfAttention(config, seed=0)
    assert attention.extra_repr() == "n_head=4, n_kv_head=2, rotary_base=500000"
    assert attention.qkv_proj.weight.shape == (12, 8 * 6)
    assert attention.out_proj.weight.shape == (24, 12)


@pytest.mark.parametrize("make", [DecoderBlock, CrossAttention])
@pytest.mark.parametrize(
    ("name", "value"),
    [("n_kv_head", 1), ("head_width", 3), ("qk_norm", True), ("qkv_bias", False), ("mlp", "gated"),
     ("normalization", "rms"), ("rotary_base", 10.0), ("short_convolution", 2)],
)  # fmt: skip
def test_an_encoder_decoder_refuses_what_only_a_gpt_has(make, name, value):
    said = "rotary" if name == "rotary_base" else name
    with pytest.raises(ValueError, match=f"^{said}=.* is for the blocks of a GPT: an encoder–dec"):
        make(BlockConfig(4, 2, **{name: value}), seed=0)


def test_dropout_in_a_block_is_everywhere_and_ends_with_eval():
    block, x = Block(BlockConfig(8, 2, dropout=0.5), seed=0), inputs(1, 6, 8)
    runs = [block(x, rng=np.random.default_rng(seed)).data for seed in (0, 0, 1)]
    np.testing.assert_array_equal(runs[0], runs[1])
    assert (runs[0] != runs[2]).any()
    with pytest.raises(TypeError, match="rng"):
        block(x)
    block.eval()
    np.testing.assert_array_equal(block(x).data, block(x, rng=np.random.default_rng(0)).data)
    for part in (block.attention.residual_dropout, block.mlp.dropout):
        assert part.p == 0.5
    assert block.attention.attention_dropout == 0.5


# ── errors ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Linear(0, 2, seed=0), ValueError, "n_in must be an integer of at least 1: got 0"),
        (lambda: Linear(2, 2.0, seed=0), TypeError,
         r"n_out must be an integer of at least 1: got 2\.0"),
        (lambda: Linear(True, 2, seed=0), TypeError,
         "n_in must be an integer of at least 1: got True"),
        (lambda: Embedding(-1, 2, seed=0), ValueError,
         "n must be an integer of at least 1: got -1"),
        (lambda: LayerNorm("4"), TypeError, "n must be an integer of at least 1: got '4'"),
        (lambda: Dropout(1), ValueError, "p must be a probability.*: got 1"),
        (lambda: Linear(2, 2, std=math.nan, seed=0), ValueError,
         "std must be a number of at least 0"),
        (lambda: Linear(2, 2, std=1e39, seed=0), ValueError, r"std must be .* of at most 1e\+30"),
        (lambda: Embedding(2, 2, std="x", seed=0), TypeError, "std must be a number .*: got 'x'"),
        (lambda: LayerNorm(4, eps=math.nan), ValueError,
         "eps must be a number of at least 0: got n"),
        (lambda: LayerNorm(4, eps=None), TypeError, "eps must be a number of at least 0: got None"),
        (lambda: BlockConfig(4, 1, activation="swish"), ValueError,
         'activation must be "gelu_tanh", "gelu_erf", .* or "tanh": got \'swish\''),
        (lambda: BlockConfig(4, 1, activation=[]), TypeError, r"activation must be .*: got \[\]"),
        (lambda: BlockConfig(4, 2, norm="rms"), ValueError,
         r'norm must be "pre" \(GPT-2\), .* or "none" \(to study\): got \'rms\''),
        (lambda: BlockConfig(8, 4, causal=False, alibi_scale=1), ValueError,
         "causal must be True with an alibi_scale: got False; distances count back in time"),
        (lambda: BlockConfig(8, 4, alibi_scale=-1), ValueError,
         "alibi_scale must be a number above 0"),
        (lambda: RMSNorm(4, eps=0), ValueError, "eps must be a number above 0: got 0"),
        (lambda: RMSNorm(0), ValueError, "n must be an integer of at least 1: got 0"),
        (lambda: BlockConfig(8, 4, alibi_scale=1, rotary_base=10.0), ValueError,
         "alibi_scale and rotary_base are two kinds of positions: choose one"),
        (lambda: BlockConfig(8, 4, rotary_scaling=RotaryScaling("linear", 2.0)), ValueError,
         "rotary_scaling is for rotary positions: pass rotary_base too"),
        (lambda: BlockConfig(8, 8, rotary_base=10.0), ValueError,
         "head_width must be even, got n_embd / n_head = 1; choose head_width=2"),
        (lambda: BlockConfig(130, 4), ValueError,
         "n_embd=130 is not divisible by n_head=4: choose n_embd=128 or n_head=5"),
        (lambda: BlockConfig(7, 2), ValueError, "choose n_embd=6 or n_head=7"),
        (lambda: BlockConfig(4, 8), ValueError, "choose n_embd=8$"),
        (lambda: BlockConfig(10**12 + 39, 7), ValueError, f"choose n_embd={10**12 + 34}$"),
        (lambda: BlockConfig(4, 2, dropout=2), ValueError,
         "dropout must be a probability.*: got 2"),
        (lambda: Block(8, seed=0), TypeError,
         r"config must be a configuration, with norm, .*: got 8; make one: BlockConfig\(n_embd=…"),
        (lambda: MLP(BlockConfig, seed=0), TypeError, "got the class BlockConfig; make one"),
        (lambda: CausalSelfAttention(BlockConfig(4, 2), -1, seed=0), ValueError,
         "layer must be an"),
    ],
)  # fmt: skip
def test_wrong_sizes(make, error, message):
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize(
    "make",
    [
        lambda seed: Linear(2, 2, seed=seed),
        lambda seed: Embedding(2, 2, seed=seed),
        lambda seed: LearnedPositions(2, 2, seed=seed),
        lambda seed: MLP(BlockConfig(4, 1), seed=seed),
        lambda seed: CausalSelfAttention(BlockConfig(4, 2), seed=seed),
        lambda seed: Block(BlockConfig(4, 2), seed=seed),
    ],
)
@pytest.mark.parametrize(
    ("seed", "error", "message"),
    [
        (-1, ValueError, "seed must be an integer of at least 0: got -1"),
        (
            "x",
            TypeError,
            "seed must be an integer of at least 0: got 'x'; or pass a numpy.random.Generator",
        ),
        (None, TypeError, "got None"),
        (True, TypeError, "got True"),
    ],
)
def test_wrong_seeds(make, seed, error, message):
    with pytest.raises(error, match=message):
        make(seed)


def test_a_seed_must_be_given():
    with pytest.raises(TypeError, match="seed"):
        Linear(2, 2)
