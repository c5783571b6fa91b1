"""The whole on one page: as long as a page, NumPy alone, and the same numbers as the library."""

from __future__ import annotations

import ast
import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minigpt as mg

PAGE = Path(__file__).resolve().parents[2] / "examples" / "gpt_on_one_page.py"
VOCAB_SIZE = 50
IN_THE_LIBRARY = {
    "norm 1": "attention_norm.weight", "norm 2": "mlp_norm.weight",
    "out": "attention.out_proj.weight", "up": "mlp.up_proj.weight", "down": "mlp.down_proj.weight",
}  # fmt: skip

# Refuses every module but NumPy and the standard library, then trains for a few steps.
ALONE = """
import importlib.abc, runpy, sys

class Refuse(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] not in {"numpy", *sys.stdlib_module_names}:
            raise ImportError(f"{name} is not NumPy")

sys.meta_path.insert(0, Refuse())
main = runpy.run_path(sys.argv[1])["main"]
main.__globals__.update(WIDTH=16, CONTEXT=8)
main(steps=12)
"""


@pytest.fixture(scope="module")
def page() -> Any:
    """The page as a module, with small sizes; importing it trains nothing."""
    spec = importlib.util.spec_from_file_location("gpt_on_one_page", PAGE)
    assert spec is not None and spec.loader is not None
    module: Any = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENBLAS_NUM_THREADS", "1")  # as the page does; later tests keep theirs
        spec.loader.exec_module(module)
    module.WIDTH, module.CONTEXT = 32, 16
    return module


def library_model(page: Any, weights: dict[Any, Any]) -> mg.GPT:
    """The library's GPT with the page's sizes and weights."""
    config = mg.GPTConfig(
        VOCAB_SIZE, page.CONTEXT, page.N_LAYER, page.N_HEAD, page.WIDTH, bias=False, tie_head=False
    )
    w = {name: tensor.data for name, tensor in weights.items()}
    state = {
        "token_embedding.weight": w["character"], "position_embedding.weight": w["position"],
        "final_norm.weight": w["norm"], "head.weight": w["logits"],
    }  # fmt: skip
    for i in range(page.N_LAYER):
        qkv = np.concatenate([w[i, name] for name in ("query", "key", "value")], axis=1)
        state[f"blocks.{i}.attention.qkv_proj.weight"] = qkv
        for here, there in IN_THE_LIBRARY.items():
            state[f"blocks.{i}.{there}"] = w[i, here]
    model = mg.GPT(config, seed=0)
    model.load_state_dict(state)
    return model


def test_it_fits_one_page_and_needs_numpy_alone():
    source = PAGE.read_text(encoding="utf-8")
    assert len(source.splitlines()) <= 200
    imported = {
        (node.module if isinstance(node, ast.ImportFrom) else alias.name) or ""
        for node in ast.walk(ast.parse(source))
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for alias in node.names
    }
    assert {name.split(".")[0] for name in imported} <= {"numpy", *sys.stdlib_module_names}


def test_the_same_losses_as_the_library(page):
    rng = np.random.default_rng(0)
    weights = page.new_weights(VOCAB_SIZE, rng)
    model = library_model(page, weights)
    optimizer = mg.Adam(model.parameters(), lr=1e-3, betas=(0.9, 0.99), eps=1e-8)
    m, v = dict.fromkeys(weights, 0.0), dict.fromkeys(weights, 0.0)
    for step in range(1, 21):
        batch = rng.integers(VOCAB_SIZE, size=(4, page.CONTEXT + 1))
        ids, targets = batch[:, :-1], batch[:, 1:]

        here = page.cross_entropy(page.gpt(weights, ids), targets)
        page.backward(here)
        page.adam(weights, m, v, step, learning_rate=1e-3)

        there = model.loss(ids, targets)
        optimizer.zero_grad()
        there.backward()
        optimizer.step()
        assert here.data == pytest.approx(there.item(), abs=1e-5), f"step {step}"
    assert not page.tape


def test_the_same_gradients_as_the_library(page):
    rng = np.random.default_rng(1)
    weights = page.new_weights(VOCAB_SIZE, rng)
    model = library_model(page, weights)
    ids, targets = rng.integers(VOCAB_SIZE, size=(2, 3, page.CONTEXT))
    page.backward(page.cross_entropy(page.gpt(weights, ids), targets))
    model.loss(ids, targets).backward()
    found = dict(model.named_parameters())
    expected = {
        "token_embedding.weight": weights["character"].grad,
        "position_embedding.weight": weights["position"].grad,
        "final_norm.weight": weights["norm"].grad,
        "head.weight": weights["logits"].grad,
    }
    for i in range(page.N_LAYER):
        qkv = [weights[i, name].grad for name in ("query", "key", "value")]
        expected[f"blocks.{i}.attention.qkv_proj.weight"] = np.concatenate(qkv, axis=1)
        for here, there in IN_THE_LIBRARY.items():
            expected[f"blocks.{i}.{there}"] = weights[i, here].grad
    assert found.keys() == expected.keys()
    for name, gradient in expected.items():
        np.testing.assert_allclose(found[name].grad, gradient, atol=1e-6, err_msg=name)


def test_it_learns_and_writes_with_nothing_else_installed():
    command = [sys.executable, "-c", ALONE, str(PAGE)]
    out = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300).stdout
    first, *lines = out.splitlines()
    assert "characters; to guess the next one costs 4." in first
    losses = [float(line.split("loss ")[1].split()[0]) for line in lines if "loss " in line]
    assert len(losses) == 6 and losses[-1] < losses[0]
    assert "\n\nThe " in out
