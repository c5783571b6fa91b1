"""The short convolution in a model: what a cache keeps for it, and padding, which counts as 0."""

import numpy as np
import pytest

from minigpt import GPT, GPTConfig, Tensor, no_grad
from minigpt.nn import (
    Block,
    BlockConfig,
    CausalSelfAttention,
    ConvolutionCache,
    KeyValueCache,
    ShortConvolution,
)
from minigpt.optim import Muon
from minigpt.sampling import Sampler
from minigpt.tasks.answering import complete

IDS = np.random.default_rng(0).integers(0, 11, (2, 9))


def model(**changes):
    options = {"n_layer": 2, "n_head": 2, "n_embd": 8, "short_convolution": 4, **changes}
    made = GPT(GPTConfig(11, 12, **options), seed=0).astype(np.float64).eval()
    rng = np.random.default_rng(1)
    for p in made.parameters():
        p.data = p.data + rng.normal(0, 0.4, p.shape)
    return made


def test_what_it_starts_as():
    weight = ShortConvolution(5000, 4, seed=0).weight.data
    np.testing.assert_array_equal(weight[0], 1)
    assert abs(weight[1:].std() - 0.5) < 0.02 and abs(weight[1:].mean()) < 0.02
    with pytest.raises(ValueError, match="width must be an integer of at least 2: got 1"):
        ShortConvolution(4, 1, seed=0)


@no_grad()
def test_tokens_may_be_forgotten_rows_chosen_and_room_made():
    gpt = model()
    cache = gpt.new_cache(2, capacity=5)
    assert isinstance(cache, ConvolutionCache)
    gpt(IDS[:, :5], cache=cache)
    cache.truncate(3)  # the next token mixes with those before the forgotten ones
    cache.reserve(9)
    cache.reorder([1, 0])
    swapped = IDS[::-1]
    told = np.concatenate([gpt(swapped[:, n : n + 1], cache=cache).data for n in range(3, 9)], 1)
    np.testing.assert_allclose(told, gpt(swapped).data[:, 3:], rtol=1e-10)
    cache.reorder([0])
    cache.truncate(2)
    assert cache.inputs.shape[1] == 1
    np.testing.assert_allclose(
        gpt(swapped[:1, 2:4], cache=cache).data, gpt(swapped[:1]).data[:, 2:4], rtol=1e-10
    )


def test_padding_counts_as_nothing_before_the_text():
    attention = CausalSelfAttention(BlockConfig(8, 2, short_convolution=3), seed=0)
    x = np.random.default_rng(2).standard_normal((1, 6, 8)).astype(np.float32)
    mask = (np.arange(6) >= 2)[None, None, None, :]
    shifted = attention(Tensor(x), mask).data[:, 2:]
    np.testing.assert_allclose(shifted, attention(Tensor(x[:, 2:])).data, rtol=1e-5, atol=1e-6)
    alone = attention.weights(Tensor(x[:, 2:]))
    np.testing.assert_allclose(attention.weights(Tensor(x), mask)[..., 2:, 2:], alone, rtol=1e-5)
    by_query = np.broadcast_to(mask, (1, 1, 6, 6)).copy()
    by_query[..., 5, 3] = False  # hidden from one token, it is a token still
    y = attention(Tensor(x), by_query).data
    np.testing.assert_array_equal(y[:, 2:5], attention(Tensor(x), mask).data[:, 2:5])


@pytest.mark.parametrize("beams", [1, 2])
@pytest.mark.parametrize("positions", ["learned", "alibi", "rotary"])
def test_prompts_of_several_lengths_are_answered_as_each_by_itself(beams, positions):
    gpt, prompts = model(positions=positions), [[1, 2, 3, 4, 5], [6], [7, 8, 9]]
    together = complete(gpt, prompts, end_id=0, max_new_tokens=6, num_beams=beams)
    alone = [
        complete(gpt, [prompt], end_id=0, max_new_tokens=6, num_beams=beams)[0]
        for prompt in prompts
    ]
    assert together == alone and any(map(len, alone))


def test_a_long_beginning_that_prompts_share_is_read_once():
    gpt = GPT(GPTConfig(11, 90, 1, 2, 8, short_convolution=4), seed=0)
    prompts = [[1, 2, 3] * 22 + [last] for last in (4, 5)]
    together = complete(gpt, prompts, end_id=0, max_new_tokens=6)
    assert together == [complete(gpt, [p], end_id=0, max_new_tokens=6)[0] for p in prompts]


def test_generation_past_the_context():
    for shift in (1, 4):
        gpt = Sampler(model())
        ways = [
            gpt.generate_ids(IDS, 9, temperature=0, window_shift=shift, use_cache=use)
            for use in (True, False)
        ]
        np.testing.assert_array_equal(*ways)


def test_a_plain_cache_is_refused():
    block = Block(BlockConfig(8, 2, short_convolution=2), seed=0)
    x = Tensor(np.zeros((1, 1, 8), np.float32))
    with no_grad(), pytest.raises(TypeError, match=r"must be a ConvolutionCache.*new_cache"):
        block(x, cache=KeyValueCache(1, 1, 2, 4, 4))
    cache = ConvolutionCache(1, 1, 2, 1, 4, n_inputs=24)
    with pytest.raises(ValueError, match="the cache holds 0 of 1 tokens: 2 more do not fit"):
        cache.with_last(0, np.zeros((1, 2, 24), np.float32), 1)


def test_muon_leaves_its_vectors_to_adamw():
    named = list(model().named_parameters())
    slots = zip(named, Muon(named).slots, strict=True)
    kept = [n for (n, _), slot in slots if "momentum" not in slot.arrays]
    assert "blocks.0.attention.short_convolution.weight" in kept


def test_no_published_family_has_it(tmp_path):
    with pytest.raises(ValueError, match="short_convolution=4"):
        model().save_pretrained(tmp_path)
    llama = GPT(GPTConfig.llama(11, 12, 2, 2, 8, n_inner=8, short_convolution=4))
    with pytest.raises(ValueError, match="short_convolution=4"):
        llama.save_pretrained(tmp_path)
