"""The sampler with the real GPT: its cache, its masks, its positions."""

from __future__ import annotations

import numpy as np
import pytest

from minigpt.models import GPT, GPTConfig
from minigpt.sampling import Sampler, token_log_probabilities
from minigpt.sampling.context import Context


def gpt(positions="learned", dtype=np.float32, **options):
    config = GPTConfig(
        vocab_size=17, block_size=12, n_layer=2, n_head=2, n_embd=16, dropout=0.3,
        positions=positions, **options,
    )  # fmt: skip
    model = GPT(config, seed=0)
    rng = np.random.default_rng(1)  # wide weights, so that every token has a say
    for parameter in model.parameters():
        parameter.data += rng.normal(0, 0.3, parameter.shape).astype(np.float32)
    return model.astype(dtype)


@pytest.fixture(scope="module", params=["learned", "sinusoidal", "rotary"])
def model(request):
    return gpt(request.param)


def logits_along(model, ids, mask, n_new, use_cache, shift=1):
    """The logits of every step, when given tokens are appended."""
    context = Context(model, ids, mask, n_new, use_cache, shift)
    rng, steps = np.random.default_rng(2), []
    for _ in range(n_new):
        steps.append(context.next_logits())
        context.append(rng.integers(0, 17, len(ids)))
    return np.array(steps)


@pytest.mark.parametrize("shift", [1, 5])
def test_the_logits_are_the_same_with_and_without_the_cache(model, shift):
    """1e-5 in float32: up to the context's end, over it, and with padding."""
    rng = np.random.default_rng(0)
    ids, mask = rng.integers(0, 17, (3, 7)), np.arange(7) >= np.array([[0], [4], [2]])
    for m in (None, mask):
        cached = logits_along(model, ids, m, 20, use_cache=True, shift=shift)
        anew = logits_along(model, ids, m, 20, use_cache=False, shift=shift)
        assert cached.dtype == np.float32
        np.testing.assert_allclose(cached, anew, rtol=0, atol=1e-5)


def test_padding_changes_no_logits(model):
    rng = np.random.default_rng(0)
    ids, mask = rng.integers(0, 17, (3, 7)), np.arange(7) >= np.array([[0], [4], [2]])
    for step in range(5):
        together = Context(model, ids, mask, 1).next_logits()
        for row in range(3):
            alone = Context(model, ids[row, mask[row]][None], None, 1).next_logits()
            np.testing.assert_allclose(together[row], alone[0], rtol=0, atol=1e-5)
        ids = np.append(ids, np.full((3, 1), step), axis=1)
        mask = np.append(mask, np.full((3, 1), True), axis=1)


@pytest.mark.parametrize("temperature", [0, 1.2])
def test_generation_equals_the_plain_loop_beyond_the_context(fakes, model, temperature):
    model.eval()
    options = {"temperature": temperature, "top_k": 5, "seed": 3}
    prompts = [[1], [2, 3, 4, 5, 6], list(range(15))]
    out = [Sampler(model).generate_ids([p], 20, **options)[0].tolist() for p in prompts]
    if temperature == 0:
        assert out == [fakes.write_one_by_one(model, p, 20) for p in prompts]
    without = [
        Sampler(model).generate_ids([p], 20, use_cache=False, **options)[0].tolist()
        for p in prompts
    ]
    assert out == without
    ids = np.array([[0] * (15 - len(p)) + p for p in prompts])
    mask = np.array([[0] * (15 - len(p)) + [1] * len(p) for p in prompts])
    batch = Sampler(model).generate_ids(
        ids, 20, attention_mask=mask, num_return_sequences=2, **options
    )
    assert [row[15 - len(p) :].tolist() for row, p in zip(batch[::2], prompts, strict=True)] == out


def test_dropout_is_off_and_the_modes_come_back():
    model = gpt().train()
    model.blocks[0].eval()
    before = [module.training for _, module in model.named_modules()]
    first, second = (Sampler(model).generate_ids([[1, 2]], 15, temperature=0) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert [module.training for _, module in model.named_modules()] == before
    assert all(parameter.grad is None for parameter in model.parameters())


def test_float64_stays_float64():
    model = gpt(dtype=np.float64)
    assert logits_along(model, np.array([[1, 2]]), None, 3, use_cache=True).dtype == np.float64


def test_scores_are_minus_the_loss(model):
    model.eval()
    ids = np.random.default_rng(0).integers(0, 17, (2, 13))
    loss = model.loss(ids[:, :-1], ids[:, 1:]).item()
    assert -token_log_probabilities(model, ids).mean() == pytest.approx(loss, rel=1e-5)
