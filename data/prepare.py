"""Turn a corpus, a file or a folder into token files, with the tokenizer that made them.

    python data/prepare.py shakespeare
    python data/prepare.py my_texts/ --suffix .txt --output prepared/mine
    python data/prepare.py python-stdlib --tokenizer bpe --vocab-size 8192
    python data/prepare.py shakespeare --tokenizer gpt2

writes ``train.npy``, ``val.npy`` and ``tokenizer.json`` into the output folder. The text is read
twice (for the tokenizer, then to encode it) and never held in memory, so it may be of any size.
"""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any, NoReturn

from minigpt import checks
from minigpt.atomic_folder import replacing_files
from minigpt.datasets import corpora, iter_text, split_point, token_writer
from minigpt.interop import pretrained_folder
from minigpt.models.published_tokenizer import load_tokenizer
from minigpt.progress_bar import ProgressBar
from minigpt.tokenizers import BPETokenizer, CharTokenizer, Tokenizer

VOCAB_SIZE = 8192
FILES = ("train.npy", "val.npy", "tokenizer.json")


def train_char(pieces: Iterable[str], arguments: argparse.Namespace) -> Tokenizer:
    """A character tokenizer of all the characters of the text."""
    return CharTokenizer.train(pieces, unknown_token=arguments.unknown_token)


def train_bpe(pieces: Iterable[str], arguments: argparse.Namespace) -> Tokenizer:
    """Byte pairs, learned from the whole text."""
    size = arguments.vocab_size or VOCAB_SIZE
    return BPETokenizer.train(pieces, size, progress=not arguments.quiet)


# --tokenizer NAME: how to make one from the text. Any other name is of one that is there.
TOKENIZERS: dict[str, Callable[[Iterable[str], argparse.Namespace], Tokenizer]] = {
    "bpe": train_bpe,
    "char": train_char,
}
# --special: what the name of a special token in the text is, such as <|endoftext|>.
SPECIAL: dict[str, dict[str, Any]] = {
    "refuse": {},
    "text": {"disallowed_special": ()},
    "token": {"allowed_special": "all"},
}


def published_tokenizer(name: str) -> Tokenizer:
    """The tokenizer of a file, of a model's folder, or of a model on the Hub."""
    if Path(name).is_file():
        return load_tokenizer(name)
    return load_tokenizer(pretrained_folder(name, weights=False))


class OneLineParser(argparse.ArgumentParser):
    """A parser that says what is wrong in one line, and exits with 2."""

    def error(self, message: str) -> NoReturn:
        """Print ``message`` alone: ``--help`` shows the usage."""
        self.exit(2, f"{self.prog}: error: {message}\n")


def parse_arguments(argv: list[str] | None) -> argparse.Namespace:
    """The command line, checked as far as that is possible without reading the text."""
    parser = OneLineParser(
        prog="prepare.py",
        description="Turn a corpus, a file or a folder of UTF-8 text into token files.",
        epilog=f"Corpora: {', '.join(corpora())}. data/README.md describes them.",
        allow_abbrev=False,
    )
    parser.add_argument("text", help="a corpus's name, or the path of a file or a folder")
    parser.add_argument(
        "--output",
        type=Path,
        metavar="FOLDER",
        help="where the three files go (default: prepared/NAME of the text)",
    )
    parser.add_argument(
        "--tokenizer",
        default="char",
        metavar="NAME",
        help="char or bpe, learned from the text; or a published one: gpt2, owner/name, a folder, "
        "or a tokenizer's JSON file (default: %(default)s)",
    )
    parser.add_argument(
        "--special",
        choices=SPECIAL,
        default="refuse",
        help="what the name of a special token in the text is: an error, text like any other, or "
        "that token (default: %(default)s)",
    )
    parser.add_argument(
        "--vocab-size",
        type=int,
        metavar="N",
        help=f"of the byte pairs (default: {VOCAB_SIZE}, with --tokenizer bpe)",
    )
    parser.add_argument(
        "--val-fraction",
        type=float,
        default=0.1,
        metavar="F",
        help="the last part of the text, for validation (default: %(default)s)",
    )
    parser.add_argument(
        "--unknown-token",
        metavar="NAME",
        help="add a token, such as '<unk>', for characters that the text does not have",
    )
    parser.add_argument(
        "--suffix",
        action="append",
        metavar=".EXT",
        help="of a folder, only files that end so; may be given several times",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace files that are there")
    parser.add_argument("--quiet", action="store_true", help="no progress bar and no summary")
    arguments = parser.parse_args(argv)
    if not 0 < arguments.val_fraction < 1:  # refuses NaN too
        parser.error(
            f"--val-fraction {arguments.val_fraction} must be between 0 and 1, for example 0.1"
        )
    learned = arguments.tokenizer in TOKENIZERS
    if not learned and arguments.unknown_token is not None:
        parser.error("--unknown-token is for --tokenizer char: others have the tokens they have")
    if arguments.tokenizer == "bpe":
        if arguments.unknown_token is not None:
            parser.error("--unknown-token is for --tokenizer char: byte pairs know every character")
        if arguments.vocab_size is not None and arguments.vocab_size < 256:
            parser.error(f"--vocab-size {arguments.vocab_size} must be at least 256: all the bytes")
    elif arguments.vocab_size is not None:
        parser.error("--vocab-size is of byte pairs: add --tokenizer bpe")
    if not arguments.text:
        parser.error(f"text is empty: name a file, a folder or one of {', '.join(corpora())}")
    for name in ("text", "output", "tokenizer"):
        if getattr(arguments, name) is not None:
            try:
                checks.path(name, getattr(arguments, name))
            except ValueError as error:
                parser.error(str(error))
    if arguments.output is None:
        arguments.output = Path("prepared", default_name(arguments.text))
    check_output(parser, arguments)
    return arguments


def default_name(text: str) -> str:
    """The name of the output folder where none was given."""
    if text in corpora():
        return text
    path = Path(text).resolve()
    return (path.name if path.is_dir() else path.stem) or "text"


def check_output(parser: OneLineParser, arguments: argparse.Namespace) -> None:
    """Refuse an output folder where something would be lost, or be read as text the next time."""
    output, text = arguments.output, Path(arguments.text).resolve()
    if output.exists() and not output.is_dir():
        parser.error(f"--output {output} is a file: name a folder")
    is_folder = arguments.text not in corpora() and text.is_dir()
    if is_folder and output.resolve().is_relative_to(text):
        parser.error(f"--output {output} is inside {arguments.text}: name a folder outside of it")
    there = [name for name in FILES if (arguments.output / name).exists()]
    if there and not arguments.overwrite:
        parser.error(
            f"{arguments.output} already holds {', '.join(there)}: "
            "pass --overwrite to replace them, or another --output"
        )


def progress(
    pieces: Iterable[str], what: str, total: int | None, quiet: bool, counted: list[int]
) -> Iterator[str]:
    """The pieces as they are, under a bar; ``counted[0]`` is the number of characters so far."""
    with ProgressBar(total, what, "char", shown=not quiet, large=True) as bar:
        for piece in pieces:
            counted[0] += len(piece)
            yield piece
            bar.update(len(piece))


def prepare(arguments: argparse.Namespace) -> str:
    """Write the three files; returns one line that sums them up."""

    def pieces(what: str, total: int | None, counted: list[int]) -> Iterator[str]:
        text = iter_text(arguments.text, suffixes=arguments.suffix)
        # Learning byte pairs shows a bar of its own.
        quiet = arguments.quiet or (what == "reading" and arguments.tokenizer == "bpe")
        return progress(text, what, total, quiet, counted)

    counted = [0]
    reading = pieces("reading", None, counted)
    if arguments.tokenizer in TOKENIZERS:
        tokenizer = TOKENIZERS[arguments.tokenizer](reading, arguments)
    else:
        tokenizer = published_tokenizer(arguments.tokenizer)
        deque(reading, maxlen=0)  # only counts the characters
    cut = split_point(counted[0], arguments.val_fraction)  # characters of the training part

    output: Path = arguments.output
    again = [0]
    with (
        replacing_files(output, last=FILES[2]) as new,  # all three appear when all is well, or none
        token_writer(new / FILES[0], tokenizer.vocab_size) as train,
        token_writer(new / FILES[1], tokenizer.vocab_size) as val,
    ):
        text = pieces("encoding", counted[0], again)
        rest: list[str] = []  # what the piece across the cut leaves for the validation part
        special = SPECIAL[arguments.special]
        for ids in tokenizer.encode_arrays(take_characters(text, cut, rest), **special):
            train.write(ids)
        for ids in tokenizer.encode_arrays(chain(rest, text), **special):
            val.write(ids)
        if again != counted:
            raise ValueError(f"{arguments.text} changed while it was read: run this again")
        tokenizer.save(new / FILES[2])
    return (
        f"{tokens(train.count, 'training')}, {tokens(val.count, 'validation')}, "
        f"{tokenizer.vocab_size:,} in the vocabulary: {output}"
    )


def tokens(count: int, kind: str) -> str:
    """``1 training token``, ``2,000 training tokens``."""
    return f"{count:,} {kind} token{'s' if count != 1 else ''}"


def take_characters(pieces: Iterator[str], count: int, rest: list[str]) -> Iterator[str]:
    """The first ``count`` characters; what the last piece has beyond them goes to ``rest``."""
    for piece in pieces:
        yield piece[:count]
        if len(piece) >= count:
            rest.append(piece[count:])
            return
        count -= len(piece)


def main(argv: list[str] | None = None) -> int:
    """Run the script; the exit code is 2 for wrong arguments, 1 for failures."""
    arguments = parse_arguments(argv)
    try:
        with warnings.catch_warnings():
            warnings.showwarning = lambda message, *_, **__: print(
                f"prepare.py: {message}", file=sys.stderr
            )
            summary = prepare(arguments)
    except (OSError, ValueError) as error:
        print(f"prepare.py: error: {error}", file=sys.stderr)
        return 2 if isinstance(error, (ValueError, FileNotFoundError)) else 1
    except KeyboardInterrupt:
        print("prepare.py: stopped, nothing was written", file=sys.stderr)
        return 130
    if not arguments.quiet:
        try:
            print(summary, flush=True)
        except BrokenPipeError:  # whoever reads has gone: no word about it at the end either
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
