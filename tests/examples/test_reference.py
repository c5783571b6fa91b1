"""examples/reference.py: equations become mathematics, and the pages hold what they should."""

from __future__ import annotations

import doctest
import importlib
import re
import sys

import pytest


@pytest.fixture
def reference():
    return importlib.import_module("reference")


def test_its_examples_run(reference):
    assert doctest.testmod(reference) == (0, 2)


@pytest.mark.parametrize(
    ("source", "page"),
    [
        ("x", "<i>x</i>"),
        ("x̂ = m̂/(√v̂ + ε)", "<i>x</i>̂ = <i>m</i>̂/(√<i>v</i>̂ + <i>ε</i>)"),
        ("h_{t−1} W_hh", "<i>h</i><sub><i>t</i>−1</sub> <i>W</i><sub>hh</sub>"),
        ("√(a + (b))·c", '√<span class="root"><i>a</i> + (<i>b</i>)</span>·<i>c</i>'),
        ("base^(−2i/d)", "base<sup>−2<i>i</i>/<i>d</i></sup>"),
        ("Xᵀ xᵢ", "<i>X</i>ᵀ <i>x</i>ᵢ"),
        ("softmax(z)", "softmax(<i>z</i>)"),
        ("token_embedding[ids]", "<code>token_embedding</code>[ids]"),
        ('norm="pre":  x', 'norm=<code>"pre"</code>:  <i>x</i>'),
        ("a < b & c", "<i>a</i> &lt; <i>b</i> &amp; <i>c</i>"),
        ("√(never closed", "√(never closed"),
    ],
)
def test_unicode_becomes_mathematics(reference, source, page):
    assert reference.typeset(source) == page


def test_only_indented_lines_outside_sections_are_equations(reference):
    docstring = (
        "First.\n\n    y = x\n    z = y\n\nText.\n\nArgs:\n    x: a number.\n\nEnd.\n\n    w = z"
    )
    prepared = reference.prepared(docstring)
    assert prepared.count("<table") == 2 and "    x: a number." in prepared
    assert "<td><i>w</i> = <i>z</i></td>" in prepared


def test_cells_that_begin_in_one_place_are_a_column_and_others_are_not(reference):
    rows = reference.table(["    x      = 1  (Euler 1748)", "    logits = 2"]).splitlines()
    assert rows[1] == "<tr><td><i>x</i></td><td>= 1&emsp;(Euler 1748)</td></tr>"
    assert rows[2] == "<tr><td>logits</td><td>= 2</td></tr>"


def test_without_pdoc_one_line_says_what_to_install(reference, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "pdoc", None)
    with pytest.raises(SystemExit, match=r'pip install -e "\.\[docs\]"'):
        reference.write_pages(tmp_path)


def test_the_pages_hold_what_the_docstrings_say_and_load_nothing(reference, tmp_path):
    pytest.importorskip("pdoc")
    reference.write_pages(tmp_path, ["minigpt.nn", "minigpt.optim"])
    pages = {path.stem: path.read_text(encoding="utf-8") for path in tmp_path.rglob("*.html")}
    assert {"nn", "optim", "plain", "index"} <= set(pages)
    optim, nn = pages["optim"], pages["nn"]
    assert "<i>θ</i> ← <i>θ</i> − <i>η</i> <i>b</i>" in optim  # SGD's equation
    assert 'class="equation"' in nn and "<strong>weight_ih:</strong>" in nn  # Shapes as a list
    assert "numpy.ndarray" not in re.sub(r"<[^>]*>", "", nn)  # an Array is called so
    assert "<code>~" not in optim + nn  # Sphinx's sign for a short link
    assert 'id="Linear.__init__"' in nn and 'id="Linear.extra_repr"' not in nn
    for page in pages.values():  # scripts, styles and pictures are in the page or beside it
        assert not re.search(r"""(?:src|href)=["'](?:https?:)?//(?!pdoc\.dev)""", page)
        assert not re.search(r"@import|url\(['\"]?(?:https?:)?//", page)
