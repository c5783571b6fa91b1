"""A byte-level BPE tokenizer as plain data, for its JSON file and for checkpoints, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from minigpt import checks
from minigpt.tokenizers.base import check_description
from minigpt.tokenizers.bpe.plain import Pair
from minigpt.tokenizers.files.byte_alphabet import from_printable, printable

Parts = tuple[dict[int, bytes], list[Pair], dict[str, int], "str | None"]
KEYS: dict[str, type | tuple[type, ...]] = {
    "type": str,
    "version": int,
    "pattern": (str, type(None)),
    "special_tokens": dict,
    "vocab": list,
    "merges": list,
}


def describe(
    vocab: Mapping[int, bytes],
    merges: Sequence[Pair],
    special_tokens: Mapping[str, int],
    pattern: str | None,
) -> dict[str, Any]:
    """The parts as plain data: tokens in the order of their ids, merges as in ``merges.txt``."""
    return {
        "pattern": pattern,
        "special_tokens": dict(special_tokens),
        "vocab": [printable(vocab[token_id]) for token_id in range(len(vocab))],
        "merges": [merge_line(pair) for pair in merges],
    }


def read_description(data: dict[str, Any], type_name: str, version: int) -> Parts:
    """Vocabulary, merges, special tokens and pattern out of what :func:`describe` gave.

    Raises:
        ValueError: something is missing, unknown, or of a wrong type.
    """
    check_description(data, KEYS, type_name, version)
    for key in ("vocab", "merges"):
        for place, entry in enumerate(data[key]):
            if not isinstance(entry, str):
                raise checks.wrong_value(f"{key}[{place}] of the tokenizer", "a str", entry)
    vocab = {token_id: from_printable(token) for token_id, token in enumerate(data["vocab"])}
    merges = [read_merge_line(line, f"merges[{i}]") for i, line in enumerate(data["merges"])]
    return vocab, merges, data["special_tokens"], data["pattern"]


def merge_line(pair: Pair) -> str:
    """A merge as a line of ``merges.txt``: its two tokens with a space between."""
    return f"{printable(pair[0])} {printable(pair[1])}"


def read_merge_line(line: str, name: str) -> Pair:
    """The merge of a line."""
    parts = line.split(" ")
    if len(parts) != 2 or not all(parts):
        raise checks.wrong_value(name, "two tokens with a space between", line)
    return from_printable(parts[0]), from_printable(parts[1])
