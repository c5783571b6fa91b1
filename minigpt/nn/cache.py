"""The key–value cache: what attention computed for the tokens before is kept, not computed anew.

With a causal mask a token's keys and values never change when tokens follow it. So a step of
generation needs only the new token's query, key and value, and the kept ones of the others: the
logits are the same, and a step costs one token, not the whole text.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from minigpt import checks
from minigpt.autograd import Array
from minigpt.operations.operands import float_type
from minigpt.wording import sentence


class KeyValueCache:
    """Keys and values of every layer, for up to ``capacity`` tokens of each sequence.

    Args:
        n_layer, batch_size, n_head, capacity, head_size: the shape, as below; the heads are those
            of keys and values, of which there may be fewer than of queries.
        dtype: of keys and values, that of the model's parameters.

    Attributes:
        length: how many tokens are held; the same for every sequence (shorter ones are padded on
            the left, with an attention mask).

    Shapes:
        keys, values: (n_layer, batch_size, n_head, capacity, head_size)

    Example:
        >>> import numpy as np
        >>> cache = KeyValueCache(n_layer=1, batch_size=1, n_head=2, capacity=8, head_size=4)
        >>> new = np.ones((1, 2, 3, 4), np.float32)  # of three tokens
        >>> for _ in range(2):
        ...     k, v = cache.extend(0, new, new)
        ...     cache.advance(3)
        >>> k.shape, cache.length
        ((1, 2, 6, 4), 6)
    """

    HELD: ClassVar[tuple[str, ...]] = ("keys", "values")  # arrays (n_layer, B, …, capacity, …)

    def __init__(
        self,
        n_layer: int,
        batch_size: int,
        n_head: int,
        capacity: int,
        head_size: int,
        dtype: np.dtype[np.floating] | type = np.float32,
    ) -> None:
        checks.sizes(
            n_layer=n_layer,
            batch_size=batch_size,
            n_head=n_head,
            capacity=capacity,
            head_size=head_size,
        )
        dtype = float_type(dtype)
        shape = (n_layer, batch_size, n_head, capacity, head_size)
        self.keys = np.zeros(shape, dtype)
        self.values = np.zeros(shape, dtype)
        self.length = 0

    @property
    def batch_size(self) -> int:
        """How many sequences there are."""
        return self.keys.shape[1]

    @property
    def capacity(self) -> int:
        """How many tokens of each there is room for."""
        return self.keys.shape[3]

    def extend(self, layer: int, k: Array, v: Array) -> tuple[Array, Array]:
        """Put a layer's new keys and values after the old; all of them come back, as views.

        ``length`` moves on only with :meth:`advance`, when every ``layer`` has been here.

        Shapes:
            k, v: (B, n_head, T, head_size) -> (B, n_head, length + T, head_size)

        Raises:
            ValueError: more tokens than fit the capacity, or another number of sequences.
        """
        check_room(self, k)
        start, stop = self.length, self.length + k.shape[2]
        self.keys[layer, :, :, start:stop] = k
        self.values[layer, :, :, start:stop] = v
        return self.keys[layer, :, :, :stop], self.values[layer, :, :, :stop]

    def advance(self, n_tokens: int) -> None:
        """``n_tokens`` more are held in every layer."""
        self.length += n_tokens

    def reorder(self, rows: Sequence[int] | Array) -> None:
        """Keep the sequences ``rows``, in that order; one named twice is held twice.

        Only the tokens held are copied, and only rows that move: beam search calls this at every
        token.

        Raises:
            ValueError: there is no row.
            IndexError: there is no such sequence.
        """
        rows = _check_rows(rows, self.batch_size)
        if len(rows) == self.batch_size:
            moved = np.flatnonzero(rows != np.arange(len(rows)))
            for name in self.HELD:
                for layer in getattr(self, name):
                    layer[moved, :, : self.length] = layer[rows[moved], :, : self.length]
        else:
            self._hold([self._chosen(getattr(self, name), rows) for name in self.HELD])

    def _chosen(self, held: Array, rows: Array) -> Array:
        n_layer, _, *rest = held.shape
        chosen = np.zeros((n_layer, len(rows), *rest), held.dtype)
        for old, new in zip(held, chosen, strict=True):
            new[:, :, : self.length] = old[rows, :, : self.length]
        return chosen

    def truncate(self, length: int) -> None:
        """Forget all tokens but the first ``length``; the memory stays."""
        self.length = checks.integer("length", length, 0, self.length)

    def clear(self) -> None:
        """Forget all tokens; the memory stays."""
        self.length = 0

    def reserve(self, capacity: int) -> None:
        """Make room for ``capacity`` tokens, or twice as many as before, if there is not enough."""
        if checks.size("capacity", capacity) > self.capacity:
            capacity = max(capacity, 2 * self.capacity)
            self._hold([self._larger(getattr(self, name), capacity) for name in self.HELD])

    def _hold(self, arrays: Sequence[Array]) -> None:
        for name, array in zip(self.HELD, arrays, strict=True):
            setattr(self, name, array)

    def _larger(self, held: Array, capacity: int) -> Array:
        larger = np.zeros((*held.shape[:3], capacity, held.shape[4]), held.dtype)
        larger[:, :, :, : self.length] = held[:, :, :, : self.length]
        return larger


def _check_rows(rows: Sequence[int] | Array, batch_size: int) -> Array:
    """The rows to keep as an array."""
    kept = checks.integers("rows", rows)
    if kept.ndim != 1 or not len(kept):
        raise checks.wrong_value("rows", "a list of at least one row", kept)
    if int(kept.min()) < 0 or int(kept.max()) >= batch_size:
        expected = f"from 0 to {batch_size - 1}, as there are {batch_size} sequences"
        raise IndexError(sentence("rows", expected, kept.tolist()))
    return kept


def check_room(cache: KeyValueCache, k: Array) -> None:
    """Raise unless ``k`` fits a cache: (B, n_head, T, head_size)."""
    if cache.length + k.shape[2] > cache.capacity:
        raise ValueError(
            f"the cache holds {cache.length} of {cache.capacity} tokens: {k.shape[2]} more do not "
            "fit; make it with a larger capacity"
        )
    if k.shape[0] != cache.batch_size:
        raise ValueError(
            f"the cache is for {cache.batch_size} sequences: got a batch of {k.shape[0]}"
        )
