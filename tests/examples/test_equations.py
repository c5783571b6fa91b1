"""examples/equations.py: its computations agree, its links lead somewhere, its page is new."""

from __future__ import annotations

import importlib
import importlib.util
from dataclasses import replace

import pytest

import minigpt.functional as F

LABELS = [f"E{i}" for i in range(1, 16)]


@pytest.fixture
def script(monkeypatch):
    """The script, without PyTorch, which takes seconds to import: tests/parity has it."""
    find_spec = importlib.util.find_spec
    without = lambda name: None if name == "torch" else find_spec(name)  # noqa: E731
    monkeypatch.setattr(importlib.util, "find_spec", without)
    return importlib.import_module("equations")


@pytest.fixture
def table():
    return importlib.import_module("equation_table")


def test_every_equation_and_system_is_there(table):
    assert [row.label for row in table.EQUATIONS] == LABELS
    assert [row.label for row in table.SYSTEMS] == [f"S{i}" for i in range(1, 10)]
    assert list(importlib.import_module("equation_checks").CHECKS) == LABELS
    cited = importlib.import_module("minigpt.functional.plain").__doc__
    assert all(f"\n{label} " in cited for label in LABELS)


@pytest.mark.parametrize("label", LABELS)
def test_the_library_agrees_with_plain_python_and_with_mpmath(label, script):
    found = dict(script.differences(label))
    assert "Python's floats" in found
    assert all(difference < script.TOLERANCE for difference in found.values()), found


def test_the_page_is_what_the_table_says_and_every_link_leads_somewhere(script):
    """Where it fails after a change: python examples/equations.py --page."""
    assert script.PAGE.read_text(encoding="utf-8") == script.page()


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"functions": ("minigpt.functional.nothing",)}, "minigpt.functional.nothing is not there"),
        ({"functions": ("nothing.at_all",)}, "nothing.at_all is not there"),
        ({"test": "tests/functional/test_loss.py::test_nothing"}, "test_nothing is not there"),
        ({"test": "tests/nothing.py::test_equals_plain"}, r"tests/nothing\.py::.* is not there"),
        ({"chapter": 99}, r"course/99\.ipynb: not there"),
    ],
)
def test_a_link_that_leads_nowhere_is_found(script, table, monkeypatch, changes, complaint):
    monkeypatch.setitem(table.NOTEBOOKS, 99, "course/99.ipynb")
    monkeypatch.setattr(script, "EQUATIONS", [replace(table.EQUATIONS[0], **changes)])
    with pytest.raises(ValueError, match=complaint):
        script.page()
    monkeypatch.setattr(script, "EQUATIONS", [])
    monkeypatch.setattr(script, "SYSTEMS", [replace(table.SYSTEMS[0], scripts=("nothing.py",))])
    with pytest.raises(ValueError, match=r"nothing\.py: not there"):
        script.page()


def test_what_it_prints(run, script):
    code, out, err = run("equations", "E4 S1")
    assert (code, err) == (0, "") and "E5" not in out
    assert out.startswith("E4   PE(pos, 2i) = sin") and "agrees with Python's floats to" in out
    assert "held by tests/functional/test_layers.py::test_sinusoidal_positions" in out
    assert "exponent (2i+1)/d in the cosine" in out and "\nS1   an LSTM" in out
    assert max(map(len, out.splitlines())) <= 96


def test_a_library_that_computes_something_else_is_found_out(run, script, monkeypatch):
    right = F.cross_entropy
    monkeypatch.setattr(F, "cross_entropy", lambda *a, **o: right(*a, **o) * 1.000001)
    code, out, err = run("equations", "E7 E13")
    assert code == 1 and err == ("equations.py: error: the library computes something else: E7\n")
    assert "DIFFERS from Python's floats to 1e-06" in out


def test_labels_that_are_none(run):
    code, _, err = run("equations", "E16")
    assert code == 2 and err.startswith("equations.py: error: E16: the labels are E1, E2")


def test_without_mpmath_and_pytorch_there_are_still_pythons_floats(script, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert [name for name, _ in script.differences("E1")] == ["Python's floats"]


def test_mpmath_has_the_digits_that_it_says():
    pytest.importorskip("mpmath", reason="mpmath is not installed: pip install mpmath")
    by_hand = importlib.import_module("equations_by_hand")
    _, many = by_hand.kinds_of_numbers()
    third = by_hand.softmax([many.number(0)] * 3, many)[0]
    assert abs(3 * third - 1) < 1e-49
