"""The ids of a text: of a short one word by word, out of a dictionary; of a long one all at once.

The words of a long text never become Python objects.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np

from minigpt.autograd import Array
from minigpt.tokenizers.bpe.merging_together import WordsMerger
from minigpt.tokenizers.bpe.patterns import SplitPattern
from minigpt.tokenizers.bpe.word_table import WordTable, words_in_bytes
from minigpt.tokenizers.bpe.words import WordIds

LONG = 1 << 16  # characters, from where arrays are faster than a dictionary


class TextIds:
    """Gives the ids of texts, and keeps those of the words that it has met.

    Args:
        words: the dictionary.
        pattern: splits a text into words.

    Example:
        >>> vocab = dict(enumerate([*(bytes([byte]) for byte in range(256)), b"he", b"hey"]))
        >>> ids = TextIds(WordIds(vocab, [(b"h", b"e"), (b"he", b"y")]), SplitPattern("gpt2"))
        >>> ids("they!hey")
        array([116, 257,  33, 257], dtype=uint16)
    """

    def __init__(self, words: WordIds, pattern: SplitPattern) -> None:
        self._words, self._pattern = words, pattern
        self._idle: list[_Known] = []  # at most one, which a thread takes while it works

    @cached_property
    def _merge(self) -> WordsMerger:
        return WordsMerger(self._words.merge, self._words.id_of_byte, self._words.whole)

    def __call__(self, text: str) -> Array:
        """The ids of ``text``.

        Shapes:
            (tokens,), of the smallest unsigned type
        """
        if len(text) < LONG or not self._words.missing.isdisjoint(text.encode("utf-8")):
            return self._words.join(self._pattern.split(text))
        return self._all_at_once(text)

    def _all_at_once(self, text: str) -> Array:
        word_starts = self._pattern.starts(text)
        data, starts, lengths = words_in_bytes(text, word_starts)
        try:
            known = self._idle.pop()
        except IndexError:
            known = _Known()
        if known.table.full:
            known = _Known()
        numbers, new = known.table.number(data, starts, lengths)
        without = np.flatnonzero(numbers < 0)  # too long, or no room for them
        numbers[without] = len(known.table) + np.arange(len(without))
        unknown = np.concatenate([new, without])
        ids, counts = self._merge(data, starts[unknown], lengths[unknown])
        ids = np.concatenate([known.ids, ids.astype(self._words.dtype)])
        ends = np.concatenate([known.ends, known.ends[-1] + np.cumsum(counts)])
        known.ends = ends[: len(known.table) + 1].copy()
        known.ids = ids[: known.ends[-1]].copy()
        if not self._idle:
            self._idle.append(known)
        return _of_each(numbers, ids, ends)


class _Known:
    """The words met so far: number i has the ids ids[ends[i] : ends[i + 1]]."""

    def __init__(self) -> None:
        self.table = WordTable()
        self.ids, self.ends = np.empty(0, np.uint8), np.zeros(1, np.int64)


def _of_each(numbers: Array, ids: Array, ends: Array) -> Array:
    """The ids of the words of these numbers, one after the other."""
    first = ends[numbers]
    counts = ends[numbers + 1] - first
    done = np.cumsum(counts)  # ids up to the end of each word
    places = np.repeat(first - (done - counts), counts)
    places += np.arange(len(places))
    chosen: Array = ids[places]
    return chosen
