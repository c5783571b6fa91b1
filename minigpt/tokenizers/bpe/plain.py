"""Byte-pair encoding as one would write it down: the equation, without any speed.

``training`` and ``merging`` compute the same, fast.

References:
    Gage, 1994, "A New Algorithm for Data Compression".
    Sennrich, Haddow and Birch, 2016, "Neural Machine Translation of Rare Words with Subword
    Units", §3.2.
    Radford et al., 2019, "Language Models are Unsupervised Multitask Learners", §2.2 (bytes).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise

Pair = tuple[bytes, bytes]


def single_bytes(word: bytes) -> list[bytes]:
    """The tokens that a word begins as: its bytes."""
    return [word[i : i + 1] for i in range(len(word))]


def learn_merges_plain(words: Mapping[bytes, int], n_merges: int) -> list[Pair]:
    """The pairs to merge, learned from words with their counts (Sennrich et al., algorithm 1).

    Again and again, the most frequent pair of neighbours becomes one token,

        pair = argmax_(a,b) Σ_word count(word) · #{i : word_i = a, word_(i+1) = b},

    and of equally frequent pairs the one that is lexicographically greater.

    Example:
        >>> learn_merges_plain({b"low": 5, b"lower": 2, b"newest": 6, b"widest": 3}, 4)
        [(b's', b't'), (b'e', b'st'), (b'o', b'w'), (b'l', b'ow')]
    """
    tokens_of = {word: single_bytes(word) for word in words}
    merges: list[Pair] = []
    while len(merges) < n_merges:
        counts: Counter[Pair] = Counter()
        for word, tokens in tokens_of.items():
            for pair in pairwise(tokens):
                counts[pair] += words[word]
        if not counts:  # every word is one token
            break
        merges.append(max(counts, key=lambda pair: (counts[pair], pair)))
        tokens_of = {word: merge(tokens, merges[-1]) for word, tokens in tokens_of.items()}
    return merges


def merge(tokens: Sequence[bytes], pair: Pair) -> list[bytes]:
    """``tokens`` with ``pair`` made one token wherever it stands, from left to right.

    Example:
        >>> merge([b"a", b"a", b"a", b"b"], (b"a", b"a"))
        [b'aa', b'a', b'b']
    """
    merged: list[bytes] = []
    i = 0
    while i < len(tokens):
        if tuple(tokens[i : i + 2]) == pair:
            merged.append(pair[0] + pair[1])
            i += 2
        else:
            merged.append(tokens[i])
            i += 1
    return merged


def encode_word_plain(word: bytes, merges: Sequence[Pair]) -> list[bytes]:
    """The tokens of ``word``: while there is a known pair, merge the one learned first.

    Where it stands several times, the leftmost goes first.

    Example:
        >>> merges = [(b"e", b"s"), (b"es", b"t"), (b"l", b"o"), (b"lo", b"w")]
        >>> encode_word_plain(b"lowest", merges)
        [b'low', b'est']
    """
    rank = {pair: r for r, pair in enumerate(merges)}
    tokens = single_bytes(word)
    while True:
        known = [(rank[pair], i) for i, pair in enumerate(pairwise(tokens)) if pair in rank]
        if not known:
            return tokens
        _, i = min(known)
        tokens[i : i + 2] = [tokens[i] + tokens[i + 1]]
