from __future__ import annotations

import copy
import signal
import threading
from pathlib import Path

import pytest

from minigpt.checkpoints import latest_checkpoint
from minigpt.training import Callback
from minigpt.training.interrupt import Interrupt
from tests.training.tiny import Bigram, assert_same_run, resume, trainer, without_times


class CtrlC(Callback):
    """Presses Ctrl-C at one moment of the run."""

    def __init__(self, hook: str, step: int) -> None:
        self.hook, self.step = hook, step

    def press(self, hook, trainer) -> None:
        if (hook, trainer.step) == (self.hook, self.step):
            self.step = -1
            signal.raise_signal(signal.SIGINT)

    def on_step(self, trainer, record):
        self.press("step", trainer)

    def on_evaluation(self, trainer, record):
        self.press("evaluation", trainer)

    def on_checkpoint(self, trainer, path):
        self.press("checkpoint", trainer)


class InTheModel(Bigram):
    """Presses Ctrl-C in the midst of a loss, in training or evaluation."""

    def __init__(self, training: bool, call: int) -> None:
        super().__init__()
        self.when, self.call = training, call

    def loss(self, ids, targets):
        if self.training == self.when:
            self.call -= 1
            if self.call == 0:
                signal.raise_signal(signal.SIGINT)
        return super().loss(ids, targets)


MOMENTS = {
    "before the first step": ({}, CtrlC("checkpoint", 0)),
    "after a step": ({}, CtrlC("step", 3)),
    "after a step with an evaluation": ({}, CtrlC("step", 4)),
    "after an evaluation": ({}, CtrlC("evaluation", 4)),
    "after a checkpoint": ({}, CtrlC("checkpoint", 6)),
    "in a step": ({"model": InTheModel(True, 6)}, Callback()),
    "in an evaluation": ({"model": InTheModel(False, 2)}, Callback()),
    "in the second evaluation": ({"model": InTheModel(False, 7)}, Callback()),
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_ctrl_c_saves_and_the_run_goes_on(tmp_path: Path, capsys, moment: str) -> None:
    changes, callback = MOMENTS[moment]
    whole = trainer(checkpoint_interval=3)
    whole.fit()
    before = signal.getsignal(signal.SIGINT)
    run = trainer(**changes, checkpoint_interval=3, checkpoint_dir=tmp_path, callbacks=[callback])
    history = run.fit()
    assert signal.getsignal(signal.SIGINT) is before
    assert len(history.steps) == run.step < 10
    assert latest_checkpoint(tmp_path).name == f"step-{run.step:08d}.npz"
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert f"step {run.step} of 10" in lines[0]
    assert f"Trainer.resume({str(tmp_path)!r}" in lines[0]
    run.model.call = 0
    resumed = resume(tmp_path, model=copy.deepcopy(run.model), checkpoint_dir=None)
    resumed.fit()
    assert_same_run(resumed, whole)
    run.fit()  # and so does the trainer itself
    assert_same_run(run, whole)


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_a_request_of_the_system_saves_and_then_ends_the_process(
    tmp_path: Path, capsys, name: str
) -> None:
    number = getattr(signal, name, None)
    if number is None:
        pytest.skip("this system has no such signal")

    class Ends(Callback):
        def on_step(self, trainer, record):
            if trainer.step == 3:
                signal.raise_signal(number)

    before = signal.getsignal(number)
    run = trainer(checkpoint_dir=tmp_path, callbacks=[Ends()])
    with pytest.raises(SystemExit) as stop:
        run.fit()
    assert stop.value.code == 128 + number
    assert len(run.history.steps) == 3
    assert signal.getsignal(number) is before
    assert f"stopped by {name} after step 3 of 10" in capsys.readouterr().err
    resumed, whole = resume(tmp_path), trainer()
    for each in (resumed, whole):
        each.fit()
    assert_same_run(resumed, whole)


@pytest.mark.parametrize("signals", [["SIGTERM"] * 3, ["SIGHUP", "SIGHUP"], ["SIGINT", "SIGTERM"]])
def test_what_the_system_sends_more_than_once_tears_nothing(
    tmp_path: Path, signals: list[str]
) -> None:
    """A terminal that is closed sends SIGHUP twice, some managers SIGTERM and then SIGHUP."""
    numbers = [getattr(signal, name, signal.SIGTERM) for name in signals]

    class Several(Bigram):
        def loss(self, ids, targets):
            for number in numbers if self.training else ():
                signal.raise_signal(number)
            return super().loss(ids, targets)

    run = trainer(Several(), checkpoint_dir=tmp_path)
    with pytest.raises(SystemExit) as stop:
        run.fit()
    assert stop.value.code == 128 + numbers[-1]
    assert latest_checkpoint(tmp_path).name == "step-00000001.npz"


def test_ctrl_c_after_a_request_of_the_system_does_not_wait() -> None:
    class Both(Bigram):
        def loss(self, ids, targets):
            signal.raise_signal(signal.SIGTERM)
            signal.raise_signal(signal.SIGINT)
            raise AssertionError("went on")

    with pytest.raises(KeyboardInterrupt):
        trainer(Both()).fit()


def test_in_the_last_step_the_process_ends_all_the_same(capsys) -> None:
    class Ends(Callback):
        def on_evaluation(self, trainer, record):
            if trainer.step == 10:
                signal.raise_signal(signal.SIGTERM)

    run = trainer(callbacks=[Ends()])
    with pytest.raises(SystemExit):
        run.fit()
    assert run.finished
    assert capsys.readouterr().err == ""


def test_a_handler_of_the_program_s_own_stays() -> None:
    seen = []
    before = signal.signal(signal.SIGTERM, lambda *_: seen.append("mine"))
    try:
        with Interrupt() as interrupt:
            signal.raise_signal(signal.SIGTERM)
            assert not interrupt.requested
    finally:
        signal.signal(signal.SIGTERM, before)
    assert seen == ["mine"]


def test_without_a_folder_it_says_so(capsys) -> None:
    run = trainer(callbacks=[CtrlC("step", 2)])
    assert len(run.fit().steps) == 2
    assert "trainer.save(path)" in capsys.readouterr().err


def test_in_the_last_step_the_run_is_simply_through(capsys) -> None:
    run = trainer(callbacks=[CtrlC("evaluation", 10)])
    assert without_times(run.fit()) == without_times(trainer().fit())
    assert capsys.readouterr().err == ""


def test_the_second_ctrl_c_does_not_wait() -> None:
    class Twice(Bigram):
        def loss(self, ids, targets):
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
            raise AssertionError("went on")

    before = signal.getsignal(signal.SIGINT)
    run = trainer(Twice())
    with pytest.raises(KeyboardInterrupt):
        run.fit()
    assert signal.getsignal(signal.SIGINT) is before
    assert run.step == 0


def test_a_keyboard_interrupt_that_somebody_raises(tmp_path: Path) -> None:
    class Raises(Callback):
        def on_step(self, trainer, record):
            if trainer.step == 5:
                raise KeyboardInterrupt

    run = trainer(checkpoint_dir=tmp_path, callbacks=[Raises()])
    assert len(run.fit().steps) == 5
    resumed = resume(tmp_path)
    resumed.fit()
    whole = trainer()
    whole.fit()
    assert_same_run(resumed, whole)


def test_half_a_step_is_never_saved(tmp_path: Path, monkeypatch) -> None:
    run = trainer(checkpoint_dir=tmp_path)

    def torn(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(run.optimizer, "step", torn)
    with pytest.raises(KeyboardInterrupt):
        run.fit()
    assert latest_checkpoint(tmp_path).name == "step-00000000.npz"


def test_outside_the_main_thread_nothing_is_touched() -> None:
    run = trainer()
    before = signal.getsignal(signal.SIGINT)
    thread = threading.Thread(target=run.fit)
    thread.start()
    thread.join()
    assert run.finished
    assert signal.getsignal(signal.SIGINT) is before


def test_ignored_signals_stay_ignored() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with Interrupt() as interrupt:
            signal.raise_signal(signal.SIGINT)
            assert not interrupt.requested
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
