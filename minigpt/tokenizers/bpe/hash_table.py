"""A hash table made of arrays: thousands of keys are looked up at once.

Open addressing with linear probing, and multiplicative hashing (Knuth, 1998, "The Art of Computer
Programming", volume 3, §6.4): a key's bits tell its place; if another key is there, it is the next
place, and so on. Each pass below makes one such step for all keys that still search.
"""

from __future__ import annotations

import numpy as np

from minigpt.autograd import Array

MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)  # 2⁶⁴ / the golden ratio: spreads neighbours widely
HALF = np.uint64(32)
STEPS = 32  # places that a key may try: a half-full table rarely needs as many


class HashTable:
    """Places 0 … 2^bits − 1 for keys, each a column of 64-bit numbers, the last of them not 0.

    Args:
        numbers: of a key.
        bits: of a place.

    Example:
        >>> table = HashTable(numbers=1, bits=4)
        >>> places = table.places(np.array([[7, 8, 7]], np.uint64), add=True)
        >>> bool(places[0] == places[2] != places[1])
        True
        >>> bool(table.places(np.array([[9]], np.uint64))[0] == -1)
        True
    """

    def __init__(self, numbers: int, bits: int) -> None:
        self._keys = np.zeros((numbers, 1 << bits), np.uint64)
        self._last = self._keys[-1]  # 0 where a place is free
        self._shift = np.uint64(64 - bits)

    def places(self, keys: Array, add: bool = False) -> Array:
        """The place of each key; −1 for one that is not there.

        Args:
            keys: what to look up.
            add: keys that are not there take a free place; −1 then says that none was near.

        Shapes:
            (numbers, n) -> (n,)
        """
        found = self._first_places(keys)
        searching = np.arange(len(found))
        for _ in range(STEPS):
            place = found[searching]
            last = self._last[place]
            here = last == keys[-1]
            for column, wanted in zip(self._keys[:-1], keys[:-1], strict=True):
                here &= column[place] == wanted
            rest = np.flatnonzero(~here)
            free = last[rest] == 0
            if add:  # where several keys take the same place, the last one has it: look again
                self._keys[:, place[rest[free]]] = keys[:, rest[free]]
                found[searching[rest]] = (place[rest] + ~free) % self._last.size
            else:
                found[searching[rest]] = np.where(free, -1, (place[rest] + 1) % self._last.size)
                rest = rest[~free]
            searching, keys = searching[rest], keys[:, rest]
            if not rest.size:
                return found
        found[searching] = -1
        return found

    def _first_places(self, keys: Array) -> Array:
        mixed = np.zeros(keys.shape[1], np.uint64)
        for column in keys:
            mixed ^= column
            mixed ^= mixed >> HALF
            mixed *= MULTIPLIER
        return (mixed >> self._shift).astype(np.intp)
