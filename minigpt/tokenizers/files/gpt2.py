"""GPT-2's ``vocab.json`` and ``merges.txt``, read and written."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from minigpt import checks
from minigpt.atomic import replacing
from minigpt.atomic_folder import replacing_files
from minigpt.tokenizers.added_tokens import END_OF_TEXT, AddedToken, check_name
from minigpt.tokenizers.bpe.plain import Pair
from minigpt.tokenizers.files.byte_alphabet import BYTE_OF, from_printable, printable
from minigpt.tokenizers.files.description import Parts, merge_line, read_merge_line
from minigpt.tokenizers.files.reading import TokenizerFileError, read_json, read_text
from minigpt.tokenizers.files.transformers_folder import (
    ADDED,
    CONFIG,
    SPECIAL,
    TEMPLATE,
    added_tokens,
    declared_tokens,
    with_conventions,
)

CONTRADICTING = ("tokenizer.json", ADDED, SPECIAL, TEMPLATE)
# What readers of the two files suppose, and nothing in them says.
TAKEN_FOR_GRANTED = {
    "pattern": "gpt2", "ignore_merges": False, "normalization": None, "add_bos_token": False,
    "chat_template": None,
}  # fmt: skip
LOOKS_SPECIAL = re.compile(r"<.+>|\[.+\]", re.DOTALL)


def read_gpt2(vocab_json: Path, merges_txt: Path, added: Sequence[AddedToken]) -> Parts:
    """What the two files describe, with some added tokens.

    A token that no merge makes, and whose name looks special, is: ``<|endoftext|>``, ``<pad>``,
    ``[MASK]``.

    Raises:
        FileNotFoundError: one of the files is not there.
        TokenizerFileError: a file is damaged.
    """
    id_of, merges = _read_both(vocab_json, merges_txt)
    try:
        looks_special = tokens_without_merges(id_of, merges, added)
        special = [AddedToken(name) for name in looks_special]
        return assemble(id_of, merges, [*special, *added], "gpt2")
    except ValueError as error:
        raise TokenizerFileError(f"{vocab_json}: {error}") from None


def read_gpt2_folder(folder: Path) -> Parts:
    """The two files of a folder, and what lies beside them, as Transformers reads them.

    Raises:
        FileNotFoundError: one of the files is not there.
        TokenizerFileError: a file is damaged, or asks for what is not done here.
    """
    declared = declared_tokens(folder, has_tokenizer_json=False)
    if not declared.files:
        return read_gpt2(folder / "vocab.json", folder / "merges.txt", ())
    id_of, merges = _read_both(folder / "vocab.json", folder / "merges.txt")
    try:
        added = added_tokens(declared, id_of)
        tokens_without_merges(id_of, merges, added)
        parts = assemble(id_of, merges, added, "gpt2")
        before_text = declared.bos_token if declared.add_bos_token else None
        return with_conventions(parts, declared, before_text)
    except ValueError as error:
        raise TokenizerFileError(f"{folder}: {error}") from None


def _read_both(vocab_json: Path, merges_txt: Path) -> tuple[dict[str, int], list[Pair]]:
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
        return check_ids(id_of), merges
    except ValueError as error:
        raise TokenizerFileError(f"{vocab_json}: {error}") from None


def check_ids(id_of: Any) -> dict[str, int]:
    """A ``vocab.json``: strings with different ids."""
    if not isinstance(id_of, dict):
        raise checks.wrong_value("the vocabulary", "an object", id_of)
    text_of: dict[int, str] = {}
    for text, token_id in id_of.items():
        if isinstance(token_id, bool) or not isinstance(token_id, int):
            raise checks.wrong_value(f"the id of {checks.shown(text)}", "an int", token_id)
        if token_id in text_of:
            raise ValueError(
                f"two tokens have the id {token_id}: {checks.shown(text)} is one of them"
            )
        text_of[token_id] = text
    return id_of


def tokens_without_merges(
    id_of: Mapping[str, int], merges: Iterable[Pair], added: Iterable[AddedToken]
) -> list[str]:
    """The tokens that are no byte, made by no merge and not added: their names must look special.

    Raises:
        ValueError: one of them does not: merges are missing.
    """
    known = {printable(a + b) for a, b in merges} | {token.name for token in added} | set(BYTE_OF)
    rest = [text for text in id_of if text not in known]
    for text in rest:
        if not LOOKS_SPECIAL.fullmatch(text):
            raise ValueError(
                f"token {checks.shown(text)} is made by no merge: are merges missing? "
                "If it is a special token, name it in special_tokens"
            )
    return rest


def assemble(
    id_of: Mapping[str, int],
    merges: Sequence[Pair],
    added: Sequence[AddedToken],
    pattern: str | None,
    ignore_merges: bool = False,
) -> Parts:
    """The parts of a tokenizer whose ids are those of its files."""
    made = {printable(a + b) for a, b in merges}
    vocab = {
        token_id: from_printable(text)
        if text in BYTE_OF or text in made
        else check_name(text, "the name of a token").encode("utf-8")
        for text, token_id in id_of.items()
    }
    return Parts(vocab, merges, {}, pattern, added, ignore_merges)


def write_gpt2(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write what :func:`gpt2_files` gave, all of it or nothing.

    Files that readers prefer to these, or add to them, would describe another tokenizer, and go.

    Raises:
        OSError: a file cannot be written.
    """
    with replacing_files(folder, last="vocab.json", stale=CONTRADICTING) as new:
        for name, content in files.items():
            with replacing(new / name) as file:
                file.write(content)


def gpt2_files(parts: Parts) -> dict[str, bytes]:
    """The two files, and ``tokenizer_config.json`` for Transformers, by their names.

    Raises:
        ValueError: something cannot be told so, or an added token's name would be read as the bytes
            of a token.
    """
    for what, usual in TAKEN_FOR_GRANTED.items():
        if (value := getattr(parts, what)) != usual:
            raise ValueError(
                f"{what}={value!r:.80} cannot be told in GPT-2's files, whose readers split as "
                "'gpt2' does, and merge: use save(path) or to_transformers(folder)"
            )
    added = parts.added_tokens
    id_of = added_keys(parts.vocab, added)
    end = next((t.name for t in added if t.special and t.name == END_OF_TEXT), None)
    config = {
        "tokenizer_class": "GPT2Tokenizer",
        "add_prefix_space": False,
        "bos_token": end,
        "eos_token": end,
        "unk_token": end,
        "added_tokens_decoder": {str(token.id): described_added(token) for token in added},
    }
    lines = ["#version: 0.2", *map(merge_line, parts.merges), ""]
    texts = {
        "vocab.json": json.dumps(id_of, ensure_ascii=False),
        "merges.txt": "\n".join(lines),
        CONFIG: json.dumps(config, ensure_ascii=False, indent=2) + "\n",
    }
    return {name: text.encode("utf-8") for name, text in texts.items()}


def added_keys(vocab: Mapping[int, bytes], added: Iterable[AddedToken]) -> dict[str, int]:
    """The id of each token by its key: an added token's name, or the printable form of its bytes.

    Raises:
        ValueError: an added token's name would be read as the bytes of a token.
    """
    name_of = {token.id: token.name for token in added}
    ordinary = {printable(token) for token_id, token in vocab.items() if token_id not in name_of}
    if taken := [name for name in name_of.values() if name in ordinary]:
        raise ValueError(
            f"added token {taken[0]!r:.80} cannot be told from the bytes that GPT-2's files "
            "write so: use save(path), or another name"
        )
    return {
        name_of.get(token_id) or printable(vocab[token_id]): token_id
        for token_id in range(len(vocab))
    }


def described_added(token: AddedToken) -> dict[str, Any]:
    """An added token as Transformers describes it."""
    options = ("special", "lstrip", "rstrip", "single_word", "normalized")
    return {"content": token.name, **{option: getattr(token, option) for option in options}}
