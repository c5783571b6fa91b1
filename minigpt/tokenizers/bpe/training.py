"""Learning the merges of byte-pair encoding, with counts that are kept up to date.

The same merges as ``plain.learn_merges_plain``, which counts all pairs again for each. A merge
changes few places, though, and there only the pairs beside it. So this keeps, for every pair, its
count and its places; and a heap of the pairs, the most frequent first.
"""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from itertools import groupby

from minigpt import checks
from minigpt.progress_bar import ProgressBar
from minigpt.tokenizers.added_tokens import AddedTokens
from minigpt.tokenizers.base import check_texts_to_learn_from
from minigpt.tokenizers.bpe.patterns import SplitPattern
from minigpt.tokenizers.bpe.plain import Pair, single_bytes
from minigpt.tokenizers.bpe.vocabulary import check_added

Ids = tuple[int, int]
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
    words: Counter[str] = Counter()
    with ProgressBar(None, "reading", "char", shown=progress, large=True) as bar:
        parts = special.split(texts, allowed_special="all")
        for is_text, run in groupby(parts, key=lambda part: isinstance(part[0], str)):
            if is_text:
                for block in pattern.blocks(run):
                    words.update(pattern.split(block))
                    bar.update(len(block))
    return {word.encode("utf-8"): count for word, count in words.items()}


def learn_merges(words: Mapping[bytes, int], n_merges: int, progress: bool = False) -> list[Pair]:
    """The pairs to merge, learned from words with their counts; fewer where no pair is left.

    Example:
        >>> learn_merges({b"low": 5, b"lower": 2, b"newest": 6, b"widest": 3}, 4)
        [(b's', b't'), (b'e', b'st'), (b'o', b'w'), (b'l', b'ow')]
    """
    vocab = single_bytes(bytes(range(256)))
    descending = [_descending_key(token) for token in vocab]
    chain = _Chain(words)
    counts, places = chain.count_pairs()

    def entry(pair: Ids) -> tuple[int, str, Ids]:
        # The smallest entry is the most frequent pair, and of those the greatest in bytes.
        return -counts[pair], descending[pair[0]] + descending[pair[1]], pair

    heap = [entry(pair) for pair in counts]
    heapq.heapify(heap)
    merges: list[Pair] = []
    with ProgressBar(n_merges, "merging", "merge", shown=progress) as bar:
        while heap and len(merges) < n_merges:
            negative_count, _, pair = heapq.heappop(heap)
            if -negative_count != counts[pair]:  # it has become rarer since it was put there
                if counts[pair]:
                    heapq.heappush(heap, entry(pair))
                continue
            merges.append((vocab[pair[0]], vocab[pair[1]]))
            vocab.append(vocab[pair[0]] + vocab[pair[1]])
            descending.append(_descending_key(vocab[-1]))
            born = chain.merge(pair, len(vocab) - 1, counts, places)
            for new_pair in born:
                if counts[new_pair]:
                    heapq.heappush(heap, entry(new_pair))
            bar.update()
    return merges


class _Chain:
    """All words one after the other, each token linked to its neighbours in the word.

    A merge then takes the same time in a long word as in a short one.
    """

    def __init__(self, words: Mapping[bytes, int]) -> None:
        n = sum(map(len, words))
        self.tokens = [*b"".join(words), BORDER]  # the last one stands beside every word
        self.weight: list[int] = []  # how often the word is in the text that a token is in
        self.before, self.after = list(range(-1, n)), list(range(1, n + 2))
        for word, count in words.items():
            if word:
                self.before[len(self.weight)] = n
                self.weight += [count] * len(word)
                self.after[len(self.weight) - 1] = n

    def count_pairs(self) -> tuple[Counter[Ids], defaultdict[Ids, list[int]]]:
        """The counts of all pairs, and the places where they begin."""
        counts: Counter[Ids] = Counter()
        places: defaultdict[Ids, list[int]] = defaultdict(list)
        for i, weight in enumerate(self.weight):
            pair = self.tokens[i], self.tokens[self.after[i]]
            if pair[1] != BORDER:
                counts[pair] += weight
                places[pair].append(i)
        return counts, places

    def merge(
        self, pair: Ids, new: int, counts: Counter[Ids], places: defaultdict[Ids, list[int]]
    ) -> set[Ids]:
        """Make ``pair`` the token ``new`` everywhere; returns the pairs that have come into being.

        Only the pairs beside it change: x a b y has (x, a) and (b, y), x new y (x, new), (new, y).
        """
        tokens, before, after = self.tokens, self.before, self.after
        a, b = pair
        born: set[Ids] = set()
        for i in sorted(places.pop(pair)):
            j = after[i]
            if tokens[i] != a or tokens[j] != b:
                continue  # one of the two has been merged since
            weight, left, right = self.weight[i], before[i], after[j]
            x, y = tokens[left], tokens[right]
            tokens[i], tokens[j], after[i], before[right] = new, GONE, right, i
            if x != BORDER:
                counts[x, a] -= weight
                counts[x, new] += weight
                places[x, new].append(left)
                born.add((x, new))
            if y != BORDER:
                counts[b, y] -= weight
                counts[new, y] += weight
                places[new, y].append(i)
                born.add((new, y))
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
