"""Checks of what a tokenizer is made from: texts, characters, names, and dicts out of files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from typing import Any

LONGEST_NAME = 256  # characters of a special token


def check_text(text: object) -> str:
    """``text`` if it is a str, or an error that says what to do."""
    if isinstance(text, str):
        return text
    mend = "; decode it first: text.decode('utf-8')" if isinstance(text, (bytes, bytearray)) else ""
    raise TypeError(f"text must be a str: got {type(text).__name__}{mend}")


def check_texts(texts: object) -> Iterator[str]:
    """The texts of an iterable, or the one text that came, each checked to be a str."""
    if isinstance(texts, Iterable) and not isinstance(texts, (str, bytes, bytearray)):
        return map(check_text, texts)
    return iter([check_text(texts)])


def check_characters(characters: object) -> str:
    """``characters`` if it is a str of distinct characters in the order of their code points."""
    if not isinstance(characters, str):
        raise TypeError(f"characters must be a str: got {type(characters).__name__}")
    if not characters:
        raise ValueError("characters must not be empty")
    for character in characters:
        if "\ud800" <= character <= "\udfff":
            raise ValueError(
                f"{character!r} (U+{ord(character):04X}) is a lone surrogate, not a character: "
                "read the text as strict UTF-8"
            )
    for before, after in pairwise(characters):
        if before >= after:
            raise ValueError(
                f"characters must be distinct and sorted by code point: {after!r} comes after "
                f"{before!r}; CharTokenizer.train(characters) sorts them"
            )
    return characters


def check_special_names(
    unknown_token: object, special_tokens: Iterable[object], characters: str
) -> tuple[str | None, tuple[str, ...]]:
    """The names of the unknown and the special tokens: distinct strings, none a known character."""
    if isinstance(special_tokens, (str, bytes)):
        raise TypeError(
            f"special_tokens must be a list of strings: got {special_tokens!r}; "
            f"did you mean [{special_tokens!r}]?"
        )
    try:
        names = list(special_tokens)
    except TypeError:
        raise TypeError(
            f"special_tokens must be a list of strings: got {type(special_tokens).__name__}"
        ) from None
    labelled = [("special_tokens", name) for name in names]
    if unknown_token is not None:
        labelled.insert(0, ("unknown_token", unknown_token))
    checked: list[str] = []
    for argument, name in labelled:
        if not isinstance(name, str):
            raise TypeError(f"{argument} must be a str: got {type(name).__name__} {name!r}")
        if not 1 <= len(name) <= LONGEST_NAME:
            raise ValueError(
                f"{argument} must be 1 to {LONGEST_NAME} characters long: got {len(name):,}"
            )
        if any("\ud800" <= character <= "\udfff" for character in name):
            raise ValueError(
                f"{argument} {name!r} holds a lone surrogate, which is not a character"
            )
        if len(name) == 1 and name in characters:
            raise ValueError(
                f"{argument} {name!r} is one of the characters: choose a name such as '<unk>'"
            )
        if name in checked:
            raise ValueError(f"{argument} {name!r} is given twice")
        checked.append(name)
    if unknown_token is None:
        return None, tuple(checked)
    return checked[0], tuple(checked[1:])


def check_keys(data: Mapping[str, Any], types: Mapping[str, type | tuple[type, ...]]) -> None:
    """``data`` has exactly the keys of ``types``, each value of its type (a bool is not an int)."""
    if set(data) != set(types):
        missing = sorted(set(types) - set(data))
        unexpected = sorted(map(repr, set(data) - set(types)))[:5]
        raise ValueError(
            "the tokenizer's keys are wrong: "
            + "; ".join(
                f"{what} {', '.join(keys)}"
                for what, keys in (("missing", missing), ("unexpected", unexpected))
                if keys
            )
        )
    for key, wanted in types.items():
        if not isinstance(data[key], wanted) or isinstance(data[key], bool):
            names = [kind.__name__ for kind in (wanted if isinstance(wanted, tuple) else (wanted,))]
            raise ValueError(
                f"{key} of the tokenizer must be {' or '.join(names)}: "
                f"got {type(data[key]).__name__}"
            )
