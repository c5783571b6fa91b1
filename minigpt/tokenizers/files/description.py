"""A byte-level BPE tokenizer as plain data, for its JSON file and for checkpoints, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any, NamedTuple

from minigpt import checks
from minigpt.tokenizers.added_tokens import AddedToken
from minigpt.tokenizers.base import check_description
from minigpt.tokenizers.bpe.plain import Pair
from minigpt.tokenizers.files.byte_alphabet import from_printable, printable

KEYS: dict[str, type | tuple[type, ...]] = {
    "type": str,
    "version": int,
    "pattern": (str, type(None)),
    "special_tokens": dict,
    "vocab": list,
    "merges": list,
}
# Version 1 of the description has no more; a later one is written where there is more to say.
MORE: dict[str, type | tuple[type, ...]] = {"added_tokens": list, "ignore_merges": bool}
PUBLISHED: dict[str, type | tuple[type, ...]] = {
    "normalization": (str, type(None)),
    "bos_token": (str, type(None)),
    "eos_token": (str, type(None)),
    "add_bos_token": bool,
    "chat_template": (str, type(None)),
}
KEYS_OF_VERSION = {1: KEYS, 2: KEYS | MORE, 3: KEYS | MORE | PUBLISHED}
OPTIONS = {field.name for field in fields(AddedToken)}


class Parts(NamedTuple):
    """What a ``BPETokenizer`` is made from, in the order of its arguments."""

    vocab: Mapping[int, bytes]
    merges: Sequence[Pair]
    special_tokens: Mapping[str, int | None]
    pattern: str | None = "gpt2"
    added_tokens: Sequence[AddedToken] = ()
    ignore_merges: bool = False
    normalization: str | None = None
    bos_token: str | None = None
    eos_token: str | None = None
    add_bos_token: bool = False
    chat_template: str | None = None


def describe(parts: Parts) -> dict[str, Any]:
    """The parts as plain data: tokens in the order of their ids, merges as in ``merges.txt``.

    All special tokens are among the added ones.
    """
    version, more = 1, dict[str, Any]()
    others = [token for token in parts.added_tokens if not token.is_plain]
    published = {key: getattr(parts, key) for key in PUBLISHED}
    if any(published.values()):
        version = 3
    elif others or parts.ignore_merges:
        version = 2
    if version > 1:
        added = [asdict(token) for token in others]
        more = {"added_tokens": added, "ignore_merges": parts.ignore_merges}
    if version > 2:
        more |= published
    return {
        "version": version,
        "pattern": parts.pattern,
        "special_tokens": {t.name: t.id for t in parts.added_tokens if t.is_plain},
        **more,
        "vocab": [printable(parts.vocab[token_id]) for token_id in range(len(parts.vocab))],
        "merges": [merge_line(pair) for pair in parts.merges],
    }


def read_description(data: Mapping[str, Any], type_name: str) -> Parts:
    """What :func:`describe` described.

    Raises:
        ValueError: something is missing, unknown, or of a wrong type.
    """
    stated = data.get("version") if isinstance(data, Mapping) else None
    version = stated if isinstance(stated, int) and stated in KEYS_OF_VERSION else 1
    check_description(data, KEYS_OF_VERSION[version], type_name, version)
    for key in ("vocab", "merges"):
        for place, entry in enumerate(data[key]):
            if not isinstance(entry, str):
                raise checks.wrong_value(f"{key}[{place}] of the tokenizer", "a str", entry)
    vocab = {token_id: from_printable(token) for token_id, token in enumerate(data["vocab"])}
    merges = [read_merge_line(line, f"merges[{i}]") for i, line in enumerate(data["merges"])]
    parts = Parts(vocab, merges, data["special_tokens"], data["pattern"])
    if version == 1:
        return parts
    for place, entry in enumerate(data["added_tokens"]):
        if not isinstance(entry, dict) or set(entry) != OPTIONS:
            expected = f"an object with {', '.join(sorted(OPTIONS))}"
            raise checks.wrong_value(f"added_tokens[{place}] of the tokenizer", expected, entry)
    added = [AddedToken(**entry) for entry in data["added_tokens"]]
    parts = parts._replace(added_tokens=added, ignore_merges=data["ignore_merges"])
    return parts if version == 2 else parts._replace(**{key: data[key] for key in PUBLISHED})


def merge_line(pair: Pair) -> str:
    """A merge as a line of ``merges.txt``: its two tokens with a space between."""
    return f"{printable(pair[0])} {printable(pair[1])}"


def read_merge_line(line: str, name: str) -> Pair:
    """The merge of a line."""
    parts = line.split(" ")
    if len(parts) != 2 or not all(parts):
        raise checks.wrong_value(name, "two tokens with a space between", line)
    return from_printable(parts[0]), from_printable(parts[1])
