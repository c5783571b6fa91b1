"""The tokens of many words at once: the same as ``merging``, with arrays.

The words stand beside each other as the columns of a matrix, a token in each row. In each round
every word merges the best of its pairs, and the tokens below move up; a word that has no pair left
is done. So a round costs a few operations on arrays, however many words there are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain

import numpy as np

from minigpt.autograd import Array
from minigpt.tokenizers.bpe.hash_table import HashTable
from minigpt.tokenizers.bpe.merging import Merger

HEIGHTS = (8, 16, 32, 64)  # of the matrices; their words are shorter
NONE = -1  # not a token
FEW = 64  # words, which are faster merged one by one


class WordsMerger:
    """Merges the bytes of many words into the ids of their tokens.

    Args:
        one_word: the merges; it also takes the words that are too long for a matrix, or too few.
        id_of_byte: of each of the 256 bytes.
        whole: words whose id is known, by their bytes.

    Example:
        >>> merge = WordsMerger(Merger([(104, 101), (256, 121)], [256, 257]), range(256))
        >>> words = np.frombuffer(b"heythey", np.uint8)  # h+e becomes 256, he+y 257
        >>> ids, counts = merge(words, starts=np.array([0, 3]), lengths=np.array([3, 4]))
        >>> ids.tolist(), counts.tolist()
        ([257, 116, 257], [1, 2])
    """

    def __init__(
        self, one_word: Merger, id_of_byte: Sequence[int], whole: Mapping[bytes, int] | None = None
    ) -> None:
        self._one_word, self._whole = one_word, whole or {}
        self._id_of_byte = np.array(id_of_byte, np.int32)
        merged = one_word.merged
        self._merged = np.array(merged, np.int32)
        left, right = np.fromiter(chain.from_iterable(one_word.rank), np.int32).reshape(-1, 2).T
        bits = (4 * len(merged) + 16).bit_length()
        self._table = HashTable(numbers=1, bits=bits)
        places = self._table.places(_keys(left, right), add=True)
        # Else a pair would be overlooked, or a score too large.
        sound = (places >= 0).all() and HEIGHTS[-1] * (len(merged) + 1) < 1 << 31
        self._heights = HEIGHTS if sound else ()
        self._rank_at = np.full((1 << bits) + 1, len(merged), np.int32)  # the last one: not there
        self._rank_at[places] = np.arange(len(merged))

    def __call__(self, data: Array, starts: Array, lengths: Array) -> tuple[Array, Array]:
        """The ids of words of ``data``, one word after the other, and how many each has.

        Shapes:
            data (bytes,); starts and lengths (words,) -> (ids,), (words,)
        """
        counts = np.empty_like(lengths)
        parts: list[tuple[Array, Array]] = []  # which words; their ids, (height + 1, words)

        def finish(words: Array, tokens: Array) -> None:
            parts.append((words, tokens))
            counts[words] = (tokens != NONE).sum(axis=0)

        if self._whole:
            spans = zip(starts.tolist(), (starts + lengths).tolist(), strict=True)
            known = [self._whole.get(data[start:end].tobytes(), NONE) for start, end in spans]
            tokens = np.array(known, np.int32)[None]
            words = np.flatnonzero(tokens != NONE)
            finish(words, tokens[:, words])
            lengths = np.where(tokens[0] != NONE, 0, lengths)
        shortest = 1
        for height in self._heights:
            words = np.flatnonzero((shortest <= lengths) & (lengths < height))
            shortest = height
            if words.size:
                rows = np.arange(height)[:, None]
                inside = rows < lengths[words]
                tokens = np.full(inside.shape, NONE, np.int32)
                tokens[inside] = self._id_of_byte[data[(starts[words] + rows)[inside]]]
                self._merge(tokens)
                finish(words, tokens)
        for word in np.flatnonzero(lengths >= shortest).tolist():
            in_bytes = data[starts[word] : starts[word] + lengths[word]]
            tokens = np.array(self._one_word(self._id_of_byte[in_bytes].tolist()), np.int32)
            finish(np.array([word]), tokens[:, None])

        ends = np.cumsum(counts)
        ids = np.empty(ends[-1] if ends.size else 0, np.int32)
        for words, tokens in parts:
            is_token = tokens != NONE
            places = np.cumsum(is_token, axis=0) + (ends - counts - 1)[words]
            ids[places[is_token]] = tokens[is_token]
        return ids, counts

    def _merge(self, tokens: Array) -> None:
        """Merge the words in place; NONE stands where a token was, and at least in the last row.

        Shapes:
            (height, words)
        """
        rows = np.arange(len(tokens), dtype=np.int32)[:, None]
        scores = np.empty_like(tokens)
        scores[:-1] = self._ranks(tokens[:-1], tokens[1:]) * len(rows) + rows[:-1]
        shape = np.zeros_like(tokens)
        self._rounds(tokens, scores, shape + rows + 1, shape + rows - 1)

    def _rounds(self, tokens: Array, scores: Array, after: Array, before: Array) -> None:
        """Merge pair by pair.

        The score of the pair that begins in a row is rank · height + row: the least one of a word
        is the pair that was learned first, and where it stands several times, the leftmost. The
        tokens of a word are linked, ``after`` and ``before`` each by its row; before the first one
        stands row −1, which is the last one, where no token is.

        Shapes:
            (height, words) each
        """
        height, n_words = tokens.shape
        flat_tokens, flat_scores = tokens.reshape(-1), scores.reshape(-1)
        flat_after, flat_before = after.reshape(-1), before.reshape(-1)
        while True:
            best = scores[:-1].min(axis=0)  # (words,)
            words = np.flatnonzero(best < len(self._merged) * height)  # that have a pair left
            if len(words) < FEW:
                break
            if 2 * len(words) < n_words:  # go on with these only
                rest = [np.take(array, words, axis=1) for array in (tokens, scores, after, before)]
                self._rounds(*rest)
                tokens[:, words] = rest[0]
                return
            rank, row = np.divmod(best[words], height)
            left = row * n_words + words  # places in the flat arrays
            right = flat_after[left] * n_words + words
            new = self._merged[rank]
            flat_tokens[left], flat_tokens[right] = new, NONE
            flat_scores[right] = len(self._merged) * height
            next_row = flat_after[left] = flat_after[right]
            flat_before[next_row * n_words + words] = row
            # the pairs on both sides are new ones
            row_before = flat_before[left]
            neighbours = np.array([row_before, next_row]) * n_words + words
            beside = flat_tokens[neighbours]
            ranks = self._ranks(np.array([beside[0], new]), np.array([new, beside[1]]))
            flat_scores[neighbours[0]] = ranks[0] * height + row_before
            flat_scores[left] = ranks[1] * height + row
        for word in words.tolist():
            ids = self._one_word([i for i in tokens[:, word].tolist() if i != NONE])
            tokens[:, word] = ids + [NONE] * (height - len(ids))

    def _ranks(self, left: Array, right: Array) -> Array:
        """The rank of each pair."""
        keys = _keys(left.ravel(), right.ravel())
        return self._rank_at[self._table.places(keys)].reshape(left.shape)


def _keys(left: Array, right: Array) -> Array:
    """A number for each pair, never 0."""
    return (((left.astype(np.uint64) + np.uint64(1)) << np.uint64(32)) | right.astype(np.uint64))[
        None
    ]
