"""The tokens of one word, fast: the same as ``plain.encode_word_plain``, on ids.

While some pair of neighbours has a rank, the pair of the lowest rank is merged, the leftmost where
it stands several times. A short word keeps the ranks of its pairs in a list and searches it; in a
long word that search would take quadratic time, so the places of each rank wait in a queue.
"""

from __future__ import annotations

import heapq
from array import array
from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise

Ids = tuple[int, int]
LONG = 16  # tokens, from where queues are faster


class Merger:
    """Merges the ids of bytes into the ids of tokens.

    Args:
        pairs: pairs of ids, the first learned first.
        merged: the id that each becomes.

    Example:
        >>> merger = Merger([(104, 101), (256, 121)], [256, 257])  # h+e, he+y
        >>> merger(list(b"they"))
        [116, 257]
    """

    def __init__(self, pairs: Sequence[Ids], merged: Sequence[int]) -> None:
        self.rank = {pair: rank for rank, pair in enumerate(pairs)}
        self.merged = list(merged)

    def __call__(self, tokens: list[int]) -> list[int]:
        """``tokens`` merged as far as possible; the list itself may be changed."""
        return self._with_list(tokens) if len(tokens) < LONG else self._with_queues(tokens)

    def _with_list(self, tokens: list[int]) -> list[int]:
        rank_of, none = self.rank.get, len(self.merged)
        ranks = [rank_of(pair, none) for pair in pairwise(tokens)]
        while ranks:
            rank = min(ranks)
            if rank == none:
                break
            i = ranks.index(rank)
            tokens[i : i + 2] = [self.merged[rank]]
            del ranks[i]  # and the pairs on both sides are new ones
            if i > 0:
                ranks[i - 1] = rank_of((tokens[i - 1], tokens[i]), none)
            if i < len(ranks):
                ranks[i] = rank_of((tokens[i], tokens[i + 1]), none)
        return tokens

    def _with_queues(self, tokens: list[int]) -> list[int]:
        rank_of, n = self.rank.get, len(tokens)
        gone = -1  # has no rank with anything; also stands after the last token
        tokens = [*tokens, gone]
        after = array("q", range(1, n + 1))  # the token to the right of each, and to the left
        before = array("q", range(-1, n - 1))
        places: defaultdict[int, list[int]] = defaultdict(list)  # where the pairs of a rank begin
        for i, pair in enumerate(pairwise(tokens)):
            if (rank := rank_of(pair)) is not None:
                places[rank].append(i)
        ranks = list(places)
        heapq.heapify(ranks)
        while ranks:
            rank = heapq.heappop(ranks)
            queue = sorted(places.pop(rank))
            for done, i in enumerate(queue, 1):
                right = after[i]
                if rank_of((tokens[i], tokens[right])) != rank:
                    continue  # one of the two has been merged since
                tokens[i], tokens[right] = self.merged[rank], gone
                right = after[i] = after[right]
                if right < n:
                    before[right] = i
                for start, end in ((before[i], i), (i, right)):  # the new pairs
                    new = rank_of((tokens[start], tokens[end])) if start >= 0 else None
                    if new is not None:
                        if new not in places:
                            heapq.heappush(ranks, new)
                        places[new].append(start)
                if ranks and ranks[0] <= rank:  # a new pair goes first: merges in unusual order
                    if rank not in places:
                        heapq.heappush(ranks, rank)
                    places[rank] += queue[done:]
                    break
        return [token for token in tokens if token != gone]
