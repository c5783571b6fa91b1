"""examples/write_code.py: what it counts, and that it runs nothing of what was written."""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from typing import Any

import pytest

from tests.examples.conftest import figures

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
SCRIPT = str(EXAMPLES / "write_code.py")
SMALL = (
    "--train 80 --test 10 --n-layer 1 --n-head 2 --n-embd 32 --block-size 32 --vocab-size 280 "
    "--output r --quiet --samples 8 --tokens 40 --temperature 0"
)


@pytest.fixture(autouse=True)
def modules(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A library of twenty modules."""
    modules = [
        "".join(f"def f{module}{i}(x):\n    y = x\n    return y\n\n\n" for i in range(5))
        for module in range(20)
    ]
    corpus = type("Corpus", (), {"loader": lambda: iter(modules)})
    monkeypatch.setattr("library_functions.get_corpus", lambda name: corpus)


@pytest.fixture
def script() -> dict[str, Any]:
    """The names of the script."""
    return runpy.run_path(SCRIPT, run_name="write_code")


@pytest.mark.parametrize(
    ("source", "compiled", "substantial"),
    [
        ("def f(x):\n    y = x\n    return y\n", True, True),
        ("async def f(x):\n    if x:\n        return x\n", True, True),
        ("import re\n@a\ndef f(x):\n    for y in x:\n        y()\n", True, True),
        ("def f(x): return x\n", True, False),
        ("def f(x):\n    'What it does.'\n    pass\n    ...\n    return x\n", True, False),
        ("x = 1\ny = 2\n", True, False),
        ("def f(x):\n    y = x\n    return\n  y\n", False, False),
        ("# nothing\n", False, False),
        ("", False, False),
    ],
)
def test_what_counts(script, source, compiled, substantial):
    assert script["judged"]([source], []) == [compiled, substantial, substantial]
    assert script["judged"]([source], [source]) == [compiled, substantial, False]
    assert script["is_substantial"](source) == substantial


def test_shares(script):
    good, trivial = "def f(x):\n    y = x\n    return y\n", "x = 1"
    assert script["judged"]([good, trivial, "x =", good], {good}) == [0.75, 0.5, 0]


def test_nothing_is_run(script, folder):
    source = "open('there', 'w')\ndef f(x=open('there', 'w')):\n    y = x\n    return y\n"
    assert script["judged"]([source], []) == [1, 1, 1]
    assert not (folder / "there").exists()


def test_it_learns_to_write_what_compiles(run):
    code, out, err = run("write_code", f"{SMALL} --steps 80 --learning-rate 0.01 --figures f.json")
    assert (code, err) == (0, "")
    assert "of 8 samples   compile   substantial   new\n" in out
    assert re.search(r"  untrained +0\.0% +0\.0%   0\.0%\n  trained +100\.0% +100\.0%   \d", out)
    kept = figures("f.json")
    assert list(kept) == ["compile", "substantial", "new", "bits per byte"] and kept["compile"] == 1
    bits = f"{kept['bits per byte']:.3f}"
    assert f"temperature 0; {bits} bits per byte of unseen modules (test); 80 steps" in out
    assert re.fullmatch(r"[01]\.\d{3}", bits)


def test_the_same_seed_writes_the_same(run):
    several = f"{SMALL} --steps 3 --temperature 1 --overwrite"
    outs = [re.sub(r"\d+ s altogether", "", run("write_code", several)[1]) for _ in range(2)]
    assert outs[0] == outs[1]


def test_whatever_is_wrong_is_one_line(run):
    code, _, err = run("write_code", "--train 1000000 --test 10 --quiet")
    assert code == 2 and err.count("\n") == 1 and "n_train=1,000,000, and there are 80" in err
