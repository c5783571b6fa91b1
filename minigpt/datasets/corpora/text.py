r"""Text out of files and folders, the same on every operating system.

The rules: bytes are UTF-8, strictly. A byte order mark at the beginning is dropped. ``\r\n`` and
``\r`` become ``\n``, as in Python's text mode, so that a text has one vocabulary whatever wrote it.
Everything else is kept as it is.

A folder is all its files in the order of their paths. Hidden files and folders (``.git``),
``__pycache__``, empty files, links to folders and links to files outside are left out; a file that
does not end with a new line gets one, so that the next begins on a line of its own.
"""

from __future__ import annotations

import codecs
import io
import os
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import IO

from minigpt import checks
from minigpt.datasets.errors import TextError
from minigpt.regular_files import open_regular, read_now

MAX_READ_BYTES = 1 << 22
# What other programs put first in files that are not UTF-8.
FOREIGN_MARKS = {
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}


def iter_file(path: Path, chunk_chars: int) -> Iterator[str]:
    """The text of a file in pieces of at most ``chunk_chars`` characters; none for an empty file.

    Raises:
        TextError: a byte is not UTF-8; the error names the file and the byte's offset.
    """
    decoder = codecs.getincrementaldecoder("utf-8")("strict")
    newlines = io.IncrementalNewlineDecoder(None, translate=True)
    read = 0  # bytes given to the decoder
    begun = False
    with _open(path) as file:
        while True:
            chunk = _read(file, min(chunk_chars, MAX_READ_BYTES), path)
            pending = len(
                decoder.getstate()[0]
            )  # the beginning of a character, from the chunk before
            try:
                decoded = decoder.decode(chunk, final=not chunk)
            except UnicodeDecodeError as error:
                offset = read - pending + error.start
                message = _not_utf8(path, offset, error.object[error.start], chunk, read == 0)
                raise TextError(message) from None
            read += len(chunk)
            if decoded and not begun:
                begun = True
                decoded = decoded.removeprefix("\ufeff")
            text = newlines.decode(decoded, final=not chunk)
            for start in range(0, len(text), chunk_chars):
                yield text[start : start + chunk_chars]
            if not chunk:
                return


def folder_files(
    folder: Path,
    suffixes: Iterable[str] | None = None,
    skipped_folders: Collection[str] = (),
    links_out: bool = False,
) -> list[Path]:
    """The files of a folder and its subfolders in the order of their paths written with ``/``.

    ``suffixes`` such as ``(".txt", ".md")`` keep only the files whose names end with one of them,
    and folders with a name of ``skipped_folders`` are not looked into. Links to files outside of
    the folder are left out, except with ``links_out``.
    """
    inside = folder.resolve()
    wanted = check_suffixes(suffixes)
    skipped = {"__pycache__", *skipped_folders}
    found: list[tuple[str, Path]] = []
    for parent, folders, names in os.walk(folder, onerror=_raise):
        folders[:] = [name for name in folders if name not in skipped and name[0] != "."]
        for name in names:
            path = Path(parent, name)
            # Only regular files: reading a pipe or a device would wait for ever.
            if name[0] == "." or not name.lower().endswith(wanted) or not path.is_file():
                continue
            if links_out or not path.is_symlink() or path.resolve().is_relative_to(inside):
                found.append((path.relative_to(folder).as_posix(), path))
    return [path for _, path in sorted(found)]


def iter_files(paths: Iterable[Path], chunk_chars: int) -> Iterator[str]:
    """The texts of several files one after the other, each ending with a new line."""
    for path in paths:
        piece = ""
        try:
            for piece in iter_file(path, chunk_chars):
                yield piece
        except TextError as error:
            raise TextError(
                f"{error}, or choose the files that are text by suffixes, for example ['.txt']"
            ) from None
        if piece and not piece.endswith("\n"):
            yield "\n"


def check_suffixes(suffixes: Iterable[str] | None) -> tuple[str, ...]:
    """Suffixes in lower case; for None ``("",)``, which every name ends with."""
    if suffixes is None:
        return ("",)
    checked = checks.items("suffixes", suffixes, "a list such as ['.txt']")
    for suffix in checked:
        checks.text("suffixes: each", suffix)
        if len(suffix) < 2 or suffix[0] != ".":
            raise checks.wrong_value(
                "suffixes: each", "a dot and more", suffix, "for example '.txt'"
            )
    if not checked:
        raise ValueError("suffixes is empty: pass None for all files, or for example ['.txt']")
    return tuple(suffix.lower() for suffix in checked)


def _open(path: Path) -> IO[bytes]:
    try:
        return open_regular(path)
    except ValueError as error:
        raise TextError(f"{path}: {error}") from None


def _read(file: IO[bytes], n_bytes: int, path: Path) -> bytes:
    try:
        return read_now(file, n_bytes)
    except ValueError as error:
        raise TextError(f"{path}: {error}") from None


def _not_utf8(path: Path, offset: int, byte: int, chunk: bytes, is_first: bool) -> str:
    message = f"{path} is not UTF-8: byte 0x{byte:02x} at offset {offset:,}"
    foreign = None
    if is_first:
        foreign = next((n for mark, n in FOREIGN_MARKS.items() if chunk.startswith(mark)), None)
    if foreign:
        return f"{message}; it looks like {foreign}: save it as UTF-8"
    return f"{message}: save it as UTF-8"


def _raise(error: OSError) -> None:
    raise error
