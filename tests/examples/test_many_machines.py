"""The script that counts what ranks send each other, and reckons how far that scales."""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from typing import Any

import pytest

from tests.training.test_distributed import missing

SCRIPT = str(Path(__file__).resolve().parents[2] / "examples/many_machines.py")
ROW = re.compile(
    r"^ +(\d) +[\d.]+ +([\d.e+-]+) +([\d,]+) +([\d,]+) +([\d,]+) +([\d,]+)$", re.MULTILINE
)


@pytest.fixture
def script(folder) -> dict[str, Any]:
    return runpy.run_path(SCRIPT)


def test_a_step_is_work_and_what_of_the_traffic_the_work_does_not_hide(script) -> None:
    seconds = script["step_seconds"]
    million = 1_000_000
    assert seconds(million, 0, 1000, 1, 1e9, 1) == pytest.approx(6.0)  # 6 P n FLOPs, no traffic
    # Two machines: 3 s of work; 2 MB go each way at 125 MB/s, of the first a tenth is late.
    assert seconds(million, 0, 1000, 2, 1e9, 1) == pytest.approx(3.0 + 0.016)
    assert seconds(million, million // 10, 1000, 2, 1e9, 1) == pytest.approx(3.0 + 0.0176)
    # A wire a thousand times slower: 16 s one way, which hides the walk back instead.
    assert seconds(million, 0, 1000, 2, 1e9, 0.001) == pytest.approx(1.0 + 2 * 16)
    assert script["efficiency"]((million, 0), 1000, 2, 1e9, 1e9) == pytest.approx(1)


@pytest.mark.skipif(bool(missing()), reason=missing())
def test_the_ranks_send_what_the_formula_says(run) -> None:
    Path("text.txt").write_text("to be or not to be, that is the question\n" * 50, "utf-8")
    code, out, _ = run("many_machines", "--data text.txt --steps 2 --output machines.png")
    assert code == 0
    rows = [[float(n.replace(",", "")) for n in row] for row in ROW.findall(out)]
    assert [row[0] for row in rows] == [1, 2, 4]
    for ranks, apart, sent, formula, kept, kept_by_formula in rows:
        assert apart < 1e-5
        assert sent == pytest.approx(formula, abs=64)
        assert kept == pytest.approx(kept_by_formula, abs=64)
        assert kept_by_formula == pytest.approx(rows[0][-1] / ranks, abs=1)
    assert not list(Path().glob("*.json"))
