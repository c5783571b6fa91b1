"""The LSTM language model: state, cache, padding, loss, dropout, learning, saving, errors."""

from __future__ import annotations

import math

import numpy as np
import pytest

import minigpt.functional as F
from minigpt import gradcheck, no_grad
from minigpt.models import LSTMConfig, LSTMLanguageModel, build_model

KINDS = {
    "one layer": {},
    "three layers": {"n_layer": 3},
    "tied head": {"tie_head": True, "n_hidden": 8},
}
CLOSE = {"atol": 1e-5, "rtol": 0}


def lstm(seed=0, **changes) -> LSTMLanguageModel:
    sizes = {"vocab_size": 13, "n_embd": 8, "n_hidden": 12, "n_layer": 2}
    return LSTMLanguageModel(LSTMConfig(**sizes | changes), seed=seed)


@pytest.fixture(params=KINDS.values(), ids=KINDS)
def any_lstm(request) -> LSTMLanguageModel:
    return lstm(**request.param)


# ── the state ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("lengths", [[10], [1] * 10, [3, 1, 4, 2]])
def test_a_text_in_parts_is_the_text_as_a_whole(any_lstm, ids, lengths):
    state, found, start = any_lstm.new_state(3), [], 0
    for n in lengths:
        found.append(any_lstm(ids[:, start : start + n], state=state).data)
        start += n
    np.testing.assert_allclose(np.concatenate(found, axis=1), any_lstm(ids).data, **CLOSE)


def test_loss_and_metrics_read_on_too(any_lstm, ids):
    targets, model = (ids + 1) % 13, any_lstm
    logits = model(ids)
    states = [model.new_state(3) for _ in range(2)]
    for part in (slice(6), slice(6, 10)):
        loss = F.cross_entropy(logits[:, part], targets[:, part]).item()
        rows = ids[:, part], targets[:, part]
        assert model.loss(*rows, states[0]).item() == pytest.approx(loss, rel=1e-5)
        metrics = model.metrics(*rows, states[1])
        right = logits.data[:, part].argmax(axis=-1) == targets[:, part]
        assert metrics == pytest.approx({"loss": loss, "accuracy": right.mean()}, rel=1e-5)
    np.testing.assert_array_equal(*states)


def test_rows_of_a_state_may_be_shared_out(any_lstm, ids):
    """As between workers: each gets some rows of one array."""
    whole, shared = any_lstm.new_state(3), any_lstm.new_state(3)
    any_lstm(ids, state=whole)
    for part in (slice(1), slice(1, 3)):
        any_lstm(ids[part], state=shared[part])
    np.testing.assert_allclose(shared, whole, **CLOSE)
    assert np.abs(whole).min(axis=(0, 3)).all()  # h and c of every layer are there


def test_no_gradient_goes_into_the_batch_before(ids):
    model, targets = lstm(), (ids + 1) % 13
    state = model.new_state(3)
    model.loss(ids[:, :5], targets[:, :5], state)
    given = state.copy()
    model.loss(ids[:, 5:], targets[:, 5:], state).backward()
    found = {name: p.grad for name, p in model.named_parameters()}
    model.zero_grad()
    model.loss(ids[:, 5:], targets[:, 5:], given).backward()
    for name, p in model.named_parameters():
        np.testing.assert_array_equal(found[name], p.grad)


def test_a_call_that_fails_leaves_the_state_alone(ids):
    model, state = lstm(), lstm().new_state(3)
    model(ids, state=state)
    before = state.copy()
    with pytest.raises(IndexError):
        model(ids + 4, state=state)
    np.testing.assert_array_equal(state, before)


# ── the cache, and padding ────────────────────────────────────────────────────────────────────


@no_grad()
@pytest.mark.parametrize("lengths", [[10], [1] * 10, [4, 1, 5]])
def test_with_a_cache_and_left_padding(any_lstm, ids, lengths):
    mask = np.arange(10) >= np.array([[0], [6], [3]])
    cache, found = any_lstm.new_cache(3, capacity=99), []
    for n in lengths:
        here, end = slice(cache.length, cache.length + n), cache.length + n
        found.append(any_lstm(ids[:, here], mask[:, :end], cache=cache).data)
    assert (cache.length, cache.batch_size) == (10, 3)
    logits = np.concatenate(found, axis=1)
    np.testing.assert_allclose(logits[mask], any_lstm(ids, mask).data[mask], **CLOSE)
    for row, first in enumerate((0, 6, 3)):
        alone = any_lstm(ids[[row], first:]).data[0]
        np.testing.assert_allclose(logits[row, first:], alone, **CLOSE)


@no_grad()
@pytest.mark.parametrize("rows", [[2, 0, 1], [1, 1], [0, 2, 2, 1, 0]])
def test_reorder_and_clear(ids, rows):
    model = lstm()
    cache = model.new_cache(3)
    model(ids[:, :6], cache=cache)
    cache.reorder(rows)
    found = model(ids[rows, 6:], cache=cache, last_only=True).data
    np.testing.assert_allclose(found, model(ids[rows]).data[:, -1:], **CLOSE)
    cache.clear()
    assert cache.length == 0
    np.testing.assert_allclose(model(ids[rows], cache=cache).data, model(ids[rows]).data, **CLOSE)


def test_positions_say_nothing_to_an_lstm(ids):
    model = lstm()
    np.testing.assert_array_equal(model(ids, positions=np.arange(5, 15)).data, model(ids).data)


def test_a_place_sees_those_before_it_alone(any_lstm, ids):
    changed = ids.copy()
    changed[:, 6] = (ids[:, 6] + 1) % 13
    before, after = any_lstm(ids).data, any_lstm(changed).data
    np.testing.assert_array_equal(before[:, :6], after[:, :6])
    assert (before[:, 6:] != after[:, 6:]).any(axis=(0, 2)).all()


# ── loss, gradient, dropout ───────────────────────────────────────────────────────────────────


def test_the_first_loss_is_about_that_of_a_guess(any_lstm, ids):
    assert any_lstm.loss(ids, (ids + 5) % 13).item() == pytest.approx(math.log(13), abs=0.3)


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_gradient_of_the_whole_model(kind):
    sizes = {"vocab_size": 5, "n_embd": 2, "n_hidden": 2}
    model = lstm(**kind | sizes).astype(np.float64)
    rng = np.random.default_rng(1)
    state = rng.uniform(-1, 1, model.new_state(2).shape)
    mask = np.arange(4) >= np.array([[0], [2]])
    ids, targets = rng.integers(0, 5, (2, 2, 4))
    targets = np.where(mask, targets, -1)
    assert gradcheck(lambda *_: model.loss(ids, targets, state.copy(), mask), model.parameters())


def test_dropout_is_on_in_training_alone_and_not_in_the_state(ids):
    model = lstm(dropout=0.5)
    first, second = (model(ids, rng=np.random.default_rng(seed)).data for seed in (0, 1))
    assert (first != second).any()
    again = model(ids, rng=np.random.default_rng(0)).data
    np.testing.assert_array_equal(first, again)
    model.eval()
    np.testing.assert_array_equal(model(ids).data, model(ids).data)
    # A state of zeros, half of them, would be that of dropout.
    model.train()
    state = model.new_state(3)
    model(ids, state=state)
    assert state.all()


def test_it_learns_what_lies_further_back_than_a_batch():
    """The token is that of 3 places before: batches of 2 places tell nothing without the state."""
    rng = np.random.default_rng(0)
    tokens = np.tile(rng.integers(0, 13, (16, 3)), 30)
    from minigpt.optim import Adam

    losses = {}
    for carried in (True, False):
        model = lstm(n_hidden=24, n_layer=1)
        optimizer = Adam(model.parameters(), lr=0.02)
        for _ in range(12):
            state = model.new_state(16)
            for start in range(0, 88, 2):
                rows = tokens[:, start : start + 2], tokens[:, start + 1 : start + 3]
                loss = model.loss(*rows, state if carried else None)
                model.zero_grad()
                loss.backward()
                optimizer.step()
        losses[carried] = loss.item()
    assert losses[True] < 0.3 * losses[False]


# ── making, saving, errors ────────────────────────────────────────────────────────────────────


def test_the_parameters(any_lstm):
    c, names = any_lstm.config, [name for name, _ in any_lstm.named_parameters()]
    assert names[:4] == [
        "token_embedding.weight", "layers.0.weight_ih", "layers.0.weight_hh", "layers.0.bias"
    ]  # fmt: skip
    gates = 4 * c.n_hidden * (c.n_embd + c.n_hidden + 1)
    gates += (c.n_layer - 1) * 4 * c.n_hidden * (2 * c.n_hidden + 1)
    head = 0 if c.tie_head else 13 * (c.n_hidden + 1)
    assert any_lstm.num_parameters() == 13 * c.n_embd + gates + head


def test_the_same_seed_gives_the_same_bits(ids):
    one, same, other = (lstm(seed) for seed in (1, np.random.default_rng(1), 2))
    np.testing.assert_array_equal(one(ids).data, same(ids).data)
    assert (one(ids).data != other(ids).data).any()


def test_it_is_built_by_its_name(ids):
    import dataclasses

    model = lstm(3)
    built = build_model("LSTMLanguageModel", dataclasses.asdict(model.config), seed=3)
    np.testing.assert_array_equal(model(ids).data, built(ids).data)
    with pytest.raises(ValueError, match="does not fit LSTMLanguageModel"):
        build_model("LSTMLanguageModel", {"vocab_size": 13, "n_head": 2})


def test_its_description():
    text = repr(lstm())
    assert "LSTMLanguageModel(vocab_size=13)" in text
    assert "layers.1: LSTM(" in text


@pytest.mark.parametrize(
    ("fields", "error", "message"),
    [
        ({"vocab_size": 0}, ValueError, "vocab_size must be an integer of at least 1: got 0"),
        ({"n_embd": 1.5}, TypeError, "n_embd must be an integer of at least 1: got 1.5"),
        ({"n_hidden": True}, TypeError, "n_hidden must be an integer of at least 1: got True"),
        ({"n_layer": -1}, ValueError, "n_layer must be an integer of at least 1: got -1"),
        ({"dropout": 1.0}, ValueError, "dropout must be a probability.*: got 1.0"),
        ({"dropout": float("nan")}, ValueError, "dropout must be a probability.*: got nan"),
        ({"tie_head": 1}, TypeError, "tie_head must be True or False: got 1"),
        ({"tie_head": True}, ValueError, "n_hidden=12 equal to n_embd=8: choose n_hidden=8"),
    ],
)
def test_wrong_configurations(fields, error, message):
    with pytest.raises(error, match=message):
        LSTMConfig(**{"vocab_size": 13, "n_embd": 8, "n_hidden": 12} | fields)


def test_numbers_of_numpy_become_those_of_json():
    config = LSTMConfig(np.int64(13), np.int32(8), np.int64(12), dropout=np.float32(0.5))
    assert [type(getattr(config, name)) for name in ("vocab_size", "dropout")] == [int, float]
    assert config.block_size is None


def test_no_model_without_a_configuration():
    with pytest.raises(TypeError, match="config must be a LSTMConfig: got"):
        LSTMLanguageModel(13)
    with pytest.raises(ValueError, match="seed must be an integer of at least 0: got -1"):
        lstm(-1)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (
            {"ids": np.zeros(3, int)},
            ValueError,
            r"ids must be integers, an array \(batch, tokens\): got an int64 array of shape \(3,\)",
        ),
        (
            {"ids": np.full((2, 3), 13)},
            IndexError,
            "ids must be from 0 to .*as the vocabulary has 13 entries: got 13",
        ),
        ({"ids": np.zeros((2, 3))}, TypeError, "ids must be integers"),
        ({"state": np.zeros((3, 2, 2, 12), np.float32)}, ValueError, r"shape \(3, 2, 2, 12\)"),
        (
            {"state": np.zeros((2, 2, 2, 12))},
            TypeError,
            "state must be float32, like the model: got a float64 array",
        ),
        ({"state": 3}, TypeError, r"state must be .*: got 3; make it with new_state\(2\)"),
        (
            {"attention_mask": np.ones((2, 4))},
            ValueError,
            r"attention_mask must have shape \(2, 3\): got \(2, 4\)",
        ),
    ],
)
def test_wrong_arguments(arguments, error, message):
    with pytest.raises(error, match=message):
        lstm()(**{"ids": np.zeros((2, 3), int)} | arguments)


def test_a_cache_is_for_no_grad_and_has_its_own_state(ids):
    model = lstm()
    with pytest.raises(RuntimeError, match=r"use it under minigpt\.no_grad\(\)"):
        model(ids, cache=model.new_cache(3))
    with pytest.raises(ValueError, match="a cache has its own state"), no_grad():
        model(ids, cache=model.new_cache(3), state=model.new_state(3))
    with (
        pytest.raises(
            ValueError, match=r"state must be an array of shape \(3, .*got .*shape \(2, "
        ),
        no_grad(),
    ):
        model(ids, cache=model.new_cache(2))
