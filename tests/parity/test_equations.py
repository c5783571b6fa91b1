"""The equations of examples/equations.py against PyTorch's own functions."""

from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason='torch is not installed: pip install -e ".[parity]"')

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
IN_PYTORCH = ("E1", "E2", "E3", "E5", "E6", "E7", "E8", "E9", "E10", "E13", "E15")


@pytest.fixture
def checks(monkeypatch):
    monkeypatch.syspath_prepend(EXAMPLES)
    return importlib.import_module("equation_checks").CHECKS


@pytest.mark.parametrize("label", IN_PYTORCH)
def test_pytorch_computes_the_same(checks, label):
    check = checks[label]()
    theirs = check.torch(torch).detach().numpy()
    assert theirs.shape == np.shape(check.library)
    np.testing.assert_allclose(theirs, check.library, rtol=1e-12, atol=1e-13)


def test_the_others_have_nothing_alike_in_pytorch(checks):
    assert {label for label in checks if checks[label]().torch} == set(IN_PYTORCH)
