"""Cross-attention, the decoder block and its cache; and what may be left out of a block."""

from __future__ import annotations

import numpy as np
import pytest

import minigpt.functional as F
from minigpt import Tensor, gradcheck, no_grad
from minigpt.grad_mode import evaluation
from minigpt.nn import (
    Block,
    BlockConfig,
    CrossAttention,
    DecoderBlock,
    DecoderCache,
    Dropout,
    Identity,
    LayerNorm,
    Module,
    NoPositions,
)
from minigpt.nn.positions import make_positions

MASK = (np.arange(6) < np.array([[6], [2]]))[:, None, None]  # (2, 1, 1, 6)


@pytest.fixture
def x(rng):
    return Tensor(rng.standard_normal((2, 5, 8)).astype(np.float32))


@pytest.fixture
def memory(rng):
    return Tensor(rng.standard_normal((2, 6, 8)).astype(np.float32))


# ── cross-attention ───────────────────────────────────────────────────────────────────────────


def test_it_is_attention_over_the_memory(x, memory):
    module = CrossAttention(BlockConfig(8, 2), seed=0)
    k, v = module.kv_proj(memory).split(2, axis=-1)
    heads = F.concatenate(
        [
            F.scaled_dot_product_attention(*(part.split(2, axis=-1)[i] for part in (q, k, v)))
            for q in [module.q_proj(x)]
            for i in range(2)
        ],
        axis=-1,
    )
    np.testing.assert_allclose(module(x, memory).data, module.out_proj(heads).data, atol=1e-6)


def test_keys_and_values_computed_before_give_the_same(x, memory):
    module = CrossAttention(BlockConfig(8, 2), seed=0)
    k, v = module.keys_and_values(memory)
    assert k.shape == v.shape == (2, 2, 6, 4)
    np.testing.assert_allclose(
        module(x, cache=DecoderCache(1, [(k, v)], MASK)).data,
        module(x, memory, MASK).data,
        atol=1e-6,
    )


def test_weights(x, memory):
    module = CrossAttention(BlockConfig(8, 2), seed=0)
    weights = module.weights(x, memory, MASK)
    assert weights.shape == (2, 2, 5, 6) and not weights[1, :, :, 2:].any()
    np.testing.assert_allclose(weights.sum(axis=-1), 1, rtol=1e-6)


def test_gradients(rng):
    module = CrossAttention(BlockConfig(4, 2), seed=0).astype(np.float64)
    block = DecoderBlock(BlockConfig(4, 2), seed=0).astype(np.float64)
    inputs = [Tensor(rng.standard_normal((2, n, 4)), requires_grad=True) for n in (3, 6)]
    assert gradcheck(lambda x, m: module(x, m, MASK), inputs)
    assert gradcheck(lambda x, m: block(x, m, memory_mask=MASK), inputs)


def test_dropout_is_repeatable_and_ends_with_eval(x, memory):
    module = CrossAttention(BlockConfig(8, 2, dropout=0.5), seed=0)
    first, again, other = (module(x, memory, rng=np.random.default_rng(s)).data for s in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    with pytest.raises(TypeError, match=r"rng must be a numpy\.random\.Generator: got None"):
        module(x, memory)
    plain = CrossAttention(BlockConfig(8, 2), seed=0)(x, memory).data
    np.testing.assert_array_equal(module.eval()(x, memory).data, plain)


def test_wrong_sizes():
    with pytest.raises(ValueError, match="n_embd=9 is not divisible by n_head=2"):
        CrossAttention(BlockConfig(9, 2), seed=0)


# ── the decoder block and its cache ───────────────────────────────────────────────────────────


@no_grad()
@pytest.mark.parametrize("norm", ["pre", "post"])
@pytest.mark.parametrize("rows", [None, [1, 0], [0, 1, 1, 0], [1]])
def test_block_over_a_cache(x, memory, norm, rows):
    block = DecoderBlock(BlockConfig(8, 2, norm=norm), seed=0)
    cache = DecoderCache(5, [block.cross_attention.keys_and_values(memory)], MASK)
    assert (cache.length, cache.capacity, cache.batch_size) == (0, 5, 2)
    expected = block(x, memory, memory_mask=MASK).data
    first = block(x[:, :3], None, cache=cache)
    np.testing.assert_allclose(first.data, expected[:, :3], atol=1e-5)
    cache.advance(3)
    if rows is not None:
        cache.reorder(rows)
        x, expected = Tensor(x.data[rows]), expected[rows]
    second = block(x[:, 3:], None, cache=cache)
    np.testing.assert_allclose(second.data, expected[:, 3:], atol=1e-5)


def test_rows_of_one_source_share_what_they_read(memory):
    """A step of beam search moves rows about, and copies no memory."""
    module = CrossAttention(BlockConfig(8, 2), seed=0)
    cache = DecoderCache(4, [module.keys_and_values(memory)], MASK)
    cache.reorder([0, 0, 1, 1])
    k, v = cache.memory[0]
    cache.reorder([1, 0, 3, 3])
    assert cache.memory[0][0] is k and cache.memory[0][1] is v
    cache.reorder([2, 0, 3, 3])
    np.testing.assert_array_equal(cache.memory[0][0], k[[2, 0, 3, 3]])
    np.testing.assert_array_equal(cache.memory_mask, MASK[[1, 0, 1, 1]])


# ── what may be left out ──────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("causal", [True, False])
def test_a_block_without_residual_and_norms(x, causal):
    block = Block(BlockConfig(8, 2, norm="none", causal=causal, residual=False), seed=0)
    np.testing.assert_array_equal(block(x).data, block.mlp(block.attention(x)).data)
    assert isinstance(block.attention_norm, Identity)
    assert not any("norm" in name for name, _ in block.named_parameters())
    with_residual = Block(BlockConfig(8, 2, norm="none", causal=causal), seed=0)
    y = x + with_residual.attention(x)
    np.testing.assert_array_equal(with_residual(x).data, (y + with_residual.mlp(y)).data)


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_norms_without_residual(x, norm):
    block = Block(BlockConfig(8, 2, norm=norm, residual=False), seed=0)
    a, m = block.attention_norm, block.mlp_norm
    if norm == "pre":
        expected = block.mlp(m(block.attention(a(x))))
    else:
        expected = m(block.mlp(a(block.attention(x))))
    np.testing.assert_array_equal(block(x).data, expected.data)
    assert "residual=False" in repr(block)


def test_no_positions(x):
    assert isinstance(make_positions("none", 5, 8, std=0.02, seed=0), NoPositions)
    assert NoPositions()(x, np.arange(5)) is x
    with pytest.raises(ValueError, match=r"positions must be .*: got 'random'"):
        make_positions("random", 5, 8, std=0.02, seed=0)


def test_evaluating_gives_every_module_its_mode_back(x):
    class Two(Module):
        def __init__(self):
            super().__init__()
            self.dropout, self.norm = Dropout(0.5), LayerNorm(8)

    two = Two()
    two.norm.eval()
    with pytest.raises(KeyError), evaluation():
        assert not two.dropout.training and not two.norm(x).requires_grad
        raise KeyError
    assert two.training and two.dropout.training and not two.norm.training
    assert two.norm(x).requires_grad
