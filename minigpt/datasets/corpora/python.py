"""Text that every Python carries: its documentation, its library, and the names of Unicode."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

from minigpt.datasets.corpora.text import folder_files, iter_file
from minigpt.datasets.errors import CorpusError, TextError

# Installed packages, tests, and python-docs, so that a model of the library has not seen it.
SKIPPED_FOLDERS = {
    "site-packages",
    "dist-packages",
    "test",
    "tests",
    "idle_test",
    "pydoc_data",
}
# Written when this Python was built, with the paths of the machine that built it.
BUILD_RECORDS = ("_sysconfigdata", "python-config")
# Names made by rule out of the code point (Unicode Standard, §4.8, NR1 and NR2): 100,000 lines
# that teach nothing but counting.
NAMES_MADE_BY_RULE = (
    "CJK UNIFIED IDEOGRAPH-",
    "CJK COMPATIBILITY IDEOGRAPH-",
    "HANGUL SYLLABLE ",
    "KHITAN SMALL SCRIPT CHARACTER-",
    "NUSHU CHARACTER-",
    "TANGUT IDEOGRAPH-",
)
READ_CHARS = 1 << 20


def python_docs() -> Iterator[str]:
    """The topics that ``help()`` shows, in the order of their names, an empty line after each.

    Raises:
        CorpusError: this Python came without ``pydoc_data``.
    """
    try:
        topics: dict[str, str] = importlib.import_module("pydoc_data.topics").topics
    except ImportError as error:
        raise CorpusError(
            f"this Python has no pydoc_data, which 'python-docs' is made of ({error}): "
            "install the full Python, or use another corpus"
        ) from None
    for name in sorted(topics):
        yield topics[name].strip("\n") + "\n\n"


def python_stdlib() -> Iterator[str]:
    """The source of the running Python's standard library, file by file in the order of the paths.

    Tests, installed packages, build records and the few files that are not UTF-8 are left out.

    Raises:
        CorpusError: the library is not there as source files.
    """
    import sysconfig

    library = Path(sysconfig.get_path("stdlib"))
    files = (
        folder_files(library, [".py"], SKIPPED_FOLDERS, links_out=True) if library.is_dir() else []
    )
    found = False
    for path in files:
        if path.name.startswith(BUILD_RECORDS):
            continue
        try:
            source = "".join(iter_file(path, READ_CHARS))
        except TextError:
            continue
        if source:
            found = True
            yield source if source.endswith("\n") else source + "\n"
    if not found:
        raise CorpusError(
            f"the standard library's source is not in {library}, which 'python-stdlib' is made of: "
            "install the full Python, or use another corpus"
        )


def unicode_names() -> Iterator[str]:
    """The names of the characters in the order of their code points, one a line."""
    import unicodedata  # a megabyte that only this corpus needs

    for code_point in range(sys.maxunicode + 1):
        name = unicodedata.name(chr(code_point), "")
        if name and not name.startswith(NAMES_MADE_BY_RULE):
            yield name + "\n"
