"""Functions of Python's standard library as training text, and whether a sample is Python at all.

    python data/library_functions.py --train 8000 --test 500 --seed 0 --output prepared/functions

They are the functions and methods of the corpus ``python-stdlib``. Its modules are divided, not the
functions: what a function held out was written beside is unseen too.
"""

from __future__ import annotations

import ast
import sys
import textwrap
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from case_files import Parts, check_sizes, run_command, shuffled
from minigpt import checks
from minigpt.datasets import get_corpus

END = "<|end|>"  # a special token of the tokenizer, which ends a function
MAX_CHARS = 800
HELD_OUT = 0.1  # of the modules, for either part
LONGEST_SAMPLE = 100_000  # characters: the compiler's memory is bounded by the source


@dataclass(frozen=True)
class LibraryFunction:
    """The source of a function, from its first decorator or its ``def`` to its last line."""

    source: str


def make_cases(
    n_train: int, n_validation: int, n_test: int, seed: int, max_chars: int = MAX_CHARS
) -> Parts[LibraryFunction]:
    """Three parts of functions of at most ``max_chars`` characters, from different modules.

    A tenth of the modules is for the test, and a tenth for the validation part. A function that the
    library holds twice counts once.

    Raises:
        ValueError: a size below 1, a negative seed, or more functions than there are.
    """
    rng = check_sizes(n_train, n_validation, n_test, seed)
    modules = shuffled(rng, list(get_corpus("python-stdlib").loader()))
    n = max(1, round(HELD_OUT * len(modules)))
    seen: set[str] = set()
    parts = []
    for name, wanted, part in (
        ("n_test", n_test, modules[:n]),
        ("n_validation", n_validation, modules[n : 2 * n]),
        ("n_train", n_train, modules[2 * n :]),
    ):
        found = []
        for source in functions(part, max_chars):
            if source not in seen:
                seen.add(source)
                found.append(LibraryFunction(source))
        if len(found) < wanted:
            raise ValueError(
                f"{name}={wanted:,}, and there are {len(found):,} functions of at most "
                f"{max_chars} characters in that part of the library: ask for fewer"
            )
        parts.append(shuffled(rng, found)[:wanted])
    test, validation, train = parts
    return train, validation, test


def functions(modules: Iterable[str], max_chars: int = MAX_CHARS) -> Iterator[str]:
    r"""The functions at the top of the modules and the methods of the classes there, dedented.

    What does not compile by itself is left out: a string over several lines that stands farther to
    the left than its method, and the few modules that are not valid Python (as in lib2to3).

    Example:
        >>> list(functions(["class A:\n    def f(self):\n        pass  # as it is\n"]))
        ['def f(self):\n    pass  # as it is\n']
    """
    for module in modules:
        tree = parse(module)
        lines = module.split("\n")
        for node in tree.body if tree else []:
            for inner in node.body if isinstance(node, ast.ClassDef) else [node]:
                if isinstance(inner, (ast.FunctionDef, ast.AsyncFunctionDef)):
                    first = min([inner.lineno, *(d.lineno for d in inner.decorator_list)])
                    source = textwrap.dedent("\n".join(lines[first - 1 : inner.end_lineno]) + "\n")
                    if len(source) <= max_chars and compiles(source):
                        yield source


def cut_sample(text: str, end: str = END) -> str:
    r"""What is judged of a sample: the text before the first ``end``, or all of it.

    A sample that never ends is then most often cut within a statement, and does not compile.

    Example:
        >>> cut_sample("def f(): pass\n<|end|>def g(")
        'def f(): pass\n'
    """
    return text.split(end, 1)[0]


def compiles(source: str) -> bool:
    r"""Whether Python's compiler accepts the source, and there is a statement in it.

    The source is compiled and never run. Nothing but white space and comments would be accepted
    too, and says nothing: it counts as False.

    Example:
        >>> compiles("def f(x):\n    return x\n"), compiles("def f(x)\n    return x\n")
        (True, False)
        >>> compiles("return 1"), compiles("# nothing"), compiles("")
        (False, False, False)
    """
    checks.text("source", source)
    if len(source) > LONGEST_SAMPLE:
        return False
    tree = parse(source)
    return tree is not None and bool(tree.body)


def parse(source: str) -> ast.Module | None:
    """The syntax tree of what compiles, None of what does not."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # such as of "\d" in a string: accepted all the same
            tree = ast.parse(source)
            compile(tree, "<sample>", "exec", dont_inherit=True)  # a return outside a function, …
    # NUL bytes and lone surrogates are ValueErrors, nesting too deep is one of the last three.
    except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError):
        return None
    return tree


def compiling_share(samples: Iterable[str], end: str = END) -> float:
    """The share of samples that compile, each cut at ``end``.

    Raises:
        ValueError: there is no sample.

    Example:
        >>> compiling_share(["x = 1<|end|>", "x = <|end|>"])
        0.5
    """
    judged = [compiles(cut_sample(sample, end)) for sample in samples]
    if not judged:
        raise ValueError("samples is empty: give at least one")
    return sum(judged) / len(judged)


def describe(train: list[LibraryFunction], test: list[LibraryFunction]) -> list[str]:
    """A short function, and the size of the training text."""
    characters = sum(len(case.source) for case in train)
    shortest = min((case.source for case in test), key=len)
    return [f"{characters:,} characters to train on", textwrap.indent(shortest.rstrip(), "    ")]


if __name__ == "__main__":
    sys.exit(run_command(__doc__ or "", make_cases, describe, 9000, 500, 500))
