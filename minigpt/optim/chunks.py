"""Elementwise arithmetic over long arrays in pieces that fit the processor's cache.

An optimizer's update is a chain of a dozen elementwise operations. Carried out one after the other
over whole arrays, each of them fetches everything from main memory and writes it back. Cut into
pieces, the first operation fetches a piece and the others find it in the cache.
"""

from __future__ import annotations

from collections.abc import Iterator

from minigpt.autograd import Array

CHUNK = 1 << 16  # numbers in a piece: with float32, five arrays of it fit a cache of 1.25 MB


def in_chunks(*arrays: Array, scratch: tuple[Array, ...] = ()) -> Iterator[tuple[Array, ...]]:
    """Walk flat arrays of one length together, in views of at most ``CHUNK`` numbers.

    Args:
        arrays: one-dimensional, all of the same length.
        scratch: buffers of ``CHUNK`` numbers, yielded after the arrays' pieces and cut to their
            length: room for intermediate results, the same memory for every piece.

    Example:
        >>> import numpy as np
        >>> x = np.arange(100_000.0)
        >>> for piece, half in in_chunks(x, scratch=(np.empty(CHUNK),)):
        ...     _ = np.multiply(piece, 0.5, out=half)  # no array as long as x is made
        ...     piece -= half
        >>> x[99_998:]
        array([49999. , 49999.5])
    """
    length = arrays[0].size
    for start in range(0, length, CHUNK):
        size = min(CHUNK, length - start)
        pieces = tuple(array[start : start + size] for array in arrays)
        yield pieces + tuple(buffer[:size] for buffer in scratch)
