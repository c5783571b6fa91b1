"""Corpora by name, and any UTF-8 file or folder by its path."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from minigpt import checks
from minigpt.chunks import text_chunks
from minigpt.datasets.corpora.download import RemoteFile, fetch
from minigpt.datasets.corpora.python import python_docs, python_stdlib, unicode_names
from minigpt.datasets.corpora.text import check_suffixes, folder_files, iter_file, iter_files
from minigpt.datasets.errors import TextError

CHUNK_CHARS = 1 << 20
MAX_LOAD_BYTES = 2**30

TINY_SHAKESPEARE = RemoteFile(
    name="tinyshakespeare.txt",
    url="https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt",
    size=1_115_394,
    sha256="86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
)


@dataclass(frozen=True)
class Corpus:
    """A text with a name: what it is, where it comes from, and how to read it piece by piece.

    Attributes:
        name: by which :func:`load_text` knows it.
        description: what it is.
        origin: where it comes from.
        licence: under which it may be used.
        loader: gives the text piece by piece.

    Example:
        >>> corpus = get_corpus("unicode-names")
        >>> corpus.description
        "the names of Unicode's characters, one a line"
        >>> next(iter(corpus.loader())).strip()
        'SPACE'
    """

    name: str
    description: str
    origin: str
    licence: str
    loader: Callable[[], Iterable[str]]


_CORPORA = {
    corpus.name: corpus
    for corpus in (
        Corpus(
            name="python-docs",
            description="the language reference's prose, as help() shows it",
            origin="pydoc_data.topics of the running Python",
            licence="PSF License 2.0",
            loader=python_docs,
        ),
        Corpus(
            name="python-stdlib",
            description="the standard library's source, without its tests",
            origin="the folder of the running Python's standard library",
            licence="PSF License 2.0, some modules under licences of their own",
            loader=python_stdlib,
        ),
        Corpus(
            name="unicode-names",
            description="the names of Unicode's characters, one a line",
            origin="unicodedata of the running Python",
            licence="Unicode License v3",
            loader=unicode_names,
        ),
        Corpus(
            name="shakespeare",
            description="40,000 lines of Shakespeare's plays, the corpus of nanoGPT",
            origin=TINY_SHAKESPEARE.url,
            licence="public domain",
            loader=lambda: iter_file(fetch(TINY_SHAKESPEARE), CHUNK_CHARS),
        ),
    )
}


def corpora() -> tuple[str, ...]:
    """The names of the corpora.

    Example:
        >>> corpora()
        ('python-docs', 'python-stdlib', 'unicode-names', 'shakespeare')
    """
    return tuple(_CORPORA)


def get_corpus(name: str) -> Corpus:
    """The corpus of that ``name``.

    Raises:
        ValueError: there is none; the error lists those there are.

    Example:
        >>> get_corpus("python-docs").licence
        'PSF License 2.0'
    """
    checks.text("name", name)
    if name not in _CORPORA:
        raise checks.wrong_value("name", f"that of a corpus, {', '.join(_CORPORA)}", name)
    return _CORPORA[name]


def iter_text(
    name_or_path: str | os.PathLike[str],
    chunk_chars: int = CHUNK_CHARS,
    suffixes: Iterable[str] | None = None,
) -> Iterator[str]:
    """A corpus, a file or a folder in pieces of at most ``chunk_chars`` characters: for any size.

    A ``name_or_path`` that is the name of a corpus is that corpus (write ``./shakespeare`` for a
    file of that name). The rules of reading are those of ``minigpt.datasets.text``: strict UTF-8,
    every end of line becomes a line feed. ``suffixes`` such as ``[".txt"]`` choose among a folder's
    files.

    Raises:
        FileNotFoundError: it is neither a corpus nor a path.
        TextError: it holds no text, or bytes that are not UTF-8 (an OSError and a ValueError).
        CorpusError: the corpus cannot be had.

    Example:
        >>> pieces = iter_text("python-docs", chunk_chars=10)
        >>> len(next(pieces))
        10
    """
    chunk_chars = checks.integer("chunk_chars", chunk_chars, least=1)
    if isinstance(name_or_path, str) and name_or_path in _CORPORA:
        if suffixes is not None:
            raise ValueError(f"suffixes are for folders: {name_or_path!r} is a corpus")
        return text_chunks(_CORPORA[name_or_path].loader(), chunk_chars)
    path, files = _find_files(name_or_path, suffixes)
    pieces = iter_files(files, chunk_chars) if path.is_dir() else iter_file(path, chunk_chars)
    return _not_empty(pieces, path)


def load_text(
    name_or_path: str | os.PathLike[str],
    suffixes: Iterable[str] | None = None,
    max_bytes: int = MAX_LOAD_BYTES,
) -> str:
    """The whole text of a corpus, a file or a folder, by the rules of :func:`iter_text`.

    Raises:
        TextError: as :func:`iter_text`, and where the files are larger than ``max_bytes`` together.

    Example:
        >>> "assert" in load_text("python-docs")
        True
    """
    max_bytes = checks.integer("max_bytes", max_bytes, least=1)
    if not (isinstance(name_or_path, str) and name_or_path in _CORPORA):
        size = sum(file.stat().st_size for file in _find_files(name_or_path, suffixes)[1])
        if size > max_bytes:
            raise TextError(
                f"{os.fspath(name_or_path)} holds {size:,} bytes, more than "
                f"max_bytes={max_bytes:,}: read it in pieces with iter_text, or raise max_bytes"
            )
    pieces, n_characters = [], 0
    for piece in iter_text(name_or_path, suffixes=suffixes):
        n_characters += len(piece)
        if n_characters > max_bytes:  # some files of the kernel do not say how large they are
            raise TextError(
                f"{os.fspath(name_or_path)} holds more than max_bytes={max_bytes:,}: read it in "
                "pieces with iter_text, or raise max_bytes"
            )
        pieces.append(piece)
    return "".join(pieces)


def _find_files(
    name_or_path: str | os.PathLike[str], suffixes: Iterable[str] | None
) -> tuple[Path, list[Path]]:
    """The path, and the files to read: itself, or those in the folder."""
    if not isinstance(name_or_path, (str, os.PathLike)):
        raise checks.wrong_type("name_or_path", "a corpus's name or a path", name_or_path)
    name = os.fspath(name_or_path)
    if not name:
        raise ValueError(f"name_or_path is empty: pass a path or one of {', '.join(_CORPORA)}")
    path = Path(name)
    if not _exists(path):
        raise FileNotFoundError(_not_found(name))
    if path.is_dir():
        chosen = None if suffixes is None else check_suffixes(suffixes)
        files = folder_files(path, chosen)
        if not files:
            of_kind = "" if chosen is None else f" whose names end with {' or '.join(chosen)}"
            raise TextError(
                f"the folder {path} holds no files{of_kind}; links out of it do not count"
            )
        return path, files
    if suffixes is not None:
        raise ValueError(f"suffixes are for folders: {path} is a file")
    if not path.is_file():
        raise TextError(f"{path} is not a regular file: save the text to a file first")
    return path, [path]


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # a name that is too long, or holds a NUL: no such file
        return False


def _not_found(name: str) -> str:
    shown = name if len(name) <= 80 else name[:77] + "..."
    import difflib  # only for the mend of a misspelt name

    close = difflib.get_close_matches(name.lower(), _CORPORA, n=1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    if "://" in name:
        hint = "download the page first and pass the file; "
    known = f"{hint}the corpora are {', '.join(_CORPORA)}"
    return f"{shown!r} is not a file, a folder or a corpus: {known}"


def _not_empty(pieces: Iterable[str], path: Path) -> Iterator[str]:
    empty = True
    for piece in pieces:
        empty = False
        yield piece
    if empty:
        raise TextError(f"{path} holds no text: it is empty")
