from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from minigpt.checkpoints import load_checkpoint
from minigpt.datasets import write_tokens
from minigpt.training import Callback, History
from tests.training.tiny import VOCAB, Bigram, resume, tiny_gpt, tokens, trainer, without_times


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_only_the_last_checkpoints_stay(tmp_path: Path) -> None:
    trainer(checkpoint_dir=tmp_path / "a" / "b", checkpoint_interval=2, keep_checkpoints=3).fit()
    assert names(tmp_path / "a" / "b") == {
        "step-00000006.npz", "step-00000008.npz", "step-00000010.npz", "best.npz", "history.jsonl",
    }  # fmt: skip


def test_what_killed_runs_left_is_cleared_and_nothing_else(tmp_path: Path) -> None:
    ours = [".step-00000007.npz.0123abcd.minigpt-tmp", ".history.jsonl.ffffffff.minigpt-tmp"]
    others = [".step-00000007.npz.0123abcd.tmp", "a.npz.0123abcd.minigpt-tmp", ".x.minigpt-tmp"]
    for name in ours + others:
        (tmp_path / name).write_bytes(b"half")
    trainer(checkpoint_dir=tmp_path, max_steps=1).fit()
    assert names(tmp_path) & set(ours + others) == set(others)


def test_another_run_is_set_aside(tmp_path: Path) -> None:
    first = trainer(checkpoint_dir=tmp_path, max_steps=8)
    first.fit()
    (tmp_path / "notes.txt").write_text("mine")
    second = trainer(Bigram(seed=1), checkpoint_dir=tmp_path, max_steps=4)
    with pytest.warns(UserWarning, match=r"step-00000008\.npz.*is now in .*previous-1"):
        second.fit()
    assert without_times(History.read(tmp_path)) == without_times(second.history)
    assert resume(tmp_path).step == 4
    assert resume(tmp_path / "previous-1").step == 8
    assert without_times(History.read(tmp_path / "previous-1")) == without_times(first.history)
    with pytest.warns(UserWarning, match="previous-2"):
        trainer(checkpoint_dir=tmp_path, max_steps=1).fit()
    assert (tmp_path / "notes.txt").exists()


def test_or_replaced_where_that_is_asked_for(tmp_path: Path) -> None:
    trainer(checkpoint_dir=tmp_path, max_steps=8).fit()
    trainer(checkpoint_dir=tmp_path, max_steps=4, overwrite=True).fit()
    assert names(tmp_path) == {
        "step-00000000.npz", "step-00000004.npz", "best.npz", "history.jsonl",
    }  # fmt: skip
    # Resuming does not replace anything: what it passes over is set aside.
    run = resume(tmp_path / "step-00000000.npz")
    with pytest.warns(UserWarning, match="previous-1"):
        run.fit()


def test_fitting_again_is_the_same_run(tmp_path: Path) -> None:
    run = trainer(checkpoint_dir=tmp_path, checkpoint_interval=2)
    run.fit()
    run.fit()
    assert "previous-1" not in names(tmp_path)


# ── trouble with the disk ─────────────────────────────────────────────────────────────────────


def test_a_file_where_the_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("a file")
    with pytest.raises(FileExistsError, match=r"checkpoint_dir cannot be made.*run"):
        trainer(checkpoint_dir=tmp_path / "run").fit()


class FullDisk:
    """No space for checkpoints while ``full``."""

    def __init__(self, monkeypatch) -> None:
        self.full = False
        fsync = os.fsync

        def limited(descriptor: int) -> None:
            if self.full:
                raise OSError(errno.ENOSPC, "No space left on device")
            fsync(descriptor)

        monkeypatch.setattr(os, "fsync", limited)

    def on_step(self, trainer, record) -> None:
        self.full = 4 <= trainer.step < 8


def test_a_disk_that_is_full_for_a_while_does_not_end_the_run(tmp_path: Path, monkeypatch) -> None:
    disk = FullDisk(monkeypatch)
    run = trainer(checkpoint_dir=tmp_path, checkpoint_interval=2, callbacks=[disk])
    with pytest.warns(RuntimeWarning, match="checkpoint is missing.*No space left"):
        run.fit()
    assert run.finished
    assert {"step-00000008.npz", "step-00000010.npz"} <= names(tmp_path)
    assert without_times(run.history) == without_times(trainer().fit())


def test_a_run_that_cannot_save_says_so_at_the_start_and_at_the_end(
    tmp_path: Path, monkeypatch
) -> None:
    disk = FullDisk(monkeypatch)
    disk.full = True
    with pytest.raises(OSError, match="No space left"):
        trainer(checkpoint_dir=tmp_path / "a").fit()
    disk.full = False
    run = trainer(checkpoint_dir=tmp_path / "b", max_steps=5, callbacks=[disk])
    with pytest.warns(RuntimeWarning), pytest.raises(OSError, match="No space left"):
        run.fit()  # the best, after step 4, and the last
    assert load_checkpoint(tmp_path / "b" / "step-00000000.npz").metadata["step"] == 0
    disk.full = False
    run.save(tmp_path / "elsewhere.npz")  # nothing is lost: the trainer is whole
    assert load_checkpoint(tmp_path / "elsewhere.npz").metadata["step"] == 5


@pytest.mark.skipif(os.name == "nt" or not hasattr(os, "geteuid") or os.geteuid() == 0,
                    reason="the superuser, and Windows, write to read-only folders")  # fmt: skip
def test_a_read_only_folder(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(PermissionError):
            trainer(checkpoint_dir=tmp_path).fit()
    finally:
        tmp_path.chmod(0o700)


def test_a_history_file_that_cannot_be_written_does_not_end_the_run(tmp_path: Path) -> None:
    class Break:
        def on_step(self, trainer, record):
            if trainer.step == 3:
                file = trainer._log.files._history
                os.close(file.fileno())

    run = trainer(checkpoint_dir=tmp_path, callbacks=[Break()])
    with pytest.warns(RuntimeWarning, match="history file"):
        run.fit()
    assert without_times(run.history) == without_times(trainer().fit())
    assert np.isfinite(run.history.column("loss")).all()


@pytest.mark.parametrize("call", ["a run", "Trainer.save", "write_tokens", "save_pretrained"])
def test_what_a_kill_left_goes_with_the_next_good_call(tmp_path: Path, call: str) -> None:
    run = trainer(tiny_gpt(), max_steps=1, checkpoint_dir=tmp_path)
    calls = {
        "a run": run.fit,
        "Trainer.save": lambda: run.save(tmp_path / "a.npz"),
        "write_tokens": lambda: write_tokens(tmp_path / "a.bin", tokens(), VOCAB),
        "save_pretrained": lambda: run.model.save_pretrained(tmp_path),
    }
    calls[call]()
    good = names(tmp_path)
    left = sorted(f".{name}.0123abcd.minigpt-tmp" for name in good)
    left += [f".saving.{10**9}.0123abcd.minigpt-tmp"] if call == "save_pretrained" else []
    for name in left:
        if name.startswith(".saving"):
            (tmp_path / name / "new").mkdir(parents=True)
        elif call != "save_pretrained":
            (tmp_path / name).write_bytes(b"half")
    calls[call]()
    assert names(tmp_path) == good


# ── what happens to a folder while a run goes on ──────────────────────────────────────────────


class At(Callback):
    """Does something after a step."""

    def __init__(self, step: int, what: Callable[[], object]) -> None:
        self.step, self.what = step, what

    def on_step(self, trainer, record) -> None:
        if trainer.step == self.step:
            self.what()


def test_an_old_checkpoint_that_cannot_be_deleted_only_warns(tmp_path: Path, monkeypatch) -> None:
    unlink = Path.unlink

    def refuse(path: Path, missing_ok: bool = False) -> None:
        if path.name.startswith("step-"):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        unlink(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", refuse)
    run = trainer(checkpoint_dir=tmp_path, checkpoint_interval=2)
    with pytest.warns(RuntimeWarning, match=r"old checkpoint is still there.*step-00000000"):
        run.fit()
    assert run.finished
    assert len(list(tmp_path.glob("step-*.npz"))) == 6


def test_memory_that_runs_out_in_between_only_warns(tmp_path: Path) -> None:
    def state_dict(self=Bigram) -> dict[str, np.ndarray]:
        if 2 <= run.step < 10:
            raise MemoryError
        return Bigram.state_dict(run.model)

    run = trainer(checkpoint_dir=tmp_path, checkpoint_interval=3)
    run.model.state_dict = state_dict
    with pytest.warns(RuntimeWarning, match="a checkpoint is missing, the run goes on .not enough"):
        run.fit()
    assert run.finished
    assert load_checkpoint(tmp_path / "step-00000010.npz").metadata["step"] == 10


@pytest.mark.parametrize("how", ["deleted", "renamed"])
@pytest.mark.skipif(os.name == "nt", reason="Windows keeps a folder whose files are open")
def test_a_folder_that_goes_away_is_made_again(tmp_path: Path, how: str) -> None:
    folder = tmp_path / "runs" / "a"
    away = {
        "deleted": lambda: shutil.rmtree(tmp_path / "runs"),
        "renamed": lambda: folder.rename(tmp_path / "b"),
    }
    run = trainer(checkpoint_dir=folder, checkpoint_interval=4, callbacks=[At(5, away[how])])
    run.fit()
    assert names(folder) == {
        "step-00000008.npz", "step-00000010.npz", "best.npz", "history.jsonl",
    }  # fmt: skip
    assert without_times(History.read(folder)) == without_times(run.history)


def test_a_history_that_is_deleted_is_written_again(tmp_path: Path) -> None:
    delete = At(5, lambda: (tmp_path / "history.jsonl").unlink())
    run = trainer(checkpoint_dir=tmp_path, checkpoint_interval=4, callbacks=[delete])
    run.fit()
    assert without_times(History.read(tmp_path)) == without_times(run.history)


def test_a_relative_folder_is_that_of_the_start(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    run = trainer(
        checkpoint_dir="run",
        checkpoint_interval=4,
        callbacks=[At(2, lambda: os.chdir("elsewhere"))],
    )
    run.fit()
    assert names(tmp_path) == {"run", "elsewhere"}
    assert not names(tmp_path / "elsewhere")
    assert resume(tmp_path / "run").finished
