"""Tokenizers out of files, which are never trusted."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from minigpt.tokenizers.base import Tokenizer
from minigpt.tokenizers.bpe import BPETokenizer
from minigpt.tokenizers.char import CharTokenizer
from minigpt.tokenizers.files import TokenizerFileError, read_json
from minigpt.tokenizers.gpt2_files import added_names
from minigpt.tokenizers.huggingface import read_tokenizer_json

# A new kind of tokenizer is one more entry here.
TOKENIZER_TYPES: dict[str, type[Tokenizer]] = {
    BPETokenizer.type_name: BPETokenizer,
    CharTokenizer.type_name: CharTokenizer,
}


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
    """The tokenizer that ``save(path)`` wrote, or a byte-level BPE of Hugging Face's.

    The latter is a ``tokenizer.json``, or a folder that has one, or else ``vocab.json`` and
    ``merges.txt``.

    Raises:
        FileNotFoundError: there is no such file or folder.
        TokenizerFileError: it is not a tokenizer's file, or damaged (an OSError and a ValueError),
            or a tokenizer that this library has not got.
    """
    file_path = Path(path)
    if file_path.is_dir():
        return _load_folder(file_path)
    data = read_json(file_path)
    try:
        if isinstance(data, dict) and "type" not in data and "model" in data:
            return BPETokenizer(*read_tokenizer_json(data))
        return tokenizer_from_dict(data)
    except (ValueError, TypeError) as error:
        raise TokenizerFileError(f"{file_path} does not hold a tokenizer: {error}") from None


def _load_folder(folder: Path) -> Tokenizer:
    if (folder / "tokenizer.json").exists():
        return load_tokenizer(folder / "tokenizer.json")
    files = folder / "vocab.json", folder / "merges.txt"
    if missing := [file.name for file in files if not file.exists()]:
        raise TokenizerFileError(
            f"{folder} has neither tokenizer.json nor {' and '.join(missing)}: "
            "pass the tokenizer's JSON file"
        )
    return BPETokenizer.from_gpt2(*files, special_tokens=added_names(folder))


def _known() -> str:
    return ", ".join(map(repr, sorted(TOKENIZER_TYPES)))
