"""What the generators of cases share: sizes and seeds checked, and a command line.

A generator is a module with ``make_cases(n_train, n_validation, n_test, seed)``, which gives three
lists of dataclasses, and a few words about them for the command line. A model learns from the
training part; its settings are chosen by the validation part; and what it reaches is reported on
the test part, by which nothing was chosen. What must not be in two of them, each generator says.
"""

from __future__ import annotations

import argparse
import dataclasses
import io
import json
import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import numpy as np

from minigpt import checks
from minigpt.atomic import replacing
from minigpt.atomic_folder import replacing_files

FILES = ("train.jsonl", "validation.jsonl", "test.jsonl")
T = TypeVar("T")
Parts = tuple[list[T], list[T], list[T]]  # to train on, to choose settings by, to test with


def check_sizes(n_train: int, n_validation: int, n_test: int, seed: int) -> np.random.Generator:
    """The generator of ``seed``, if the numbers are such as ``make_cases`` takes.

    Raises:
        ValueError: a size is below 1, or the seed is negative.

    Example:
        >>> check_sizes(20000, 1000, 0, seed=0)
        Traceback (most recent call last):
        ValueError: n_test must be an integer of at least 1: got 0
    """
    checks.sizes(n_train=n_train, n_validation=n_validation, n_test=n_test)
    return np.random.default_rng(checks.integer("seed", seed, least=0))


def check_supply(n_train: int, n_validation: int, n_test: int, supply: int, what: str) -> None:
    """Refuse sizes that together are more than there is.

    Raises:
        ValueError: they are.
    """
    total = n_train + n_validation + n_test
    if total > supply:
        raise ValueError(
            f"n_train={n_train:,}, n_validation={n_validation:,} and n_test={n_test:,} are "
            f"{total:,} together, and there are {supply:,} {what}: ask for fewer"
        )


def pick(rng: np.random.Generator, options: Sequence[T]) -> T:
    """One of the options, each as likely as the others."""
    return options[int(rng.integers(len(options)))]


def shuffled(rng: np.random.Generator, items: Sequence[T]) -> list[T]:
    """The items in random order."""
    return [items[i] for i in rng.permutation(len(items))]


class OneLineParser(argparse.ArgumentParser):
    """A parser that says what is wrong in one line, and exits with 2."""

    def error(self, message: str) -> NoReturn:
        """Print ``message`` alone: ``--help`` shows the usage."""
        self.exit(2, f"{self.prog}: error: {message}\n")


def run_command(
    documentation: str,
    make_cases: Callable[[int, int, int, int], Parts[Any]],
    describe: Callable[[list[Any], list[Any]], list[str]],
    n_train: int,
    n_validation: int,
    n_test: int,
    argv: Sequence[str] | None = None,
) -> int:
    """Write a file for each part, a case a line; the exit code is as in prepare.py.

    Args:
        documentation: the generator's docstring, whose first line describes it.
        make_cases: the generator.
        describe: lines about the training and the test cases, such as a baseline, to be printed.
        n_train: the default of --train.
        n_validation: the default of --validation.
        n_test: the default of --test.
        argv: the command line, by default that of the process.
    """
    script = Path(sys.argv[0]).name
    parser = OneLineParser(
        prog=script, description=documentation.splitlines()[0], allow_abbrev=False
    )
    for part, size in (("train", n_train), ("validation", n_validation), ("test", n_test)):
        parser.add_argument(
            f"--{part}", type=int, default=size, metavar="N", help="cases (default: %(default)s)"
        )
    parser.add_argument(
        "--seed", type=int, default=0, help="same seed, same cases (default: %(default)s)"
    )
    parser.add_argument(
        "--output",
        type=Path,
        metavar="FOLDER",
        default=Path("prepared", Path(script).stem),
        help="where the .jsonl files go (default: %(default)s)",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace files that are there")
    parser.add_argument("--quiet", action="store_true", help="no summary")
    arguments = parser.parse_args(argv)
    output: Path = arguments.output
    if output.exists() and not output.is_dir():
        parser.error(f"--output {output} is a file: name a folder")
    there = [name for name in FILES if (output / name).exists()]
    if there and not arguments.overwrite:
        parser.error(
            f"{output} already holds {', '.join(there)}: "
            "pass --overwrite to replace them, or another --output"
        )
    try:
        sizes = arguments.train, arguments.validation, arguments.test
        train, validation, test = parts = make_cases(*sizes, arguments.seed)
        write_parts(output, parts)
        if not arguments.quiet:
            if isinstance(sys.stdout, io.TextIOWrapper):  # a console without Chinese
                sys.stdout.reconfigure(errors="backslashreplace")
            print(
                f"{len(train):,} training cases, {len(validation):,} validation cases, "
                f"{len(test):,} test cases: {output}"
            )
            print(*describe(train, test), sep="\n", flush=True)
    except BrokenPipeError:  # whoever reads has gone: no word about it at the end either
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (OSError, ValueError) as error:
        # Arguments of make_cases by the names that they have on the command line.
        message = re.sub(r"\b(?:n_)?(train|validation|test|seed)\b(?= must|=)", r"--\1", str(error))
        print(f"{script}: error: {message}", file=sys.stderr)
        return 2 if isinstance(error, ValueError) else 1
    except KeyboardInterrupt:
        print(f"{script}: stopped by Ctrl-C", file=sys.stderr)
        return 130
    return 0


def write_parts(folder: Path, parts: Parts[Any]) -> None:
    """The files as UTF-8, one JSON object a line with the fields of a case; all or none."""
    with replacing_files(folder, last=FILES[0]) as new:
        for name, cases in zip(FILES, parts, strict=True):
            with replacing(new / name) as file:
                for case in cases:
                    line = json.dumps(dataclasses.asdict(case), ensure_ascii=False)
                    file.write(line.encode("utf-8") + b"\n")
