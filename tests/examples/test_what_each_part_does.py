"""The script that trains a block without each of its parts."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import numpy as np
import pytest

import minigpt as mg

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
SCRIPT = str(EXAMPLES / "what_each_part_does.py")


@pytest.fixture(autouse=True)
def text(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("text.txt").write_text("to be or not to be, that is the question\n" * 50, "utf-8")
    config, small = mg.GPTConfig, {"block_size": 8, "n_layer": 2, "n_embd": 8}
    monkeypatch.setattr(mg, "GPTConfig", lambda **fields: config(**fields | small))


def test_it_runs_and_draws(run):
    pytest.importorskip("matplotlib")
    arguments = "--data text.txt --steps 2 --quiet --output parts.png"
    code, out, _ = run("what_each_part_does", arguments)
    assert code == 0
    rows = re.findall(r"^(\S.*\S) {2,}(\d\.\d{3}) +(\d\.\d{3}) +(\d\.\d{3})  '", out, re.MULTILINE)
    assert [row[0].strip() for row in rows] == [
        "everything there", "no causal mask", "no residual", "no layer norm", "no positions",
        "x + MLP(Attention(x))",
    ]  # fmt: skip
    for name, _, at_once, token_by_token in rows:
        if name.strip() not in ("no causal mask", "x + MLP(Attention(x))"):
            assert at_once == token_by_token
    assert Path("parts.png").read_bytes().startswith(b"\x89PNG")


def test_both_losses_of_a_causal_model_are_one():
    script = runpy.run_path(SCRIPT)
    ids, targets = np.random.default_rng(0).integers(0, 9, (2, 3, 8))
    targets[0, 5] = -1
    for name, changes in script["VARIANTS"].items():
        model = script["make_model"](name, 9, changes, seed=1)
        for p in model.parameters():  # so large that every part matters
            if p.ndim > 1:
                p.data *= 20
        at_once = model.loss(ids, targets).item()
        alone = script["loss_token_by_token"](model, ids, targets)
        if model.config.causal:
            assert alone == pytest.approx(at_once, rel=1e-4)
        else:
            assert abs(alone - at_once) > 1e-3, name
