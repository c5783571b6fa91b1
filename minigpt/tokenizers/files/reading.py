"""Reading files that should hold a tokenizer, and may hold anything."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from minigpt import json_files
from minigpt.wording import brief

MAX_FILE_BYTES = 64 * 2**20  # a vocabulary of 250,000 tokens with its merges takes about 15 MB


class TokenizerFileError(OSError, ValueError):
    """A file that is not a tokenizer's, as ``message`` says; very long ones are cut."""

    def __init__(self, message: str) -> None:
        super().__init__(brief(message))


def read_text(path: Path) -> str:
    """The text of a regular file of at most MAX_FILE_BYTES in UTF-8.

    Raises:
        FileNotFoundError: there is no such file.
        TokenizerFileError: it is not a tokenizer's file.
    """
    try:
        return json_files.read_bytes(path, MAX_FILE_BYTES).decode("utf-8-sig")
    except ValueError as error:
        raise TokenizerFileError(f"{path} is not a tokenizer's file: {error}") from None


def read_json(path: Path) -> Any:
    """What is in a JSON file.

    Raises:
        FileNotFoundError: there is no such file.
        TokenizerFileError: it is not JSON in UTF-8, or larger than MAX_FILE_BYTES.
    """
    try:
        return json_files.read_json(path, MAX_FILE_BYTES)
    except ValueError as error:
        raise TokenizerFileError(f"{path} is not a tokenizer's file: {error}") from None
