"""Words that are one token, known without merging them: in real text, half of the different words.

That a token has the same bytes as a word is not enough: with the merges (b, c), (a, b), (ab, c) the
word abc becomes a, bc, because (b, c) is merged before (ab, c) ever meets. A token t = (l, r),
learned at rank R, is what its own bytes become if that holds of l and r, and if until R nothing is
merged across the border between them. There, only tokens that end l and tokens that begin r meet.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

import numpy as np

from minigpt.autograd import Array

OF_A_BYTE = -1  # "learned" before all merges


def whole_tokens(pairs: Sequence[tuple[int, int]], merged: Sequence[int], n_ids: int) -> Array:
    """Of each id, whether a word with its bytes becomes just that token.

    A token in doubt counts as one that does not, so True is always right.

    Args:
        pairs: the pairs of ids that are merged, the first learned first.
        merged: the id that each becomes.
        n_ids: ids run from 0 to n_ids − 1.

    Shapes:
        (n_ids,), bool

    Example:
        >>> a, b, c, bc, ab, abc = range(6)
        >>> whole_tokens([(b, c), (a, b), (ab, c)], [bc, ab, abc], 6).tolist()
        [True, True, True, True, True, False]
    """
    if not pairs:
        return np.ones(n_ids, dtype=bool)
    rank = np.arange(len(pairs))
    halves = np.fromiter(chain.from_iterable(pairs), np.int64).reshape(-1, 2)
    left, right = halves.T
    new = np.array(merged)
    learned = np.full(n_ids, OF_A_BYTE)  # when each id was
    learned[new] = rank
    begins_with, ends_with = np.arange(n_ids), np.arange(n_ids)  # what it is made of
    begins_with[new], ends_with[new] = left, right
    whole = learned == OF_A_BYTE
    # Ranks tell the time only if each token is made by one merge, and of tokens made before.
    if (learned[new] != rank).any() or (learned[halves] >= rank[:, None]).any():
        return whole

    apart = np.zeros(n_ids, dtype=bool)  # nothing is merged across the border of its halves
    keys = left * n_ids + right
    order = np.argsort(keys)
    keys = keys[order]
    while new.size:
        # Back in time: whichever of two neighbours was learned later is taken apart again; its
        # half at the border and the other one have been neighbours until then.
        until = np.maximum(learned[left], learned[right])
        bytes_meet = until == OF_A_BYTE
        apart[new[bytes_meet]] = True
        undo_left = learned[left] == until
        left, right = (
            np.where(undo_left, ends_with[left], left),
            np.where(undo_left, right, begins_with[right]),
        )
        place = np.minimum(np.searchsorted(keys, left * n_ids + right), len(keys) - 1)
        is_pair = keys[place] == left * n_ids + right
        goes_on = ~bytes_meet & ~(is_pair & (order[place] <= until))
        new, left, right = new[goes_on], left[goes_on], right[goes_on]

    whole |= apart
    while True:  # until none depends on one that is not whole
        still = whole & whole[begins_with] & whole[ends_with]
        if (still == whole).all():
            return whole
        whole = still
