from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from minigpt.checkpoints import CheckpointError, load_checkpoint, save_checkpoint
from minigpt.datasets import RandomBatches
from minigpt.optim.schedules import warmup_cosine
from minigpt.tokenizers import CharTokenizer
from minigpt.training import Trainer
from tests.training.tiny import (
    Bigram,
    assert_same_run,
    config,
    resume,
    tiny_gpt,
    tokens,
    trainer,
    without_times,
)

RUNS = {
    "plain": {},
    "dropout": {"model": {"dropout": 0.3}},
    "accumulation": {"gradient_accumulation": 3},
    "epochs": {"epochs": 1, "batch_size": 6},
    "workers": {"workers": 2, "model": {"dropout": 0.2}, "gradient_accumulation": 2},
    "sgd": {"optimizer": "sgd", "learning_rate": 0.1},
    "muon": {"optimizer": "muon", "schedule": "trapezoid", "workers": 2},
    "early": {"early_stopping_patience": 1, "learning_rate": 3.0, "eval_interval": 1},
    "decoder": {"model": {"norm": "post", "bias": False, "tie_head": False}},
}


def start(settings, **changes) -> Trainer:
    settings = dict(settings)
    return trainer(tiny_gpt(**settings.pop("model", {})), **settings, **changes)


@pytest.mark.parametrize("name", RUNS)
def test_every_checkpoint_of_a_run_goes_on_alike(tmp_path: Path, name: str) -> None:
    whole = start(
        RUNS[name], checkpoint_dir=tmp_path / "whole", checkpoint_interval=1, keep_checkpoints=99
    )
    whole.fit()
    paths = sorted((tmp_path / "whole").glob("*.npz"))
    assert len(paths) == whole.step + 2  # step 0 and the best
    for path in paths if name in ("plain", "workers") else paths[1:8:3]:
        resumed = resume(path, model=None, checkpoint_dir=None)
        resumed.fit()
        assert_same_run(resumed, whole)


def test_a_folder_is_its_newest_checkpoint(tmp_path: Path) -> None:
    whole = trainer(max_steps=20)
    whole.fit()
    trainer(max_steps=10, checkpoint_dir=tmp_path, checkpoint_interval=3).fit()
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"step-00000009.npz", "step-00000010.npz", "best.npz", "history.jsonl"}
    resumed = resume(tmp_path)
    assert resumed.step == 10
    assert resumed.finished


def test_a_longer_run(tmp_path: Path) -> None:
    """With a schedule that does not look at the end, more steps are the longer run itself."""
    whole = trainer(max_steps=12, schedule="constant")
    whole.fit()
    trainer(max_steps=8, schedule="constant", checkpoint_dir=tmp_path).fit()
    resumed = resume(tmp_path, max_steps=12, progress=False)
    resumed.fit()
    assert_same_run(resumed, whole)
    assert load_checkpoint(tmp_path / "step-00000012.npz").metadata["config"]["max_steps"] == 12


def test_resuming_a_finished_run_changes_nothing(tmp_path: Path) -> None:
    run = trainer(checkpoint_dir=tmp_path)
    run.fit()
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    resumed = resume(tmp_path)
    resumed.fit()
    assert_same_run(resumed, run)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_moved_folder_goes_on_where_it_is_now(tmp_path: Path) -> None:
    trainer(max_steps=4, checkpoint_dir=tmp_path / "old").fit()
    shutil.move(tmp_path / "old", tmp_path / "new")
    resumed = resume(tmp_path / "new", max_steps=6)
    assert Path(os.fspath(resumed.config.checkpoint_dir or "")) == tmp_path / "new"
    resumed.fit()
    assert (tmp_path / "new" / "step-00000006.npz").exists()
    assert not (tmp_path / "old").exists()


def test_a_broken_newest_is_passed_over(tmp_path: Path) -> None:
    whole = trainer(checkpoint_dir=tmp_path, checkpoint_interval=2)
    whole.fit()
    newest = tmp_path / "step-00000010.npz"
    newest.write_bytes(newest.read_bytes()[:-100])
    (tmp_path / "best.npz").unlink()
    with pytest.raises(CheckpointError) as caught:
        resume(newest)
    assert caught.value.previous == tmp_path / "step-00000008.npz"
    with pytest.warns(UserWarning, match="passed over step-00000010"):
        resumed = resume(tmp_path)
    assert resumed.step == 8
    with pytest.warns(UserWarning, match="previous-1"):
        resumed.fit()
    assert_same_run(resumed, whole)


def test_tokenizer_and_random_state_come_back(tmp_path: Path) -> None:
    tokenizer = CharTokenizer.train("abcdefghijk")
    run = Trainer(tiny_gpt(), tokens(), None, config(), tokenizer=tokenizer)
    run.train_step()
    run.save(tmp_path / "a.npz")
    resumed = Trainer.resume(tmp_path / "a.npz", tokens())
    assert resumed.tokenizer.to_dict() == tokenizer.to_dict()
    assert resumed.config == run.config


def test_float64_stays(tmp_path: Path) -> None:
    run = trainer(tiny_gpt().astype(np.float64), max_steps=3)
    run.train_step()
    run.save(tmp_path / "a.npz")
    resumed = resume(tmp_path / "a.npz", model=None)
    run.fit()
    resumed.fit()
    assert_same_run(resumed, run)
    assert resumed.parameters[0].dtype == np.float64


def test_batches_of_the_caller_s_own(tmp_path: Path) -> None:
    def batches():
        return RandomBatches(tokens(), 8, 4, seed=5)

    whole = Trainer(Bigram(), batches(), batches(), config())
    whole.fit()
    stopped = Trainer(Bigram(), batches(), batches(), config())
    for _ in range(3):
        stopped.train_step()
    stopped.save(tmp_path / "a.npz")
    moved = batches()
    moved.next_batch()  # where they stand does not matter
    resumed = Trainer.resume(tmp_path / "a.npz", moved, batches(), model=Bigram())
    resumed.fit()
    assert_same_run(resumed, whole)


# ── what does not fit ─────────────────────────────────────────────────────────────────────────


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    run = trainer(tiny_gpt())
    run.train_step()
    run.save(tmp_path / "a.npz")
    return tmp_path / "a.npz"


def test_another_text_is_refused(saved: Path) -> None:
    train, val = tokens()[:500], tokens()[500:]
    other = train.copy()
    other[250] += 1
    with pytest.raises(ValueError, match="train_tokens has as many tokens as the run's text, and"):
        Trainer.resume(saved, other, val)
    with pytest.raises(ValueError, match="train_tokens has 499 tokens, the run's text has 500"):
        Trainer.resume(saved, train[:-1], val)
    with pytest.raises(ValueError, match="val_tokens has 99 tokens"):
        Trainer.resume(saved, train, val[:-1])
    # The same tokens in another type are the same text.
    assert Trainer.resume(saved, train.astype(np.int64).tolist(), val.astype(np.int32)).step == 1


@pytest.mark.parametrize("name", ["seed", "optimizer", "block_size", "carry_state", "nonsense"])
def test_settings_that_would_make_it_another_run(saved: Path, name: str) -> None:
    with pytest.raises(ValueError, match=rf"{name}=… cannot change.*max_steps"):
        resume(saved, model=None, **{name: 3})


# ── what is to be another run from now on ─────────────────────────────────────────────────────


def test_a_longer_run_keeps_its_warm_up(tmp_path: Path) -> None:
    """A regression: with more steps the tenth of them that the warm-up was began again."""
    run = trainer(max_steps=40, checkpoint_dir=tmp_path)
    rates = run.fit().column("learning_rate")
    assert run.config.warmup_steps == 4
    assert rates.index(max(rates)) == 4
    longer = resume(tmp_path, max_steps=400)
    assert longer.config.warmup_steps == 4
    later = longer.fit().column("learning_rate")[40:]
    assert later == sorted(later, reverse=True)
    expected = warmup_cosine(40, 0.01, 0.001, 4, 400)
    assert later[0] == pytest.approx(expected)
    assert resume(tmp_path, max_steps=500, warmup_steps=None).config.warmup_steps == 50


@pytest.mark.parametrize(("before", "after"), [(2, None), (None, 2), (2, 3), (2, 1000)])
def test_evaluations_of_another_length(tmp_path: Path, before, after) -> None:
    run = trainer(eval_batches=before)
    run.train_step()
    run.save(tmp_path / "a.npz")
    resumed, new = resume(tmp_path / "a.npz", eval_batches=after), trainer(eval_batches=after)
    new.train_step()
    assert resumed.evaluate() == new.evaluate()
    resumed.fit()
    assert without_times(resumed.history)["steps"] == without_times(trainer().fit())["steps"]


CHANGES = {
    "learning_rate": 0.003,
    "min_learning_rate": 0.0,
    "schedule": "linear",
    "warmup_steps": 0,
    "weight_decay": 0.5,
    "betas": (0.5, 0.9),
    "eps": 1e-3,
    "grad_clip": 0.01,
    "batch_size": 7,
    "gradient_accumulation": 2,
    "workers": 2,
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_run_goes_on_with_other_settings_on_purpose(tmp_path: Path, name: str) -> None:
    whole = trainer(tiny_gpt(), max_steps=20, checkpoint_dir=tmp_path, checkpoint_interval=8)
    whole.fit()
    path = shutil.copy(tmp_path / "step-00000016.npz", tmp_path / "a.npz")
    ends = []
    for _ in range(2):
        resumed = resume(path, model=None, checkpoint_dir=None, **{name: CHANGES[name]})
        assert getattr(resumed.config, name) == CHANGES[name]
        assert resumed.step == 16
        resumed.fit()
        resumed.save(tmp_path / "b.npz")
        assert getattr(resume(tmp_path / "b.npz", model=None).config, name) == CHANGES[name]
        ends.append(resumed)
    assert_same_run(*ends)
    assert resumed.history.column("loss")[:16] == whole.history.column("loss")[:16]
    if name not in ("min_learning_rate", "workers"):  # of which the bits need not differ
        ours, theirs = resumed.model.state_dict(), whole.model.state_dict()
        assert any((ours[key] != theirs[key]).any() for key in ours)


@pytest.mark.parametrize("size", [1, 3, 5, 16, 1000])
def test_another_batch_size_reads_on_in_the_same_draws(tmp_path: Path, size: int) -> None:
    run = trainer(max_steps=30)
    for _ in range(14):
        run.train_step()
    run.save(tmp_path / "a.npz")
    resumed = resume(tmp_path / "a.npz", batch_size=size)
    expected = np.random.default_rng(0)
    expected.bit_generator.state = run.batches._generator.bit_generator.state  # type: ignore[attr-defined]
    ids, _ = resumed.batches.next_batch()
    starts = expected.integers(0, 500 - 8, size=size)
    np.testing.assert_array_equal(ids, [tokens()[:500][start : start + 8] for start in starts])
    for _ in range(3):
        resumed.train_step()


def test_where_another_batch_size_does_not_fit(tmp_path: Path) -> None:
    trainer(epochs=1).save(tmp_path / "a.npz")
    for change in ({"batch_size": 8}, {"gradient_accumulation": 2}):
        with pytest.raises(ValueError, match=r"=… cannot change: this run counts in epochs"):
            resume(tmp_path / "a.npz", **change)
    assert resume(tmp_path / "a.npz", batch_size=4).config.batch_size == 4  # it is the same
    batches = RandomBatches(tokens(), 8, 4, seed=5)
    Trainer(Bigram(), batches, None, config()).save(tmp_path / "b.npz")
    with pytest.raises(ValueError, match="train_tokens are batches of their own"):
        Trainer.resume(tmp_path / "b.npz", batches, model=Bigram(), batch_size=8)


def test_wrong_changes(saved: Path) -> None:
    with pytest.raises(ValueError, match="this run counts in max_steps"):
        resume(saved, model=None, epochs=3)
    with pytest.raises(ValueError, match="max_steps must be an integer of at least 1: got 0"):
        resume(saved, model=None, max_steps=0)
    with pytest.raises(TypeError, match="progress must be True or False"):
        resume(saved, model=None, progress=1)


def test_another_model_is_refused(saved: Path) -> None:
    with pytest.raises(CheckpointError, match="holds a 'GPT', the model given is a Bigram"):
        resume(saved)
    with pytest.raises(CheckpointError, match="n_head=2, the model given has n_head=4"):
        resume(saved, model=tiny_gpt(n_head=4))
    trainer(checkpoint_dir=saved.parent / "run", max_steps=1).fit()
    with pytest.raises(CheckpointError, match=r"got 'Bigram'.*pass model="):
        resume(saved.parent / "run", model=None)


def test_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="there is no checkpoint in"):
        resume(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"there is no checkpoint .*no, and no folder"):
        resume(tmp_path / "no")


def altered(saved: Path, **changes) -> Path:
    checkpoint = load_checkpoint(saved)
    metadata = {k: v for k, v in (checkpoint.metadata | changes).items() if v is not ...}
    return save_checkpoint(saved.with_name("altered.npz"), checkpoint.arrays, metadata)


@pytest.mark.parametrize(
    "changes",
    [
        {"format": "x"}, {"version": 3}, {"version": "2"}, {"version": None}, {"step": "x"},
        {"step": ...}, {"batches": {}},
        {"batches": ...}, {"history": {"steps": [3], "evaluations": []}}, {"history": []},
        {"optimizer": {}}, {"optimizer": []}, {"config": {}}, {"config": {"max_steps": -3}},
        {"config": {"max_steps": 3, "x": 1}}, {"model": {}}, {"model": {"class": 3, "config": {}}},
        {"model": {"class": "GPT", "config": {"vocab_size": 11}}},
        {"model": {"class": "os.system", "config": {}}}, {"texts": 3}, {"best": None},
        {"best": {"step": 1, "val_loss": "x", "evaluations_since": 0}}, {"elapsed": []},
        {"tokenizer": {"type": "x"}}, {"tokenizer": 3}, {"evaluation_batches": 3},
        {"texts": {"train": 3, "val": None}},
        {"texts": {"train": {"tokens": None, "sha256": "x"}, "val": None}},
        {"evaluation_batches": {"val": "x"}}, {"evaluation_batches": {"train": {"epoch": 0}}},
        {"step": 10**400}, {"step": 2.5}, {"step": -1}, {"elapsed": 10**400}, {"elapsed": "1"},
        {"run": 3}, {"best": {"step": 1, "val_loss": 10**400, "evaluations_since": 0}},
        {"best": {"step": 1, "val_loss": 1.0, "evaluations_since": 10**400}},
        {"history": {"steps": {"columns": ["step"], "layouts": [["step"]]}, "evaluations": []}},
    ],
)  # fmt: skip
def test_whole_files_with_nonsense_in_them(saved: Path, changes) -> None:
    with pytest.raises(CheckpointError):
        resume(altered(saved, **changes), model=None)


@pytest.mark.parametrize(
    ("part", "name", "value"),
    [
        ("optimizer", "step", 10**400), ("optimizer", "step", -1), ("optimizer", "lr", 10**400),
        ("optimizer", "updates.token_embedding.weight", 10**400),
        ("config", "gradient_accumulation", 10**30), ("config", "gradient_accumulation", 1e30),
        ("config", "max_steps", 10**400), ("config", "learning_rate", 10**400),
        ("config", "eval_interval", 10**400), ("config", "batch_size", "x"),
        ("batches", "position", 10**400), ("batches", "epoch", -1), ("batches", "generator", None),
    ],
)  # fmt: skip
def test_a_number_that_would_fail_later_is_refused_at_once(saved, part, name, value) -> None:
    stored = load_checkpoint(saved).metadata[part]
    assert name in stored
    with pytest.raises(CheckpointError):
        resume(altered(saved, **{part: {**stored, name: value}}), model=None)


@pytest.mark.parametrize(
    "claim",
    [
        {"n_embd": 10**6}, {"vocab_size": 10**9}, {"n_layer": 10**6}, {"n_inner": 10**8},
        {"block_size": 10**9}, {"head_width": 10**8}, {"head_width": 2, "n_head": 10**9},
    ],
)  # fmt: skip
def test_a_configuration_that_claims_too_much_takes_no_memory(saved: Path, claim) -> None:
    model = load_checkpoint(saved).metadata["model"]
    hostile = {**model, "config": {**model["config"], **claim}}
    with pytest.raises(CheckpointError, match="claims more than"):
        resume(altered(saved, model=hostile), model=None)


def test_the_best_stands_in_for_a_broken_newest(tmp_path: Path) -> None:
    trainer(checkpoint_dir=tmp_path, max_steps=8, learning_rate=0.1).fit()
    newest = tmp_path / "step-00000008.npz"
    newest.write_bytes(newest.read_bytes()[:-1])
    assert load_checkpoint(tmp_path / "best.npz").metadata["step"] == 8
    with pytest.warns(UserWarning, match=r"passed over step-00000008\.npz.*took best\.npz"):
        resume(tmp_path).fit()
    assert load_checkpoint(newest).metadata["step"] == 8  # written again


def test_a_finished_run_says_so_in_place_of_an_empty_bar(tmp_path: Path, capsys) -> None:
    trainer(max_steps=6, checkpoint_dir=tmp_path).fit()
    run = resume(tmp_path)
    capsys.readouterr()
    run.fit()
    said = capsys.readouterr().err
    assert said.startswith("the run was finished at step 6: Trainer.resume(…, max_steps=…)")
    assert said.count("\n") == 1 and "?" not in said
    with pytest.raises(
        ValueError, match=r"max_steps=3 ends the run after 3 steps, and it has .* 6"
    ):
        resume(tmp_path, max_steps=3)
    assert resume(tmp_path, max_steps=7).fit().column("step")[-1] == 7
    assert "finished" not in capsys.readouterr().err
