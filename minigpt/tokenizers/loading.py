"""Tokenizers out of files, which are never trusted."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from minigpt.tokenizers.base import Tokenizer
from minigpt.tokenizers.char import CharTokenizer

# A new kind of tokenizer is one more entry here.
TOKENIZER_TYPES: dict[str, type[Tokenizer]] = {
    CharTokenizer.type_name: CharTokenizer,
}

MAX_FILE_BYTES = 64 * 2**20  # a vocabulary of 250,000 tokens with its merges takes about 15 MB


class TokenizerFileError(OSError, ValueError):
    """A file that is not a tokenizer's."""


def tokenizer_from_dict(data: Mapping[str, Any]) -> Tokenizer:
    """The tokenizer that ``to_dict()`` described.

    Raises:
        TypeError: ``data`` is not a mapping.
        ValueError: its type is not known, or something in it is not sound.

    Example:
        >>> tokenizer = tokenizer_from_dict(CharTokenizer.train("abc").to_dict())
        >>> tokenizer.encode("cab")
        [2, 0, 1]
    """
    if not isinstance(data, Mapping):
        raise TypeError(f"a tokenizer's description must be a dict: got {type(data).__name__}")
    if "type" not in data:
        raise ValueError(f"the tokenizer's description has no 'type': known are {_known()}")
    kind = data["type"]
    if not isinstance(kind, str) or kind not in TOKENIZER_TYPES:
        raise ValueError(f"type {kind!r:.80} of the tokenizer is not known: known are {_known()}")
    return TOKENIZER_TYPES[kind].from_dict(dict(data))


def load_tokenizer(path: str | os.PathLike[str]) -> Tokenizer:
    """The tokenizer that ``save(path)`` wrote.

    Raises:
        FileNotFoundError: there is no such file.
        TokenizerFileError: it is not a tokenizer's file, or damaged (an OSError and a ValueError).
    """
    file_path = Path(path)
    if file_path.exists() and not file_path.is_file():
        raise TokenizerFileError(
            f"{file_path} is not a regular file: pass the tokenizer's JSON file"
        )
    with open(file_path, "rb") as file:
        content = file.read(MAX_FILE_BYTES + 1)
    if len(content) > MAX_FILE_BYTES:
        raise TokenizerFileError(
            f"{file_path} is larger than {MAX_FILE_BYTES:,} bytes: it is not a tokenizer's file"
        )
    try:
        data = json.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise TokenizerFileError(f"{file_path} is not JSON in UTF-8: {error}") from None
    try:
        return tokenizer_from_dict(data)
    except (ValueError, TypeError) as error:
        raise TokenizerFileError(f"{file_path} does not hold a tokenizer: {error}") from None


def _known() -> str:
    return ", ".join(map(repr, sorted(TOKENIZER_TYPES)))
