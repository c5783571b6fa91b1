"""Runs the notebooks of the course afresh, and holds what their prose says against the numbers.

    python examples/course/refresh.py                 # all, each in a fresh kernel: outputs are
    python examples/course/refresh.py 03_attention    # written back; one
    python examples/course/refresh.py --check         # nothing is written; what is wrong is said
    python examples/course/refresh.py --help          # this text

Needs ``pip install -e ".[notebook,viz]"``. What is written is the same for the same results: cells
are numbered, times and the widgets of bars are left out.

A number that the prose takes from the run is followed by the expression that it comes from, in a
comment which no reader sees:

    The loss falls to 1.62<!-- = history[-1] --> in 300 steps.      to the digits shown
    A step takes about 40<!-- ≈ milliseconds --> ms.                to a tenth of it

Another machine rounds otherwise, and a training ends elsewhere: with --check, numbers after ≈ may
be a quarter off. Where outputs are written, the prose beside them has to be within a tenth.

The expression is evaluated where the text stands, so after the cells above it. Python in a folded
solution, ``<details>…</details>``, runs at the end of the notebook, each on its own.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
SECONDS = 600  # before a cell counts as hanging
ABOUT = 0.25  # how far a number marked with ≈ may lie from a run's, relative to it
CLOSE = 0.1  # and from the run that is written beside it
MARK = "what the prose says: "  # before what the added cells print
QUOTED = re.compile(r"([-−]?[\d,]*\.?\d+)[*_`]*\s?%?<!--\s*([=≈])\s*(.+?)\s*-->")
FOLDED = re.compile(r"<details>.*?</details>", re.DOTALL)
PYTHON = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Quoted:
    """A number in the prose, and the expression whose value it is said to be."""

    shown: str
    exact: bool
    expression: str

    @property
    def value(self) -> float:
        return float(self.shown.replace(",", "").replace("−", "-"))

    def agrees_with(self, value: float, about: float = ABOUT) -> bool:
        """Whether ``value`` would be shown so; or is about that, where it need not be exact."""
        decimals = len(self.shown.partition(".")[2])
        rounding = 0.5 * 10**-decimals * (1 + 1e-6)
        return abs(self.value - value) <= max(rounding, 0 if self.exact else about * abs(value))


def quoted(markdown: str) -> list[Quoted]:
    """The numbers of a text that say where they come from.

    Example:
        >>> [number] = quoted("It falls to **1.62**<!-- = loss --> in the end.")
        >>> number.shown, number.expression, number.agrees_with(1.6249), number.agrees_with(1.63)
        ('1.62', 'loss', True, False)
    """
    return [Quoted(n, sign == "=", what) for n, sign, what in QUOTED.findall(markdown)]


def solutions(markdown: str) -> list[str]:
    """The Python of the folded parts of a text."""
    return [code for part in FOLDED.findall(markdown) for code in PYTHON.findall(part)]


def run(notebook: Any, about: float = ABOUT) -> tuple[Any, list[str]]:
    """The notebook with its outputs, all anew; and what its prose says that is not so.

    Numbers marked with ≈ may be off by ``about``, relative to those of the run.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell, or a folded solution, that fails.
    """
    import nbformat
    from nbclient import NotebookClient

    cell_of = nbformat.v4.new_code_cell
    cells, numbers, folded = [], [], []
    for cell in notebook.cells:
        cells.append(cell)
        if cell.cell_type == "markdown" and (found := quoted(cell.source)):
            values = ", ".join(f"float({number.expression})" for number in found)
            source = f"import json as _json\nprint({MARK!r} + _json.dumps([{values}]))"
            cells.append(cell_of(source, metadata={"added": True}))
            numbers.append((found, cells[-1]))
        if cell.cell_type == "markdown":
            folded += solutions(cell.source)
    cells += [cell_of(source, metadata={"added": True}) for source in folded]

    whole = nbformat.v4.new_notebook(cells=cells, metadata=notebook.metadata)
    NotebookClient(
        whole, timeout=SECONDS, kernel_name="python3", resources={"metadata": {"path": HERE}}
    ).execute()
    wrong = [
        f"says {number.shown}, but {number.expression} is {value:.6g}"
        for found, cell in numbers
        for number, value in zip(found, _printed(cell), strict=True)
        if not number.agrees_with(value, about)
    ]
    wrong += [
        f"warns: {output['text'].strip().splitlines()[0]}"
        for cell in whole.cells
        for output in cell.get("outputs", ())
        if output.get("name") == "stderr" and "Warning:" in output["text"]
    ]
    whole.cells = [cell for cell in whole.cells if "added" not in cell.metadata]
    return whole, wrong


def normalized(notebook: Any) -> Any:
    """The notebook without what differs from run to run: ids, times, the widgets of bars."""
    number = 0
    for place, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{place}"
        cell["metadata"] = {}
        if cell.cell_type == "code":
            number += 1
            cell["execution_count"] = number
            cell["outputs"] = list(_lasting(cell.outputs, number))
    notebook["metadata"] = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    notebook["nbformat"], notebook["nbformat_minor"] = 4, 5
    return notebook


def written(notebook: Any) -> str:
    """The file's text: what Jupyter would write, with Chinese and symbols as they are."""
    import nbformat

    return nbformat.writes(normalized(notebook), version=4) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    given = list(sys.argv[1:] if arguments is None else arguments)
    if {"-h", "--help"} & set(given):
        print(__doc__)
        return 0
    check = "--check" in given
    names = [name.removesuffix(".ipynb") for name in given if name != "--check"]
    paths = [HERE / f"{name}.ipynb" for name in names] or sorted(HERE.glob("*.ipynb"))
    if missing := [path.name for path in paths if not path.is_file()]:
        print(f"not in {HERE.name}/: {', '.join(missing)}", file=sys.stderr)
        return 2
    import nbformat

    failed = False
    for path in paths:
        notebook, wrong = run(nbformat.read(path, as_version=4), ABOUT if check else CLOSE)
        if not check:
            path.write_text(written(notebook), encoding="utf-8")
        for complaint in wrong:
            print(f"{path.name}: {complaint}")
        failed = failed or bool(wrong)
    return int(failed)


def _printed(cell: Any) -> list[float]:
    """The values that an added cell printed."""
    text = "".join(output.get("text", "") for output in cell.outputs)
    line = next(line for line in text.splitlines() if line.startswith(MARK))
    values: list[float] = json.loads(line.removeprefix(MARK))
    return values


def _lasting(outputs: list[Any], number: int) -> Iterator[Any]:
    """A cell's outputs without bars and widgets, which say nothing once the run is over.

    What was printed is one output: how it came in parts depends on the time.
    """
    printed = None
    for output in outputs:
        if "metadata" in output:  # the size of a picture on the page is part of it
            sizes = output["metadata"].items()
            output["metadata"] = {kind: size for kind, size in sizes if kind.startswith("image/")}
        if output.get("name") == "stderr":  # a bar
            continue
        if output["output_type"] == "execute_result":
            output["execution_count"] = number
        if "application/vnd.jupyter.widget-view+json" in output.get("data", {}):
            continue
        if printed is not None and output["output_type"] == "stream":
            printed["text"] += output["text"]
            continue
        printed = output if output["output_type"] == "stream" else None
        yield output


if __name__ == "__main__":
    sys.exit(main())
