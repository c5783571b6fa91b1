"""What every tokenizer can do: text to ids and back, and a JSON file of its own."""

from __future__ import annotations

import json
import os
import re
import warnings
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, ClassVar

import numpy as np

from minigpt import checks
from minigpt.atomic import replacing
from minigpt.autograd import Array

IDS_PER_ARRAY = 65_536
LONGEST_PATH = 255  # characters of a text that may be meant as the path of a file
NAME_OF_A_TEXT_FILE = re.compile(r"\S+\.(?:txt|text|md|rst|tex|log|csv|tsv|jsonl?|html?|xml|py)")


class Tokenizer(ABC):
    """The interface of a tokenizer.

    ``allowed_special`` is ``"all"``, or the special tokens that are recognised in the text. One
    that is not allowed and turns up is an error, so that text from outside cannot smuggle one in;
    ``disallowed_special`` says for which that holds. With ``disallowed_special=()`` the name of a
    special token is plain text like any other (both are tiktoken's arguments). And
    ``skip_special_tokens`` says whether special tokens are left out of a decoded text.

    A class of one's own has to give ``vocab_size``, ``encode``, ``encode_iterable``, ``decode``,
    ``to_dict`` and ``from_dict``.

    Example:
        >>> import minigpt as mg
        >>> tokenizer = mg.CharTokenizer.train("ab", special_tokens=["<|end|>"])
        >>> isinstance(tokenizer, mg.Tokenizer)
        True
        >>> tokenizer.encode("ba<|end|>", allowed_special="all")
        [1, 0, 2]
        >>> tokenizer.decode([1, 0, 2], skip_special_tokens=True)
        'ba'
    """

    type_name: ClassVar[str]  # the "type" of to_dict()

    @property
    @abstractmethod
    def vocab_size(self) -> int:
        """How many ids there are: 0 … vocab_size − 1."""

    @abstractmethod
    def encode(
        self,
        text: str,
        allowed_special: str | Collection[str] = (),
        disallowed_special: str | Collection[str] = "all",
    ) -> list[int]:
        """The ids of ``text``."""

    def encode_array(
        self,
        text: str,
        allowed_special: str | Collection[str] = (),
        disallowed_special: str | Collection[str] = "all",
    ) -> Array:
        """The ids of ``text`` as a (tokens,) array of the smallest unsigned type."""
        ids = self.encode(text, allowed_special, disallowed_special)
        return np.array(ids, dtype=id_dtype(self.vocab_size))

    @abstractmethod
    def encode_iterable(
        self,
        iterable: Iterable[str],
        allowed_special: str | Collection[str] = (),
        disallowed_special: str | Collection[str] = "all",
    ) -> Iterator[int]:
        """The ids of the pieces' concatenation, one by one, without holding the whole text.

        The pieces are what the ``iterable`` gives, such as the lines of an open file.
        """

    def encode_arrays(
        self,
        iterable: Iterable[str],
        allowed_special: str | Collection[str] = (),
        disallowed_special: str | Collection[str] = "all",
    ) -> Iterator[Array]:
        """The same ids as :meth:`encode_iterable`, in arrays: for writing token files quickly."""
        ids = iter(self.encode_iterable(iterable, allowed_special, disallowed_special))
        while block := list(islice(ids, IDS_PER_ARRAY)):
            yield np.array(block, dtype=id_dtype(self.vocab_size))

    def encode_mixed(self, pieces: Iterable[tuple[str, bool]]) -> list[int]:
        """The ids of the pieces' concatenation, special tokens only where a piece may have them.

        A piece comes with whether it may. Elsewhere, and across the border of two pieces, the name
        of a special token is plain text, so that a text from outside can stand in a frame of
        special tokens, as in a chat.

        Raises:
            ValueError: a text that this tokenizer cannot encode.
        """
        ids: list[int] = []
        for text, may in check_pieces(pieces):
            ids += self.encode(text, "all" if may else (), ())
        return ids

    @abstractmethod
    def decode(self, ids: Iterable[int] | Array, skip_special_tokens: bool = False) -> str:
        """The text of ``ids``."""

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """Everything that makes this tokenizer, JSON-able, with its ``"type"``."""

    @classmethod
    @abstractmethod
    def from_dict(cls, data: dict[str, Any]) -> Tokenizer:
        """The tokenizer that :meth:`to_dict` described as ``data``.

        Raises:
            ValueError: something in it is not sound.
        """

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the tokenizer as JSON in UTF-8; a reader finds the old file whole, or the new one.

        :func:`minigpt.load_tokenizer` reads it from the same ``path``.

        Raises:
            OSError: the file cannot be written.
        """
        text = json.dumps(self.to_dict(), ensure_ascii=False, indent=1) + "\n"
        with replacing(checks.path("path", path)) as file:
            file.write(text.encode("utf-8"))


def id_dtype(vocab_size: int) -> np.dtype[Any]:
    """The smallest unsigned type that holds the ids 0 … vocab_size − 1.

    Example:
        >>> id_dtype(256), id_dtype(257)
        (dtype('uint8'), dtype('uint16'))
    """
    return np.min_scalar_type(max(vocab_size - 1, 0))


# ── what comes from outside, checked ──────────────────────────────────────────────────────────


def check_pieces(pieces: object) -> Iterator[tuple[str, bool]]:
    """Texts, each with whether it may have special tokens."""
    expected = "pairs of a text, and whether it may have special tokens"
    for i, pair in enumerate(checks.items("pieces", pieces, expected)):
        if not isinstance(pair, (tuple, list)) or len(pair) != 2:
            raise checks.wrong_type(f"pieces[{i}]", "such a pair: (text, may)", pair)
        yield checks.text(f"pieces[{i}][0]", pair[0]), checks.flag(f"pieces[{i}][1]", pair[1])


def check_text(text: object) -> str:
    """``text`` if it is a str."""
    mend = ""
    if isinstance(text, (bytes, bytearray)):
        mend = "decode it first: text.decode('utf-8')"
    elif isinstance(text, os.PathLike):
        mend = "read it first: minigpt.datasets.load_text(path)"
    return checks.text("text", text, mend)


def check_characters(text: Any, start: int) -> str:
    """``text``, which begins at ``start`` of the whole, if it has an encoding in UTF-8."""
    if not text.isascii():
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as error:
            raise ValueError(
                f"text holds U+{ord(text[error.start]):04X} at position {start + error.start:,}: a "
                "lone surrogate is not a character; read the text as strict UTF-8"
            ) from None
    return text


def check_texts(texts: object) -> Iterator[str]:
    """The texts of an iterable, or the one text that came, each checked to be a str."""
    if checks.iterates(texts) and not isinstance(texts, (str, bytes, bytearray)):
        return map(check_text, texts)
    return iter([check_text(texts)])


def check_texts_to_learn_from(texts: object) -> Iterator[str]:
    """As :func:`check_texts`, and one text is not the path of a file.

    A text without white space that is a file here, with a suffix or in a folder, is refused; one
    that only looks like the name of a text file gets a warning. In a list no text is taken for a
    path.
    """
    if isinstance(texts, str) and len(texts) <= LONGEST_PATH and not re.search(r"\s", texts):
        mend = f"read it first: minigpt.datasets.load_text({texts!r})"
        if re.search(r".[./\\].", texts) and os.path.isfile(texts):
            raise checks.wrong_value(
                "text", "the text itself", texts, f"that is a file here, {mend}"
            )
        if NAME_OF_A_TEXT_FILE.fullmatch(texts):
            warnings.warn(
                f"the text to learn from is {texts!r}: if that is the name of a file, {mend}",
                stacklevel=3,
            )
    return check_texts(texts)


def check_ids(ids: Iterable[int] | Array, vocab_size: int) -> Array:
    """``ids`` as a 1-D int64 array, each 0 <= id < vocab_size.

    Example:
        >>> check_ids([1, 2], vocab_size=3)
        array([1, 2])
    """
    given: object = ids
    if isinstance(given, (str, bytes)) or not isinstance(given, Iterable):
        mend = f"for one id, pass [{given!r}]" if isinstance(given, (int, np.integer)) else ""
        raise checks.wrong_type("ids", "a sequence of integers", given, mend)
    listed = ids if isinstance(ids, (np.ndarray, list)) else list(ids)
    array = checks.regular("ids", listed, "one sequence of integers")
    if array.ndim != 1:
        mend = "decode it row by row" if array.ndim > 1 else "for one id, pass a list of it"
        raise checks.wrong_value("ids", "one sequence of integers", array, mend)
    if array.size == 0:
        return np.empty(0, np.int64)
    if array.dtype == object and all(type(i) is int for i in array.tolist()):
        wrong = np.ones(len(array), dtype=bool)  # ints that no 64-bit type holds
    else:
        array = checks.integers("ids", array)
        wrong = (array < 0) | (array >= vocab_size)
    if wrong.any():
        place = int(np.argmax(wrong))
        raise ValueError(
            f"id {checks.shown(array[place])} at position {place:,} is not in the vocabulary: "
            f"ids run from 0 to {vocab_size - 1:,}"
        )
    return array.astype(np.int64, copy=False)


def check_description(
    data: Mapping[str, Any], types: Mapping[str, type | tuple[type, ...]], kind: str, version: int
) -> None:
    """``data`` has exactly the keys of ``types``, each value of its type, and is of this version.

    Raises:
        ValueError: it is not so: descriptions come out of files.
    """
    if not isinstance(data, Mapping):
        raise checks.wrong_value("a tokenizer's description", "a dict", data)
    if set(data) != set(types):
        missing = sorted(set(types) - set(data))
        unexpected = sorted(map(checks.shown, set(data) - set(types)))[:5]
        found = {"missing": missing, "unexpected": unexpected}
        wrong = [f"{what} {', '.join(keys)}" for what, keys in found.items() if keys]
        raise ValueError(f"the tokenizer's keys are wrong: {'; '.join(wrong)}")
    for key, wanted in types.items():
        if not isinstance(data[key], wanted) or (
            isinstance(data[key], bool) and wanted is not bool
        ):
            names = [t.__name__ for t in (wanted if isinstance(wanted, tuple) else (wanted,))]
            expected = checks.article(" or ".join(names)).replace("NoneType", "None")
            raise checks.wrong_value(f"{key} of the tokenizer", expected, data[key])
    if data["type"] != kind:
        raise checks.wrong_value("type of the tokenizer", repr(kind), data["type"])
    if data["version"] != version:
        mend = "a later minigpt wrote it: upgrade"
        raise checks.wrong_value("version of the tokenizer", str(version), data["version"], mend)
