"""What the command lines of the examples share: arguments, and one line for every failure."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from minigpt.atomic import replacing
from minigpt.launcher import end_the_job, is_known_to_all, launched
from minigpt.progress_bar import say
from minigpt.training.ranks import Ranks

PARTS = ("validation", "test")
Part = TypeVar("Part")


class Parser(argparse.ArgumentParser):
    """A parser that shows the defaults in ``--help``, and what is wrong in one line.

    Args:
        documentation: the script's docstring, whose first line describes it.
    """

    def __init__(self, documentation: str) -> None:
        description = documentation.splitlines()[0]
        super().__init__(description=description, formatter_class=_Help, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        """Print only ``message``, and exit with 2."""
        self.exit(2, f"{self.prog}: error: {message}\n")

    def add_gpt(
        self, *, n_layer: int, n_head: int, n_embd: int, block_size: int, group: Any = None
    ) -> None:
        """The sizes of a GPT, with these defaults."""
        add = (group or self).add_argument
        add("--n-layer", type=at_least(1), default=n_layer, help="blocks")
        add("--n-head", type=at_least(1), default=n_head, help="attention heads in a block")
        add("--n-embd", type=at_least(1), default=n_embd, help="width")
        add("--block-size", type=at_least(1), default=block_size, help="context, in tokens")

    def add_training(
        self,
        *,
        steps: int,
        batch_size: int,
        learning_rate: float | None,
        highest: str = "the highest",
        group: Any = None,
    ) -> None:
        """How long to train, on how much at once, and how fast, with these defaults."""
        add = (group or self).add_argument
        add("--steps", type=at_least(1), default=steps, help="optimizer steps")
        add("--batch-size", type=at_least(1), default=batch_size, help="sequences in a batch")
        add("--learning-rate", type=float, default=learning_rate, help=highest)

    def add_seed(self, of: str = "everything") -> None:
        """The seed of all that is random."""
        self.add_argument("--seed", type=at_least(0), default=0, help=f"of {of}")

    def add_report(self) -> None:
        """On which part the figures are measured, and a file to keep them in.

        A setting that was chosen by the test makes the test's figures too good: what is chosen is
        chosen by the validation part, and what is told to others is measured on the test, once.
        """
        add = self.add_argument
        add("--report", choices=PARTS, default="test", help="validation: to choose settings by")
        add("--figures", type=_new_file, metavar="FILE", help="keep them there, as JSON")

    def add_output(self, folder: str, *, is_run: bool = True) -> None:
        """Where the results go: a run's folder, which may be replaced, or any; and the bar."""
        name = "the run's folder" if is_run else "folder"
        self.add_argument("--output", type=Path, default=Path(folder), help=name)
        if is_run:
            self.add_argument(
                "--overwrite", action="store_true", help="replace the run in --output"
            )
        self.add_argument("--quiet", action="store_true", help="no bar")

    def given(self) -> list[str]:
        """The names of the arguments that stand on the command line, defaults left out."""
        # argparse puts a default only where the namespace has nothing yet.
        empty = argparse.Namespace(**dict.fromkeys(vars(self.parse_args())))
        found = vars(self.parse_args(namespace=empty))
        return [name for name, value in found.items() if value is not None]


class _Help(argparse.ArgumentDefaultsHelpFormatter):
    """Defaults are shown, but for those that say nothing: None, and False of a switch."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        if action.default is None or action.default is False:
            return action.help
        return super()._get_help_string(action)


def at_least(least: int) -> Callable[[str], int]:
    """The type of an argument that is an integer of at least ``least``."""

    def integer(value: str) -> int:
        try:
            number = int(value)
        except ValueError:
            number = least - 1
        if number < least:
            raise argparse.ArgumentTypeError(f"must be an integer of at least {least}: got {value}")
        return number

    return integer


def _new_file(value: str) -> Path:
    """The type of an argument that names a file to write, in a folder that is there."""
    path = Path(value)
    if path.is_dir() or not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"must be a file in a folder that is there: got {value}")
    return path


@contextmanager
def one_line_errors() -> Iterator[None]:
    """As ``@one_line_errors()`` on a ``main``: failures become one line on stderr.

    The exit code is 2 where what was asked for is wrong, 1 for other failures, 130 after Ctrl-C.
    A reader of the output that goes away, as ``| head`` does, ends the script without a word. Where
    stderr cannot be written, the script goes on without.

    Of the processes that ``mpiexec`` has started, the first prints for all. An error that one of
    them has ends the others too.
    """
    script = Path(sys.argv[0]).name

    def complain(message: object) -> None:
        say(f"{script}: {' '.join(str(message).splitlines())}")
        with suppress(OSError):
            _flush(sys.stderr)

    def end(code: int, error: BaseException, message: str = "") -> NoReturn:
        rank, count = launched()
        everywhere = is_known_to_all(error) or isinstance(error, KeyboardInterrupt)
        if count > 1 and (not everywhere or Ranks.of_this_job().has_lost_others):
            if rank > 0:
                time.sleep(1)  # if all ranks have this error, the first has told it by now
                message = f"rank {rank}: {message}"
            complain(message)
            end_the_job(code)
        if message and rank == 0:
            complain(message)
        sys.exit(code)

    try:
        with one_voice(), warnings.catch_warnings():
            warnings.showwarning = lambda message, *_, **__: complain(message)
            try:
                yield
            finally:
                with suppress(OSError):
                    _flush(sys.stderr)
                _flush(sys.stdout)
    except BrokenPipeError as error:
        end(1, error)
    except KeyboardInterrupt as stop:
        end(130, stop, str(stop) or "stopped by Ctrl-C")
    except (ValueError, TypeError, ArithmeticError, OSError, ImportError, MemoryError) as error:
        wrong = isinstance(error, (ValueError, TypeError, FileNotFoundError))
        end(2 if wrong else 1, error, f"error: {error if error.args else type(error).__name__}")


@contextmanager
def one_voice() -> Iterator[None]:
    """Only the first of several ranks prints inside; a single process does as always."""
    if Ranks.of_this_job().is_first:
        yield
        return
    with (
        open(os.devnull, "w", encoding="utf-8") as nowhere,
        redirect_stdout(nowhere),
        redirect_stderr(nowhere),
    ):
        yield


def _flush(stream: Any) -> None:
    """Write out what was printed: here, not when Python shuts down and no error can be caught.

    Raises:
        OSError: it cannot be written.
    """
    if stream is not None:  # closed before Python began
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())  # for what is left
            raise


def reported(args: argparse.Namespace, validation: Part, test: Part) -> Part:
    """The part that ``--report`` names."""
    return dict(zip(PARTS, (validation, test), strict=True))[args.report]


def keep_figures(args: argparse.Namespace, figures: Mapping[str, float]) -> None:
    """What a script has measured, and the settings that it had, in the file of ``--figures``.

    A figure is a share of what is right, unless its name ends with "loss" or "bits per byte".
    """
    if args.figures is not None:
        numbers = {name: float(figure) for name, figure in figures.items()}
        kept = {"figures": numbers, "settings": vars(args)}
        with replacing(args.figures) as file:
            file.write(json.dumps(kept, indent=1, default=str).encode())


def count(number: int, noun: str) -> str:
    """``1 step``, ``2,000 steps``."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
