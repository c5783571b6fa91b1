"""State carried from batch to batch: exact, with workers and accumulation, stopped and resumed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import minigpt.functional as F
from minigpt import no_grad
from minigpt.checkpoints import CheckpointError, load_checkpoint, load_model, save_checkpoint
from minigpt.datasets import StreamBatches
from minigpt.models import LSTMConfig, LSTMLanguageModel
from minigpt.training import Trainer, evaluate
from minigpt.training.carried_state import CarriedState
from tests.training.tiny import (
    VOCAB,
    Bigram,
    assert_same_run,
    config,
    tiny_gpt,
    tokens,
    trainer,
    without_times,
)

TRAIN, VAL = tokens()[:500], tokens()[500:]
T, B = 8, 4


def tiny_lstm(seed: int = 0, **changes) -> LSTMLanguageModel:
    sizes = {"vocab_size": VOCAB, "n_embd": 6, "n_hidden": 10, "n_layer": 2}
    return LSTMLanguageModel(LSTMConfig(**{**sizes, **changes}), seed=seed)


def lstm_trainer(model=None, callbacks=(), **changes) -> Trainer:
    settings = {"block_size": T, "carry_state": True, **changes}
    return trainer(tiny_lstm() if model is None else model, callbacks, **settings)


def long_losses(model, text, n_batches: int) -> list[float]:
    """The mean loss of each batch of one epoch, when every stream is read in one go."""
    length = -(-(len(text) - 1) // B)
    rows = np.full((B, length + 1), -1)
    for row in range(B):
        part = text[row * length : (row + 1) * length + 1]
        rows[row, : len(part)] = part
    with no_grad():
        logits = model.eval()(np.maximum(rows[:, :-1], 0))
    return [
        F.cross_entropy(logits[:, s : s + T], rows[:, 1:][:, s : s + T]).item()
        for s in range(0, n_batches * T, T)
    ]


# ── it is the long sequence ───────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("workers", [1, 2, 3])
@pytest.mark.parametrize("accumulation", [1, 3])
def test_batch_after_batch_is_one_long_text(workers: int, accumulation: int) -> None:
    """Two epochs and more, with parameters that hardly move: the second begins as the first did."""
    model = tiny_lstm()
    run = lstm_trainer(
        model, workers=workers, gradient_accumulation=accumulation, learning_rate=1e-30,
        max_steps=36 // accumulation, schedule="constant",
    )  # fmt: skip
    assert run.batches.batches_per_epoch == 16
    losses = run.fit().column("loss")
    expected = np.tile(long_losses(model, TRAIN, 16), 3)[:36]
    # Of the last batch of an epoch fewer targets count, so that it weighs less.
    weights = np.tile([*[B * T] * 15, len(TRAIN) - 1 - 15 * B * T], 3)[:36]
    parts = np.arange(36).reshape(-1, accumulation)
    means = (expected * weights)[parts].sum(axis=1) / weights[parts].sum(axis=1)
    np.testing.assert_allclose(losses, means, rtol=2e-6)


def test_without_it_every_batch_begins_anew() -> None:
    carried, anew = (lstm_trainer(carry_state=c, max_steps=3).fit() for c in (True, False))
    assert carried.column("loss") != anew.column("loss")


@pytest.mark.parametrize("workers", [1, 2])
def test_evaluation_reads_on_too(workers: int) -> None:
    model = tiny_lstm()
    length = -(-(len(VAL) - 1) // B)
    expected = np.mean(long_losses(model, VAL[: B * length + 1], 3))
    # 99 targets in 4 streams of 25: three full batches, then one of a single place in each.
    full = evaluate(model, VAL, batch_size=B, block_size=T, workers=workers, carry_state=True)
    with no_grad():
        state, total, count = model.new_state(B), 0.0, 0.0
        for ids, targets in StreamBatches(VAL, T, B):
            weight = model.loss_weight(ids, targets)
            total += weight * model.loss(ids, targets, state).item()
            count += weight
    assert count == len(VAL) - 1
    assert full["loss"] == pytest.approx(total / count, rel=1e-6)
    run = lstm_trainer(model, workers=workers, eval_batches=3)
    assert run.evaluate()["val_loss"] == pytest.approx(expected, rel=1e-6)
    run = lstm_trainer(model, workers=workers, eval_batches=None)
    assert run.evaluate()["val_loss"] == pytest.approx(total / count, rel=1e-6)
    assert run.evaluate() == run.evaluate()


def test_evaluations_leave_the_training_s_state_alone() -> None:
    often, never = (lstm_trainer(max_steps=12, eval_interval=interval) for interval in (1, 12))
    often.fit()
    never.fit()
    assert without_times(often.history)["steps"] == without_times(never.history)["steps"]


def test_the_sampler_and_evaluate_see_nothing_of_it() -> None:
    run = lstm_trainer()
    run.train_step()
    model = tiny_lstm()
    model.load_state_dict(run.model.state_dict())
    assert evaluate(run.model, VAL, block_size=T) == evaluate(model, VAL, block_size=T)


# ── stopped and resumed ───────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "changes",
    [
        {"max_steps": 20},
        {"max_steps": 7, "workers": 2, "gradient_accumulation": 3},
        {"epochs": 2, "optimizer": "adam"},
    ],
    ids=["plain", "workers, accumulation", "epochs"],
)
@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_every_checkpoint_goes_on_alike(tmp_path: Path, changes, dropout) -> None:
    whole = lstm_trainer(
        tiny_lstm(dropout=dropout), checkpoint_dir=tmp_path, checkpoint_interval=1,
        keep_checkpoints=99, **changes,
    )  # fmt: skip
    whole.fit()
    paths = sorted(tmp_path.glob("step-*.npz"))
    assert len(paths) == whole.step + 1
    for path in [*paths[:2], *paths[2:-1:5], paths[-2]]:
        resumed = Trainer.resume(path, TRAIN, VAL, checkpoint_dir=None)
        resumed.fit()
        assert_same_run(resumed, whole)


def test_a_step_that_fails_leaves_the_state_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    whole, failing = (lstm_trainer(gradient_accumulation=2, max_steps=5) for _ in range(2))
    for run in (whole, failing):
        run.train_step()
    calls, loss = [], failing.model.loss

    def fail_at_the_second(*args, **options):
        calls.append(args)
        if len(calls) == 2:
            raise MemoryError
        return loss(*args, **options)

    with monkeypatch.context() as patch:
        patch.setattr(failing.model, "loss", lambda *args, rng: fail_at_the_second(*args, rng=rng))
        with pytest.raises(MemoryError):
            failing.train_step()
    assert len(calls) == 2  # the first batch had written to the state
    for run in (whole, failing):
        run.fit()
    assert_same_run(failing, whole)


def test_a_stored_model_is_found_by_its_name(tmp_path: Path) -> None:
    """Also where its embedding is wider than all its layers together."""
    model = tiny_lstm(n_embd=40, n_hidden=3, n_layer=1)
    lstm_trainer(model, checkpoint_dir=tmp_path, max_steps=2).fit()
    loaded, _ = load_model(tmp_path)
    assert type(loaded) is LSTMLanguageModel
    assert loaded.config == model.config
    ids = np.arange(6)[None]
    np.testing.assert_array_equal(loaded(ids).data, model(ids).data)


def test_float64_is_carried_in_float64(tmp_path: Path) -> None:
    run = lstm_trainer(tiny_lstm().astype(np.float64), max_steps=5)
    run.train_step()
    run.save(tmp_path / "a.npz")
    assert load_checkpoint(tmp_path / "a.npz").arrays["batches/state"].dtype == np.float64
    resumed = Trainer.resume(tmp_path / "a.npz", TRAIN, VAL)
    for one in (run, resumed):
        one.fit()
    assert_same_run(resumed, run)


# ── what does not fit ─────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("model", [Bigram(), tiny_gpt()], ids=["Bigram", "GPT"])
def test_a_model_without_a_state_has_none_to_carry(model) -> None:
    name = type(model).__name__
    with pytest.raises(ValueError, match=rf"carry_state=True needs.*{name} has no new_state"):
        trainer(model, carry_state=True)
    with pytest.raises(ValueError, match="carry_state=True needs a model with a state"):
        evaluate(model, VAL, block_size=T, carry_state=True)


def test_it_makes_batches_of_its_own() -> None:
    batches = StreamBatches(TRAIN, T, B)
    settings = config(block_size=T, carry_state=True)
    for train, val, name in ((batches, VAL, "train_tokens"), (TRAIN, batches, "val_tokens")):
        with pytest.raises(ValueError, match=f"{name} must be a stream of tokens"):
            Trainer(tiny_lstm(), train, val, settings)


def test_the_setting_stays(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="carry_state must be True or False: got 1"):
        config(carry_state=1)
    run = lstm_trainer(max_steps=2)
    run.save(tmp_path / "a.npz")
    with pytest.raises(ValueError, match="carry_state=… cannot change"):
        Trainer.resume(tmp_path / "a.npz", TRAIN, VAL, carry_state=False)


@pytest.mark.parametrize(
    "state",
    [None, np.zeros((B, 2, 2, 9), np.float32), np.zeros((3, 2, 2, 10), np.float32),
     np.zeros((B, 2, 2, 10)), np.zeros(0, np.float32)],
)  # fmt: skip
def test_a_checkpoint_with_another_state_or_none(tmp_path: Path, state) -> None:
    run = lstm_trainer(max_steps=4)
    run.train_step()
    run.save(tmp_path / "a.npz")
    checkpoint = load_checkpoint(tmp_path / "a.npz")
    arrays = {k: v for k, v in checkpoint.arrays.items() if k != "batches/state"}
    arrays |= {} if state is None else {"batches/state": state}
    path = save_checkpoint(tmp_path / "b.npz", arrays, checkpoint.metadata)
    with pytest.raises(CheckpointError, match=r"the carried state (must be an array|is float64)"):
        Trainer.resume(path, TRAIN, VAL)


@pytest.mark.parametrize("claim", [{"n_hidden": 10**6}, {"n_embd": 10**7}, {"n_layer": 10**6}])
def test_a_configuration_that_claims_too_much_takes_no_memory(tmp_path: Path, claim) -> None:
    run = lstm_trainer()
    run.save(tmp_path / "a.npz")
    checkpoint = load_checkpoint(tmp_path / "a.npz")
    model = checkpoint.metadata["model"]
    metadata = checkpoint.metadata | {"model": {**model, "config": {**model["config"], **claim}}}
    path = save_checkpoint(tmp_path / "b.npz", checkpoint.arrays, metadata)
    with pytest.raises(CheckpointError, match="claims more than"):
        Trainer.resume(path, TRAIN, VAL)


def test_a_failed_load_changes_nothing() -> None:
    batches = CarriedState(StreamBatches(TRAIN, T, B), tiny_lstm().new_state)
    batches.next_batch()[2][...] = 1
    before = batches.state_dict()
    for wrong in ({**before, "state": before["state"][:2]}, {**before, "position": -1}):
        with pytest.raises(ValueError):
            batches.load_state_dict(wrong)
    after = batches.state_dict()
    np.testing.assert_array_equal(before.pop("state"), after.pop("state"))
    assert before == after
