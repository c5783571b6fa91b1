from __future__ import annotations

import json
from pathlib import Path

import pytest

from minigpt.training import History
from tests.training.tiny import resume, trainer, without_times


def a_history() -> History:
    steps = [{"step": s, "loss": 3.0 / s, "elapsed": 0.1 * s} for s in (1, 2, 3, 4)]
    evaluations = [{"step": s, "val_loss": 2.0 / s} for s in (2, 4)]
    return History(steps, evaluations)


def test_round_trip(tmp_path: Path) -> None:
    history = a_history()
    history.write(tmp_path / "history.jsonl")
    for path in (tmp_path / "history.jsonl", tmp_path, str(tmp_path)):
        assert History.read(path).to_dict() == history.to_dict()
    arrays, names = history.to_arrays()
    assert History.from_arrays(arrays, json.loads(json.dumps(names))).to_dict() == history.to_dict()
    as_before = json.loads(json.dumps(history.to_dict()))
    assert History.from_arrays({}, as_before).to_dict() == history.to_dict()
    kinds = [
        json.loads(text)["kind"] for text in (tmp_path / "history.jsonl").read_text().splitlines()
    ]
    assert kinds == ["step", "step", "evaluation", "step", "step", "evaluation"]


def test_column() -> None:
    history = a_history()
    assert history.column("loss") == [3.0, 1.5, 1.0, 0.75]
    assert history.column("val_loss") == [1.0, 0.5]
    assert history.column("step") == [1, 2, 3, 4]
    assert history.column("step", "evaluations") == [2, 4]
    with pytest.raises(KeyError, match=r"no record has 'losses'.*elapsed, loss, step, val_loss"):
        history.column("losses")
    with pytest.raises(KeyError, match="nothing yet"):
        History().column("loss")
    with pytest.raises(ValueError, match='"steps" or "evaluations"'):
        history.column("loss", "epochs")  # type: ignore[arg-type]
    assert repr(history) == "History(4 steps, 2 evaluations, val_loss=0.5000)"


def test_a_line_cut_short_by_a_kill_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    a_history().write(path)
    whole = path.read_text()
    path.write_text(whole[:-9])
    assert History.read(path).column("val_loss") == [1.0]


@pytest.mark.parametrize(
    "bad", ["{", "[1]", '{"kind": "x"}', '{"step": 1}', '{"kind": "step", "loss": "3"}', ""]
)
def test_other_lines_are_refused(tmp_path: Path, bad: str) -> None:
    path = tmp_path / "history.jsonl"
    path.write_text('{"kind": "step", "step": 1}\n' + bad + "\n")
    with pytest.raises(ValueError, match="line 2 is not a record"):
        History.read(path)


@pytest.mark.parametrize(
    "content", [b"\xff\xfe\n", b"[" * 100_000 + b"\n", b"0" * 200_000 + b"\n", b"\0" * 200_000]
)
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "history.jsonl"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="line 1 is not a record"):
        History.read(path)


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="this system has no /dev/zero")
def test_what_is_not_a_file_is_refused() -> None:
    with pytest.raises(ValueError, match="not a regular file"):
        History.read("/dev/zero")


def test_the_file_grows_with_the_run(tmp_path: Path) -> None:
    seen = []

    class Reader:
        def on_step(self, trainer, record):
            seen.append(History.read(tmp_path).column("step")[-1])

    run = trainer(checkpoint_dir=tmp_path, callbacks=[Reader()])
    history = run.fit()
    assert seen == list(range(1, 11))
    assert History.read(tmp_path).to_dict() == history.to_dict()


def test_after_resuming_it_is_that_of_the_run_that_never_stopped(tmp_path: Path) -> None:
    whole = trainer().fit()
    stopped = trainer(checkpoint_dir=tmp_path, checkpoint_interval=3, keep_checkpoints=9)
    stopped.fit()
    with pytest.warns(UserWarning, match="not part of this run"):
        history = resume(tmp_path / "step-00000006.npz").fit()
    assert without_times(history) == without_times(whole)
    assert without_times(History.read(tmp_path)) == without_times(whole)


def test_log_interval_thins_the_steps(tmp_path: Path) -> None:
    history = trainer(log_interval=3).fit()
    assert history.column("step") == [3, 6, 9]
    assert history.column("step", "evaluations") == [4, 8, 10]


# ── a long run ────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def eight_records(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("minigpt.training.history.MOST_STEPS", 8)


@pytest.mark.parametrize(
    ("log_interval", "last", "steps"),
    [
        (1, 8, [1, 2, 3, 4, 5, 6, 7, 8]),
        (1, 9, [1, 2, 3, 4, 5, 6, 7, 8]),
        (1, 10, [2, 4, 6, 8, 10]),
        (1, 40, [8, 16, 24, 32, 40]),
        (3, 26, [3, 6, 9, 12, 15, 18, 21, 24]),
        (3, 30, [6, 12, 18, 24, 30]),
    ],
)
def test_a_long_run_keeps_fewer_records(
    tmp_path: Path, eight_records: None, log_interval: int, last: int, steps: list[int]
) -> None:
    counts = []

    class Counter:
        def on_step(self, trainer, record):
            counts.append(len(trainer.history.steps))

    run = trainer(
        max_steps=last, log_interval=log_interval, checkpoint_dir=tmp_path, callbacks=[Counter()]
    )
    history = run.fit()
    assert history.column("step") == steps
    assert max(counts) <= 8
    assert History.read(tmp_path).to_dict() == history.to_dict()
    assert history.column("step", "evaluations") == [*range(4, last, 4), last]


def test_when_a_history_begins_to_keep_fewer_records_the_run_says_so_once(
    tmp_path: Path, eight_records: None, capsys: pytest.CaptureFixture[str]
) -> None:
    told = "one of 6 steps"
    trainer(max_steps=26, log_interval=3, progress=True).fit()
    assert told not in capsys.readouterr().err
    run = trainer(
        max_steps=60, eval_interval=99, log_interval=3, progress=True, checkpoint_dir=tmp_path
    )
    run.fit()
    err = capsys.readouterr().err
    assert "step 30: the history has 8 records; from here on it keeps" in err
    assert err.count("the history has") == err.count(told) == 1
    resume(tmp_path, max_steps=110).fit()
    err = capsys.readouterr().err
    assert "110/110" in err
    assert "the history has" not in err
    trainer(max_steps=60, eval_interval=99, log_interval=3).fit()
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("stop", [4, 8, 16, 20])
def test_resuming_a_long_run_gives_its_records(
    tmp_path: Path, eight_records: None, stop: int
) -> None:
    whole = trainer(max_steps=40).fit()
    trainer(max_steps=40, checkpoint_dir=tmp_path, checkpoint_interval=4, keep_checkpoints=99).fit()
    with pytest.warns(UserWarning, match="not part of this run"):
        history = resume(tmp_path / f"step-{stop:08}.npz").fit()
    assert without_times(history) == without_times(whole)
    assert without_times(History.read(tmp_path)) == without_times(whole)


def test_a_history_that_is_longer_becomes_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer(max_steps=20, checkpoint_dir=tmp_path).fit()
    monkeypatch.setattr("minigpt.training.history.MOST_STEPS", 8)
    run = resume(tmp_path, max_steps=24)
    assert len(run.history.steps) == 20
    assert run.fit().column("step") == [4, 8, 12, 16, 20, 24]
