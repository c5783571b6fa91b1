"""What the docstring of every public name holds, and that nothing of it is missing.

Public are the functions and classes that the face (``minigpt.__all__``), the rooms that it names,
and ``minigpt.operations`` list, and the public methods of these classes. Of each is asked:

- *A first line* that is a sentence or an equation by itself, and ends with a full stop.
- *Every parameter*, explained under ``Args:``, ``Attributes:`` or ``Shapes:``, or named in the
  prose between double backticks; or by its letter alone, where it is one of the equation's. What
  another docstring explains counts where this one says "as in", "as", "of" or "at" and names it as
  a link, such as :func:`minigpt.functional.sum`. A method's parameter may be explained by its
  class, or by the same method of a base class.
- *Mathematics* (functions and operations, layers, optimizers and schedules): an equation, except
  where numbers are only moved; the shapes of the arrays, except where an operation works entry by
  entry; and its source, except where it is older than papers.
- ``Raises:`` where the body raises, or checks a value. (That wrong types are refused goes without
  saying: what is named is what a caller would catch.)
- *An example* that shows an outcome and is run. A method has one where it helps; a class has one
  for all its methods. An exception has one where it carries more than its message.

``forward`` is described by its class, and a method without a docstring by that of a base class.
"""

from __future__ import annotations

import ast
import doctest
import importlib
import inspect
import re
import textwrap
import types
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest

import minigpt
import minigpt.operations

ROOMS = ["minigpt", "minigpt.operations"]
ROOMS += [
    f"minigpt.{name}" for name in minigpt.__all__ if isinstance(getattr(minigpt, name), ModuleType)
]
MATHEMATICS = ("minigpt.functional.", "minigpt.operations.", "minigpt.optim.", "minigpt.nn.")
MOVE_NUMBERS = {"minigpt.operations.shaping", "minigpt.operations.indexing"}
ENTRY_BY_ENTRY = {"minigpt.operations.elementwise", "minigpt.functional.activations"}
# What a textbook of mathematics or every array library has, and no paper can be named for.
WITHOUT_A_SOURCE = {
    "Block", "GatedMLP", "Identity", "Linear", "NoPositions", "attention_weights", "constant",
    "embedding", "erf", "gradient_norm", "linear", "log_likelihood", "log_softmax", "softmax",
}  # fmt: skip
DESCRIBED_BY_ITS_CLASS = {"forward", "extra_repr"}

SECTION = re.compile(r"^([A-Z][a-z]+):\n((?:[ \t]+.*\n?|\n(?=[ \t]))*)", re.MULTILINE)
ENTRY = re.compile(r"^ {4}(\S[^:\n]*):", re.MULTILINE)
WORD = re.compile(r"[A-Za-z_][A-Za-z_0-9]*")
LINK = re.compile(
    r"(?:\b[Aa]s in|\b[Aa]s|\bof|\bat|\bsee|\bfor)\s+:(?:func|class|meth):`~?([\w.]+)`"
)
SOURCE = re.compile(r"\b(?:1[89]|20)\d\d\b")
EQUATION = re.compile(r"[=←√Σ∘‖·−≤∂]|<-")


def public_names() -> dict[str, Any]:
    """Every public function and class once, by the first of its names."""
    found: dict[int, tuple[str, Any]] = {}
    for room in ROOMS:
        module = importlib.import_module(room)
        for name in module.__all__:
            thing = getattr(module, name)
            if inspect.isfunction(thing) or inspect.isclass(thing):
                found.setdefault(id(thing), (f"{room}.{name}", thing))
    return dict(found.values())


def public_methods(cls: type) -> Iterator[tuple[str, Any]]:
    """The public methods and properties that a class defines itself, as plain functions."""
    for name, value in vars(cls).items():
        if isinstance(value, (classmethod, staticmethod)):
            value = value.__func__
        if isinstance(value, property):
            value = value.fget
        if not name.startswith("_") and inspect.isfunction(value):
            yield name, value


def sections(doc: str) -> dict[str, str]:
    """The text of ``Args:``, ``Raises:``, … by their names; what comes before them as ""."""
    found = {title: body for title, body in SECTION.findall(doc)}
    first = SECTION.search(doc)
    found[""] = doc[: first.start()] if first else doc
    return found


def parameters(thing: Any) -> list[str]:
    """What a caller may name; ``*args`` and ``**options`` are described by what they hold."""
    try:
        signature = inspect.signature(thing)
    except ValueError:  # a class that is built as its built-in base is
        return []
    return [
        p.name
        for p in signature.parameters.values()
        if p.name not in {"self", "cls"}
        and not p.name.startswith("_")
        and p.kind not in {p.VAR_POSITIONAL, p.VAR_KEYWORD}
    ]  # fmt: skip


def explained(doc: str) -> set[str]:
    """The names that a docstring explains by itself."""
    parts = sections(doc)
    names: set[str] = set()
    for title in ("Args", "Attributes", "Shapes"):
        for entry in ENTRY.findall(parts.get(title, "")):
            names.update(WORD.findall(entry))
    for quoted in re.findall(r"``([^`]+)``", doc):
        names.update(WORD.findall(quoted))
    names.update(word for word in WORD.findall(parts[""]) if len(word) == 1)
    return names


def linked(doc: str, home: ModuleType, owner: type | None) -> Iterator[str]:
    """The docstrings of what a docstring refers to, for what it does not say itself."""
    for target in LINK.findall(doc):
        thing: Any = None
        for start in (owner, home, minigpt):
            thing = start
            for part in target.removeprefix("minigpt.").split("."):
                thing = getattr(thing, part, None)
            if thing is not None:
                yield inspect.getdoc(thing) or ""
                break
        for base in owner.__mro__ if owner else ():
            yield own_docstring(base, target)


def own_docstring(cls: type, name: str) -> str:
    """That of what a class itself calls so; since Python 3.13, None has a docstring too."""
    found = vars(cls).get(name)
    return "" if found is None else found.__doc__ or ""


def unexplained(thing: Any, doc: str, owner: type | None) -> list[str]:
    home = importlib.import_module(thing.__module__)
    names = explained(doc)
    for other in linked(doc, home, owner):
        names |= explained(other)
    if owner is not None:
        for base in owner.__mro__:
            names |= explained(base.__doc__ or "") if base is not object else set()
            names |= explained(own_docstring(base, thing.__name__))
    asked = parameters(thing)
    if len(asked) == 1:
        names.update(WORD.findall(sections(doc)[""]))
    return [name for name in asked if name not in names]


def refuses_values(function: Callable[..., Any]) -> bool:
    """Whether the body raises, or calls a ``_check…`` of its file."""
    nodes = list(ast.walk(ast.parse(textwrap.dedent(inspect.getsource(function)))))
    raised = [ast.unparse(n.exc) for n in nodes if isinstance(n, ast.Raise) and n.exc is not None]
    called = [ast.unparse(n.func) for n in nodes if isinstance(n, ast.Call)]
    return any("NotImplementedError" not in error for error in raised) or any(
        name.rpartition(".")[2].startswith("_check") for name in called
    )


def outcomes(doc: str) -> int:
    """How many lines of the examples show something that a test compares."""
    examples = doctest.DocTestParser().get_examples(doc)
    return sum(bool(e.want) and not e.options.get(doctest.SKIP) for e in examples)


# ── what is missing, in words ─────────────────────────────────────────────────────────────────


def missing_first_line(thing: Any, doc: str, owner: type | None) -> list[str]:
    first, _, rest = doc.partition("\n")
    complete = first.endswith((".", ".)")) and (not rest or rest.startswith("\n"))
    return [] if complete else [f"its first line is not a sentence by itself: {first!r}"]


def missing_parameters(thing: Any, doc: str, owner: type | None) -> list[str]:
    names = unexplained(thing, doc, owner)
    return [f"nothing says what {', '.join(names)} is: add it to Args:"] if names else []


def missing_mathematics(thing: Any, doc: str, owner: type | None) -> list[str]:
    module = thing.__module__
    if owner is not None or not f"{module}.".startswith(MATHEMATICS):
        return []
    if inspect.isclass(thing) and not is_computed(thing):
        return []
    if inspect.isfunction(thing) and module.startswith("minigpt.nn."):
        return []  # these change a module, and compute nothing
    complaints = []
    parts = sections(doc)
    if module not in MOVE_NUMBERS and not EQUATION.search(parts[""]):
        complaints.append("there is no equation")
    arrays = module.startswith(MATHEMATICS[:2]) or hasattr(thing, "forward")
    shapes = "Shapes" in parts or "Args and Shapes as in" in doc
    if arrays and module not in ENTRY_BY_ENTRY and not shapes:
        complaints.append("there is no Shapes:")
    primitive = module.startswith("minigpt.operations.")
    if not primitive and thing.__name__ not in WITHOUT_A_SOURCE and not SOURCE.search(doc):
        complaints.append("its source (paper, year, section) is not named")
    return complaints


def is_computed(cls: type) -> bool:
    """Layers and optimizers, as against configurations, caches and the bare bases of both."""
    bare = {"Module", "Optimizer"}
    return cls.__name__ not in bare and (hasattr(cls, "forward") or hasattr(cls, "_update"))


def missing_raises(thing: Any, doc: str, owner: type | None) -> list[str]:
    bodies = [thing]
    if inspect.isclass(thing):
        bodies = [
            vars(thing)[name] for name in ("__init__", "__post_init__") if name in vars(thing)
        ]
        bodies = [b for b in bodies if b.__code__.co_filename == inspect.getsourcefile(thing)]
    if any(refuses_values(body) for body in bodies) and "Raises" not in sections(doc):
        return ["it refuses values, and there is no Raises:"]
    return []


def missing_example(thing: Any, doc: str, owner: type | None) -> list[str]:
    if owner is not None or outcomes(doc):
        return []
    if inspect.isclass(thing) and issubclass(thing, Exception) and "Attributes:" not in doc:
        return []
    return ["there is no example that shows an outcome"]


PARTS = [
    missing_first_line,
    missing_parameters,
    missing_mathematics,
    missing_raises,
    missing_example,
]


def complaints(name: str, thing: Any, owner: type | None = None) -> list[str]:
    doc = thing.__doc__ and inspect.cleandoc(thing.__doc__)
    if not doc:
        inherited = owner is not None and any(
            own_docstring(base, thing.__name__) for base in owner.__mro__[1:]
        )
        described = owner is not None and thing.__name__ in DESCRIBED_BY_ITS_CLASS
        return [] if inherited or described else [f"{name}: there is no docstring"]
    return [f"{name}: {lack}" for part in PARTS for lack in part(thing, doc, owner)]


def all_complaints(name: str, thing: Any) -> list[str]:
    found = complaints(name, thing)
    for method, function in public_methods(thing) if inspect.isclass(thing) else ():
        found += complaints(f"{name}.{method}", function, owner=thing)
    return found


NAMES = public_names()


@pytest.mark.parametrize("name", NAMES)
def test_every_part_of_the_docstring_is_there(name):
    found = all_complaints(name, NAMES[name])
    assert not found, "\n".join(found)


def test_what_is_public_is_found():
    assert len(NAMES) > 230
    assert {"minigpt.GPT", "minigpt.operations.add", "minigpt.viz.explore"} <= set(NAMES)


# ── the rules themselves ──────────────────────────────────────────────────────────────────────


def halved(x, times=1):
    """y = x / 2ⁿ (Zeno 1950, §1).

    Args:
        x: what is halved.
        times: n.

    Shapes:
        x and returns: any

    Raises:
        ValueError: there is nothing to halve.

    Example:
        >>> halved(2)
        1.0
    """
    if x is None:
        raise ValueError("x must be a number")
    return x / 2**times


halved.__module__ = "minigpt.functional.loss"  # where all parts are asked for


def with_docstring(doc: str | None) -> Any:
    changed = types.FunctionType(halved.__code__, halved.__globals__, "halved", halved.__defaults__)
    changed.__doc__, changed.__module__ = doc, halved.__module__
    return changed


def test_a_docstring_with_all_parts_has_no_complaint():
    assert all_complaints("halved", halved) == []


@pytest.mark.parametrize(
    ("part", "other", "complaint"),
    [
        ("(Zeno 1950, §1).", "(Zeno 1950, §1)", "its first line is not a sentence by itself"),
        ("§1).", "§1)\n    and so on.", "its first line is not a sentence by itself"),
        ("        times: n.\n", "", "nothing says what times is: add it to Args:"),
        ("y = x / 2ⁿ", "Half of x", "there is no equation"),
        ("Shapes:", "Sizes:", "there is no Shapes:"),
        (" (Zeno 1950, §1)", "", "its source (paper, year, section) is not named"),
        ("Raises:", "Errors:", "it refuses values, and there is no Raises:"),
        (">>> halved(2)", "halved(2)", "there is no example that shows an outcome"),
        ("        1.0\n", "", "there is no example that shows an outcome"),
        ("(2)", "(2)  # doctest: +SKIP", "there is no example that shows an outcome"),
    ],
)
def test_a_missing_part_is_named(part, other, complaint):
    # Python 3.13 takes the indentation away.
    doc = textwrap.indent(inspect.cleandoc(halved.__doc__ or ""), "    ") + "\n"
    assert part in doc
    (found,) = all_complaints("halved", with_docstring(doc.replace(part, other)))
    assert found.startswith(f"halved: {complaint}")


def test_a_missing_docstring_is_named_and_one_of_a_base_class_counts():
    assert all_complaints("halved", with_docstring(None)) == ["halved: there is no docstring"]

    class Base:
        def read(self, n):
            """Read ``n`` bytes."""

    class Derived(Base):
        def read(self, n):
            pass

        def write(self):
            pass

    methods = dict(public_methods(Derived))
    assert complaints("read", methods["read"], owner=Derived) == []
    assert complaints("write", methods["write"], owner=Derived) == ["write: there is no docstring"]


def test_what_another_docstring_explains_counts_where_it_is_named():
    mean = minigpt.operations.mean
    doc = inspect.cleandoc(mean.__doc__ or "")
    assert "keepdims" not in explained(doc) and unexplained(mean, doc, None) == []
    elsewhere = doc.replace(":func:`sum`", ":func:`minigpt.functional.silu`")
    assert unexplained(mean, elsewhere, None) == ["keepdims"]
    nowhere = doc.replace(":func:`sum`", ":func:`minigpt.testing.nothing`")
    assert unexplained(mean, nowhere, None) == ["keepdims"]
