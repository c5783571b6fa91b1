"""Every two options of a GPT together, in few models: each can do what every GPT can.

The models cover all pairs of options that can go together; those that cannot are listed here, and
refused by name.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from minigpt import GPT, GPTConfig, Sampler, Trainer, TrainerConfig, load_model, no_grad
from minigpt.autograd import gradients
from minigpt.models import grow_vocabulary
from minigpt.nn import RotaryScaling, add_lora, freeze_all_but_last, lora_parameters, merge_lora
from minigpt.training.parallel import Workers
from minigpt.training.trainable import Objective

SIZES = {"vocab_size": 11, "block_size": 8, "n_layer": 2, "n_head": 4, "n_embd": 8}
OPTIONS: dict[str, list[Any]] = {
    "normalization": ["layer", "rms"],
    "norm": ["pre", "post", "none"],
    "positions": ["learned", "sinusoidal", "alibi", "rotary", "none"],
    "mlp": ["plain", "gated"],
    "activation": ["gelu_tanh", "relu_squared", "silu"],
    "n_kv_head": [None, 1, 2],
    "head_width": [None, 4],
    "qk_norm": [False, True],
    "bias": [True, False],
    "qkv_bias": [None, True, False],
    "tie_head": [True, False],
    "scale_attention_by_layer": [False, True],
    "rotary_base": [10_000.0, 50.0],
    "rotary_scaling": [
        None, RotaryScaling("linear", 2.0), RotaryScaling("llama3", 4.0, 1.0, 4.0, 32),
    ],
    "short_convolution": [None, 3],
}  # fmt: skip
Pair = frozenset[tuple[str, Any]]


def pairs_of(options: dict[str, Any]) -> set[Pair]:
    return {frozenset(pair) for pair in itertools.combinations(options.items(), 2)}


ALL_PAIRS = {
    frozenset({(one, a), (other, b)})
    for one, other in itertools.combinations(OPTIONS, 2)
    for a in OPTIONS[one]
    for b in OPTIONS[other]
}
OF_ROTARY = [("rotary_base", 50.0), *(("rotary_scaling", s) for s in OPTIONS["rotary_scaling"][1:])]
REFUSED = {
    frozenset({("normalization", "rms"), ("norm", "none")}),
    *(
        frozenset({("positions", positions), option})
        for positions in OPTIONS["positions"]
        if positions != "rotary"
        for option in OF_ROTARY
    ),
}


def covering_models() -> list[dict[str, Any]]:
    """Options of few models, among which every pair is that is not refused: greedily chosen."""
    rng, missing, chosen = np.random.default_rng(0), ALL_PAIRS - REFUSED, []
    while missing:
        drawn = [
            {name: values[rng.integers(len(values))] for name, values in OPTIONS.items()}
            for _ in range(400)
        ]
        best = max(
            (options for options in drawn if not pairs_of(options) & REFUSED),
            key=lambda options: len(pairs_of(options) & missing),
        )
        missing = missing - pairs_of(best)
        chosen.append(best)
    return chosen


MODELS = covering_models()


def described(options: dict[str, Any]) -> str:
    values = [v.kind if isinstance(v, RotaryScaling) else v for v in options.values()]
    return "-".join(str(value) for value in values)


@pytest.fixture(params=MODELS, ids=described)
def config(request) -> GPTConfig:
    return GPTConfig(**SIZES, **request.param)


def made(config: GPTConfig, **changes: Any) -> GPT:
    """A model in float64 all of whose parameters are random, so that each has a say."""
    model = GPT(GPTConfig(**vars(config) | changes)).astype(np.float64).eval()
    rng = np.random.default_rng(1)
    for parameter in model.parameters():
        parameter.data = parameter.data + rng.normal(0, 0.4, parameter.shape)
    return model


IDS = np.random.default_rng(2).integers(0, 11, (3, 8))
TARGETS = np.random.default_rng(3).integers(0, 11, (3, 8))
CLOSE = {"rtol": 1e-9, "atol": 1e-10}


@pytest.mark.parametrize("pair", sorted(sorted(map(str, pair)) for pair in REFUSED), ids="-".join)
def test_what_cannot_go_together_is_refused_by_name(pair):
    (options,) = (dict(refused) for refused in REFUSED if sorted(map(str, refused)) == pair)
    with pytest.raises(ValueError, match=r"rotary_|normalization=") as refused:
        GPTConfig(**SIZES, **options)
    assert any(name in str(refused.value) for name in options)


@no_grad()
def test_generation(config):
    """With the cache and without, with padding on either side, and beyond the context."""
    model = made(config)
    whole = model(IDS).data
    cache, parts, start = model.new_cache(3), [], 0
    for n in (3, 1, 2, 1, 1):
        parts.append(model(IDS[:, start : start + n], cache=cache).data)
        start += n
    np.testing.assert_allclose(np.concatenate(parts, axis=1), whole, **CLOSE)
    assert cache.keys.shape[2] == (config.n_kv_head or 4)
    np.testing.assert_allclose(model(IDS, last_only=True).data, whole[:, -1:], **CLOSE)

    for first in (0, 3):  # padding on the left, with places of its own, or on the right
        real = np.arange(8) >= first if first else np.arange(8) < 5
        text = IDS[:, real]
        places = np.maximum(np.cumsum(real) - 1, 0)
        mask = np.broadcast_to(real, IDS.shape)
        padded = model(IDS, mask, np.broadcast_to(places, IDS.shape)).data[:, real]
        np.testing.assert_allclose(padded, model(text).data, **CLOSE)

    ways = {"temperature": 0}, {"num_beams": 2}, {"top_k": 4, "seed": 1}  # each with every third
    options = ways[MODELS.index({name: getattr(config, name) for name in OPTIONS}) % 3]
    written, anew = (
        Sampler(model).generate_ids(IDS[:2, :3], 7, use_cache=cached, **options)
        for cached in (True, False)
    )
    np.testing.assert_array_equal(written, anew)


def test_training(config):
    """The derivative along a random direction, recomputed blocks, and two workers."""
    model = made(config)
    loss = model.loss(IDS, TARGETS)
    found = gradients(loss)
    assert found.keys() == set(model.parameters())
    rng, step = np.random.default_rng(4), 1e-6
    directions = {p: rng.standard_normal(p.shape) for p in found}
    slope = sum((found[p] * d).sum() for p, d in directions.items())
    values = []
    for sign in (1, -2):
        for p, d in directions.items():
            p.data = p.data + sign * step * d
        values.append(model.loss(IDS, TARGETS).item())
    assert (values[0] - values[1]) / (2 * step) == pytest.approx(slope, rel=1e-5, abs=1e-6)

    losses, every = [], []
    for recompute in (False, True):
        model = made(config, recompute=recompute, dropout=0.2).train()
        loss = model.loss(IDS, TARGETS, rng=np.random.default_rng(5))
        every.append([g for _, g in sorted_gradients(model, loss)])
        losses.append(loss.item())
    assert losses[0] == losses[1]
    for once, again in zip(*every, strict=True):
        np.testing.assert_array_equal(once, again)

    model = made(config)
    with Workers(1) as one, Workers(2) as two:
        loss, whole = one.gradients(Objective(model), [(IDS, TARGETS)], seed=(0, 0))
        shared_loss, shared = two.gradients(Objective(model), [(IDS, TARGETS)], seed=(0, 0))
    assert shared_loss == pytest.approx(loss, rel=1e-9)
    for parameter, gradient in whole.items():
        np.testing.assert_allclose(shared[parameter], gradient, **CLOSE)


def sorted_gradients(model, loss):
    found = gradients(loss)
    return sorted((name, found[p]) for name, p in model.named_parameters())


@no_grad()
def test_what_is_made_of_a_model(config, tmp_path):
    """A checkpoint, a larger vocabulary, what it looks at, and low-rank adapters."""
    model = made(config)
    logits = model(IDS).data
    quiet = TrainerConfig(max_steps=1, batch_size=2, progress=False, workers=1)
    Trainer(model, IDS.ravel(), config=quiet).save(tmp_path / "model.npz")
    loaded = load_model(tmp_path / "model.npz").model
    assert loaded.config == config
    np.testing.assert_array_equal(loaded.eval()(IDS).data, logits)

    grown = grow_vocabulary(model, 13)
    np.testing.assert_array_equal(grown(IDS).data[..., :11], logits)

    states = model.hidden_states(IDS)
    np.testing.assert_allclose(model.unembed(type(model(IDS))(states[-1])).data, logits, **CLOSE)
    for weights in model.attention_weights(IDS):
        assert weights.shape == (3, 4, 8, 8)
        np.testing.assert_allclose(weights.sum(axis=-1), 1, **CLOSE)
        assert not np.triu(weights, 1).any()

    freeze_all_but_last(model, 1)
    assert {p.requires_grad for p in model.blocks[0].parameters()} == {False}
    assert {p.requires_grad for p in model.blocks[1].parameters()} == {True}

    targets = [n for n in ("qkv_proj", "out_proj", "gate_proj", "up_proj", "down_proj")
               if n != "gate_proj" or config.mlp == "gated"]  # fmt: skip
    add_lora(model, rank=2, targets=targets)
    rng = np.random.default_rng(6)
    for parameter in lora_parameters(model).values():
        parameter.data = rng.standard_normal(parameter.shape)
    adapted = model(IDS).data
    assert np.abs(adapted - logits).max() > 1e-3
    cache = model.new_cache(3)
    parts = [model(IDS[:, :5], cache=cache).data, model(IDS[:, 5:], cache=cache).data]
    np.testing.assert_allclose(np.concatenate(parts, axis=1), adapted, **CLOSE)
    np.testing.assert_allclose(merge_lora(model) and model(IDS).data, adapted, rtol=1e-7, atol=1e-8)
