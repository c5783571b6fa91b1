"""What a run shows while it goes on."""

from __future__ import annotations

import io
import sys

import pytest

from minigpt import progress_bar
from minigpt.training import Callback
from tests.training.tiny import trainer


def test_progress_is_shown_on_stderr(capsys) -> None:
    trainer(progress=True).fit()
    out, err = capsys.readouterr()
    assert out == ""
    assert "step 8: train loss 2.3" in err
    assert "10/10" in err


def test_without_progress_nothing_is_shown(capsys) -> None:
    trainer().fit()
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("cores", "installed", "told"), [(2, False, 1), (2, True, 0), (1, False, 0)]
)
def test_what_the_fast_extra_would_bring_is_said_once(
    capsys, monkeypatch, cores, installed, told
) -> None:
    from minigpt.training import progress

    monkeypatch.setattr(progress, "available_cores", lambda: cores)
    monkeypatch.setattr(progress, "can_be_controlled", lambda: installed)
    trainer(progress=True, max_steps=2).fit()
    assert capsys.readouterr().err.count("minigpt[fast]") == told


class Terminal(io.StringIO):
    """A stderr that says it is a terminal, and remembers every picture of the bar."""

    def isatty(self) -> bool:
        return True

    def pictures(self) -> list[str]:
        return [each.strip("\n") for each in self.getvalue().replace("\n", "\r").split("\r")]


def terminal_for(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """80 columns wide, and shown anew at every step."""
    terminal = Terminal()
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(progress_bar, "INTERVAL", 0.0)
    return terminal


@pytest.mark.parametrize("max_steps", [12, 1200])
def test_at_80_columns_the_bar_is_seen_and_no_line_is_wrapped(monkeypatch, max_steps) -> None:
    class Stop(Callback):
        def on_step(self, trainer, record):
            if trainer.step == 12:
                trainer.stop()

    terminal = terminal_for(monkeypatch)
    trainer(progress=True, max_steps=max_steps, callbacks=[Stop()]).fit()
    shown = terminal.pictures()
    assert max(map(len, shown)) <= 80
    bars = [picture for picture in shown if "%|" in picture]
    assert all(len(picture.split("|")[1]) >= 10 for picture in bars)
    after_steps = [picture for picture in bars if "loss" in picture]
    assert len(after_steps) >= 12
    assert all("tokens/s" in picture for picture in after_steps)


def test_an_evaluation_is_shown_while_it_runs(monkeypatch) -> None:
    terminal = terminal_for(monkeypatch)
    trainer(progress=True).fit()
    for batch in (1, 2, 3, 4):  # two of each text
        assert f"evaluating {batch}/4]" in terminal.getvalue()
