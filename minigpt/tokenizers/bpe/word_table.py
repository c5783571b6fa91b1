"""The different words of a long text, numbered: all of its words are looked up at once.

A word of up to 63 bytes is one, two, four or eight numbers of eight bytes, which end with its
length: words are equal if these numbers are. So a word becomes a key of a hash table without ever
being a Python object.
"""

from __future__ import annotations

from collections import Counter

import numpy as np

from minigpt.autograd import Array
from minigpt.tokenizers.bpe.hash_table import HashTable

SIZES = (1, 2, 4, 8)  # of a key, in numbers of eight bytes
TOO_LONG = 64  # bytes
WORDS_AT_ONCE = 1 << 14  # whose keys fit the processor's cache
PLACES_BITS = 17  # of each size
# Which of the sizes a word of a length has; 4: none.
_SIZE_OF = np.digitize(np.arange(TOO_LONG + 1), [8, 16, 32, 64]).astype(np.uint8)
_FIRST_BYTES = np.array([(1 << 8 * n) - 1 for n in range(9)], np.uint64)  # a mask of n bytes


class WordTable:
    """Numbers 0, 1, … for words, in the order in which they come.

    Example:
        >>> words = words_in_bytes("a rose is a rose", np.array([0, 1, 6, 9, 11]))
        >>> numbers, new = WordTable().number(*words)
        >>> bool(numbers[1] == numbers[4]), len(new)
        (True, 4)
    """

    def __init__(self) -> None:
        self._tables = [HashTable(size, PLACES_BITS) for size in SIZES]
        self._number_at = np.zeros((len(SIZES), 1 << PLACES_BITS), np.int32)  # and 1, or 0: none
        self._counts = [0] * len(SIZES)

    def __len__(self) -> int:
        """How many different words there are."""
        return sum(self._counts)

    @property
    def full(self) -> bool:
        """Whether a new table should be begun, for searching becomes slow."""
        return max(self._counts) > 1 << (PLACES_BITS - 1)

    def number(self, data: Array, starts: Array, lengths: Array) -> tuple[Array, Array]:
        """The number of each word, and a place in ``starts`` of each number that is new.

        A word of 64 bytes or more, or that finds no room in the table, has the number −1.

        Shapes:
            data (bytes + 8,), uint8; starts and lengths (words,) -> (words,), (new words,)
        """
        numbers = np.full(len(starts), -1)
        new = [np.empty(0, np.intp)]
        for first in range(0, len(starts), WORDS_AT_ONCE):
            some = slice(first, first + WORDS_AT_ONCE)
            sizes = _SIZE_OF[np.minimum(lengths[some], TOO_LONG)]
            for size in range(len(SIZES)):
                words = np.flatnonzero(sizes == size) + first
                if words.size:
                    new.append(self._number(size, words, data, starts, lengths, numbers))
        return numbers, np.concatenate(new)

    def _number(
        self, size: int, words: Array, data: Array, starts: Array, lengths: Array, numbers: Array
    ) -> Array:
        """Write the ``numbers`` of the words that are of one size; returns those that are new."""
        keys = _keys(data, starts[words], lengths[words], SIZES[size])
        places = self._tables[size].places(keys, add=True)
        if places.min() < 0:
            words, places = words[places >= 0], places[places >= 0]
        number_at = self._number_at[size]
        first_seen = np.flatnonzero(number_at[places] == 0)
        unseen, where = words[first_seen], places[first_seen]
        number_at[where] = np.arange(len(where))  # of equal words, the last one stays
        one_of_each = number_at[where] == np.arange(len(where))
        unseen, where = unseen[one_of_each], where[one_of_each]
        number_at[where] = len(self) + 1 + np.arange(len(where))
        self._counts[size] += len(where)
        numbers[words] = number_at[places] - 1
        return unseen


def words_in_bytes(text: str, word_starts: Array) -> tuple[Array, Array, Array]:
    """A text in UTF-8, and where in it each word begins and how long it is.

    Eight more bytes follow, so that eight can be read from every byte.

    Shapes:
        (words,) -> (bytes + 8,), (words,), (words,)

    Example:
        >>> data, starts, lengths = words_in_bytes("naïve idea", np.array([0, 5]))
        >>> starts.tolist(), lengths.tolist()
        ([0, 6], [6, 5])
    """
    data = np.frombuffer(text.encode("utf-8") + bytes(8), np.uint8)
    n_bytes = len(data) - 8
    if n_bytes > len(text):  # not ASCII: the first byte of a character is not 10xxxxxx
        word_starts = np.flatnonzero((data[:n_bytes] & 0xC0) != 0x80)[word_starts]
    return data, word_starts, np.diff(word_starts, append=n_bytes)


def count_words_of_text(text: str, word_starts: Array) -> Counter[bytes]:
    """How often each word is in a text.

    Example:
        >>> count_words_of_text("a rose is a rose", np.array([0, 1, 6, 9, 11])).most_common(1)
        [(b' rose', 2)]
    """
    data, starts, lengths = words_in_bytes(text, word_starts)
    numbers, new = WordTable().number(data, starts, lengths)
    counts = np.bincount(numbers[numbers >= 0], minlength=len(new)).tolist()
    without = np.flatnonzero(numbers < 0)

    def words(which: Array) -> list[bytes]:
        spans = zip(starts[which].tolist(), (starts + lengths)[which].tolist(), strict=True)
        in_bytes = data.tobytes()
        return [in_bytes[start:end] for start, end in spans]

    counted = Counter(dict(zip(words(new), counts, strict=True)))
    counted.update(words(without))
    return counted


def _keys(data: Array, starts: Array, lengths: Array, size: int) -> Array:
    """Each word as ``size`` numbers, whose last byte is its length."""
    eight_from = np.ndarray(len(data) - 7, "<u8", data, strides=(1,))  # at every byte
    keys = np.empty((size, len(starts)), np.uint64)
    for i in range(size):
        rest = np.clip(lengths - 8 * i, 0, 8)
        keys[i] = eight_from[np.minimum(starts + 8 * i, len(data) - 8)] & _FIRST_BYTES[rest]
    keys[-1] |= lengths.astype(np.uint64) << np.uint64(56)
    return keys
