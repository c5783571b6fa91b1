"""Processes that are told to end, or killed, at moments that nobody chose.

``MINIGPT_RELIABILITY=20 python -m pytest tests/reliability/test_signals.py``: 20 of each kind.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from minigpt.checkpoints import latest_checkpoint, load_checkpoint
from minigpt.training import History, Trainer
from tests.reliability.amount import amount
from tests.reliability.saves import SAVES, model
from tests.reliability.work import LOG
from tests.training.killed_run import run
from tests.training.tiny import assert_same_run, resume, tokens, trainer, without_times

ROOT = Path(__file__).parents[2]
STEPS_A_KILL = 15
POLITE = ["SIGTERM", "SIGHUP"]

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")


def start(module: str, *arguments: object, **options: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", module, *map(str, arguments)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def after(process: subprocess.Popen[str], lines: int, rng: np.random.Generator) -> None:
    """Wait until it has printed so many lines, and a moment longer."""
    assert process.stdout is not None
    for _ in range(lines):
        assert process.stdout.readline(), "it ended by itself"
    for _ in range(rng.integers(0, 30_000)):
        pass  # somewhere in what follows: evaluation, checkpoint, the next step


# ── a training ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.filterwarnings("ignore:.*is not part of this run")
def test_a_run_that_is_stopped_at_random_moments_ends_as_if_it_never_was(tmp_path: Path) -> None:
    stops = amount(3)
    folder, steps = tmp_path / "run", STEPS_A_KILL * (stops + 1)
    rng = np.random.default_rng(stops)
    for stop in range(stops):
        name = ["SIGKILL", *POLITE][stop % 3]
        process = start("tests.training.killed_run", folder, steps)
        after(process, rng.integers(1, STEPS_A_KILL), rng)
        process.send_signal(getattr(signal, name))
        _, err = process.communicate()
        newest = latest_checkpoint(folder)  # there is a whole one at any time
        if name == "SIGKILL":
            assert process.returncode == -signal.SIGKILL
        else:
            assert process.returncode == 128 + getattr(signal, name), err
            step = load_checkpoint(newest).metadata["step"]
            assert f"stopped by {name} after step {step} of {steps}: Trainer.resume(" in err

    last = start("tests.training.killed_run", folder, steps)
    printed, _ = last.communicate()
    assert last.returncode == 0
    assert printed.split()[-1] == str(steps)

    whole = run(None, steps)
    whole.fit()
    stopped = Trainer.resume(folder, tokens()[:500], tokens()[500:])
    assert_same_run(stopped, whole)
    assert without_times(History.read(folder)) == without_times(whole.history)
    assert not list(folder.glob(".*"))


@pytest.mark.parametrize("name", ["SIGINT", *POLITE])
def test_a_signal_inside_the_write_of_a_checkpoint(tmp_path: Path, monkeypatch, name: str) -> None:
    """At each of the first operations of the first checkpoints, on to the end of the run."""
    number = getattr(signal, name)
    for at in range(1, 1 + 4 * amount(2)):
        folder, left, fsync = tmp_path / str(at), [at], os.fsync

        def sync(descriptor: int, left: list[int] = left, fsync: Callable = fsync) -> None:
            left[0] -= 1
            if left[0] == 0:
                signal.raise_signal(number)
            fsync(descriptor)

        run = trainer(checkpoint_dir=folder, checkpoint_interval=2)
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", sync)
            if name == "SIGINT":
                run.fit()
            else:
                with pytest.raises(SystemExit) as stop:
                    run.fit()
                assert stop.value.code == 128 + number
        assert run.step == load_checkpoint(latest_checkpoint(folder)).metadata["step"] < 10
        resumed, whole = resume(folder), trainer()
        for each in (resumed, whole):
            each.fit()
        assert_same_run(resumed, whole)


def test_a_terminal_that_is_closed(tmp_path: Path) -> None:
    """Its processes get SIGHUP, and what they say to it fails."""
    pty = pytest.importorskip("pty")
    source = "import sys; from pathlib import Path; from tests.training.killed_run import run; "
    source += "run(Path(sys.argv[1]), 100_000, progress=True).fit()"
    folder = tmp_path / "run"
    child, terminal = pty.fork()
    if child == 0:
        try:
            os.chdir(ROOT)
            os.execv(sys.executable, [sys.executable, "-c", source, str(folder)])
        finally:
            os._exit(1)
    seen = b""
    while b"step 5: train loss" not in seen:
        seen += os.read(terminal, 1000)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 128 + signal.SIGHUP
    assert load_checkpoint(latest_checkpoint(folder)).metadata["step"] >= 5
    assert not list(folder.glob(".*")) and not (folder / "run.lock").exists()


def test_under_nohup_a_terminal_may_be_closed(tmp_path: Path) -> None:
    def ignore() -> None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # all that nohup does

    process = start("tests.training.killed_run", tmp_path / "run", "9", preexec_fn=ignore)
    after(process, 3, np.random.default_rng(0))
    process.send_signal(signal.SIGHUP)
    _, err = process.communicate()
    assert (process.returncode, err) == (0, "")
    assert latest_checkpoint(tmp_path / "run").name == "step-00000009.npz"


def test_a_run_without_a_folder_says_that_nothing_is_kept(capsys) -> None:
    class Ends:
        def on_step(self, trainer, record) -> None:
            signal.raise_signal(signal.SIGTERM)

    with pytest.raises(SystemExit):
        trainer(callbacks=[Ends()]).fit()
    assert "after step 1 of 10: nothing of it is kept" in capsys.readouterr().err


# ── other work ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", ["SIGKILL", *POLITE])
@pytest.mark.parametrize(
    "what", ["BPETokenizer.train", "Sampler.stream", "GPT.save_pretrained", "data/prepare.py"]
)
def test_other_work_that_is_killed(tmp_path: Path, what: str, name: str) -> None:
    kinds = ["BPETokenizer.train", "Sampler.stream", "GPT.save_pretrained", "data/prepare.py"]
    number = 3 * kinds.index(what) + ["SIGKILL", *POLITE].index(name)
    kills = amount(0) if number % 4 else amount(1)  # each kind and each signal, in a plain run
    rng = np.random.default_rng(number)
    for kill in range(kills):
        folder = tmp_path / str(kill) / "work"
        folder.mkdir(parents=True)
        process = start("tests.reliability.work", what, folder)
        after(process, rng.integers(1, 9), rng)
        process.send_signal(getattr(signal, name))
        process.communicate()
        assert process.returncode == -getattr(signal, name)
        if what == "Sampler.stream":
            check_log(folder / LOG)
            continue
        save = SAVES["Tokenizer.save" if what == "BPETokenizer.train" else what]
        if what == "BPETokenizer.train":
            from minigpt.tokenizers import load_tokenizer

            assert load_tokenizer(folder / "tokenizer.json").vocab_size == 270
        else:
            check_old_or_new(save, folder)
        save.save(folder, 3)
        assert save.load(folder) == 3
        assert {path.name for path in folder.iterdir()} == save.names


def check_old_or_new(save, folder: Path) -> None:
    try:
        assert save.load(folder) in (1, 2)
    except (OSError, ValueError):  # killed between two renames: all is there, and is refused
        (staging,) = folder.glob(".saving.*")
        aside = {path.name for path in (staging / "old").iterdir()}
        assert aside | {path.name for path in folder.iterdir()} >= save.names


def check_log(path: Path) -> None:
    """What is in the log is the beginning of the whole text, and ends with a whole character."""
    import minigpt as mg
    from tests.reliability.saves import tokenizer

    written = path.read_text(encoding="utf-8")  # strict: half a character is an error
    assert written
    pieces = mg.Sampler(model(1), tokenizer(8)).stream("to be", 100_000, seed=0)
    whole = ""
    while len(whole) < len(written):
        whole += next(pieces)
    assert whole.startswith(written)
