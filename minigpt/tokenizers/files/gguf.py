"""The tokenizer that the header of a GGUF file describes, where it is a byte-level BPE.

    tokenizer.ggml.model            "gpt2": byte-level BPE
    tokenizer.ggml.pre              the name that llama.cpp has for how texts are split
    tokenizer.ggml.tokens           in the order of their ids; bytes in GPT-2's alphabet
    tokenizer.ggml.token_type       of each token: normal, control, user-defined, unused
    tokenizer.ggml.merges           as the lines of merges.txt
    tokenizer.ggml.bos_token_id     and eos_token_id
    tokenizer.ggml.add_bos_token    whether the model reads the former before a text
    tokenizer.chat_template         how a conversation is written, in Jinja's language

A header says less than the ``tokenizer.json`` that it was made from: how texts are normalised, and
whether whole tokens come before merges, is known by the name of ``pre``. A control token is
special; a user-defined one is an added token that is not.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from minigpt import checks
from minigpt.tokenizers.added_tokens import AddedToken
from minigpt.tokenizers.files.description import Parts, read_merge_line
from minigpt.tokenizers.files.gpt2 import assemble, tokens_without_merges

NORMAL, CONTROL, USER_DEFINED, UNUSED = 1, 3, 4, 5
PREFIX = "tokenizer.ggml."


class Splitting(NamedTuple):
    """What the name of a way to split texts stands for."""

    pattern: str
    ignore_merges: bool = False
    normalization: str | None = None
    add_bos_token: bool = False  # where the file does not say


LLAMA_3 = Splitting("gpt4", ignore_merges=True, add_bos_token=True)
SPLITTINGS = {
    "gpt-2": Splitting("gpt2"),
    "smollm": Splitting("gpt2-single-digits"),
    "llama-bpe": LLAMA_3,
    "llama3": LLAMA_3,
    "llama-v3": LLAMA_3,
    "qwen2": Splitting("gpt4-single-digits", normalization="NFC"),
}


def read_gguf_tokenizer(metadata: Mapping[str, Any]) -> Parts:
    """The tokenizer in the metadata of a GGUF file.

    Raises:
        ValueError: something is missing or damaged, or is of a tokenizer that is not known here.
    """
    for key, known in (("model", ["gpt2"]), ("pre", [*SPLITTINGS])):
        checks.one_of(f"{PREFIX}{key}", _needed(metadata, key), known)
    splitting = SPLITTINGS[metadata[f"{PREFIX}pre"]]
    for key in ("add_space_prefix", "add_eos_token"):
        if _flag(metadata, key, False):
            raise ValueError(
                f"{PREFIX}{key} is True: only a tokenizer that adds nothing to a text, but for one "
                "token before it, is read"
            )
    tokens = _texts(metadata, "tokens")
    kinds = _kinds(metadata, len(tokens))
    merges = [
        read_merge_line(line, f"{PREFIX}merges[{i}]")
        for i, line in enumerate(_texts(metadata, "merges"))
    ]
    id_of = {token: token_id for token_id, token in enumerate(tokens)}
    if len(id_of) < len(tokens):
        twice = next(token for i, token in enumerate(tokens) if id_of[token] != i)
        raise ValueError(f"{PREFIX}tokens holds {checks.shown(twice)} twice")
    added = [
        AddedToken(token, token_id, special=kind == CONTROL)
        for token_id, (token, kind) in enumerate(zip(tokens, kinds, strict=True))
        if kind in (CONTROL, USER_DEFINED)
    ]
    unused = [
        AddedToken(token) for token, kind in zip(tokens, kinds, strict=True) if kind == UNUSED
    ]
    if rest := tokens_without_merges(id_of, merges, [*added, *unused]):
        raise ValueError(
            f"token {checks.shown(rest[0])} is made by no merge, and {PREFIX}token_type does not "
            "call it control or user-defined"
        )
    parts = assemble(id_of, merges, added, splitting.pattern, splitting.ignore_merges)
    return _with_conventions(parts, metadata, tokens, splitting)


def _with_conventions(
    parts: Parts, metadata: Mapping[str, Any], tokens: list[str], splitting: Splitting
) -> Parts:
    """The parts with what is put around texts."""
    chat_template = metadata.get("tokenizer.chat_template")
    bos_token, eos_token = (_token(metadata, f"{part}_token_id", tokens) for part in ("bos", "eos"))
    add_bos_token = _flag(metadata, "add_bos_token", splitting.add_bos_token)
    parts = parts._replace(normalization=splitting.normalization)
    if chat_template is None and not add_bos_token:
        return parts
    return parts._replace(
        bos_token=bos_token,
        eos_token=eos_token,
        add_bos_token=add_bos_token and bos_token is not None,
        chat_template=chat_template,
    )


def _needed(metadata: Mapping[str, Any], key: str) -> Any:
    if (value := metadata.get(PREFIX + key)) is None:
        raise ValueError(f"it has no {PREFIX}{key}")
    return value


def _flag(metadata: Mapping[str, Any], key: str, default: bool) -> bool:
    return checks.flag(PREFIX + key, metadata.get(PREFIX + key, default))


def _texts(metadata: Mapping[str, Any], key: str) -> list[str]:
    texts = _needed(metadata, key)
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise checks.wrong_value(PREFIX + key, "a list of texts", texts)
    return texts


def _kinds(metadata: Mapping[str, Any], n_tokens: int) -> list[int]:
    """The type of each token."""
    kinds = _needed(metadata, "token_type")
    if not isinstance(kinds, np.ndarray) or kinds.dtype.kind not in "iu" or len(kinds) != n_tokens:
        raise checks.wrong_value(f"{PREFIX}token_type", f"{n_tokens:,} integers", kinds)
    known = (NORMAL, CONTROL, USER_DEFINED, UNUSED)
    if wrong := set(kinds.tolist()) - set(known):
        expected = f"made of {', '.join(map(str, known))}"
        raise checks.wrong_value(f"{PREFIX}token_type", expected, min(wrong))
    return kinds.tolist()


def _token(metadata: Mapping[str, Any], key: str, tokens: list[str]) -> str | None:
    """The name of the token whose id stands under a key."""
    if (token_id := metadata.get(PREFIX + key)) is None:
        return None
    return tokens[checks.integer(PREFIX + key, token_id, 0, len(tokens) - 1)]
