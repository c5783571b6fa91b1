"""What every tokenizer can do: text to ids and back, and a JSON file of its own."""

from __future__ import annotations

import json
import os
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from minigpt.atomic import replacing
from minigpt.autograd import Array

IDS_PER_ARRAY = 65_536


class Tokenizer(ABC):
    """The interface of a tokenizer.

    ``allowed_special`` is ``"all"``, or the special tokens that are recognised in the text; one
    that is not allowed and turns up is an error, so that text from outside cannot smuggle one in.
    """

    type_name: ClassVar[str]  # the "type" of to_dict()

    @property
    @abstractmethod
    def vocab_size(self) -> int:
        """How many ids there are: 0 … vocab_size − 1."""

    @abstractmethod
    def encode(self, text: str, allowed_special: str | Collection[str] = ()) -> list[int]:
        """The ids of ``text``."""

    def encode_array(self, text: str, allowed_special: str | Collection[str] = ()) -> Array:
        """The ids of ``text`` as a (tokens,) array of the smallest unsigned type."""
        return np.array(self.encode(text, allowed_special), dtype=id_dtype(self.vocab_size))

    @abstractmethod
    def encode_iterable(
        self, iterable: Iterable[str], allowed_special: str | Collection[str] = ()
    ) -> Iterator[int]:
        """The ids of the pieces' concatenation, one by one, without holding the whole text."""

    def encode_arrays(
        self, iterable: Iterable[str], allowed_special: str | Collection[str] = ()
    ) -> Iterator[Array]:
        """The same ids as :meth:`encode_iterable`, in arrays: for writing token files quickly."""
        ids = iter(self.encode_iterable(iterable, allowed_special))
        while block := list(islice(ids, IDS_PER_ARRAY)):
            yield np.array(block, dtype=id_dtype(self.vocab_size))

    @abstractmethod
    def decode(self, ids: Iterable[int] | Array, skip_special_tokens: bool = False) -> str:
        """The text of ``ids``."""

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """Everything that makes this tokenizer, JSON-able, with its ``"type"``."""

    @classmethod
    @abstractmethod
    def from_dict(cls, data: dict[str, Any]) -> Tokenizer:
        """The tokenizer that :meth:`to_dict` described; ValueError where it is not sound."""

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the tokenizer as JSON in UTF-8; a reader finds the old file whole, or the new one.

        Raises:
            OSError: the file cannot be written.
        """
        text = json.dumps(self.to_dict(), ensure_ascii=False, indent=1) + "\n"
        with replacing(Path(path)) as file:
            file.write(text.encode("utf-8"))


def id_dtype(vocab_size: int) -> np.dtype[Any]:
    """The smallest unsigned type that holds the ids 0 … vocab_size − 1.

    Example:
        >>> id_dtype(256), id_dtype(257)
        (dtype('uint8'), dtype('uint16'))
    """
    return np.min_scalar_type(max(vocab_size - 1, 0))
