"""First steps: every equation of the library beside the same computed in another way.

    python examples/equations.py
    python examples/equations.py E4 E13

For each of E1 to E15 (the labels that the library cites) it prints the equation, the function that
is it, and how far that is from an independent computation: the formula in plain Python, number by
number, with Python's floats, and with 50 digits where mpmath is installed; and PyTorch's own
function, where PyTorch is. Where one of the documents that the library follows errs, it says so.
Below stand the nine systems S1 to S9, with the scripts that run them. equations.md is the same as a
page, with links.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import textwrap
from pathlib import Path
from typing import Any

import numpy as np

from command_line import Parser, one_line_errors
from equation_checks import CHECKS
from equation_table import DOCUMENTS, EQUATIONS, NOTEBOOKS, SYSTEMS, Equation, System
from equations_by_hand import kinds_of_numbers
from minigpt.atomic import replacing

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "examples" / "equations.md"
TOLERANCE = 1e-12  # of the largest number: float64 has 2e-16, and E6 multiplies much


@one_line_errors()
def main() -> None:
    parser = Parser(__doc__)
    rows = {row.label: row for row in (*EQUATIONS, *SYSTEMS)}
    parser.add_argument("labels", nargs="*", metavar="LABEL", help="E1 to E15, S1 to S9; all")
    parser.add_argument("--page", action="store_true", help="write equations.md anew")
    args = parser.parse_args()
    if unknown := [label for label in args.labels if label not in rows]:
        parser.error(f"{', '.join(unknown)}: the labels are {', '.join(rows)}")
    if args.page:
        with replacing(PAGE) as file:
            file.write(page().encode("utf-8"))
        print(PAGE)
        return
    wrong = [label for label in args.labels or rows if not shown(rows[label])]
    if wrong:
        raise ArithmeticError(f"the library computes something else: {', '.join(wrong)}")


def shown(row: Equation | System) -> bool:
    """Print a row, and for an equation its checks; whether these are all right."""
    right = True
    if isinstance(row, Equation):
        found = differences(row.label)
        right = all(difference <= TOLERANCE for _, difference in found)
        lines = [
            f"{row.text}   ({row.source})",
            ", ".join(row.functions),
            f"{'agrees with' if right else 'DIFFERS from'} "
            + ", ".join(f"{name} to {difference:.0e}" for name, difference in found),
            f"held by {row.test}",
        ]
    else:
        lines = [row.text, ", ".join(row.parts), f"examples/: {', '.join(row.scripts)}"]
    lines += [f"in the documents: {row.where}. {row.errs}".strip()]
    for i, line in enumerate(lines):
        label = f"{row.label:5}" if i == 0 else " " * 5
        print(textwrap.fill(line, 96, initial_indent=label, subsequent_indent=" " * 5))
    print()
    return right


def differences(label: str) -> list[tuple[str, float]]:
    """How far the library is from each independent computation, by the size of the largest."""
    check = CHECKS[label]()
    library = np.asarray(check.library)
    largest = abs(library).max()
    found = [
        (m.name, float(np.max(abs(np.array(check.by_hand(m), dtype=object) - library)) / largest))
        for m in kinds_of_numbers()
    ]
    if check.torch is not None and importlib.util.find_spec("torch") is not None:
        import torch

        theirs = check.torch(torch).detach().numpy()
        found.append(("PyTorch", float(abs(theirs - library).max() / largest)))
    return found


# ── the page ──────────────────────────────────────────────────────────────────────────────────


def page() -> str:
    """The table with links, which lead from the folder of the examples."""
    equations = [
        row_of(
            row.label, row.text, row.source, names(row.functions), test(row.test),
            chapter(row.chapter), row.where, row.errs,
        )
        for row in EQUATIONS
    ]  # fmt: skip
    systems = [
        row_of(
            row.label, row.text, names(row.parts), scripts(row.scripts), test(row.test),
            row.where, row.errs,
        )
        for row in SYSTEMS
    ]  # fmt: skip
    return "\n".join([
        "# The equations, and where each one is",
        "",
        "Every equation of the library, the function that computes it, and the test that holds it "
        "to its plain form or to",
        "another library. `python examples/equations.py` computes each in other ways, number by "
        "number, and prints how far they",
        "are apart. Chapters are those of the course. The documents are five articles in Chinese, "
        "which the library follows; where",
        "one of them errs, the last column says so:",
        "",
        *(f"- {name}: {about}" for name, about in DOCUMENTS.items()),
        "",
        row_of("", "equation", "source", "function", "test", "chapter", "document", "it errs"),
        "|---" * 8 + "|",
        *equations,
        "",
        "## The systems",
        "",
        "What the documents build, the part of the library that is it, the script that runs it, "
        "and a test of it.",
        "[What the tasks reach](README.md#what-the-tasks-reach) has the figures.",
        "",
        row_of("", "system", "part", "script", "test", "document", "it errs"),
        "|---" * 7 + "|",
        *systems,
        "",
    ])  # fmt: skip


def row_of(*cells: str) -> str:
    """A row of a table; a | in a cell is no border."""
    return f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |"


def scripts(file_names: tuple[str, ...]) -> str:
    """Links to scripts beside this one.

    Raises:
        ValueError: one is not there.
    """
    if missing := [name for name in file_names if not (PAGE.parent / name).is_file()]:
        raise ValueError(f"{', '.join(missing)}: not there")
    return ", ".join(f"[`{name}`]({name})" for name in file_names)


def names(dotted: tuple[str, ...]) -> str:
    """Links to the files that things are in."""
    links = []
    for name in dotted:
        path = source_of(name)
        link = (
            path.name if path.parent == PAGE.parent else f"../{path.relative_to(ROOT).as_posix()}"
        )
        links.append(f"[`{name.removeprefix('minigpt.')}`]({link})")
    return ", ".join(links)


def source_of(dotted: str) -> Path:
    """The file in which a thing of the library, or of a script, is defined.

    Raises:
        ValueError: there is no such thing.
    """
    return Path(inspect.getfile(inspect.unwrap(thing(dotted)))).resolve()


def thing(dotted: str) -> Any:
    """What a dotted name stands for: a function or a class, or a method of one.

    Raises:
        ValueError: there is no such thing.
    """
    parts = dotted.split(".")
    for n in range(len(parts) - 1, 0, -1):
        try:
            found: Any = importlib.import_module(".".join(parts[:n]))
            for part in parts[n:]:
                found = getattr(found, part)
        except (ImportError, AttributeError):
            continue
        return found
    raise ValueError(f"{dotted} is not there")


def test(node: str) -> str:
    """A link to a test's file.

    Raises:
        ValueError: the file is not there, or has no test of that name.
    """
    path, _, name = node.partition("::")
    file = ROOT / path
    if not file.is_file() or f"\ndef {name}(" not in file.read_text(encoding="utf-8"):
        raise ValueError(f"{node} is not there")
    return f"[`{name}`](../{path})"


def chapter(number: int) -> str:
    """A link to a notebook of the course, or its number where it is not there yet.

    Raises:
        ValueError: it is given, and is not there.
    """
    if number not in NOTEBOOKS:
        return str(number)
    if not (PAGE.parent / NOTEBOOKS[number]).is_file():
        raise ValueError(f"{NOTEBOOKS[number]}: not there")
    return f"[{number}]({NOTEBOOKS[number]})"


if __name__ == "__main__":
    main()
