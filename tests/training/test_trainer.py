from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

import minigpt.functional as F
from minigpt.checkpoints import load_checkpoint
from minigpt.datasets import EpochBatches, RandomBatches
from minigpt.nn import Module, Parameter, add_lora, lora_parameters, merge_lora, unfreeze
from minigpt.optim import Muon, schedules
from minigpt.tensor import Tensor
from minigpt.tokenizers import CharTokenizer
from minigpt.training import Callback, Trainer, TrainerConfig, TrainingDiverged
from tests.training.tiny import VOCAB, Bigram, config, tiny_gpt, tokens, trainer, without_times

# ── learning ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("optimizer", ["adamw", "adam", "sgd"])
def test_it_learns(optimizer) -> None:
    rate = 3.0 if optimizer == "sgd" else 0.1
    run = trainer(max_steps=60, optimizer=optimizer, learning_rate=rate)
    before = run.evaluate()
    history = run.fit()
    after = run.evaluate()
    assert before["val_loss"] == pytest.approx(math.log(VOCAB), rel=0.02)
    # 80 % of the jumps are the same, the others any: about 0.82 right, 1.0 nats.
    assert after["val_loss"] < 1.5
    assert history.column("val_loss")[-1] == after["val_loss"]
    assert after["val_perplexity"] == pytest.approx(math.exp(after["val_loss"]))
    assert not run.model.training


def test_one_step_is_what_it_says() -> None:
    """A step by hand, from the parts, gives the same parameters."""
    from minigpt.optim import AdamW, clip_grad_norm

    run = trainer(grad_clip=0.01, warmup_steps=3)
    model = Bigram()
    optimizer = AdamW(model.named_parameters(), 0.01, (0.9, 0.99), weight_decay=0.1)
    batches = RandomBatches(tokens()[:500], 8, 4, seed=0)
    for step in range(5):
        loss = model.loss(*batches.next_batch())
        loss.backward()
        norm = clip_grad_norm(model.parameters(), 0.01)
        optimizer.lr = schedules.warmup_cosine(step, 0.01, 0.001, 3, 10)
        optimizer.step()
        optimizer.zero_grad()
        assert run.train_step() == loss.item()
        record = run.history.steps[-1]
        assert (record["loss"], record["grad_norm"]) == (loss.item(), norm)
        assert record["learning_rate"] == optimizer.lr
    np.testing.assert_array_equal(run.model.table.weight.data, model.table.weight.data)
    assert all(parameter.grad is None for parameter in run.model.parameters())


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_dtype_stays(dtype) -> None:
    model = tiny_gpt().astype(dtype)
    run = trainer(model, max_steps=2)
    run.fit()
    assert {p.dtype for p in model.parameters()} == {np.dtype(dtype)}


@pytest.mark.parametrize("workers", [1, 2])
def test_accumulation_equals_the_large_batch(workers) -> None:
    class Large:
        """Three batches of the run's own as one."""

        def __init__(self) -> None:
            self.small = RandomBatches(tokens()[:500], 8, 4, seed=0)
            self.batches_per_epoch = 1

        def next_batch(self):
            parts = [self.small.next_batch() for _ in range(3)]
            return tuple(np.concatenate(arrays) for arrays in zip(*parts, strict=True))

        def state_dict(self):
            return self.small.state_dict()

        def load_state_dict(self, state):
            self.small.load_state_dict(state)

    model, other = (tiny_gpt().astype(np.float64) for _ in range(2))
    one = trainer(model, gradient_accumulation=3, workers=workers, max_steps=6)
    two = Trainer(other, Large(), tokens()[500:], config(max_steps=6))
    losses = [(one.train_step(), two.train_step()) for _ in range(6)]
    np.testing.assert_allclose(*zip(*losses, strict=True), rtol=1e-12)
    for name, parameter in model.named_parameters():
        np.testing.assert_allclose(
            parameter.data, dict(other.named_parameters())[name].data, rtol=1e-7, atol=1e-9
        )


def test_workers_agree() -> None:
    runs = [trainer(tiny_gpt(dropout=0.1), workers=n) for n in (2, 2)]
    plain = [trainer(tiny_gpt(), workers=n) for n in (1, 2, 3)]
    histories = [without_times(run.fit()) for run in runs + plain]
    assert histories[0] == histories[1]
    for steps in zip(*(history["steps"] for history in histories[2:]), strict=True):
        assert [step["loss"] for step in steps] == pytest.approx([steps[0]["loss"]] * 3, rel=1e-5)


def test_epochs_take_every_block_once_each() -> None:
    run = trainer(epochs=2, batch_size=5)
    batches = EpochBatches(tokens()[:500], 8, 5, seed=0)
    assert run.total_steps == 2 * batches.batches_per_epoch == 26
    run.fit()
    assert run.batches.state_dict()["epoch"] == 2
    assert trainer(epochs=2, batch_size=5, gradient_accumulation=4).total_steps == 7


def test_schedules() -> None:
    def rates(**settings):
        return trainer(max_steps=20, **settings).fit().column("learning_rate")

    constant = rates(schedule="constant")
    assert constant == [0.01] * 20
    cosine = rates(schedule="cosine", warmup_steps=5)
    assert cosine.index(max(cosine)) == 5
    assert min(cosine[5:]) >= 0.001
    linear = rates(schedule="linear", warmup_steps=0, min_learning_rate=0.0)
    np.testing.assert_allclose(np.diff(linear), -0.0005)
    level = rates(schedule="trapezoid", warmup_steps=5)
    assert level[5:17] == [0.01] * 12  # 5 steps up, 4 down: a fifth
    np.testing.assert_allclose(level[16:], [0.01, 0.0075, 0.005, 0.0025])
    level = rates(schedule="trapezoid", warmup_steps=0, decay_steps=2, min_learning_rate=0.006)
    np.testing.assert_allclose(level[17:], [0.01, 0.01, 0.008])
    with pytest.raises(ValueError, match="decay_steps=50 and warmup_steps=5 are more than the run"):
        trainer(epochs=1, schedule="trapezoid", warmup_steps=5, decay_steps=50)


def test_parameters_that_are_frozen_or_unused_stay() -> None:
    model = tiny_gpt()
    model.token_embedding.weight.requires_grad = False
    vars(model)["unused"] = Parameter(np.ones(3, np.float32))
    before = model.state_dict()
    trainer(model, max_steps=2).fit()
    after = model.state_dict()
    same = {name for name in before if (before[name] == after[name]).all()}
    assert same == {"token_embedding.weight", "unused"}


def test_muon_moves_the_hidden_matrices_and_its_workers_agree() -> None:
    one, two = (trainer(tiny_gpt(), optimizer="muon", workers=n, seed=3) for n in (1, 2))
    assert one.fit().column("loss") == pytest.approx(two.fit().column("loss"), rel=1e-5)
    assert isinstance(one.optimizer, Muon) and one.optimizer.momentum == 0.95
    assert "momentum.blocks.0.mlp.up_proj.weight" in one.optimizer.state_dict()
    again = trainer(tiny_gpt(), optimizer="muon", workers=1, seed=3)
    again.fit()
    for name, array in one.model.state_dict().items():
        np.testing.assert_array_equal(again.model.state_dict()[name], array, err_msg=name)
    with pytest.raises(ValueError, match="params must be parameters with a hidden matrix among"):
        trainer(optimizer="muon")  # a table is an embedding


def test_muon_moves_lora_s_matrices_and_no_others() -> None:
    model = tiny_gpt()
    add_lora(model)
    before = model.state_dict()
    trainer(model, optimizer="muon", max_steps=3).fit()
    changed = {n for n, array in model.state_dict().items() if (array != before[n]).any()}
    assert changed == set(lora_parameters(model))


# ── evaluation ────────────────────────────────────────────────────────────────────────────────


def test_evaluation_is_the_same_every_time_and_disturbs_nothing() -> None:
    run, undisturbed = (trainer(tiny_gpt(dropout=0.2), workers=2) for _ in range(2))
    first = run.evaluate()
    assert run.evaluate() == first
    assert run.model.training
    losses = []
    for _ in range(4):
        losses.append(run.train_step())
        run.evaluate()
    assert losses == [undisturbed.train_step() for _ in range(4)]
    keys = {f"{s}_{m}" for s in ("train", "val") for m in ("loss", "accuracy", "perplexity")}
    assert first.keys() == keys | {"loss", "accuracy", "perplexity"}
    assert first["loss"] == first["val_loss"]


def test_the_whole_validation_text_exactly() -> None:
    model = tiny_gpt().astype(np.float64)
    run = trainer(model, eval_batches=None, batch_size=3)
    text = tokens()[500:].astype(np.int64)  # 100 tokens: 99 targets, the last block not full
    total = count = 0.0
    for start in range(0, 99, 8):
        ids, targets = text[start : min(start + 8, 99)], text[start + 1 : start + 9]
        total += model.metrics(ids[None], targets[None])["loss"] * len(targets)
        count += len(targets)
    assert count == 99
    assert run.evaluate()["val_loss"] == pytest.approx(total / count, rel=1e-12)
    # More batches than the text has are the whole text, too.
    assert trainer(model, eval_batches=1000).evaluate()["val_loss"] == pytest.approx(total / count)


def test_without_a_validation_text() -> None:
    run = Trainer(Bigram(), tokens(), None, config())
    history = run.fit()
    assert run.evaluate()["loss"] == history.column("train_loss")[-1]
    assert run.best.step is None
    with pytest.raises(KeyError):
        history.column("val_loss")


# ── best, early stopping ──────────────────────────────────────────────────────────────────────


class Scripted(Bigram):
    """Its loss on the validation text (the batches of one row) goes by a script."""

    def __init__(self, losses) -> None:
        super().__init__()
        self.script = list(losses)

    def metrics(self, ids, targets):
        return {"loss": self.script.pop(0)}


def scripted(losses, **changes) -> Trainer:
    """One batch an evaluation and no look at the training text: one value of the script each."""
    run = trainer(Scripted(losses), eval_interval=1, eval_batches=1, max_steps=8, **changes)
    del run.splits["train"]
    return run


def test_the_best_is_kept(tmp_path: Path) -> None:
    run = scripted([3.0, 2.0, 2.5, 1.5, 1.5, 1.7, 1.9, 1.6], checkpoint_dir=tmp_path)
    run.fit()
    assert (run.best.step, run.best.val_loss, run.best.evaluations_since) == (4, 1.5, 4)
    best = load_checkpoint(tmp_path / "best.npz")
    assert best.metadata["step"] == 4
    assert best.metadata["best"] == run.best.to_dict() | {"evaluations_since": 0}
    assert not (best.arrays["model/table.weight"] == run.model.table.weight.data).all()
    again = scripted([3.0] * 8, checkpoint_dir=tmp_path / "no", keep_best=False)
    again.fit()
    assert not (tmp_path / "no" / "best.npz").exists()


def test_early_stopping() -> None:
    run = scripted([3.0, 2.0, 2.1, 1.9, 2.0, 1.95, 1.0, 1.0], early_stopping_patience=2)
    history = run.fit()
    assert (run.step, run.finished, run.best.step) == (6, True, 4)
    assert history.column("val_loss") == [3.0, 2.0, 2.1, 1.9, 2.0, 1.95]
    assert run.fit() is history
    assert run.step == 6


# ── divergence ────────────────────────────────────────────────────────────────────────────────


def test_divergence_stops_before_the_parameters_are_hurt(tmp_path: Path) -> None:
    class Poison(Callback):
        def on_step(self, trainer, record):
            if trainer.step == 5:
                trainer.model.blocks[0].mlp.up_proj.weight.data[0, 0] = np.inf

    run = trainer(
        tiny_gpt(), checkpoint_dir=tmp_path, checkpoint_interval=2, grad_clip=None,
        callbacks=[Poison()],
    )  # fmt: skip
    with np.errstate(all="ignore"), pytest.raises(TrainingDiverged) as caught:
        run.fit()
    error = caught.value
    assert (error.step, run.step) == (6, 5)
    assert not math.isfinite(error.loss)
    assert not math.isfinite(next(iter(error.gradient_norms.values())))
    assert error.checkpoint == tmp_path / "step-00000004.npz"
    parts = ["step 6", "nan", "after step 5", str(error.checkpoint), "smaller learning_rate"]
    parts += [
        "up_proj.weight itself is not finite",
        "grad_clip=1.0",
        next(iter(error.gradient_norms)),
    ]
    for part in parts:
        assert part in str(error)
    assert np.isfinite(
        load_checkpoint(error.checkpoint).arrays["model/token_embedding.weight"]
    ).all()
    assert all(parameter.grad is None for parameter in run.model.parameters())


def test_a_step_that_fails_has_not_happened() -> None:
    class Fails(Bigram):
        fails = False

        def loss(self, ids, targets):
            loss = super().loss(ids, targets)
            return loss * float("nan") if self.fails else loss

    run = trainer(Fails())
    run.train_step()
    before, position = run.model.state_dict(), run.batches.state_dict()
    run.model.fails = True
    with pytest.raises(TrainingDiverged, match="step 2"):
        run.train_step()
    assert run.step == 1
    assert run.batches.state_dict() == position
    np.testing.assert_array_equal(run.model.state_dict()["table.weight"], before["table.weight"])
    run.model.fails = False
    run.fit()
    assert without_times(run.history) == without_times(trainer().fit())


def test_an_evaluation_that_is_not_finite_stops_the_run(tmp_path: Path) -> None:
    run = scripted([2.0, float("nan")], checkpoint_dir=tmp_path, checkpoint_interval=1)
    with pytest.raises(TrainingDiverged, match="after step 2: val_loss is nan") as caught:
        run.fit()
    assert caught.value.checkpoint == tmp_path / "step-00000001.npz"


# ── arguments ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"model": object()}, TypeError, "lacks parameters, named_parameters"),
        ({"model": Bigram}, TypeError, "got the class Bigram; make an object of it"),
        (
            {"config": {"max_steps": 3}},
            TypeError,
            "a TrainerConfig: got {.*say how to",
        ),
        ({"train_tokens": "text"}, TypeError, "train_tokens must be token ids: encode"),
        ({"train_tokens": None}, TypeError, "train_tokens must be a 1-D array of integers"),
        ({"train_tokens": np.zeros(50)}, TypeError, "float64"),
        ({"train_tokens": np.zeros((5, 50), int)}, TypeError, r"shape \(5, 50\)"),
        ({"train_tokens": tokens(8)}, ValueError, "train_tokens: the text has length 8.* takes 9"),
        ({"val_tokens": tokens(3)}, ValueError, "val_tokens: the text has length 3"),
        ({"tokenizer": "char"}, TypeError, "tokenizer must be one of minigpt's: got 'char'"),
        (
            {"tokenizer": CharTokenizer.train("the quick brown fox jumps")},
            ValueError,
            "the model knows 11",
        ),
        ({"config": config(block_size=9)}, ValueError, "block_size=9 is more than .* 8"),
        ({"config": config(epochs=1, warmup_steps=99)}, ValueError, "the 19 steps of epochs=1"),
        (
            {"val_tokens": None, "config": config(early_stopping_patience=1)},
            ValueError,
            "needs val_tokens",
        ),
    ],
)
def test_wrong_arguments_are_named(changes, error, message) -> None:
    arguments = {
        "model": Bigram(),
        "train_tokens": tokens(),
        "val_tokens": tokens(),
        "config": config(),
    }
    with pytest.raises(error, match=message):
        Trainer(**{**arguments, **changes})


def test_a_model_without_a_block_size_needs_one() -> None:
    model = Bigram()
    del model.config
    with pytest.raises(ValueError, match=r"set TrainerConfig\(block_size=…\)"):
        trainer(model)
    trainer(model, block_size=5).train_step()


def test_a_model_with_nothing_to_learn() -> None:
    model = Bigram()
    model.table.weight.requires_grad = False
    with pytest.raises(ValueError, match="nothing to train"):
        trainer(model)


def test_token_lists_and_memory_maps(tmp_path: Path) -> None:
    expected = without_times(trainer().fit())
    np.save(tmp_path / "tokens.npy", tokens()[:500])
    mapped = np.load(tmp_path / "tokens.npy", mmap_mode="r")
    for text in (tokens()[:500].tolist(), mapped):
        run = Trainer(Bigram(), text, tokens()[500:], config())
        assert without_times(run.fit()) == expected


def test_any_model_with_any_batches() -> None:
    """A regression: batches of the caller's, of arrays that are not tokens."""

    class Line(Module):
        def __init__(self) -> None:
            super().__init__()
            self.slope = Parameter(np.zeros((2, 1)))

        def loss(self, x, y):
            from minigpt.tensor import Tensor

            error = Tensor(x) @ self.slope - Tensor(y)
            return (error * error).mean()

    class Points:
        batches_per_epoch = 4

        def __init__(self) -> None:
            self.position = 0

        def next_batch(self):
            x = np.random.default_rng(self.position).normal(size=(16, 2))
            self.position += 1
            return x, x @ [[2.0], [-1.0]]

        def state_dict(self):
            return {"position": self.position}

        def load_state_dict(self, state):
            self.position = state["position"]

    points = Points()
    settings = TrainerConfig(
        epochs=25, optimizer="sgd", learning_rate=0.1, schedule="constant", momentum=0.0,
        grad_clip=None, eval_batches=2, progress=False,
    )  # fmt: skip
    run = Trainer(Line(), points, Points(), settings)
    history = run.fit()
    assert (run.total_steps, points.position) == (100, 100)
    np.testing.assert_allclose(run.model.slope.data, [[2.0], [-1.0]], atol=1e-3)
    assert history.column("val_loss")[-1] < 1e-6


def test_a_missing_configuration_says_how_to_train() -> None:
    with pytest.raises(TypeError, match=r"config must be a TrainerConfig: got None; say how to tr"):
        Trainer(Bigram(), tokens())
    with pytest.raises(TypeError, match=r"val_tokens must be .*: got a TrainerConfig; name it:"):
        Trainer(Bigram(), tokens(), config())
    assert Trainer(Bigram(), tokens(), config=config(max_steps=1)).fit().column("step") == [1]


@pytest.mark.parametrize(
    ("name", "way"),
    [
        ("save_model", r"trainer\.save\(path\).*minigpt\.load_model.*save_pretrained"),
        ("train", r"trainer\.fit\(\)"),
        ("load_checkpoint", r"Trainer\.resume"),
        ("generate", r"minigpt\.Sampler"),
        ("nonsense", "object has no attribute 'nonsense'"),
    ],
)
def test_what_users_guess_is_answered(name: str, way: str) -> None:
    run = trainer()
    assert not hasattr(run, name)
    with pytest.raises(AttributeError, match=way):
        getattr(run, name)


class Foreign:
    """A model that is not a Module, and does its own switching."""

    def __init__(self) -> None:
        self.inner, self.training = Bigram(), True
        self.seen: list[bool] = []

    def __getattr__(self, name):
        return getattr(vars(self)["inner"], name)

    def train(self):
        self.training = True

    def eval(self):
        self.training = False

    def loss(self, ids, targets):
        self.seen.append(self.training)
        return self.inner.loss(ids, targets)


def test_a_model_of_another_kind_is_switched_as_its_protocol_says() -> None:
    model = Foreign()
    run = trainer(model, workers=2)
    run.train_step()
    run.evaluate()
    assert model.training
    run.train_step()
    assert model.seen == [True] * 2 + [False] * 8 + [True] * 2
    run.fit()
    assert not model.training


def test_an_evaluation_flips_no_flag_of_the_model() -> None:
    """Another thread may train or use it meanwhile: the mode is the thread's."""
    seen = []

    class Watched(Bigram):
        def loss(self, ids, targets):
            seen.append((self._in_training, self.training))
            return super().loss(ids, targets)

    run = trainer(Watched(), workers=2)
    run.evaluate()
    assert set(seen) == {(True, False)}


def test_what_stays_the_same_is_looked_at_once(monkeypatch) -> None:
    import inspect

    run, calls = trainer(), []
    monkeypatch.setattr(inspect, "signature", lambda *_: calls.append(1))
    run.train_step()
    assert not calls


# ── what would learn nothing ──────────────────────────────────────────────────────────────────


def test_adapters_that_came_after_the_trainer_are_refused_before_a_step() -> None:
    model = tiny_gpt()
    run = trainer(model, max_steps=2)
    add_lora(model, rank=2, targets=["qkv_proj"])
    with pytest.raises(ValueError, match=r"qkv_proj\.lora_a, .*make a new Trainer after add_lora"):
        run.fit()
    assert run.step == 0 and all(p.grad is None for p in model.parameters())
    assert len(trainer(model, max_steps=2).fit().steps) == 2


def test_what_is_frozen_after_the_trainer_was_made_stays_as_it_is() -> None:
    model = tiny_gpt()
    run = trainer(model, max_steps=2)
    model.token_embedding.weight.requires_grad = False
    before = model.token_embedding.weight.data.copy()
    run.fit()
    assert np.array_equal(model.token_embedding.weight.data, before)


def test_a_leaf_that_is_not_a_parameter_is_named_by_its_shape() -> None:
    hidden = Tensor(np.zeros(VOCAB, np.float32), requires_grad=True)

    class Hidden(Bigram):
        def loss(self, ids, targets):
            return F.cross_entropy(self.table(ids) + hidden, targets)

    with pytest.raises(ValueError, match=r"a tensor of shape \(11,\), .*in Parameters"):
        trainer(Hidden()).train_step()


@pytest.mark.parametrize("which", ["train_tokens", "val_tokens"])
def test_a_tokenizer_that_did_not_make_the_text_is_refused(which: str) -> None:
    few = CharTokenizer("ab")
    texts = {"train_tokens": tokens() % 2, "val_tokens": tokens() % 2} | {which: tokens()}
    with pytest.raises(ValueError, match=f"{which} has the id 10, and tokenizer knows .* below 2"):
        Trainer(tiny_gpt(), **texts, config=config(), tokenizer=few)
    last = np.zeros(300_000, np.uint16)
    last[-1] = 10  # the last id of a long text is in the sample
    with pytest.raises(ValueError, match="has the id 10"):
        Trainer(tiny_gpt(), **{**texts, which: last}, config=config(), tokenizer=few)


@pytest.mark.parametrize(
    "returns, said",
    [
        (lambda loss: None, "got None; is the return missing"),
        (lambda loss: loss.data, "got a float32 array .*F.cross_entropy"),
        (lambda loss: loss * np.ones(3, np.float32), r"of shape \(3,\); take the mean"),
    ],
)
def test_a_loss_that_is_not_a_scalar_is_told_what_to_return(returns, said) -> None:
    class Two(Bigram):
        def loss(self, ids, targets):
            return returns(super().loss(ids, targets))

    run = trainer(Two())
    for call in (run.train_step, run.evaluate):
        with pytest.raises((TypeError, ValueError), match=f"what Two.loss returns must .*{said}"):
            call()


def test_a_model_without_anything_to_learn_is_told_why() -> None:
    model = tiny_gpt()
    add_lora(model, rank=2)
    merge_lora(model)
    with pytest.raises(ValueError, match=r"minigpt\.nn\.unfreeze\(model\)"):
        trainer(model)
    unfreeze(model)
    trainer(model, max_steps=1).fit()
    empty = Bigram()
    del empty.table
    with pytest.raises(ValueError, match="keep what it learns in Parameters"):
        trainer(empty)
