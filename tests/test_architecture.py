"""The rules of the house, checked on the source: floors, packages, sizes, names, docstrings.

Each rule is a function from a file's place and its syntax tree to a list of complaints, and each
is tried on small made-up sources first, so that it is known to be able to fail.
"""

from __future__ import annotations

import ast
import fnmatch
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "minigpt"

# The ground floor first. A part imports from itself and from the floors below its own: parts of
# one floor do not know each other, except on the ground, which is one thing in several files.
FLOORS = [
    {
        "atomic",
        "autograd",
        "checks",
        "chunks",
        "grad_mode",
        "gradcheck",
        "json_files",
        "memory",
        "recompute",
        "tensor",
        "operations",
        "functional",
    },
    {"optim", "tokenizers", "datasets", "interop", "metrics"},
    {"nn"},
    {"models"},
    {"checkpoints"},
    {"training", "sampling"},
    {"tasks"},
    {"viz"},
    {""},  # minigpt/__init__.py, the face
]
RUNTIME = {"numpy", "regex", "tqdm"}
EXTRAS = {"threadpoolctl", "matplotlib", "safetensors", "huggingface_hub", "mpi4py"}
POSIX_ONLY = {"fcntl", "grp", "posix", "pty", "pwd", "resource", "termios", "tty"}
UNSAFE = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}
TOP_LEVEL = {"pyproject.toml", "README.md", "LICENSE", "minigpt", "tests", "data", "examples"}
VAGUE_NAMES = {"util", "utils", "helper", "helpers", "misc", "common", "stuff"}
MAX_LINES = 250  # without docstrings


def imports(tree: ast.Module) -> Iterator[tuple[str, bool]]:
    """Every module that is imported, and whether that happens as soon as the file is imported.

    Imports inside functions, `try` blocks and `if TYPE_CHECKING:` may be missing at run time.
    """

    def walk(node: ast.AST, at_once: bool) -> Iterator[tuple[str, bool]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                yield from ((alias.name, at_once) for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                base = "." * child.level + (child.module or "")
                if base == "minigpt":
                    yield from ((f"minigpt.{alias.name}", at_once) for alias in child.names)
                else:
                    yield base, at_once
            else:
                later = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Try)) or (
                    isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)
                )
                yield from walk(child, at_once and not later)

    yield from walk(tree, True)


def floor_of(part: str) -> int | None:
    return next((number for number, parts in enumerate(FLOORS) if part in parts), None)


def part_of(path: str) -> str:
    """`minigpt/nn/linear.py` belongs to the part `nn`, `minigpt/tensor.py` to `tensor`."""
    part = Path(path).with_suffix("").parts[1]
    return "" if part == "__init__" else part


def upward_imports(path: str, tree: ast.Module) -> list[str]:
    here = part_of(path)
    floor = floor_of(here)
    if floor is None:
        return [f"{path}: {here!r} is on no floor"]
    complaints = []
    for name, _ in imports(tree):
        if name.startswith("."):
            complaints.append(f"{path}: relative import {name}: write it out from minigpt")
        elif name.split(".")[0] == "minigpt":
            there = name.split(".")[1] if "." in name else ""
            level = floor_of(there)
            if level is None:
                complaints.append(f"{path}: imports {name}, which is on no floor")
            elif not (there == here or level < floor or level == floor == 0):
                complaints.append(f"{path}: imports {name}, which is not below it")
    return complaints


def foreign_imports(path: str, tree: ast.Module) -> list[str]:
    complaints = []
    for name, at_once in imports(tree):
        top = name.split(".")[0]
        if top in UNSAFE:
            complaints.append(f"{path}: imports {top}, which runs what it reads")
        elif top in POSIX_ONLY and at_once:
            complaints.append(f"{path}: imports {top} outside a function or try: not on Windows")
        elif top in EXTRAS and at_once:
            complaints.append(f"{path}: imports the extra {top} outside a function")
        elif top not in {"", "minigpt"} | RUNTIME | EXTRAS | sys.stdlib_module_names:
            complaints.append(f"{path}: imports {top}, which no user has installed")
    return complaints


def unsafe_calls(path: str, tree: ast.Module) -> list[str]:
    complaints = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        if isinstance(node.func, ast.Name) and node.func.id in {"eval", "exec", "__import__"}:
            complaints.append(f"{path}:{node.lineno}: calls {node.func.id}")
        for keyword in node.keywords:
            if keyword.arg == "allow_pickle" and ast.unparse(keyword.value) != "False":
                complaints.append(f"{path}:{node.lineno}: allow_pickle is not False")
    return complaints


def missing_docstring(path: str, tree: ast.Module) -> list[str]:
    return [] if ast.get_docstring(tree) else [f"{path}: the module has no docstring"]


def vague_name(path: str, tree: ast.Module) -> list[str]:
    vague = {part.strip("_") for part in Path(path).with_suffix("").parts} & VAGUE_NAMES
    return [f"{path}: {name!r} does not say what is in it" for name in sorted(vague)]


def docstring_lines(tree: ast.Module) -> int:
    """How many lines the docstrings of a file take, each with its quotes."""
    total = 0
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            first = node.body[0] if node.body else None
            if isinstance(first, ast.Expr) and ast.get_docstring(node) is not None:
                total += (first.end_lineno or 0) - first.lineno + 1
    return total


def too_long(path: str, source: str) -> list[str]:
    lines = len(source.splitlines()) - docstring_lines(ast.parse(source))
    return [f"{path}: {lines} lines, {MAX_LINES} are the most"] if lines > MAX_LINES else []


def misplaced(names: list[str], ignored: list[str]) -> list[str]:
    """What is neither allowed at the top, nor a dot-file, nor ignored by git."""
    return sorted(
        name
        for name in names
        if name not in TOP_LEVEL
        and not name.startswith(".")
        and not any(fnmatch.fnmatch(name, pattern) for pattern in ignored)
    )


RULES = [upward_imports, foreign_imports, unsafe_calls, missing_docstring, vague_name]
SOURCES = sorted(path.relative_to(ROOT).as_posix() for path in PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_every_file_keeps_the_rule(rule):
    complaints = []
    for path in SOURCES:
        complaints += rule(path, ast.parse((ROOT / path).read_text(encoding="utf-8"), path))
    assert not complaints, "\n".join(complaints)


def test_no_file_is_too_long():
    complaints = []
    for path in SOURCES:
        complaints += too_long(path, (ROOT / path).read_text(encoding="utf-8"))
    assert not complaints, "\n".join(complaints)


def test_the_top_of_the_checkout_holds_what_belongs_there():
    lines = (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    ignored = [line.strip().strip("/") for line in lines if line.strip() and line[0] != "#"]
    assert not misplaced([path.name for path in ROOT.iterdir()], ignored)


GOOD = '''"""A module."""
from __future__ import annotations
import math, os.path
import numpy as np
from tqdm.auto import tqdm
from minigpt import functional as F
from minigpt.nn import Linear
import minigpt.nn.module

def plot(model):
    import matplotlib.pyplot as plt
    model.eval()
    return np.load("x.npz", allow_pickle=False)
'''


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_a_good_file_has_no_complaint(rule):
    for path in ("minigpt/nn/linear.py", "minigpt/models/gpt.py", "minigpt/__init__.py"):
        assert rule(path, ast.parse(GOOD)) == []


@pytest.mark.parametrize(
    ("rule", "path", "source", "complaint"),
    [
        (upward_imports, "minigpt/tensor.py", "from minigpt.nn import Linear", "minigpt.nn"),
        (upward_imports, "minigpt/functional/x.py", "from minigpt import nn", "minigpt.nn"),
        (
            upward_imports,
            "minigpt/optim/x.py",
            "import minigpt.datasets.token_files",
            "not below it",
        ),
        (upward_imports, "minigpt/tokenizers/x.py", "import minigpt.optim", "not below it"),
        (upward_imports, "minigpt/datasets/x.py", "import minigpt.nn", "not below it"),
        (upward_imports, "minigpt/nn/x.py", "def f():\n  import minigpt.models", "not below it"),
        (upward_imports, "minigpt/models/x.py", "import minigpt.training", "not below it"),
        (upward_imports, "minigpt/interop/x.py", "import minigpt.nn", "not below it"),
        (upward_imports, "minigpt/sampling/x.py", "import minigpt.tasks", "not below it"),
        (upward_imports, "minigpt/training/x.py", "import minigpt.sampling", "not below it"),
        (upward_imports, "minigpt/training/x.py", "import minigpt", "not below it"),
        (upward_imports, "minigpt/nn/x.py", "from . import module", "relative import"),
        (upward_imports, "minigpt/nn/x.py", "from minigpt.attic import y", "on no floor"),
        (upward_imports, "minigpt/attic/x.py", "", "on no floor"),
        (foreign_imports, "minigpt/nn/x.py", "import torch", "no user has installed"),
        (foreign_imports, "minigpt/nn/x.py", "def f():\n  import scipy", "no user has installed"),
        (foreign_imports, "minigpt/nn/x.py", "import matplotlib.pyplot", "the extra matplotlib"),
        (foreign_imports, "minigpt/nn/x.py", "class A:\n  import mpi4py", "the extra mpi4py"),
        (foreign_imports, "minigpt/nn/x.py", "import fcntl", "not on Windows"),
        (foreign_imports, "minigpt/nn/x.py", "def f():\n  import pickle", "runs what it reads"),
        (unsafe_calls, "minigpt/nn/x.py", "eval('1')", ":1: calls eval"),
        (unsafe_calls, "minigpt/nn/x.py", "\nexec('1')", ":2: calls exec"),
        (unsafe_calls, "minigpt/nn/x.py", "np.load(f, allow_pickle=True)", "allow_pickle"),
        (unsafe_calls, "minigpt/nn/x.py", "np.load(f, allow_pickle=yes)", "allow_pickle"),
        (missing_docstring, "minigpt/nn/x.py", "x = 1", "no docstring"),
        (missing_docstring, "minigpt/nn/__init__.py", "", "no docstring"),
        (vague_name, "minigpt/nn/utils.py", "", "'utils'"),
        (vague_name, "minigpt/_helpers/x.py", "", "'helpers'"),
    ],
)
def test_a_bad_file_is_complained_about(rule, path, source, complaint):
    complaints = rule(path, ast.parse(source))
    assert len(complaints) == 1 and complaint in complaints[0], complaints


def test_imports_that_may_be_missing_at_run_time_are_told_from_those_that_may_not():
    source = (
        "import a\nif x:\n  import b\ntry:\n  import c\nexcept ImportError:\n  pass\n"
        "if TYPE_CHECKING:\n  import d\ndef f():\n  import e\nclass G:\n  import g\n"
    )
    assert dict(imports(ast.parse(source))) == {
        "a": True, "b": True, "c": False, "d": False, "e": False, "g": True
    }  # fmt: skip


def test_a_long_file_and_a_misplaced_one_are_complained_about():
    docstring = '"""Two\n\nlines."""\n'
    assert too_long("x.py", docstring + "\n" * MAX_LINES) == []
    assert too_long("x.py", docstring + "\n" * (MAX_LINES + 1))
    names = ["minigpt", ".ci", "README.md", "minigpt.egg-info", "setup.py", "docs"]
    assert misplaced(names, ["*.egg-info"]) == ["docs", "setup.py"]
