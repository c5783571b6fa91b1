"""Build your own GPT: says which step is next, what passed, and what is wrong, in words.

    python examples/build_your_own/check.py          # up to the first step that does not pass yet
    python examples/build_your_own/check.py 3        # step 3 only; several: 3 4, or names
    python examples/build_your_own/check.py all      # every step, for a teacher
    python examples/build_your_own/check.py write    # train on a text, and write

The twelve functions are in my_gpt.py beside this file, or in the file that --file names.
"""

from __future__ import annotations

import difflib
import importlib.util
import os
import sys
import textwrap
from functools import cache
from pathlib import Path
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # for small matrices one thread is the fastest
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # what the examples share
sys.path.insert(0, str(Path(__file__).resolve().parent))  # the steps

import numpy as np

from calling import Wrong, time_limit
from command_line import Parser, at_least, one_line_errors
from minigpt.datasets import load_text
from steps import STEPS, Step
from widening import widened_by
from writing_gpt import train_and_write

HERE = Path(__file__).resolve().parent
SECONDS = 20.0  # a check takes less than one; what takes this long will hardly end


@one_line_errors()
def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument(
        "what", nargs="*", default=["next"], help="numbers or names of steps, all, or write"
    )
    parser.add_argument(
        "--file", type=Path, default=HERE / "my_gpt.py", help="with the twelve functions"
    )
    parser.add_argument("--data", help="a text to learn from, for write (default: Python's manual)")
    parser.add_argument("--steps", type=at_least(1), default=1500, help="of the training of write")
    args = parser.parse_args()
    what, own = wanted(args.what, parser), functions_of(args.file)
    if isinstance(what, list) or what == "all":
        steps = what if isinstance(what, list) else STEPS
        passed = [report(step, own) for step in steps]
        if len(steps) > 1:
            print(f"\n{sum(passed)} of {len(steps)} steps pass")
        sys.exit(not all(passed))
    for step in STEPS:
        if not report(step, own):
            n = step.number - 1
            print(f"\n{n} of {len(STEPS)} steps pass; the next is {step.name}: pages/{step.page}")
            sys.exit(1)
    if what == "next":
        print("\nall twelve pass: they make up a GPT. Let it learn and write, in about a minute:")
        print(f"  python {os.path.relpath(__file__)} write")
        return
    for name in widened_by(own):
        print(
            f"\n{name} turns float32 into float64: what follows is right, and about twice as\n"
            "slow (np.sqrt of a plain number, np.zeros(shape), astype(float) do that: page 5)"
        )
    print("\nyour GPT, trained by your own functions:")
    train_and_write(own, None if args.data is None else load_text(args.data), args.steps)


def wanted(words: list[str], parser: Parser) -> str | list[Step]:
    """The steps that are asked for, as in "2 3", "2,3" or "cross-entropy"; or next, all, write."""
    named = {**{str(s.number): s for s in STEPS}, **{s.name: s for s in STEPS}}
    parts = [part for word in words for part in word.split(",") if part]
    names = [part.replace("-", "_") for part in parts] or ["next"]
    if names in (["next"], ["all"], ["write"]):
        return names[0]
    for name in names:
        if name not in named:
            near = difflib.get_close_matches(name, [*named, "next", "all", "write"], n=1)
            mend = f"did you mean {near[0]}? Or else " if near and name != near[0] else ""
            parser.error(
                f"{name} is not a step: {mend}the steps are 1 to {len(STEPS)}, by number or name "
                "(or next, all, write, each by itself)"
            )
    return [named[name] for name in names]


def functions_of(file: Path) -> Any:
    """The reader's file as a module.

    Raises:
        FileNotFoundError: it is not there.
        ValueError: it is not Python, or an error comes up in it; the message names the line.
    """
    if not file.is_file():
        raise FileNotFoundError(f"{file} is not there: it is the file with your functions")
    spec = importlib.util.spec_from_file_location("my_gpt", file)
    if spec is None or spec.loader is None:
        raise ValueError(f"{file} does not end with .py")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except SyntaxError as error:
        raise ValueError(f"{file}, line {error.lineno}: {error.msg}: {error.text}") from None
    except Exception as error:
        raise ValueError(f"{file} cannot be read: {type(error).__name__}: {error}") from None
    return module


@cache  # the steps that are built of one ask again
def complaint(step: Step, own: Any) -> str | None:
    """What is wrong with a step; None where nothing is."""
    function = getattr(own, step.name, None)
    if function is None:
        return f"there is no function {step.name} in your file: did its name change?"
    try:
        with np.errstate(all="ignore"), time_limit(SECONDS, function):
            step.check(function)
    except Wrong as wrong:
        return str(wrong)
    return None


def report(step: Step, own: Any) -> bool:
    """Print whether a step passes, and what is wrong; whether it does."""
    wrong = complaint(step, own)
    print(f"{'✓' if wrong is None else '✗'} {step.number:2} {step.name}")
    if wrong is None:
        return True
    print(textwrap.indent(textwrap.fill(wrong, 92), "     "))
    earlier = [s for s in STEPS if s.name in step.built_of and complaint(s, own) is not None]
    if earlier and "it is empty" not in wrong:
        names = ", ".join(f"{s.number} {s.name}" for s in earlier)
        print(f"     (it is built of {names}, not yet right: begin there)")
    print(f"     pages/{step.page}")
    return False


if __name__ == "__main__":
    main()
