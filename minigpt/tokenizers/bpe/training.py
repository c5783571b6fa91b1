"""Learning the merges of byte-pair encoding, with counts that are kept up to date.

The same merges as ``plain.learn_merges_plain``, which counts all pairs again for each. A merge
changes few places, though, and there only the pairs beside it. So this keeps, for every pair, its
count and its places; and lists of the pairs of each count, the highest of them in order.
"""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from itertools import groupby

import numpy as np

from minigpt import checks
from minigpt.progress_bar import ProgressBar
from minigpt.tokenizers.added_tokens import AddedTokens
from minigpt.tokenizers.base import check_texts_to_learn_from
from minigpt.tokenizers.bpe.patterns import SplitPattern
from minigpt.tokenizers.bpe.plain import Pair, single_bytes
from minigpt.tokenizers.bpe.vocabulary import check_added
from minigpt.tokenizers.bpe.word_table import count_words_of_text

BORDER, GONE = -1, -2  # not tokens: beside a word; what has become part of the token before it


def learn(
    text_or_iterable: str | Iterable[str],
    vocab_size: int,
    special_tokens: Iterable[str],
    pattern: SplitPattern,
    progress: bool,
) -> tuple[dict[int, bytes], list[Pair], list[str]]:
    """The vocabulary, without special tokens, and the merges of a text; and the special names.

    Raises:
        TypeError, ValueError: as ``BPETokenizer.train`` says.
    """
    single = dict(enumerate(single_bytes(bytes(range(256)))))
    special = AddedTokens(check_added(special_tokens, (), single, ()))
    n_merges = _check_vocab_size(vocab_size, len(special.tokens)) - 256 - len(special.tokens)
    checks.flag("progress", progress)
    texts = check_texts_to_learn_from(text_or_iterable)
    words = count_words(texts, pattern, special, progress)
    if not words:
        raise ValueError("text is empty: a tokenizer learns from at least one character")
    merges = learn_merges(words, n_merges, progress)
    return (
        single | {256 + r: a + b for r, (a, b) in enumerate(merges)},
        merges,
        list(special.special),
    )


def count_words(
    texts: Iterable[str], pattern: SplitPattern, special: AddedTokens, progress: bool = False
) -> dict[bytes, int]:
    """How often each word is in a text that comes in pieces; special tokens separate words.

    Memory goes with the different words, not with the text.
    """
    words: Counter[bytes] = Counter()
    with ProgressBar(None, "reading", "char", shown=progress, large=True) as bar:
        parts = special.split(texts, allowed_special="all")
        for is_text, run in groupby(parts, key=lambda part: isinstance(part[0], str)):
            if is_text:
                for block in pattern.blocks(run):
                    words.update(count_words_of_text(block, pattern.starts(block)))
                    bar.update(len(block))
    return words


def learn_merges(words: Mapping[bytes, int], n_merges: int, progress: bool = False) -> list[Pair]:
    """The pairs to merge, learned from words with their counts; fewer where no pair is left.

    Example:
        >>> learn_merges({b"low": 5, b"lower": 2, b"newest": 6, b"widest": 3}, 4)
        [(b's', b't'), (b'e', b'st'), (b'o', b'w'), (b'l', b'ow')]
    """
    vocab = single_bytes(bytes(range(256)))
    descending = [_descending_key(token) for token in vocab]
    n_merges = min(n_merges, sum(map(len, words)))  # each makes the text a token shorter at least
    n_ids = 256 + n_merges  # the pair (a, b) is written as the number a · n_ids + b
    chain = _Chain(words, n_ids)

    def order(pair: int) -> str:
        a, b = divmod(pair, n_ids)
        return descending[a] + descending[b]

    waiting = _Waiting(chain.counts, order)
    merges: list[Pair] = []
    with ProgressBar(n_merges, "merging", "merge", shown=progress) as bar:
        while len(merges) < n_merges and (pair := waiting.pop()) is not None:
            a, b = divmod(pair, n_ids)
            merges.append((vocab[a], vocab[b]))
            vocab.append(vocab[a] + vocab[b])
            descending.append(_descending_key(vocab[-1]))
            waiting.add(chain.merge(a, b, len(vocab) - 1))
            bar.update()
    return merges


class _Waiting:
    """The pairs that are to be merged, in one list for each count.

    Only the pairs of the highest count are put in order: most pairs never come so far. A pair that
    has become rarer since it was put in a list moves to its own when its turn would come.
    """

    def __init__(self, counts: Mapping[int, int], order: Callable[[int], str]) -> None:
        self.counts, self.order = counts, order
        self.lists: dict[int, list[int]] = {}  # by count
        self.levels: list[int] = []  # heap of the counts that have a list, negative
        self.level = 0  # the highest count
        self.first: list[tuple[str, int]] = []  # heap of its pairs
        self.add(counts)

    def add(self, pairs: Iterable[int]) -> None:
        """Put each of the pairs where its count belongs."""
        for pair in pairs:
            count = self.counts[pair]
            if count in self.lists:
                self.lists[count].append(pair)
            elif count == self.level:
                heapq.heappush(self.first, (self.order(pair), pair))
            else:
                self.lists[count] = [pair]
                heapq.heappush(self.levels, -count)

    def pop(self) -> int | None:
        """The most frequent pair, and of equally frequent ones the greatest; None at the end."""
        while True:
            while self.first:
                _, pair = heapq.heappop(self.first)
                if self.counts[pair] == self.level:
                    return pair
                self.add([pair])
            if not self.levels or self.levels[0] == 0:  # what is left has no place any more
                return None
            self.level = -heapq.heappop(self.levels)
            self.add(self.lists.pop(self.level))


class _Chain:
    """All words one after the other, each token linked to its neighbours in the word.

    A merge then takes the same time in a long word as in a short one. A pair (a, b) is the number
    a · n_ids + b, which dictionaries find faster than two.
    """

    def __init__(self, words: Mapping[bytes, int], n_ids: int) -> None:
        words = {word: count for word, count in words.items() if word}
        data = np.frombuffer(b"".join(words), np.uint8)
        lengths = np.fromiter(map(len, words), np.int64, len(words))
        n, last = len(data), np.cumsum(lengths) - 1
        before, after = np.arange(-1, n), np.arange(1, n + 2)
        before[last - lengths + 1] = after[last] = n  # the border stands beside every word
        self.n_ids = n_ids
        self.tokens = [*data.tolist(), BORDER]
        self.before, self.after = before.tolist(), after.tolist()
        # How often the word is in the text that a token is in.
        weight = np.repeat(np.fromiter(words.values(), np.int64, len(words)), lengths)
        self.weight = weight.tolist()

        # The count of every pair, and the places where it begins.
        begins = np.delete(np.arange(n), last)
        pairs = data[begins].astype(np.int64) * n_ids + data[begins + 1]
        order = np.argsort(pairs, kind="stable")
        begins, pairs = begins[order], pairs[order]
        first = np.flatnonzero(np.diff(pairs, prepend=-1))
        names, sums = pairs[first].tolist(), np.add.reduceat(weight[begins], first).tolist()
        places, ends = begins.tolist(), [*first.tolist(), len(pairs)]
        self.counts = defaultdict(int, zip(names, sums, strict=True))
        self.places = {p: places[i:j] for p, i, j in zip(names, ends, ends[1:], strict=False)}

    def merge(self, a: int, b: int, new: int) -> list[int]:
        """Make (a, b) the token ``new`` everywhere; returns the pairs that have come into being.

        Only the pairs beside it change: x a b y has (x, a) and (b, y), x new y (x, new), (new, y).
        """
        tokens, weights, before, after = self.tokens, self.weight, self.before, self.after
        counts, places, n_ids = self.counts, self.places, self.n_ids
        pair, b_first, new_first = a * n_ids + b, b * n_ids, new * n_ids
        born: list[int] = []
        for i in sorted(places.pop(pair)):
            j = after[i]
            if tokens[i] != a or tokens[j] != b:
                continue  # one of the two has been merged since
            weight, left, right = weights[i], before[i], after[j]
            x, y = tokens[left], tokens[right]
            tokens[i], tokens[j], after[i], before[right] = new, GONE, right, i
            if x != BORDER:
                counts[x * n_ids + a] -= weight
                beside = x * n_ids + new
                counts[beside] += weight
                if beside in places:
                    places[beside].append(left)
                else:
                    places[beside] = [left]
                    born.append(beside)
            if y != BORDER:
                counts[b_first + y] -= weight
                beside = new_first + y
                counts[beside] += weight
                if beside in places:
                    places[beside].append(i)
                else:
                    places[beside] = [i]
                    born.append(beside)
        del counts[pair]
        return born


def _descending_key(token: bytes) -> str:
    """A key that sorts tokens in reverse byte order; joined keys sort pairs so.

    Each byte b becomes 255 − b, and the end sorts after all bytes: a longer token is greater.
    """
    return "".join([chr(255 - byte) for byte in token]) + chr(256)


def _check_vocab_size(vocab_size: object, n_special: int) -> int:
    """``vocab_size`` if it has room for the 256 bytes and the special tokens."""
    special = f" and the {n_special} special tokens" if n_special else ""
    mend = f"the 256 bytes{special} need {256 + n_special}"
    return checks.integer("vocab_size", vocab_size, least=256 + n_special, mend=mend)
