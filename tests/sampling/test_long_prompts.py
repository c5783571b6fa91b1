"""A prompt read by several threads is the prompt read by one."""

from __future__ import annotations

import threading

import numpy as np
import pytest

import minigpt as mg
from minigpt.blas_threads import MatrixProducts
from minigpt.grad_mode import evaluation
from minigpt.sampling import context, long_prompts
from minigpt.sampling.context import Context
from minigpt.sampling.long_prompts import number_of_stretches, read_in_stretches

GPT2 = mg.GPTConfig.gpt2(50, 40, 3, 2, 16)
LLAMA = mg.GPTConfig.llama(50, 40, 3, 4, 32, n_kv_head=2)


def whole(model, ids, cache, **options):
    with evaluation():
        return model(ids, cache=cache, **options).data


def stretched(model, ids, cache, n, **options):
    return read_in_stretches(model, ids, cache, MatrixProducts(model), n, **options)


@pytest.mark.parametrize("config", [GPT2, LLAMA], ids=["gpt2", "llama"])
@pytest.mark.parametrize("n", [2, 3, 8])
def test_the_logits_and_the_cache_are_those_of_one_thread(config, n, rng) -> None:
    model = mg.GPT(config, seed=0).astype(np.float64).eval()
    ids = rng.integers(0, 50, (2, 33))
    one, several = model.new_cache(2, 40), model.new_cache(2, 40)
    for part in (ids[:, :9], ids[:, 9:]):  # the second goes on after the first
        expected = whole(model, part, one)
        got = stretched(model, part, several, n)
        np.testing.assert_allclose(got, expected[:, -got.shape[1] :], rtol=1e-12, atol=1e-14)
    assert one.length == several.length == 33
    np.testing.assert_allclose(several.keys, one.keys, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(several.values, one.values, rtol=1e-12, atol=1e-14)
    assert stretched(model, ids[:, :4], several, 4, last_only=True).shape == (2, 1, 50)


def test_the_same_bits_every_time(rng) -> None:
    model = mg.GPT(GPT2, seed=0).eval()
    ids = rng.integers(0, 50, (1, 40))
    runs = [stretched(model, ids, model.new_cache(1), 3) for _ in range(5)]
    assert all(np.array_equal(run, runs[0]) for run in runs)


@pytest.mark.parametrize("stretch", [0, 1, 2])
def test_what_fails_in_one_stretch_is_raised_and_nobody_waits(stretch, rng, monkeypatch) -> None:
    model = mg.GPT(GPT2, seed=0).eval()
    block = model.blocks[1]
    forward = type(block).forward
    starts = []

    def fails(self, x, mask, cache, *rest):
        if self is block:
            starts.append(cache.length)
            if cache.length == cuts[stretch]:
                raise MemoryError("no room")
        return forward(self, x, mask, cache, *rest)

    ids = rng.integers(0, 50, (1, 30))
    cuts = long_prompts._cuts(GPT2, MatrixProducts(model), 30, 0, 3)
    monkeypatch.setattr(type(block), "forward", fails)
    cache = model.new_cache(1)
    with pytest.raises(MemoryError, match="no room"):
        stretched(model, ids, cache, 3)
    assert sorted(starts) == cuts[:-1]
    assert cache.length == 0
    assert not [t for t in threading.enumerate() if t.name.startswith("minigpt-prompt")]


def test_later_tokens_have_more_to_look_at() -> None:
    model = mg.GPT(GPT2)
    products = MatrixProducts(model)
    first, second = np.diff(long_prompts._cuts(GPT2, products, 1000, 0, 2)).tolist()
    assert first > second > 0 and first + second == 1000
    after_many = np.diff(long_prompts._cuts(GPT2, products, 1000, 10**6, 2)).tolist()
    assert abs(after_many[0] - after_many[1]) <= 2  # all look at about as many


def test_how_many_stretches(monkeypatch) -> None:
    products = MatrixProducts(mg.GPT(GPT2))
    monkeypatch.setattr(long_prompts, "available_cores", lambda: 4)
    monkeypatch.setattr(long_prompts, "can_be_controlled", lambda: True)
    monkeypatch.setattr(long_prompts, "SMALL_PRODUCT", products.size(10))
    assert [number_of_stretches(products, n) for n in (1, 19, 20, 35, 1000)] == [1, 1, 2, 3, 4]
    monkeypatch.setattr(long_prompts, "can_be_controlled", lambda: False)
    assert number_of_stretches(products, 1000) == 1


@pytest.mark.parametrize("config", [GPT2, LLAMA], ids=["gpt2", "llama"])
def test_the_sampler_writes_the_same(config, rng, monkeypatch) -> None:
    model = mg.GPT(config, seed=0).eval()
    ids = rng.integers(0, 50, (2, 30))
    mask = np.ones((2, 30), bool)
    mask[1, :10] = False  # with padding, one thread reads
    used = []

    def counted(*args, **options):
        used.append(options["n_stretches"])
        return read_in_stretches(*args, **options)

    monkeypatch.setattr(context, "read_in_stretches", counted)
    texts = {}
    for n in (1, 3):
        monkeypatch.setattr(context, "number_of_stretches", lambda _, size, n=n: min(n, size // 10))
        sampler = mg.Sampler(model)
        texts[n] = [
            sampler.generate_ids(rows, attention_mask=shown, max_new_tokens=8, temperature=0)
            for rows, shown in ((ids[:1], None), (ids, None), (ids, mask))
        ]
    for one, several in zip(texts[1], texts[3], strict=True):
        np.testing.assert_array_equal(one, several)
    assert used == [3, 3]


def test_a_context_without_a_cache_is_read_by_one_thread(rng, monkeypatch) -> None:
    model = mg.GPT(GPT2, seed=0).eval()
    ids = rng.integers(0, 50, (1, 30))
    monkeypatch.setattr(context, "number_of_stretches", lambda *_: 3)
    logits = Context(model, ids, None, n_new=1, use_cache=False).next_logits()
    np.testing.assert_allclose(logits, whole(model, ids, None)[:, -1], rtol=1e-6)
