"""The notebooks of the course run, and their prose says what the run says."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from pathlib import Path

import pytest

COURSE = Path(__file__).resolve().parents[2] / "examples/course"
_spec = importlib.util.spec_from_file_location("refresh", COURSE / "refresh.py")
assert _spec and _spec.loader
refresh = sys.modules["refresh"] = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(refresh)
NOTEBOOKS = sorted(COURSE.glob("*.ipynb"))
LARGEST = 600_000  # bytes: a code host shows no larger one


def cells_of(path):
    return json.loads(path.read_text(encoding="utf-8"))["cells"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_what_is_committed_is_light_and_whole(path):
    page = json.loads(path.read_text(encoding="utf-8"))
    assert path.stat().st_size <= LARGEST
    assert page["metadata"]["kernelspec"]["name"] == "python3"
    code = [cell for cell in page["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    assert [cell["id"] for cell in page["cells"]] == [
        f"cell-{i}" for i in range(len(page["cells"]))
    ]
    outputs = [output for cell in code for output in cell["outputs"]]
    assert outputs and not [o for o in outputs if o["output_type"] == "error"]
    assert not [o for o in outputs if o.get("name") == "stderr"]
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"/(home|root|tmp|opt|work)/\w|0x[0-9a-f]{8,}", text)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_has_prose_exercises_and_solutions(path):
    prose = ["".join(cell["source"]) for cell in cells_of(path) if cell["cell_type"] == "markdown"]
    assert prose[0].startswith("# ")
    assert any("## Exercises" in text or "## 练习" in text for text in prose)
    assert len([code for text in prose for code in refresh.solutions(text)]) >= 2


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_links_of_a_notebook_lead_somewhere_and_the_course_lists_it(path):
    prose = ["".join(cell["source"]) for cell in cells_of(path) if cell["cell_type"] == "markdown"]
    for target in re.findall(r"\]\(([^)\s#]+)[^)\s]*\)", "\n".join(prose)):
        assert "://" in target or (COURSE / target).exists(), target
    assert f"]({path.name})" in (COURSE / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_and_says_what_is_so(path):
    pytest.importorskip("nbclient", reason='the notebooks need pip install -e ".[notebook,viz]"')
    pytest.importorskip("ipykernel")
    nbformat = pytest.importorskip("nbformat")
    pytest.importorskip("matplotlib")
    _, wrong = refresh.run(nbformat.read(path, as_version=4))
    assert not wrong


def notebook_of(*cells):
    nbformat = pytest.importorskip("nbformat")
    make = {"code": nbformat.v4.new_code_cell, "markdown": nbformat.v4.new_markdown_cell}
    return nbformat.v4.new_notebook(cells=[make[kind](source) for kind, source in cells])


def test_a_wrong_number_a_warning_and_a_solution_that_fails_are_found():
    client = pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    page = notebook_of(
        ("code", "x = 1.625\nprint(x)"),
        ("markdown", "It is 1.63<!-- = x -->, 1.62<!-- = x -->, or 40<!-- ≈ 38 --> %."),
        ("code", "x = 2\nimport warnings\nwarnings.warn('old')"),
        ("markdown", "<details>\n\n```python\nassert x == 2\n```\n\n</details>"),
    )
    done, wrong = refresh.run(page)
    assert len(wrong) == 1 and wrong[0].startswith("warns: ")
    assert len(done.cells) == 4 and done.cells[0].outputs[0]["text"] == "1.625\n"
    page.cells[1].source = "It is 1.64<!-- = x --> and 60<!-- ≈ 38 -->."
    assert refresh.run(page)[1][:2] == ["says 1.64, but x is 1.625", "says 60, but 38 is 38"]
    page.cells[3].source = page.cells[3].source.replace("2", "3")
    with pytest.raises(client.exceptions.CellExecutionError):
        refresh.run(page)


def test_what_is_written_is_the_same_whatever_ids_and_times_were():
    nbformat = pytest.importorskip("nbformat")
    page = notebook_of(("code", "print(1)"), ("markdown", "text 字"))
    page.cells[0].metadata["execution"] = {"iopub.execute_input": "2020"}
    page.cells[0].outputs = [
        nbformat.v4.new_output("stream", name="stderr", text=" 50%|██"),
        nbformat.v4.new_output("stream", name="stdout", text="1\n"),
        nbformat.v4.new_output("stream", name="stderr", text="100%|████"),
        nbformat.v4.new_output("stream", name="stdout", text="2\n"),
    ]
    size = {"image/png": {"width": 10, "height": 5}}
    picture = {"image/png": "iVBORw0KGgo=", "text/plain": "<Picture>"}
    page.cells[0].outputs.append(
        nbformat.v4.new_output("display_data", picture, metadata={"isolated": True, **size})
    )
    text = refresh.written(page)
    printed, shown = json.loads(text)["cells"][0]["outputs"]
    assert printed["text"] == ["1\n", "2\n"] and shown["metadata"] == size
    assert "2020" not in text and "██" not in text and "字" in text
    page.cells[0]["id"], page.cells[0]["execution_count"] = "other", 17
    assert refresh.written(page) == text


def test_numbers_agree_to_the_digits_shown():
    text = "**3,500**<!-- = n --> tokens, −0.5<!-- = x -->, 12 %<!-- = share -->"
    n, x, share = refresh.quoted(text)
    assert n.value == 3500 and n.agrees_with(3500.4) and not n.agrees_with(3501)
    assert x.value == -0.5 and share.value == 12


def test_numbers_that_are_about_right_are_held_closer_where_they_are_written():
    about, small = refresh.quoted("70<!-- ≈ share -->, 0.2<!-- ≈ loss -->")
    assert about.agrees_with(63) and not about.agrees_with(63, refresh.CLOSE)
    assert about.agrees_with(64, refresh.CLOSE) and not about.agrees_with(55)
    assert small.agrees_with(0.24, refresh.CLOSE)  # shown so, with one digit
    assert not small.agrees_with(0.27, refresh.CLOSE)


def test_help_runs_nothing(capsys):
    assert refresh.main(["--help", "06_sampling"]) == 0
    assert "--check" in capsys.readouterr().out


def test_a_notebook_that_is_not_there(capsys):
    assert refresh.main(["99_nothing", "--check"]) == 2
    assert "99_nothing.ipynb" in capsys.readouterr().err
