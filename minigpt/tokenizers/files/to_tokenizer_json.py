"""A byte-level BPE as the Hugging Face ``tokenizer.json``, and ``tokenizer_config.json`` beside it.

What ``tokenizer_json`` reads, written: for tokenizers that GPT-2's two files cannot tell.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from minigpt.atomic import replacing
from minigpt.atomic_folder import replacing_files
from minigpt.tokenizers.files.byte_alphabet import printable
from minigpt.tokenizers.files.description import Parts
from minigpt.tokenizers.files.gpt2 import added_keys, described_added
from minigpt.tokenizers.files.tokenizer_json import PATTERN_NAMES
from minigpt.tokenizers.files.transformers_folder import ADDED, CONFIG, SPECIAL, TEMPLATE

TOKENIZER = "tokenizer.json"
CONTRADICTING = ("vocab.json", "merges.txt", ADDED, SPECIAL, TEMPLATE)
BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}
REGEX_OF = {name: regex for regex, name in reversed(PATTERN_NAMES.items())}  # the first of each


def write_tokenizer_json(folder: Path, parts: Parts) -> None:
    """Write both files, or nothing; files in the folder that would contradict them go.

    Raises:
        ValueError: an added token's name would be read as the bytes of a token.
        OSError: a file cannot be written.
    """
    files = tokenizer_json_files(parts)
    with replacing_files(folder, last=TOKENIZER, stale=CONTRADICTING) as new:
        for name, data in files.items():
            with replacing(new / name) as file:
                file.write((json.dumps(data, ensure_ascii=False, indent=2) + "\n").encode("utf-8"))


def tokenizer_json_files(parts: Parts) -> dict[str, dict[str, Any]]:
    """The content of the two files, by their names.

    Raises:
        ValueError: as :func:`write_tokenizer_json`.
    """
    id_of = added_keys(parts.vocab, parts.added_tokens)
    described = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {"id": token.id, **described_added(token)}
            for token in sorted(parts.added_tokens, key=lambda token: token.id or 0)
        ],
        "normalizer": parts.normalization and {"type": parts.normalization},
        "pre_tokenizer": _pre_tokenizer(parts.pattern),
        "post_processor": _post_processor(parts, id_of),
        "decoder": {**BYTE_LEVEL, "use_regex": True},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": parts.ignore_merges,
            "vocab": id_of,
            "merges": [[printable(a), printable(b)] for a, b in parts.merges],
        },
    }
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "clean_up_tokenization_spaces": False,
        "bos_token": parts.bos_token,
        "eos_token": parts.eos_token,
        "chat_template": parts.chat_template,
    }
    said = {key: value for key, value in config.items() if value is not None}
    return {CONFIG: said, TOKENIZER: described}


def _pre_tokenizer(pattern: str | None) -> dict[str, Any]:
    """How texts are split."""
    if pattern in (None, "gpt2"):
        return {**BYTE_LEVEL, "use_regex": pattern is not None}
    first: dict[str, Any]
    if pattern == "gpt2-single-digits":
        first = {"type": "Digits", "individual_digits": True}
    else:
        regex = REGEX_OF.get(str(pattern), pattern)
        how = {"behavior": "Isolated", "invert": False}
        first = {"type": "Split", "pattern": {"Regex": regex}, **how}
    then = {**BYTE_LEVEL, "use_regex": first["type"] == "Digits"}
    return {"type": "Sequence", "pretokenizers": [first, then]}


def _post_processor(parts: Parts, id_of: Mapping[str, int]) -> dict[str, Any]:
    """What is put before a text."""
    if not parts.add_bos_token or parts.bos_token is None:
        return {**BYTE_LEVEL, "trim_offsets": False, "use_regex": True}
    name = parts.bos_token
    token, text = (
        {"SpecialToken": {"id": name, "type_id": 0}},
        {"Sequence": {"id": "A", "type_id": 0}},
    )
    second = [{"SpecialToken": {"id": name, "type_id": 1}}, {"Sequence": {"id": "B", "type_id": 1}}]
    return {
        "type": "TemplateProcessing",
        "single": [token, text],
        "pair": [token, text, *second],
        "special_tokens": {name: {"id": name, "ids": [id_of[name]], "tokens": [name]}},
    }
