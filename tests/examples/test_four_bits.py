"""The script that rounds a model's weights to the block formats of published files."""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minigpt as mg
from minigpt import interop

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
SCRIPT = str(EXAMPLES / "four_bits.py")
ROW = re.compile(r"^(\w+) +([\d.]+) +([\d.]+)% +([\d.]+)% +([\d.]+)$", re.MULTILINE)


def nowhere() -> Path:
    raise FileNotFoundError("the file is not here: it comes with pip install")


@pytest.fixture(autouse=True)
def small(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("text.txt").write_text("to be or not to be, that is the question\n" * 50, "utf-8")
    monkeypatch.setattr(interop, "find_smollm2", nowhere)
    config, sizes = mg.GPTConfig, {"block_size": 8, "n_layer": 1, "n_embd": 32}
    monkeypatch.setattr(mg, "GPTConfig", lambda **fields: config(**fields | sizes))


def test_it_runs_and_draws(run):
    pytest.importorskip("matplotlib")
    code, out, _ = run("four_bits", "--data text.txt --steps 2 --quiet --output bits.png")
    assert code == 0
    assert "the file is not here: it comes with pip install\n" in out
    rows = {name: [float(n) for n in numbers] for name, *numbers in ROW.findall(out)}
    assert list(rows) == ["F32", "Q8_0", "Q5_1", "Q4_1", "Q4_0"]
    assert rows["F32"][1:3] == [0, 0]
    for better, worse in zip(["Q8_0", "Q5_1", "Q4_1"], ["Q5_1", "Q4_1", "Q4_0"], strict=True):
        assert rows[better][0] >= rows[worse][0]  # megabytes
        assert 0 < rows[better][1] < rows[worse][1] < 15  # of the embedding
        assert 0 < rows[better][2] < rows[worse][2] < 15  # of the rest
    assert Path("bits.png").read_bytes().startswith(b"\x89PNG")


def test_a_model_is_rounded_from_its_own_weights_each_time():
    script: dict[str, Any] = runpy.run_path(SCRIPT)
    model = mg.GPT(mg.GPTConfig(vocab_size=9, n_head=2))
    before = model.state_dict()
    seen = {}

    def look() -> float:
        seen[len(seen)] = model.state_dict()
        return 1.0

    script["measured"]("a model", model, look)
    for state, name in zip(seen.values(), script["FORMATS"], strict=True):
        for key, original in before.items():
            if original.ndim != 2 or name == "F32":
                np.testing.assert_array_equal(state[key], original)
            else:
                rows = original if "embedding" in key else np.ascontiguousarray(original.T)
                blocks = interop.quantize(rows, name)
                expected = interop.dequantize(blocks, name)
                expected = expected if "embedding" in key else expected.T
                np.testing.assert_array_equal(state[key], expected)


def test_what_the_page_says_of_normal_numbers():
    """Blocks of 32 of them reach 2.07 to either side on average, and are 4.14 wide."""
    script: dict[str, Any] = runpy.run_path(SCRIPT)
    x = np.random.default_rng(0).standard_normal((500, 1024), dtype=np.float32)
    for name, step in (("Q5_1", 4.14 / 31), ("Q4_1", 4.14 / 15)):
        assert script["error"](x, name) == pytest.approx(step / np.sqrt(12), rel=0.04)
    assert [script["bits"](x, name) for name in script["FORMATS"]] == [32, 8.5, 6, 5, 4.5]
