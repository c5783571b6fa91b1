"""A folder for each test, a script run in it as a user does, but in this process, and Ctrl-C."""

from __future__ import annotations

import io
import json
import runpy
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

import minigpt as mg

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder where the scripts are run."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(EXAMPLES)  # where Python looks when it runs a script from there
    return tmp_path


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs a script in this process: its exit code, what it printed, and its complaints."""

    def run(
        script: str, arguments: str = "", *more: str, stdin: str | None = None
    ) -> tuple[Any, str, str]:
        path = str(ROOT / "data/prepare.py" if script == "prepare" else EXAMPLES / f"{script}.py")
        monkeypatch.setattr(sys, "argv", [path, *arguments.split(), *more])
        if stdin is not None:
            monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        capsys.readouterr()
        code: Any = 0
        try:
            runpy.run_path(path, run_name="__main__")
        except SystemExit as stop:
            code = stop.code or 0
        return code, *capsys.readouterr()

    return run


def figures(path: str = "figures.json") -> dict[str, float]:
    """What a script has kept with --figures."""
    return json.loads(Path(path).read_text("utf-8"))["figures"]


def press_ctrl_c(monkeypatch: pytest.MonkeyPatch, step: int, number: int = signal.SIGINT) -> None:
    """As if Ctrl-C were pressed, or another signal came, while the trainer takes that step."""
    original = mg.Trainer.train_step

    def train_step(self: mg.Trainer) -> float:
        if self.step + 1 == step:
            signal.raise_signal(number)
        return original(self)

    monkeypatch.setattr(mg.Trainer, "train_step", train_step)
