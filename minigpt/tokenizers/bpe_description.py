"""A byte-level BPE tokenizer as plain data, for its JSON file and for checkpoints, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from minigpt.tokenizers.bpe_plain import Pair
from minigpt.tokenizers.byte_alphabet import from_printable, printable
from minigpt.tokenizers.checks import check_keys

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
    check_keys(data, KEYS)
    if data["type"] != type_name:
        raise ValueError(f"type of the tokenizer must be {type_name!r}: got {data['type']!r:.80}")
    if data["version"] != version:
        raise ValueError(
            f"version={data['version']!r:.20} of the tokenizer is not known: "
            f"this minigpt reads version {version}"
        )
    for key in ("vocab", "merges"):
        for place, entry in enumerate(data[key]):
            if not isinstance(entry, str):
                raise ValueError(
                    f"{key}[{place}] of the tokenizer must be str: got {type(entry).__name__}"
                )
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
        raise ValueError(f"{name} must be two tokens with a space between: got {line!r:.80}")
    return from_printable(parts[0]), from_printable(parts[1])
