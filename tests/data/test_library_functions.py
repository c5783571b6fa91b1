"""Functions of the standard library, and what counts as Python."""

from __future__ import annotations

import ast
import sys
import warnings
from itertools import chain

import pytest

from library_functions import (
    LONGEST_SAMPLE,
    MAX_CHARS,
    compiles,
    compiling_share,
    cut_sample,
    functions,
    make_cases,
)
from minigpt.datasets import get_corpus


@pytest.fixture(scope="module")
def library():
    """Every eighth module: the whole library takes seconds."""
    return list(get_corpus("python-stdlib").loader())[::8]


@pytest.fixture(scope="module")
def cases(library):
    with pytest.MonkeyPatch.context() as patch:
        use(patch, library)
        return make_cases(700, 50, 60, seed=0)


def use(monkeypatch, modules):
    """make_cases finds these modules in place of the library."""
    corpus = type("Corpus", (), {"loader": lambda: iter(modules)})
    monkeypatch.setattr("library_functions.get_corpus", lambda name: corpus)


def test_each_is_one_function_of_the_library(cases, library):
    def without_indentation(source):
        return "\n".join(line.strip() for line in source.split("\n"))

    text = without_indentation("\n".join(library))
    for case in chain(*cases):
        (node,) = ast.parse(case.source).body
        assert isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        assert len(case.source) <= MAX_CHARS and compiles(case.source)
        assert without_indentation(case.source) in text, case.source


def test_no_function_twice(cases):
    assert [len(part) for part in cases] == [700, 50, 60]
    assert len({case.source for part in cases for case in part}) == 810


def test_the_modules_are_divided(monkeypatch):
    """A module's functions are all in one part."""
    library = [
        "".join(f"def f{module}_{i}():\n    pass\n\n\n" for i in range(5)) for module in range(50)
    ]
    use(monkeypatch, library)
    parts = make_cases(200, 25, 25, seed=0)
    modules = [{case.source.split("_")[0] for case in part} for part in parts]
    assert [len(part) for part in modules] == [40, 5, 5] and len(set().union(*modules)) == 50
    with pytest.raises(ValueError, match=r"n_test=26, and there are 25 functions of at most 800"):
        make_cases(200, 25, 26, seed=0)
    with pytest.raises(ValueError, match=r"n_validation=26, and there are 25 functions"):
        make_cases(200, 26, 25, seed=0)
    with pytest.raises(ValueError, match=r"n_train=201, and there are 200 functions"):
        make_cases(201, 25, 25, seed=0)


def test_functions():
    module = (
        '"""Doc."""\nx = 1\n@cache\n@other(\n  1)\ndef a():\n    def inner(): pass\n\n'
        "    return inner  # why\n# after\nclass B(A):\n    y = 2\n    async def b(self):\n"
        "        return y\n    class C:\n        def c(self): pass\nif x:\n    def d(): pass\n"
    )
    assert list(functions([module])) == [
        "@cache\n@other(\n  1)\ndef a():\n    def inner(): pass\n\n    return inner  # why\n",
        "async def b(self):\n    return y\n",
    ]
    assert list(functions([module], max_chars=40)) == ["async def b(self):\n    return y\n"]
    assert list(functions(["print 'Python 2'\ndef f(): pass\n"])) == []
    # The string begins farther to the left than the method: no dedenting makes it a function.
    assert list(functions(['class A:\n    def f(self):\n        return """\nx"""\n'])) == []


@pytest.mark.parametrize(
    "source",
    ["x = 1", "def f():\n    pass", "'\\d'", "1 is 1", "assert (1, 2)", "#\npass", "f'{x!r}'"],
)
def test_what_compiles(source):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert compiles(source)


@pytest.mark.parametrize(
    "source",
    ["", " \n", "# nothing", "x =", "return 1", "def f():\n", "  x = 1", "if x:\npass", "'a",
     "break", "x = 1\0", "a = '\ud800'", "(" * 5000, "-" * 90_000 + "1", "nonlocal x", "a b",
     "lambda:" * 14_000 + "1", "x" * (LONGEST_SAMPLE + 1), "from __future__ import braces"],
    ids=lambda source: ascii(source[:12]),
)  # fmt: skip
def test_what_does_not(source):
    assert not compiles(source)


def test_nothing_is_run(capsys):
    assert compiles("import sys\nsys.exit(print('run'))\n1 / 0\n")
    assert capsys.readouterr() == ("", "")


def test_the_recursion_limit_is_left_alone():
    before = sys.getrecursionlimit()
    assert not compiles("[" * 50_000)
    assert sys.getrecursionlimit() == before and compiles("x = 1")


def test_compiles_takes_text():
    with pytest.raises(TypeError, match="source must be a str: got b"):
        compiles(b"x = 1")


def test_samples_are_cut_at_the_first_end():
    assert cut_sample("x = 1\n<|end|>y =<|end|>") == "x = 1\n"
    assert cut_sample("x = 1\n") == "x = 1\n"
    assert cut_sample("a\0b", end="\0") == "a"


def test_compiling_share():
    assert compiling_share(["x = 1<|end|>=", "x =", "", "pass"]) == 0.5
    assert compiling_share(["x = 1;;", "x = 1;; ="], end=";;") == 1
    with pytest.raises(ValueError, match="samples is empty"):
        compiling_share([])
