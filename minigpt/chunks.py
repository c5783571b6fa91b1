"""Long things a piece at a time: arrays in pieces that fit the processor's cache, and texts.

A chain of elementwise operations over whole arrays, one after the other, fetches everything from
main memory in each of them and writes it back. Cut into pieces, the first operation fetches a piece
and the others find it in the cache.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from minigpt.autograd import Array

CHUNK = 1 << 16  # numbers in a piece: with float32, five arrays of it fit a cache of 1.25 MB


def chunk_slices(size: int) -> Iterator[slice]:
    """Slices that cut ``size`` numbers into pieces of at most ``CHUNK``."""
    return (slice(start, start + CHUNK) for start in range(0, size, CHUNK))


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
    for piece in chunk_slices(arrays[0].size):
        pieces = tuple(array[piece] for array in arrays)
        yield pieces + tuple(buffer[: pieces[0].size] for buffer in scratch)


def text_chunks(pieces: Iterable[str], n_characters: int) -> Iterator[str]:
    """The pieces' concatenation in texts of ``n_characters``; the last one may be shorter.

    Example:
        >>> list(text_chunks(["ab", "cdefg", "h"], 3))
        ['abc', 'def', 'gh']
    """
    held: list[str] = []
    size = 0
    for piece in pieces:
        start = 0
        while size + len(piece) - start >= n_characters:
            end = start + n_characters - size
            yield "".join(held) + piece[start:end]
            held, size, start = [], 0, end
        if start < len(piece):
            held.append(piece[start:])
            size += len(piece) - start
    if held:
        yield "".join(held)
