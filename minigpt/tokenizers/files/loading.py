"""Tokenizers out of files, which are never trusted."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from minigpt import checks
from minigpt.atomic_folder import left_by_a_stopped_save
from minigpt.tokenizers.base import Tokenizer
from minigpt.tokenizers.bpe.tokenizer import BPETokenizer
from minigpt.tokenizers.char import CharTokenizer
from minigpt.tokenizers.files.gpt2 import read_gpt2_folder
from minigpt.tokenizers.files.reading import TokenizerFileError, read_json
from minigpt.tokenizers.files.tokenizer_json import read_tokenizer_json
from minigpt.tokenizers.files.transformers_folder import declared_tokens

GGUF = ".gguf"  # the suffix of a whole model in one file

# A new kind of tokenizer is one more entry here.
TOKENIZER_TYPES: dict[str, type[Tokenizer]] = {
    BPETokenizer.type_name: BPETokenizer,
    CharTokenizer.type_name: CharTokenizer,
}


def tokenizer_from_dict(data: Mapping[str, Any]) -> Tokenizer:
    """The tokenizer that ``to_dict()`` described as ``data``.

    Raises:
        ValueError: its type is not known, or something in it is not sound.

    Example:
        >>> tokenizer = tokenizer_from_dict(CharTokenizer.train("abc").to_dict())
        >>> tokenizer.encode("cab")
        [2, 0, 1]
    """
    if not isinstance(data, Mapping):
        raise checks.wrong_type("a tokenizer's description", "a dict", data)
    if "type" not in data:
        known = ", ".join(map(repr, TOKENIZER_TYPES))
        raise ValueError(f"the tokenizer's description has no 'type': known are {known}")
    kind = data["type"]
    if not isinstance(kind, str) or kind not in TOKENIZER_TYPES:
        raise checks.wrong_value("type of the tokenizer", " or ".join(TOKENIZER_TYPES), kind)
    return TOKENIZER_TYPES[kind].from_dict(dict(data))


def load_tokenizer(path: str | os.PathLike[str]) -> Tokenizer:
    """The tokenizer that ``save(path)`` wrote, or a byte-level BPE of Hugging Face's.

    The latter is a ``tokenizer.json``, or a folder that has one, or else ``vocab.json`` and
    ``merges.txt``. What a folder says of added tokens is read as Transformers reads it.
    :func:`minigpt.load_tokenizer` reads all this, and GGUF files.

    Raises:
        FileNotFoundError: there is no such file or folder.
        TokenizerFileError: it is not a tokenizer's file, or damaged (an OSError and a ValueError),
            or a tokenizer that this library does not have.

    Example:
        >>> import tempfile, minigpt as mg
        >>> tokenizer = mg.BPETokenizer.train("low lower lowest " * 9, 260, progress=False)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     tokenizer.to_gpt2(folder)  # vocab.json and merges.txt
        ...     load_tokenizer(folder).encode("lowest") == tokenizer.encode("lowest")
        True
    """
    path = checks.path("path", path)
    if not path.is_dir():
        return _load_file(path)
    if (path / "tokenizer.json").exists():
        return _load_file(path / "tokenizer.json", folder=path)
    files = path / "vocab.json", path / "merges.txt"
    if missing := [file.name for file in files if not file.exists()]:
        mend = left_by_a_stopped_save(path) or "pass the tokenizer's JSON file"
        raise TokenizerFileError(
            f"{path} has neither tokenizer.json nor {' and '.join(missing)}: {mend}"
        )
    parts = read_gpt2_folder(path)
    try:
        return BPETokenizer(*parts)
    except ValueError as error:
        raise TokenizerFileError(f"{path} does not hold a tokenizer: {error}") from None


def _load_file(path: Path, folder: Path | None = None) -> Tokenizer:
    """The tokenizer of a JSON file, and, for Hugging Face's, of what lies in the folder with it."""
    if path.suffix.lower() == GGUF:
        raise TokenizerFileError(
            f"{path} is a whole model: its tokenizer is read by minigpt.load_tokenizer(path)"
        )
    data = read_json(path)
    try:
        if isinstance(data, dict) and "type" not in data and "model" in data:
            declared = declared_tokens(folder, has_tokenizer_json=True) if folder else None
            return BPETokenizer(*read_tokenizer_json(data, declared))
        return tokenizer_from_dict(data)
    except (ValueError, TypeError) as error:
        raise TokenizerFileError(f"{path} does not hold a tokenizer: {error}") from None
