"""examples/stories.py: a small run, what is loaded again, and the figures beside the model's."""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
SCRIPT = str(EXAMPLES / "stories.py")
TEXT = "to be or not to be,\nthat is the question\n" * 60
SMALL = (
    "--data text.txt --vocab-size 270 --n-layer 1 --n-head 2 --n-embd 32 --block-size 16 "
    "--output r --quiet --lines 3 --temperatures 0 0.8"
)


@pytest.fixture(autouse=True)
def text(folder: Path) -> None:
    (folder / "text.txt").write_text(TEXT, encoding="utf-8")


@pytest.fixture
def run(run: Any) -> Any:
    """The script with these arguments."""
    return lambda arguments, *more: run("stories", arguments, *more)


def test_what_was_trained_is_loaded_and_writes_the_same(run):
    code, out, err = run(f"{SMALL} --steps 200 --learning-rate 0.01", "--prompt", "to be")
    assert (code, err) == (0, "")
    written, closing = out.split("\n\n")[0] + "\n", out.split("\n\n")[-1]
    assert written.startswith("── temperature 0 ─") and "\n── temperature 0.8 ─" in written
    sections = re.split("── .* ─+\n", written)[1:]
    assert [section.count("\n") for section in sections] == [3, 3]
    assert all(section.startswith("to be") for section in sections)
    figures = re.search(
        r"^(\S+) bits per byte of 244 unseen bytes \(loss \S+ a token\); pairs of tokens "
        r"alone (\S+) \(loss \S+\), xz (\S+)\n[\d,]+ parameters, 200 steps, \d+ s altogether; "
        r"kept in r\n$",
        closing,
    )
    model, pairs, xz = map(float, figures.groups())
    assert 0 < model < pairs < 3 and xz > 0

    command = "--load r --lines 3 --temperatures 0 0.8"
    assert run(command, "--prompt", "to be") == (0, written, "")
    one, other = (run(f"--load r --temperatures 5 --seed {seed}")[1] for seed in (0, 1))
    assert one != other
    code, out, _ = run("--load r --lines 2 --samples 2 --temperatures 0", "--prompt", "that")
    sections = re.split("── .* ─+\n", out)[1:]
    assert code == 0 and sections[0] == sections[1] and sections[0].count("\n") == 2
    assert "── temperature 0, 1 ─" in out and "── temperature 0, 2 ─" in out


def test_xz():
    xz_bits = runpy.run_path(SCRIPT, run_name="stories")["xz_bits"]
    rng = np.random.default_rng(0)
    first, second = ("".join(map(chr, rng.integers(33, 97, 4000))) for _ in range(2))
    assert 5.9 < xz_bits(first, second) < 6.6  # 6 bits a character
    assert xz_bits(first, first[100:]) < 0.3


def test_whatever_is_wrong_is_one_line(run):
    for arguments in ("--load nowhere", "--data nothing.txt", f"{SMALL} --n-head 3"):
        code, _, err = run(arguments)
        assert code == 2 and err.count("\n") == 1 and err.startswith("stories.py: error: ")
