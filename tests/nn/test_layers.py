"""The layers, MLP, attention and blocks as modules: sizes, initial weights, modes, equations."""

from __future__ import annotations

import math

import numpy as np
import pytest

import minigpt.functional as F
from minigpt import Tensor, gradcheck
from minigpt.functional import plain
from minigpt.nn import (
    MLP,
    Block,
    CausalSelfAttention,
    Dropout,
    Embedding,
    LayerNorm,
    LearnedPositions,
    Linear,
    Module,
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
        lambda seed: Block(4, 2, seed=seed),
    ):
        once, again, other = make(3).state_dict(), make(3).state_dict(), make(4).state_dict()
        generated = make(np.random.default_rng(3)).state_dict()
        for name, array in once.items():
            np.testing.assert_array_equal(array, again[name])
            np.testing.assert_array_equal(array, generated[name])
        assert any((array != other[name]).any() for name, array in once.items())


def test_dropout_in_training_alone_and_with_a_generator_alone():
    layer, x = Dropout(0.5), inputs(10, 10)
    with pytest.raises(TypeError, match=r"pass rng=np\.random\.default_rng.*model\.eval\(\)"):
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


@pytest.mark.parametrize("name", F.ACTIVATIONS)
@pytest.mark.parametrize("bias", [True, False])
def test_mlp(name, bias):
    mlp = randomised(MLP(4, 6, activation=name, bias=bias, seed=0))
    x = inputs(2, 3, 4, dtype=np.float64)
    expected = plain.feed_forward(
        x,
        (mlp.up_proj.weight, mlp.up_proj.bias),
        (mlp.down_proj.weight, mlp.down_proj.bias),
        F.ACTIVATIONS[name],
    )
    np.testing.assert_allclose(mlp(x).data, expected.data, rtol=1e-12)
    assert MLP(4, seed=0).up_proj.weight.shape == (4, 16)


@pytest.mark.parametrize("causal", [True, False])
def test_self_attention(causal):
    attention = randomised(CausalSelfAttention(6, 3, causal=causal, seed=0))
    x = inputs(2, 4, 6, dtype=np.float64)
    mask = np.array([[1, 1, 1, 1], [1, 1, 0, 0]], bool)[:, None, None]
    qkv = plain.linear(x, attention.qkv_proj.weight, attention.qkv_proj.bias)
    heads = plain.multi_head_attention(qkv, 3, mask, causal)
    expected = plain.linear(heads, attention.out_proj.weight, attention.out_proj.bias)
    np.testing.assert_allclose(attention(x, mask).data, expected.data, rtol=1e-10)


def test_the_attention_weights_are_those_that_the_output_is_made_with():
    attention = randomised(CausalSelfAttention(6, 3, seed=0))
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
    block = randomised(Block(4, 2, norm=norm, seed=0))
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
    block = randomised(Block(4, 2, n_inner=5, norm=norm, dropout=0.2, eps=1e-2, seed=0))
    x = inputs(1, 3, 4, dtype=np.float64)
    x.requires_grad = True

    def run(*_):
        return block(x, rng=np.random.default_rng(5))

    assert gradcheck(run, [x, *block.parameters()])


def test_dropout_in_a_block_is_everywhere_and_ends_with_eval():
    block, x = Block(8, 2, dropout=0.5, seed=0), inputs(1, 6, 8)
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
        (lambda: Linear(0, 2, seed=0), ValueError, "n_in=0 must be 1 or more"),
        (lambda: Linear(2, 2.0, seed=0), TypeError, r"n_out must be an integer, got 2\.0"),
        (lambda: Linear(True, 2, seed=0), TypeError, "n_in must be an integer, got True"),
        (lambda: Embedding(-1, 2, seed=0), ValueError, "n=-1 must be 1 or more"),
        (lambda: LayerNorm("4"), TypeError, "n must be an integer, got '4'"),
        (lambda: Dropout(1), ValueError, "p=1 must be a probability"),
        (lambda: MLP(4, activation="swish", seed=0), ValueError, "'swish'.*'gelu_erf'"),
        (lambda: Block(4, 2, norm="rms", seed=0), ValueError, "norm='rms': expected \"pre\""),
        (lambda: CausalSelfAttention(8, 4, slopes=np.ones(3), seed=0), ValueError,
         r"slopes have shape \(3,\), with causal=True: expected one for each of the 4 heads"),
        (lambda: CausalSelfAttention(8, 4, causal=False, slopes=np.ones(4), seed=0), ValueError,
         r"with causal=False: expected .*causal=True, as distances count back in time"),
        (lambda: CausalSelfAttention(130, 4, seed=0), ValueError,
         "n_embd=130 is not divisible by n_head=4: choose n_embd=128 or n_head=5"),
        (lambda: CausalSelfAttention(7, 2, seed=0), ValueError, "choose n_embd=6 or n_head=7"),
        (lambda: CausalSelfAttention(4, 8, seed=0), ValueError, "choose n_embd=8$"),
        (lambda: CausalSelfAttention(4, 2, dropout=2, seed=0), ValueError, "dropout=2 must be"),
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
        lambda seed: MLP(4, seed=seed),
        lambda seed: CausalSelfAttention(4, 2, seed=seed),
        lambda seed: Block(4, 2, seed=seed),
    ],
)
@pytest.mark.parametrize(
    ("seed", "error", "message"),
    [
        (-1, ValueError, "seed=-1 must be 0 or more"),
        ("x", TypeError, "seed must be an integer or a numpy.random.Generator, got 'x'"),
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
