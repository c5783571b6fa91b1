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
from typing import TypeGuard

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "minigpt"

# The ground floor first. A part imports from itself and from the floors below its own: parts of
# one floor do not know each other, except on the ground, which is one thing in several files.
FLOORS = [
    {
        "atomic",
        "atomic_folder",
        "autograd",
        "blas_threads",
        "checks",
        "chunks",
        "drawing",
        "first_use",
        "grad_mode",
        "file_lock",
        "gradcheck",
        "json_files",
        "launcher",
        "masked_arrays",
        "memory",
        "padding",
        "progress_bar",
        "recompute",
        "arguments",
        "regular_files",
        "tensor",
        "wording",
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
EXTRAS = {"threadpoolctl", "matplotlib", "PIL", "huggingface_hub", "jinja2", "mpi4py"}
TYPE_CHECKERS = {"typing_extensions"}  # known to them without being installed
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
                later = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Try))
                later = later or is_for_type_checkers(child)
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
        elif top in TYPE_CHECKERS and not at_once:
            continue
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


# ── circles of imports ────────────────────────────────────────────────────────────────────────

# A Tensor is made of operations, and some operations make Tensors.
GROUND_CIRCLE = {"minigpt.tensor", "minigpt.operations"}


def modules_of(sources: dict[str, str]) -> dict[str, str]:
    """The name of every module, to its source."""
    names = {path: list(Path(path).with_suffix("").parts) for path in sources}
    return {
        ".".join(parts[:-1] if parts[-1] == "__init__" else parts): sources[path]
        for path, parts in names.items()
    }


def import_graph(sources: dict[str, str]) -> dict[str, set[str]]:
    """Which modules of ours each module imports, in functions too, but not for type checkers.

    What a package loads on first use counts, as if it were imported in a function.
    """
    modules = modules_of(sources)

    def imported(name: str, node: ast.AST) -> Iterator[str]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                yield from (alias.name for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                for alias in child.names:
                    other = f"{child.module}.{alias.name}"
                    yield other if other in modules else str(child.module)
            elif is_for_type_checkers(child):
                yield from imported(name, ast.Module(child.orelse, []))
            else:
                yield from (f"{name}.{module}" for module in on_first_use(child))
                yield from imported(name, child)

    return {name: {*imported(name, ast.parse(s))} & set(modules) for name, s in modules.items()}


def is_for_type_checkers(node: ast.AST) -> TypeGuard[ast.If]:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def on_first_use(node: ast.AST) -> dict[str, list[str]]:
    """The table of a call of ``minigpt.first_use``: modules, and the names that each gives."""
    if isinstance(node, ast.Call) and ast.unparse(node.func) == "on_first_use":
        table: dict[str, list[str]] = ast.literal_eval(node.args[1])
        return table
    return {}


def other_names_for_type_checkers(path: str, tree: ast.Module) -> list[str]:
    """Names that a package loads on first use and hides from type checkers, or the other way."""
    package = ".".join(Path(path).parent.parts)
    tables = [table for node in ast.walk(tree) if (table := on_first_use(node))]
    if not tables:
        return []
    loaded = {
        (f"{package}.{m}", n) for table in tables for m, names in table.items() for n in names
    }
    modules = {(package, module) for table in tables for module in table}
    told = {
        (str(statement.module), alias.name)
        for node in ast.walk(tree)
        if is_for_type_checkers(node)
        for statement in node.body
        if isinstance(statement, ast.ImportFrom)
        for alias in statement.names
    }
    differing = (loaded - told) | (told - loaded - modules)
    return [f"{path}: {module}.{name} is not in both lists" for module, name in sorted(differing)]


def circles(graph: dict[str, set[str]]) -> list[str]:
    """A complaint for every set of modules that all import each other, directly or not."""

    def reachable(start: str) -> set[str]:
        found: set[str] = set()
        waiting = [*graph[start]]
        while waiting:
            name = waiting.pop()
            if name not in found:
                found.add(name)
                waiting += graph[name]
        return found

    below = {name: reachable(name) for name in graph}
    rings = {
        tuple(sorted(other for other in below[name] if name in below[other]))
        for name in graph
        if name in below[name]
    }
    return [f"these import each other: {', '.join(ring)}" for ring in sorted(rings)]


def unwanted_circles(sources: dict[str, str]) -> list[str]:
    """The circles other than that of the ground."""
    graph = import_graph(sources)
    allowed = {n for n in graph if n in GROUND_CIRCLE or n.rpartition(".")[0] in GROUND_CIRCLE}
    within = circles({n: graph[n] & allowed for n in allowed})
    return [complaint for complaint in circles(graph) if complaint not in within]


# ── the equation first ────────────────────────────────────────────────────────────────────────

EQUATIONS_FIRST = ("minigpt/functional/",)  # where the rule holds for functions
FORWARD_FIRST = (*EQUATIONS_FIRST, "minigpt/nn/", "minigpt/models/")  # and for ``forward``


def checks_in_the_way(path: str, tree: ast.Module) -> list[str]:
    """Public functions, and every ``forward``, whose body raises, or checks after its first line.

    Checks are what ``checks.…`` says and what functions called ``_check…`` or ``_checked…`` say.
    """
    if not path.startswith(FORWARD_FIRST):
        return []
    complaints = []
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    public = path.startswith(EQUATIONS_FIRST)
    functions = [f for f in functions if public and not f.name.startswith("_")]
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            methods = [f for f in node.body if isinstance(f, ast.FunctionDef)]
            functions += [f for f in methods if f.name == "forward"]
    for function in functions:
        where = f"{path}: {function.name}"
        body = function.body[1 if ast.get_docstring(function) is not None else 0 :]
        for node in ast.walk(function):
            if isinstance(node, (ast.Raise, ast.Try, ast.Assert)):
                complaints.append(f"{where}: {type(node).__name__.lower()} stands in its body")
        late = [call for statement in body[1:] for call in checking_calls(statement)]
        if late or (body and len(checking_calls(body[0])) > 1):
            complaints.append(f"{where} checks more than once, or later than in its first line")
    return complaints


def checking_calls(statement: ast.stmt) -> list[str]:
    names = [ast.unparse(n.func) for n in ast.walk(statement) if isinstance(n, ast.Call)]
    return [n for n in names if n.startswith(("_check", "self._check", "checks."))]


RULES = [
    checks_in_the_way,
    upward_imports,
    foreign_imports,
    unsafe_calls,
    missing_docstring,
    other_names_for_type_checkers,
    vague_name,
]
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


def test_no_modules_import_each_other():
    sources = {path: (ROOT / path).read_text(encoding="utf-8") for path in SOURCES}
    assert not unwanted_circles(sources)


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
        (foreign_imports, "minigpt/nn/x.py", "import typing_extensions", "no user has installed"),
        (foreign_imports, "minigpt/nn/x.py", "def f():\n  import scipy", "no user has installed"),
        (foreign_imports, "minigpt/nn/x.py", "import matplotlib.pyplot", "the extra matplotlib"),
        (foreign_imports, "minigpt/nn/x.py", "class A:\n  import threadpoolctl", "threadpoolctl"),
        (foreign_imports, "minigpt/nn/x.py", "import fcntl", "not on Windows"),
        (foreign_imports, "minigpt/nn/x.py", "def f():\n  import pickle", "runs what it reads"),
        (unsafe_calls, "minigpt/nn/x.py", "eval('1')", ":1: calls eval"),
        (unsafe_calls, "minigpt/nn/x.py", "\nexec('1')", ":2: calls exec"),
        (unsafe_calls, "minigpt/nn/x.py", "np.load(f, allow_pickle=True)", "allow_pickle"),
        (unsafe_calls, "minigpt/nn/x.py", "np.load(f, allow_pickle=yes)", "allow_pickle"),
        (missing_docstring, "minigpt/nn/x.py", "x = 1", "no docstring"),
        (missing_docstring, "minigpt/nn/__init__.py", "", "no docstring"),
        (vague_name, "minigpt/nn/utils.py", "", "'utils'"),
        (checks_in_the_way, "minigpt/functional/x.py", "def f(x):\n  raise y", "f: raise stands"),
        (checks_in_the_way, "minigpt/functional/x.py", "def f(x):\n  assert x", "f: assert stands"),
        (
            checks_in_the_way,
            "minigpt/functional/x.py",
            "def f(x):\n  try:\n    return x\n  except E:\n    pass",
            "f: try stands",
        ),
        (
            checks_in_the_way,
            "minigpt/functional/x.py",
            "class A:\n  def forward(self, x):\n    if x:\n      raise y",
            "forward: raise stands",
        ),
        (
            checks_in_the_way,
            "minigpt/functional/x.py",
            "def f(x):\n  'Doc.'\n  y = x\n  _check(x)\n  return y",
            "f checks more than once, or later",
        ),
        (
            checks_in_the_way,
            "minigpt/functional/x.py",
            "def f(x):\n  n = _check(x, checks.integer('n', n))\n  return x",
            "f checks more than once",
        ),
        (
            checks_in_the_way,
            "minigpt/models/x.py",
            "class A:\n  def forward(self, x):\n    if x:\n      raise ValueError\n    return x",
            "forward: raise stands in its body",
        ),
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


def test_checks_in_the_first_line_or_in_private_functions_are_no_complaint():
    good = (
        "def f(x):\n  'Doc.'\n  n = _check(x)\n  return x * n\n"
        "def g(x):\n  checks.tensors('g', x=x)\n  return f(x)\n"
        "def _check(x):\n  if not x:\n    raise ValueError\n"
        "class A:\n  def __init__(self, n):\n    if not n:\n      raise ValueError\n"
        "  def forward(self, x):\n    self._check(x)\n    return x\n"
    )
    assert checks_in_the_way("minigpt/functional/x.py", ast.parse(good)) == []
    made = "def build(x):\n  if not x:\n    raise ValueError\n  return x"
    assert checks_in_the_way("minigpt/nn/x.py", ast.parse(made)) == []  # it is not a forward


@pytest.mark.parametrize(
    ("sources", "ring"),
    [
        ({"a": "import minigpt.nn.b", "b": "import minigpt.nn.a"}, "a b"),
        ({"a": "from minigpt.nn import b", "b": "from minigpt.nn.a import x"}, "a b"),
        ({"a": "def f():\n  from minigpt.nn import b", "b": "import minigpt.nn.a"}, "a b"),
        (
            {
                "a": "import minigpt.nn.b",
                "b": "from minigpt.nn import c",
                "c": "import minigpt.nn.a",
            },
            "a b c",
        ),
        ({"a": "import minigpt.nn.a"}, "a"),
    ],
)
def test_a_circle_of_imports_is_complained_about(sources, ring):
    paths = {f"minigpt/nn/{name}.py": source for name, source in sources.items()}
    names = ", ".join(f"minigpt.nn.{name}" for name in ring.split())
    assert unwanted_circles(paths) == [f"these import each other: {names}"]


def test_a_circle_through_the_package_or_beside_that_of_the_ground_is_complained_about():
    operations = {
        "minigpt/operations/__init__.py": "from minigpt import tensor",
        "minigpt/operations/x.py": "from minigpt import tensor",
        "minigpt/tensor.py": "from minigpt.operations import x",
    }
    assert unwanted_circles(operations) == []
    wider = {**operations, "minigpt/autograd.py": "import minigpt.tensor"}
    wider["minigpt/operations/x.py"] += "\nimport minigpt.autograd"
    assert len(unwanted_circles(wider)) == 1
    on_first_use = {
        "minigpt/nn/__init__.py": "if TYPE_CHECKING:\n  from minigpt.nn.a import A\n"
        'else:\n  __getattr__, __dir__ = on_first_use(__name__, {"a": ["A"]})',
        "minigpt/nn/a.py": "from minigpt.nn import B",
    }
    assert len(unwanted_circles(on_first_use)) == 1
    through_the_face = {
        "minigpt/__init__.py": "import minigpt.nn",
        "minigpt/nn/__init__.py": "import minigpt",
    }
    assert len(unwanted_circles(through_the_face)) == 1


@pytest.mark.parametrize(
    "sources",
    [
        {"a": "import minigpt.nn.b", "b": "import minigpt.nn.c", "c": ""},
        {"a": "import minigpt.nn.b", "b": "if TYPE_CHECKING:\n  import minigpt.nn.a"},
        {"a": "import minigpt.nn.b\nimport minigpt.nn.c", "b": "import minigpt.nn.c", "c": ""},
    ],
)
def test_imports_without_a_circle_are_no_complaint(sources):
    assert unwanted_circles({f"minigpt/nn/{n}.py": s for n, s in sources.items()}) == []


@pytest.mark.parametrize(
    ("told", "loaded", "differing"),
    [
        ("from minigpt.nn.a import A, B", '{"a": ["A", "B"]}', []),
        ("from minigpt.nn import a", '{"a": []}', []),
        ("from minigpt.nn.a import A, B", '{"a": ["A"], "b": []}', ["minigpt.nn.a.B"]),
        ("from minigpt.nn.a import A", '{"b": ["A"]}', ["minigpt.nn.a.A", "minigpt.nn.b.A"]),
        ("from minigpt.nn import c", '{"a": []}', ["minigpt.nn.c"]),
    ],
)
def test_what_is_loaded_on_first_use_is_what_type_checkers_are_told(told, loaded, differing):
    source = f"if TYPE_CHECKING:\n    {told}\nelse:\n    on_first_use(__name__, {loaded})"
    complaints = other_names_for_type_checkers("minigpt/nn/__init__.py", ast.parse(source))
    expected = [f"minigpt/nn/__init__.py: {name} is not in both lists" for name in differing]
    assert complaints == expected


def test_a_long_file_and_a_misplaced_one_are_complained_about():
    docstring = '"""Two\n\nlines."""\n'
    assert too_long("x.py", docstring + "\n" * MAX_LINES) == []
    assert too_long("x.py", docstring + "\n" * (MAX_LINES + 1))
    names = ["minigpt", ".ci", "README.md", "minigpt.egg-info", "setup.py", "docs"]
    assert misplaced(names, ["*.egg-info"]) == ["docs", "setup.py"]
