"""The ids of words, each computed once and kept.

A text repeats its words: of Shakespeare's 300,000, one in twenty is a new one.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from minigpt.autograd import Array
from minigpt.tokenizers.base import id_dtype
from minigpt.tokenizers.bpe.merging import Merger
from minigpt.tokenizers.bpe.plain import Pair
from minigpt.tokenizers.bpe.whole_tokens import whole_tokens

CACHED_WORDS = 1 << 16
LONGEST_CACHED = 64  # characters: longer words rarely come again


class WordIds(dict[str, bytes]):
    """A dict from words to their ids, which computes those that are not there yet.

    The ids are the bytes of an array, so that a text's are its words' joined. The number of words
    is limited. A word with a byte that the vocabulary lacks is a ValueError.

    Args:
        vocab: the bytes of each id.
        merges: the pairs that are merged, the first learned first.
        whole: ids, with their bytes, that words are whatever the merges make of them.

    Example:
        >>> vocab = dict(enumerate([*(bytes([byte]) for byte in range(256)), b"he", b"hey"]))
        >>> WordIds(vocab, [(b"h", b"e"), (b"he", b"y")]).join(["they", "hey"])
        array([116, 257, 257], dtype=uint16)
    """

    def __init__(
        self,
        vocab: Mapping[int, bytes],
        merges: Sequence[Pair],
        whole: Mapping[int, bytes] | None = None,
    ) -> None:
        super().__init__()
        id_of = {token: token_id for token_id, token in vocab.items()}
        pairs = [(id_of[a], id_of[b]) for a, b in merges]
        merged = [id_of[a + b] for a, b in merges]
        self.dtype = id_dtype(len(vocab))
        self.id_of_byte = [id_of.get(bytes([byte]), 0) for byte in range(256)]
        self.missing = {byte for byte in range(256) if bytes([byte]) not in id_of}
        self.merge = Merger(pairs, merged)
        if whole is None:
            is_whole = whole_tokens(pairs, merged, len(vocab)).tolist()
            whole = {token_id: vocab[token_id] for token_id in merged if is_whole[token_id]}
        self.whole = {token: token_id for token_id, token in whole.items()}

    def join(self, words: Iterable[str]) -> Array:
        """The ids of words, one after the other.

        Shapes:
            (tokens,), of the smallest unsigned type
        """
        return np.frombuffer(b"".join(map(self.__getitem__, words)), dtype=self.dtype)

    def __missing__(self, word: str) -> bytes:
        data = word.encode("utf-8")
        if data in self.whole:
            ids = self._as_bytes([self.whole[data]])
        else:
            if not self.missing.isdisjoint(data):
                raise self._unknown(word)
            ids = self._as_bytes(self.merge([self.id_of_byte[byte] for byte in data]))
        if len(word) <= LONGEST_CACHED:
            if len(self) >= CACHED_WORDS:
                self.clear()  # the frequent words are soon back
            self[word] = ids
        return ids

    def _unknown(self, word: str) -> ValueError:
        """The error for a word with a byte that is not a token."""
        character = next(c for c in word if not self.missing.isdisjoint(c.encode("utf-8")))
        byte = next(byte for byte in character.encode("utf-8") if byte in self.missing)
        return ValueError(
            f"text holds {character!r} (U+{ord(character):04X}), whose byte 0x{byte:02x} the "
            "vocabulary does not have: take it out"
        )

    def _as_bytes(self, ids: list[int]) -> bytes:
        return array(self.dtype.char, ids).tobytes()
