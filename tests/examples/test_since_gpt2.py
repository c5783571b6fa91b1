"""The script that exchanges one part of GPT-2 after the other."""

from __future__ import annotations

import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

import minigpt as mg

SCRIPT = str(Path(__file__).resolve().parents[2] / "examples" / "since_gpt2.py")
SMALL = {"block_size": 8, "n_layer": 1}


@pytest.fixture(autouse=True)
def text(folder: Path) -> None:
    (folder / "text.txt").write_text("to be or not to be, that is the question\n" * 50, "utf-8")


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    config = mg.GPTConfig
    monkeypatch.setattr(mg, "GPTConfig", lambda **fields: config(**fields | SMALL))


def test_every_switch_runs_and_is_drawn(run, small):
    pytest.importorskip("matplotlib")
    arguments = "--data text.txt --steps 2 --seeds 1 --quiet --output since.png"
    code, out, err = run("since_gpt2", arguments)
    assert (code, err) == (0, "")
    found = re.findall(r"^(\S.*?\S) {2,}([\d,]+) +\d+ +\d+ +(\d\.\d{4}) +(\d\.\d{4}) \(", out, re.M)
    switches = runpy.run_path(SCRIPT)["SWITCHES"]
    assert [name for name, *_ in found] == list(switches)
    sizes = [int(size.replace(",", "")) for _, size, *_ in found]
    assert max(sizes) < 1.02 * min(sizes)  # each is within 1 % of GPT-2
    assert "12 runs in " in out
    assert Path("since.png").read_bytes().startswith(b"\x89PNG")


def test_runs_at_the_same_time_are_the_same_runs():
    """In processes of their own, where the model has its real size."""

    def rows(jobs):
        arguments = "--data text.txt --steps 1 --seeds 2 --only GPT-2 --quiet --output since.png"
        command = [sys.executable, SCRIPT, *arguments.split(), "--jobs", str(jobs)]
        environment = {**os.environ, "PYTHONPATH": str(Path(SCRIPT).parents[1]), "PYTHONUTF8": "1"}
        done = subprocess.run(
            command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return re.findall(r"^GPT-2 .*$", done.stdout, re.MULTILINE)

    assert len(rows(1)) == 1 and rows(1) == rows(2)


def test_another_learning_rate_is_taken(run, small):
    def losses(arguments):
        code, out, _ = run("since_gpt2", f"{arguments} --only GPT-2 --data text.txt --quiet")
        assert code == 0
        return re.search(r"^GPT-2 .*$", out, re.M)[0]

    few = "--steps 3 --seeds 1 --output since.png"
    assert losses(f"{few} --learning-rate 4e-3") == losses(few)
    assert losses(f"{few} --learning-rate 4e-2") != losses(few)


def test_what_is_reported_is_neither_learned_nor_chosen_by():
    parts, _ = runpy.run_path(SCRIPT)["read"]("text.txt")
    assert [len(part) for part in parts] == [1640, 205, 205]
