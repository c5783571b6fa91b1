"""A Tensor is made of operations that make Tensors: whichever a program imports first, it works."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FIRST = """
import importlib, sys, types
package = types.ModuleType("minigpt")  # without its __init__.py, which has an order of its own
package.__path__ = [sys.argv[1]]
sys.modules["minigpt"] = package
importlib.import_module(sys.argv[2])
from minigpt.tensor import Tensor
from minigpt.operations import add
print((add([1.0], [2.0]) * Tensor([3.0])).item())
"""


@pytest.mark.parametrize(
    "module",
    ["tensor", "operations", "operations.operands", "operations.matmul", "autograd", "checks",
     "functional", "functional.softmax", "optim", "gradcheck", "recompute"],
)  # fmt: skip
def test_any_module_of_the_ground_can_be_imported_first(module):
    arguments = [sys.executable, "-c", FIRST, str(ROOT / "minigpt"), f"minigpt.{module}"]
    run = subprocess.run(arguments, capture_output=True, text=True, check=True)
    assert run.stdout == "9.0\n"
