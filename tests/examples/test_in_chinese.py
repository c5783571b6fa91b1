"""What is told again in Chinese has the same code and the same numbers."""

from __future__ import annotations

import json
import re
from pathlib import Path

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
PYTHON = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
CHECKED = re.compile(
    r"([\d.]+)<!-- = (.*?) -->"
)  # a number in the prose, and what it is in the run


def lines_of(code: str) -> list[str]:
    return [line for line in code.splitlines() if line]


def test_the_page_in_chinese_has_all_of_the_page_s_code() -> None:
    page = (EXAMPLES / "gpt_on_one_page.zh-CN.md").read_text(encoding="utf-8")
    code = (EXAMPLES / "gpt_on_one_page.py").read_text(encoding="utf-8")
    assert lines_of("".join(PYTHON.findall(page))) == lines_of(code)


def test_the_chapter_in_chinese_has_the_code_the_numbers_and_the_solutions_of_the_chapter() -> None:
    names = ("03_attention.ipynb", "03_attention.zh-CN.ipynb")
    ours, theirs = (
        json.loads((EXAMPLES / "course" / name).read_text(encoding="utf-8"))["cells"]
        for name in names
    )
    assert [cell["cell_type"] for cell in ours] == [cell["cell_type"] for cell in theirs]
    for english, chinese in zip(ours, theirs, strict=True):
        if english["cell_type"] == "code":
            assert english["source"] == chinese["source"]
            continue
        told, again = ("".join(cell["source"]) for cell in (english, chinese))
        assert PYTHON.findall(told) == PYTHON.findall(again)
        assert sorted(CHECKED.findall(told)) == sorted(CHECKED.findall(again))
        assert re.search(r"[\u4e00-\u9fff]", again)
