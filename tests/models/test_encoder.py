"""The bidirectional encoder: what it sees, the loss on masked places alone, filling in."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

import minigpt as mg
import minigpt.functional as F
from minigpt import Tensor, gradcheck
from minigpt.datasets import MaskedBatches
from minigpt.models import Encoder, EncoderConfig, build_model

SIZES = {"vocab_size": 13, "block_size": 12, "n_layer": 2, "n_head": 2, "n_embd": 16}
KINDS = {
    "pre-norm": {},
    "post-norm": {"norm": "post"},
    "BERT": {"norm": "post", "embedding_norm": True, "activation": "gelu_erf"},
    "no bias": {"bias": False},
    "sinusoidal": {"positions": "sinusoidal"},
}


def small(seed=0, **changes) -> Encoder:
    return Encoder(EncoderConfig(**SIZES | {"init_std": 0.3} | changes), seed=seed)


@pytest.fixture(params=KINDS.values(), ids=KINDS)
def model(request) -> Encoder:
    return small(**request.param)


@pytest.fixture
def targets(ids, rng):
    return np.where(rng.random(ids.shape) < 0.4, (ids + 1) % 13, -1)


# ── what it computes ──────────────────────────────────────────────────────────────────────────


def test_every_token_sees_all_others(model, ids):
    before = model.encode(ids).data
    for place in (0, 4, 9):
        changed = ids.copy()
        changed[:, place] = (changed[:, place] + 1) % 13
        difference = np.abs(model.encode(changed).data - before).max(axis=-1)
        assert (difference > 1e-5).all()


def test_without_positions_the_order_does_not_matter(ids):
    model = small(positions="none")
    order = np.random.default_rng(1).permutation(10)
    np.testing.assert_allclose(
        model.encode(ids[:, order]).data, model.encode(ids).data[:, order], atol=1e-5
    )


def test_padding_changes_nothing(model, ids):
    lengths = (4, 10, 7)
    mask = np.arange(10) < np.array(lengths)[:, None]
    together = model(ids, mask)
    for row, n in enumerate(lengths):
        alone = model(ids[[row], :n]).data[0]
        np.testing.assert_allclose(together.data[row, :n], alone, atol=1e-5)
    other = np.where(mask, ids, 3)
    np.testing.assert_allclose(model(other, mask).data[mask], together.data[mask], atol=1e-6)


def test_positions_may_be_given(model, ids):
    mask = np.arange(10) >= 3  # padding at the left
    positions = np.maximum(np.arange(10) - 3, 0)
    shifted = model(ids, np.tile(mask, (3, 1)), positions).data[:, 3:]
    np.testing.assert_allclose(shifted, model(ids[:, 3:]).data, atol=1e-5)


# ── the loss ──────────────────────────────────────────────────────────────────────────────────


def test_loss_is_the_cross_entropy_of_the_masked_places(model, ids, targets):
    model.astype(np.float64)
    loss = model.loss(ids, targets)
    expected = F.cross_entropy(model(ids), targets)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-12)
    loss.backward()
    found = {name: p.grad for name, p in model.named_parameters()}
    model.zero_grad()
    expected.backward()
    for name, p in model.named_parameters():
        np.testing.assert_allclose(found[name], p.grad, atol=1e-12, err_msg=name)
    assert model.loss_weight(ids, targets) == (targets != -1).sum()


def test_gradient_of_hidden_states(ids):
    """What a classifier on top of them needs."""
    model = small(n_embd=4, n_layer=1).astype(np.float64)
    weight = model.stack.embeddings.token_embedding.weight

    def pooled(w):
        weight.data = w.data
        hidden = model.stack.blocks[0](F.embedding(ids[:, :3], w))
        return hidden.mean(axis=1)

    assert gradcheck(pooled, Tensor(weight.data.copy(), requires_grad=True))


def test_metrics(model, ids, targets):
    model.eval()
    metrics = model.metrics(ids, targets)
    right = model(ids).data.argmax(axis=-1) == targets
    assert metrics["accuracy"] == pytest.approx(right[targets != -1].mean())
    assert metrics["loss"] == pytest.approx(model.loss(ids, targets).item(), rel=1e-6)


@pytest.mark.parametrize(
    ("targets", "error", "message"),
    [
        (np.full((3, 10), -1), ValueError, "every target is ignore_index"),
        (np.zeros((3, 9), int), ValueError, r"targets must have shape \(3, 10\): got \(3, 9\)"),
        (np.full((3, 10), 13), IndexError, "targets must be from 0 to .*got 13"),
        (np.zeros((3, 10)), TypeError, "targets must be integers: got a float64 array"),
    ],
)
def test_wrong_targets(ids, targets, error, message):
    with pytest.raises(error, match=message):
        small().loss(ids, targets)


def test_dropout_is_repeatable_and_ends_with_eval(ids):
    model = small(dropout=0.3)
    first, again, other = (model(ids, rng=np.random.default_rng(seed)).data for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    np.testing.assert_allclose(model.eval()(ids).data, small()(ids).data, atol=1e-6)


# ── filling in ────────────────────────────────────────────────────────────────────────────────


def test_fill_mask(model, ids):
    ids[0, 3] = ids[2, 5] = ids[2, 1] = 12
    ids[ids == 12] = 12
    filled = model.fill_mask(ids, mask_id=12, k=4)
    np.testing.assert_array_equal(filled.places, np.argwhere(ids == 12))
    assert filled.tokens.shape == filled.probabilities.shape == (len(filled.places), 4)
    assert 12 not in filled.tokens
    assert (np.diff(filled.probabilities) <= 0).all()
    logits = model.eval()(ids).data[tuple(filled.places.T)][:, :12].astype(np.float64)
    p = np.exp(logits - logits.max(axis=-1, keepdims=True))
    p /= p.sum(axis=-1, keepdims=True)
    np.testing.assert_array_equal(filled.tokens, np.argsort(-p, axis=-1)[:, :4])
    np.testing.assert_allclose(
        filled.probabilities, np.take_along_axis(p, filled.tokens, -1), rtol=1e-4
    )


def test_fill_mask_leaves_the_mode_as_it_was(ids):
    model = small(dropout=0.5)
    model.stack.blocks[0].eval()
    ids[0, 0] = 12
    first, again = (model.fill_mask(ids, 12).probabilities for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert model.training and model.stack.blocks[1].training
    assert not model.stack.blocks[0].mlp.training


@pytest.mark.parametrize(
    ("mask_id", "k", "error", "message"),
    [
        (12, 5, ValueError, "ids hold no mask_id=12: there is nothing to fill in"),
        (99, 5, ValueError, "mask_id must be an integer from 0 to 12: got 99"),
        (1, 13, ValueError, "k must be an integer from 1 to 12: got 13; so many tokens"),
        (1, 0, ValueError, "k must be an integer from 1 to 12: got 0"),
        ("x", 5, TypeError, "mask_id must be an integer from 0 to 12: got 'x'"),
        (1, 2.0, TypeError, "k must be an integer"),
    ],
)
def test_wrong_arguments_of_fill_mask(mask_id, k, error, message):
    with pytest.raises(error, match=message):
        small().fill_mask(np.array([[1, 2]]), mask_id, k)


def test_attention_weights(model, ids):
    mask = np.arange(10) < np.array([[4], [10], [7]])
    maps = model.attention_weights(ids, mask)
    assert len(maps) == 2
    for weights in maps:
        assert weights.shape == (3, 2, 10, 10)
        assert not weights[0, :, :, 4:].any()
        np.testing.assert_allclose(weights.sum(axis=-1), 1, rtol=1e-5)


# ── configuration, building, training ─────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"norm": "none"}, ValueError, 'norm must be "pre" .* or "post" .*: got \'none\''),
        ({"n_head": 3}, ValueError, "not divisible by n_head=3"),
        ({"embedding_norm": 1}, TypeError, "embedding_norm must be True or False: got 1"),
        ({"vocab_size": 0}, ValueError, "vocab_size must be an integer of at least 1: got 0"),
    ],
)
def test_wrong_configurations(changes, error, message):
    with pytest.raises(error, match=message):
        EncoderConfig(**SIZES | changes)


def test_wrong_config_and_seed():
    with pytest.raises(TypeError, match="config must be an EncoderConfig: got"):
        Encoder(SIZES)
    with pytest.raises(ValueError, match="seed must be an integer of at least 0: got -1"):
        small(seed=-1)


def test_build_model(model):
    fields = json.loads(json.dumps(dataclasses.asdict(model.config)))
    again = build_model("Encoder", fields)
    again.load_state_dict(model.state_dict())
    assert type(again) is Encoder and again.config == model.config


def masked_batches(rng):
    """Rows of one token several times: a hidden one is what the others are."""
    rows = [[int(rng.integers(0, 10))] * int(rng.integers(6, 11)) for _ in range(64)]
    return MaskedBatches(rows, 16, seed=0, mask_id=12, vocab_size=13, special_ids=[10, 11])


def test_it_trains_resumes_and_loads(rng, tmp_path):
    batches = masked_batches(rng)
    settings = mg.TrainerConfig(
        max_steps=60, batch_size=16, learning_rate=0.02, workers=2, progress=False,
        checkpoint_dir=tmp_path / "run", checkpoint_interval=30, eval_interval=60,
    )  # fmt: skip
    trainer = mg.Trainer(small(dropout=0.1, init_std=0.02), batches, batches, settings)
    history = trainer.fit()
    assert history.evaluations[-1]["val_accuracy"] > 0.95
    first = tmp_path / "run" / "step-00000030.npz"
    resumed = mg.Trainer.resume(
        first, masked_batches(np.random.default_rng(0)), None, checkpoint_dir=None
    )
    resumed.fit()
    for name, array in trainer.model.state_dict().items():
        np.testing.assert_array_equal(resumed.model.state_dict()[name], array)
    loaded, _ = mg.load_model(tmp_path / "run")
    assert type(loaded) is Encoder
    assert loaded.fill_mask(np.array([[7, 7, 12, 7, 7, 7]]), 12, k=1).tokens.tolist() == [[7]]
