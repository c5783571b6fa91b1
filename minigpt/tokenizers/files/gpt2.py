"""GPT-2's ``vocab.json`` and ``merges.txt``, read and written."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from minigpt.atomic import replacing
from minigpt.tokenizers.bpe.plain import Pair
from minigpt.tokenizers.files.byte_alphabet import BYTE_OF, from_printable, printable
from minigpt.tokenizers.files.description import merge_line, read_merge_line
from minigpt.tokenizers.files.reading import TokenizerFileError, read_json, read_text
from minigpt.tokenizers.special import END_OF_TEXT

LOOKS_SPECIAL = re.compile(r"<.+>|\[.+\]", re.DOTALL)

Gpt2Parts = tuple[dict[int, bytes], list[Pair], dict[str, int]]


def read_gpt2(vocab_json: Path, merges_txt: Path, special_tokens: Collection[str]) -> Gpt2Parts:
    """Vocabulary, merges and special tokens of the two files.

    Raises:
        FileNotFoundError: one of the files is not there.
        TokenizerFileError: a file is damaged.
    """
    id_of = read_json(vocab_json)
    lines = read_text(merges_txt).split("\n")
    if lines[0].startswith("#version"):
        lines[0] = ""
    try:
        merges = [
            read_merge_line(line.rstrip("\r"), f"line {number}")
            for number, line in enumerate(lines, 1)
            if line.strip()
        ]
    except ValueError as error:
        raise TokenizerFileError(f"{merges_txt}: {error}") from None
    try:
        vocab, special = split_vocab(id_of, merges, special_tokens)
    except ValueError as error:
        raise TokenizerFileError(f"{vocab_json}: {error}") from None
    return vocab, merges, special


def split_vocab(
    id_of: Any, merges: Iterable[Pair], special_tokens: Collection[str]
) -> tuple[dict[int, bytes], dict[str, int]]:
    """The ordinary tokens of a ``vocab.json``, and the special ones.

    Special are those that are named, and those that no merge makes and whose name says so:
    ``<|endoftext|>``, ``<pad>``, ``[MASK]``.

    Raises:
        ValueError: it is not an object of strings with different ids, or a token is neither
            ordinary nor special: merges are missing.
    """
    if not isinstance(id_of, dict):
        raise ValueError(f"the vocabulary must be an object: got {type(id_of).__name__}")
    made = {printable(a + b) for a, b in merges}
    vocab: dict[int, bytes] = {}
    special: dict[str, int] = {}
    for text, token_id in id_of.items():
        if isinstance(token_id, bool) or not isinstance(token_id, int):
            raise ValueError(f"the id of {text!r:.80} must be an int: got {token_id!r:.80}")
        if token_id in vocab:
            raise ValueError(f"two tokens have the id {token_id}: {text!r:.80} is one of them")
        if text in BYTE_OF or text in made:
            vocab[token_id] = from_printable(text)
        elif text in special_tokens or LOOKS_SPECIAL.fullmatch(text):
            vocab[token_id] = text.encode("utf-8", "replace")
            special[text] = token_id
        else:
            raise ValueError(
                f"token {text!r:.80} is made by no merge: are merges missing? "
                "If it is a special token, name it in special_tokens"
            )
    return vocab, special


def added_names(folder: Path) -> list[str]:
    """The special tokens that a folder's ``tokenizer_config.json`` names; none without that file.

    Raises:
        TokenizerFileError: the file is damaged.
    """
    path = folder / "tokenizer_config.json"
    if not path.exists():
        return []
    config = read_json(path)
    added = config.get("added_tokens_decoder", {}) if isinstance(config, dict) else None
    if not isinstance(added, dict):
        raise TokenizerFileError(f"{path} must be an object, and its added_tokens_decoder too")
    entries = [entry for entry in added.values() if isinstance(entry, dict)]
    names = [entry.get("content") for entry in entries if entry.get("special") is True]
    return [name for name in names if isinstance(name, str)]


def write_gpt2(
    folder: Path,
    vocab: Mapping[int, bytes],
    merges: Sequence[Pair],
    special_tokens: Mapping[str, int],
) -> None:
    """Write the two files, and ``tokenizer_config.json`` for Transformers.

    Raises:
        ValueError: a special token's name would be read as the bytes of a token.
        OSError: a file cannot be written.
    """
    name_of = {token_id: name for name, token_id in special_tokens.items()}
    keys = [name_of.get(token_id) or printable(vocab[token_id]) for token_id in range(len(vocab))]
    ordinary = {printable(token) for token_id, token in vocab.items() if token_id not in name_of}
    if taken := [name for name in special_tokens if name in ordinary]:
        raise ValueError(
            f"special token {taken[0]!r:.80} cannot be told from the bytes that GPT-2's files "
            "write so: use save(path), or another name"
        )
    end = END_OF_TEXT if END_OF_TEXT in special_tokens else None
    options = {"lstrip": False, "rstrip": False, "normalized": False, "single_word": False}
    config = {
        "tokenizer_class": "GPT2Tokenizer",
        "add_prefix_space": False,
        "bos_token": end,
        "eos_token": end,
        "unk_token": end,
        "added_tokens_decoder": {
            str(token_id): {"content": name, "special": True, **options}
            for name, token_id in special_tokens.items()
        },
    }
    id_of = {key: token_id for token_id, key in enumerate(keys)}
    lines = ["#version: 0.2", *map(merge_line, merges), ""]
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in {
        "vocab.json": json.dumps(id_of, ensure_ascii=False),
        "merges.txt": "\n".join(lines),
        "tokenizer_config.json": json.dumps(config, ensure_ascii=False, indent=2) + "\n",
    }.items():
        with replacing(folder / name) as file:
            file.write(text.encode("utf-8"))
