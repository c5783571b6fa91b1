"""The benchmark of all kinds of models measures the same on both sides, or refuses to."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason='torch is not installed: pip install -e ".[parity]"')

BENCHMARKS = str(Path(__file__).resolve().parents[1] / "benchmarks")


@pytest.fixture(scope="module")
def house():
    sys.path.insert(0, BENCHMARKS)  # its scripts import the script beside them
    yield importlib.import_module("house")
    sys.path.remove(BENCHMARKS)


@pytest.fixture(autouse=True)
def one_thread():
    import torch

    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_three_steps_have_the_same_losses(house):
    for name in house.KINDS:
        house.check_the_same(name, house.Size(65, 2, 2, 16, 12, 4), threads=1)


def test_another_weight_is_noticed(house, monkeypatch):
    kind, size = house.KINDS["lora"], house.Size(65, 2, 2, 16, 12, 4)

    def another(size, ours):
        theirs = kind.theirs(size, ours)
        theirs.last_norm.weight.data.mul_(1.01)
        return theirs

    other = house.Kind(kind.ours, another, kind.batch, kind.optimizer)
    monkeypatch.setitem(house.KINDS, "lora", other)
    with pytest.raises(SystemExit, match=r"^lora: at step 0, .* do not compute the same"):
        house.check_the_same("lora", size, threads=1)


def test_texts_are_padded(house):
    house_models = importlib.import_module("house_models")
    mask = house_models.lengths(house.SIZES["small"])
    assert 0.7 < mask.mean() < 0.8 and mask[0].all()
    _, targets, _ = house_models.masked_tokens(house.SIZES["small"])
    assert (targets[~mask] == -1).all() and 0.1 < np.mean(targets != -1) < 0.13
