"""Reading files that should hold a tokenizer, and may hold anything."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

MAX_FILE_BYTES = 64 * 2**20  # a vocabulary of 250,000 tokens with its merges takes about 15 MB


class TokenizerFileError(OSError, ValueError):
    """A file that is not a tokenizer's."""


def read_text(path: Path) -> str:
    """The text of a regular file of at most MAX_FILE_BYTES in UTF-8.

    Raises:
        FileNotFoundError: there is no such file.
        TokenizerFileError: it is none of a tokenizer's.
    """
    if path.exists() and not path.is_file():
        raise TokenizerFileError(f"{path} is not a regular file: pass the tokenizer's JSON file")
    with open(path, "rb") as file:
        content = file.read(MAX_FILE_BYTES + 1)
    if len(content) > MAX_FILE_BYTES:
        raise TokenizerFileError(
            f"{path} is larger than {MAX_FILE_BYTES:,} bytes: it is not a tokenizer's file"
        )
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise TokenizerFileError(f"{path} is not in UTF-8: {error}") from None


def read_json(path: Path) -> Any:
    """What is in a JSON file; a key that stands twice in an object is an error.

    Raises:
        FileNotFoundError: there is no such file.
        TokenizerFileError: it is not JSON in UTF-8, or larger than MAX_FILE_BYTES.
    """
    text = read_text(path)
    try:
        return json.loads(text, object_pairs_hook=_without_duplicates)
    except (ValueError, RecursionError) as error:
        raise TokenizerFileError(f"{path} is not JSON in UTF-8: {error}") from None


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"the key {twice!r:.80} stands twice in one object")
    return found
