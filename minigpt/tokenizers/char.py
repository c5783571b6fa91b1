"""A token is a character: the simplest tokenizer, and nanoGPT's first one."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from itertools import pairwise
from typing import Any

import numpy as np

from minigpt import checks
from minigpt.autograd import Array
from minigpt.tokenizers.added_tokens import AddedToken, AddedTokens, check_name, check_names
from minigpt.tokenizers.base import (
    Tokenizer,
    check_description,
    check_ids,
    check_text,
    check_texts,
    check_texts_to_learn_from,
    id_dtype,
)

CHARACTERS_AT_A_TIME = 1 << 18  # bounds the scratch memory of encoding, and fits the caches
CODE_POINTS_NAMED = 5  # unknown characters that an error names
DESCRIPTION: dict[str, type | tuple[type, ...]] = {
    "type": str,
    "version": int,
    "characters": str,
    "unknown_token": (str, type(None)),
    "special_tokens": list,
}


class CharTokenizer(Tokenizer):
    """One id for each character (Unicode code point), in the order of the code points.

    After the characters come the unknown token, where one was asked for, and the special tokens as
    given. A character that is not known is an error, or becomes the unknown token. The unknown
    token is never recognised in a text: it only stands for a character.

    Args:
        characters: those that have an id, distinct and sorted.
        unknown_token: the name of the token that other characters become; None: they are errors.
        special_tokens: names of tokens such as ``<|endoftext|>``.

    Raises:
        ValueError: there are no characters, they are not distinct and sorted, one is a lone
            surrogate, or a token's name is taken.

    Example:
        >>> tokenizer = CharTokenizer.train("to be or not to be")
        >>> tokenizer.vocab_size, tokenizer.encode("bet")
        (7, [1, 2, 6])
        >>> tokenizer.decode([1, 2, 6])
        'bet'
    """

    type_name = "char"
    version = 1

    def __init__(
        self, characters: str, unknown_token: str | None = None, special_tokens: Iterable[str] = ()
    ) -> None:
        self.characters = _check_characters(characters)
        self.unknown_token, self.special_tokens = _check_special(
            unknown_token, special_tokens, self.characters
        )
        after = len(self.characters)
        self.unknown_id: int | None = None
        if self.unknown_token is not None:
            self.unknown_id = after
            after += 1
        self._added = AddedTokens(
            AddedToken(name, after + i) for i, name in enumerate(self.special_tokens)
        )
        self._vocab_size = after + len(self.special_tokens)
        self._name_of = dict(self._added.name_of)
        if self.unknown_token is not None:
            self._name_of[len(self.characters)] = self.unknown_token
        self._code_points = _code_points(self.characters)
        self._id_of_code_point = self._lookup_table()

    @classmethod
    def train(
        cls,
        text_or_iterable: str | Iterable[str],
        unknown_token: str | None = None,
        special_tokens: Iterable[str] = (),
    ) -> CharTokenizer:
        """The tokenizer of all characters of a text, or of the texts of an iterable.

        A path is not a text: read the file first, ``train(load_text("a-file.txt"))``. The name of
        a file that is here is refused; in a list, ``train(["a-file.txt"])``, it is only text.

        Args:
            text_or_iterable: the text, or texts one by one.
            unknown_token, special_tokens: as for the class.

        Raises:
            ValueError: there is no character, a lone surrogate, which is not one, or the text is
                the path of a file.
        """
        characters: set[str] = set()
        for piece in check_texts_to_learn_from(text_or_iterable):
            characters.update(piece)
        if not characters:
            raise ValueError("text is empty: a tokenizer needs at least one character")
        return cls("".join(sorted(characters)), unknown_token, special_tokens)

    @property
    def vocab_size(self) -> int:
        """Characters, the unknown token where there is one, and special tokens."""
        return self._vocab_size

    def encode(
        self,
        text: str,
        allowed_special: str | Collection[str] = (),
        disallowed_special: str | Collection[str] = "all",
    ) -> list[int]:
        """The ids of ``text``, one for each character or allowed special token.

        Raises:
            ValueError: characters that are not known (the first few are named, with their places),
                or a special token that is not allowed.
        """
        ids: list[int] = self.encode_array(text, allowed_special, disallowed_special).tolist()
        return ids

    def encode_array(
        self,
        text: str,
        allowed_special: str | Collection[str] = (),
        disallowed_special: str | Collection[str] = "all",
    ) -> Array:
        """The ids of ``text`` as a (tokens,) array of the smallest unsigned type, quickly."""
        parts = list(self.encode_arrays([check_text(text)], allowed_special, disallowed_special))
        if len(parts) == 1:
            return parts[0]
        return np.concatenate([np.empty(0, id_dtype(self.vocab_size)), *parts])

    def encode_iterable(
        self,
        iterable: Iterable[str],
        allowed_special: str | Collection[str] = (),
        disallowed_special: str | Collection[str] = "all",
    ) -> Iterator[int]:
        """The ids of the pieces' concatenation; a special token may lie across two pieces."""
        for ids in self.encode_arrays(iterable, allowed_special, disallowed_special):
            yield from ids.tolist()

    def encode_arrays(
        self,
        iterable: Iterable[str],
        allowed_special: str | Collection[str] = (),
        disallowed_special: str | Collection[str] = "all",
    ) -> Iterator[Array]:
        """The same ids as :meth:`encode_iterable`, an array a piece."""
        texts = check_texts(iterable)
        for part, start in self._added.split(texts, allowed_special, disallowed_special):
            if isinstance(part, int):
                yield np.array([part], dtype=id_dtype(self.vocab_size))
            else:
                yield self._encode_characters(part, start)

    def decode(self, ids: Iterable[int] | Array, skip_special_tokens: bool = False) -> str:
        """The text of ``ids``; special tokens and the unknown token as their names, or left out.

        Raises:
            ValueError: an id is not below vocab_size, or the array is not 1-D.
        """
        array = check_ids(ids, self.vocab_size)
        checks.flag("skip_special_tokens", skip_special_tokens)
        plain = array < len(self.characters)
        if plain.all():
            return self._decode_characters(array)
        if skip_special_tokens:
            return self._decode_characters(array[plain])
        pieces = []
        start = 0
        for place in np.flatnonzero(~plain).tolist():
            pieces.append(self._decode_characters(array[start:place]))
            pieces.append(self._name_of[int(array[place])])
            start = place + 1
        return "".join(pieces) + self._decode_characters(array[start:])

    def decode_bytes(self, ids: Iterable[int] | Array, skip_special_tokens: bool = False) -> bytes:
        """The text of ``ids`` in UTF-8: whole characters, as every token is."""
        return self.decode(ids, skip_special_tokens).encode("utf-8")

    def to_dict(self) -> dict[str, Any]:
        """Everything that makes this tokenizer, JSON-able."""
        return {
            "type": self.type_name,
            "version": self.version,
            "characters": self.characters,
            "unknown_token": self.unknown_token,
            "special_tokens": list(self.special_tokens),
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> CharTokenizer:
        """The tokenizer that :meth:`to_dict` described as ``data``.

        Raises:
            ValueError: something in it is not sound.
        """
        check_description(data, DESCRIPTION, cls.type_name, cls.version)
        try:
            return cls(data["characters"], data["unknown_token"], data["special_tokens"])
        except TypeError as error:
            raise ValueError(str(error)) from None

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, CharTokenizer):
            return NotImplemented
        return self.to_dict() == other.to_dict()

    def __hash__(self) -> int:
        return hash((self.characters, self.unknown_token, self.special_tokens))

    def __repr__(self) -> str:
        more = f", unknown_token={self.unknown_token!r}" if self.unknown_token is not None else ""
        more += f", special_tokens={self.special_tokens!r}" if self.special_tokens else ""
        return f"CharTokenizer(vocab_size={self.vocab_size}{more})"

    def _lookup_table(self) -> Array:
        """Entry c is the id of code point c; the last stands for all code points beyond."""
        missing = -1 if self.unknown_id is None else self.unknown_id
        table = np.full(int(self._code_points[-1]) + 2, missing, dtype=np.int32)
        table[self._code_points] = np.arange(len(self._code_points))
        return table

    def _encode_characters(self, text: str, start: int) -> Array:
        """Ids of a text without special tokens that begins at ``start`` of the whole."""
        ids = np.empty(len(text), dtype=id_dtype(self.vocab_size))
        for first in range(0, len(text), CHARACTERS_AT_A_TIME):
            codes = _code_points(text[first : first + CHARACTERS_AT_A_TIME])
            found = self._id_of_code_point.take(codes.astype(np.intp), mode="clip")
            if found.size and found.min() < 0:
                raise ValueError(self._unknown_message(text, start))
            ids[first : first + len(found)] = found
        return ids

    def _unknown_message(self, text: str, start: int) -> str:
        first_places: dict[str, int] = {}
        for place, character in enumerate(text, start):
            first_places.setdefault(character, place)
        unknown = [(c, place) for c, place in first_places.items() if c not in self.characters]
        named = ", ".join(
            f"{character!r} (U+{ord(character):04X}, first at position {place:,})"
            for character, place in unknown[:CODE_POINTS_NAMED]
        )
        more = len(unknown) - CODE_POINTS_NAMED
        return (
            f"text holds characters that the tokenizer does not know: {named}"
            + (f" and {more:,} more" if more > 0 else "")
            + ": train it on text that has them, or with unknown_token='<unk>'"
        )

    def _decode_characters(self, ids: Array) -> str:
        return self._code_points[ids].astype("<u4").tobytes().decode("utf-32-le")


def _code_points(text: str) -> Array:
    """The code points of ``text``, lone surrogates too; a byte each where the text is ASCII."""
    if text.isascii():
        return np.frombuffer(text.encode("ascii"), dtype=np.uint8)
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")


# ── what a character tokenizer is made from, checked ──────────────────────────────────────────


def _check_characters(characters: object) -> str:
    """``characters`` if it is a str of distinct characters in the order of their code points."""
    characters = checks.text("characters", characters)
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


def _check_special(
    unknown_token: object, special_tokens: object, characters: str
) -> tuple[str | None, tuple[str, ...]]:
    """The names of the unknown and the special tokens: different, and none a known character."""
    unknown = None if unknown_token is None else check_name(unknown_token, "unknown_token")
    special = check_names(special_tokens)
    named = [("unknown_token", unknown), *(("special_tokens", name) for name in special)]
    for argument, name in named:
        if name is not None and len(name) == 1 and name in characters:
            mend = "it is one of the characters; choose a name such as '<unk>'"
            raise checks.wrong_value(argument, "a new name", name, mend)
    if unknown in special:
        mend = "it is given twice, as unknown_token too"
        raise checks.wrong_value("special_tokens", "different names", unknown, mend)
    return unknown, special
