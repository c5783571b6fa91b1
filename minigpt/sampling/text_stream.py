"""From tokens to text, a piece at a time: whole characters, and nothing of a stop string.

A byte-level token may end inside a character, and the text so far may end with what could become a
stop string. Both are held back until the next tokens decide.
"""

from __future__ import annotations

import codecs
import copy
from collections.abc import Iterator, Sequence
from typing import cast

from minigpt.sampling.decoding import Decoder
from minigpt.sampling.options import SamplingConfig
from minigpt.sampling.protocols import Tokenizer

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"  # what bytes decode to that form no character


class IncrementalDecoder:
    """Decodes ids one by one; the pieces joined are what decoding all of them gives.

    The bytes of an unfinished character are held back until the next ids finish it; at the very
    end they are never shown. The ids decide what is unfinished, where the tokenizer has
    ``decode_bytes``: a U+FFFD that the text itself holds is a character like any other. Of a
    tokenizer that only decodes to text, a U+FFFD at the end is taken for an unfinished character
    unless the last ids are those that it encodes a U+FFFD with.

    Args:
        tokenizer: decodes; text of ids joined is the join of their bytes.
        skip_special_tokens: leave special tokens out.

    Example:
        >>> class Bytes:
        ...     vocab_size = 256
        ...
        ...     def encode(self, text):
        ...         return list(text.encode())
        ...
        ...     def decode(self, ids):
        ...         return bytes(ids).decode(errors="replace")
        ...
        ...     def decode_bytes(self, ids):
        ...         return bytes(ids)
        >>> decoder = IncrementalDecoder(Bytes())
        >>> [decoder.push(token) for token in "é!".encode()]
        ['', 'é', '!']
    """

    def __init__(self, tokenizer: Tokenizer, skip_special_tokens: bool = False) -> None:
        self._tokenizer = tokenizer
        # Passed on only where it is asked for: a tokenizer without special tokens need not know it.
        self._options = {"skip_special_tokens": True} if skip_special_tokens else {}
        self._decode_bytes = getattr(tokenizer, "decode_bytes", None)
        self._unfinished = b""  # the beginning of a character
        # Of a tokenizer without bytes: the ids since the last point between two characters, and
        # how many characters of their text have been given out.
        self._pending: list[int] = []
        self._n_shown = 0

    def push(self, token: int) -> str:
        """What can be shown now that ``token`` has come; often a word, sometimes nothing."""
        if self._decode_bytes is None:
            return self._push_by_text(token)
        data = self._unfinished + self._decode_bytes([token], **self._options)
        text, n_read = codecs.utf_8_decode(data, "replace", False)  # up to the last whole character
        self._unfinished = data[n_read:]
        return text

    def _push_by_text(self, token: int) -> str:
        self._pending = [*self._pending, token]
        text = self._decode(self._pending)
        if not text.endswith(REPLACEMENT) or self._ends_with_a_real_one():
            piece = text[self._n_shown :]
            self._pending, self._n_shown = [], 0
            return piece
        piece = text[self._n_shown : -1]
        self._n_shown = len(text) - 1
        self._forget(text)
        return piece

    def _forget(self, text: str) -> None:
        """Drop the leading ids whose characters are complete, so that pending stays short."""
        for n in range(len(self._pending) - 1, 0, -1):
            head = self._decode(self._pending[:n])
            # No character straddles a border where the halves decode to the same text.
            if len(head) <= self._n_shown and head + self._decode(self._pending[n:]) == text:
                self._pending = self._pending[n:]
                self._n_shown -= len(head)
                return

    def _ends_with_a_real_one(self) -> bool:
        try:
            ids = list(self._tokenizer.encode(REPLACEMENT))
        except (ValueError, LookupError):  # the tokenizer has no such character
            return False
        return len(ids) > 0 and self._pending[-len(ids) :] == ids

    def _decode(self, ids: Sequence[int]) -> str:
        return self._tokenizer.decode(ids, **self._options)


class TextStream:
    """The text of one row as it grows, ended before the first stop string.

    The first is the one that is complete first; of two that end at the same character, the longer.
    So the text depends only on the characters, not on how tokens cut them.

    Args:
        tokenizer: decodes the ids.
        stop: the strings that end the text.
        skip_special_tokens: leave special tokens out.

    Attributes:
        stopped: whether a stop string has been found; nothing comes after it.
    """

    def __init__(
        self, tokenizer: Tokenizer, stop: Sequence[str] = (), skip_special_tokens: bool = False
    ) -> None:
        self.stopped = False
        self._stop = tuple(stop)
        self._decoder = IncrementalDecoder(tokenizer, skip_special_tokens)
        self._held = ""  # perhaps the beginning of a stop string

    def branch(self) -> TextStream:
        """A stream that has come as far as this one, and goes on by itself."""
        other = copy.copy(self)
        other._decoder = copy.copy(self._decoder)
        return other

    def push(self, token: int) -> str:
        """What can be shown now that ``token`` has come."""
        if self.stopped:
            return ""
        text = self._held + self._decoder.push(token)
        found = [(at + len(s), at) for s in self._stop if (at := text.find(s)) >= 0]
        if found:
            self.stopped, self._held = True, ""
            return text[: min(found)[1]]
        n_held = max((_overlap(text, s) for s in self._stop), default=0)
        cut = len(text) - n_held
        self._held = text[cut:]
        return text[:cut]

    def flush(self) -> str:
        """What was held back as the possible beginning of a stop string: no more tokens come."""
        held, self._held = self._held, ""
        return held


def text_pieces(
    decoder: Decoder, tokenizer: Tokenizer, options: SamplingConfig
) -> Iterator[tuple[int, str]]:
    """What the decoder writes, as pairs (row, piece of its text), while it writes it."""
    stop, skip = tuple(options.stop), options.skip_special_tokens
    streams = {row: TextStream(tokenizer, stop, skip) for row in range(len(decoder.finished))}
    for column in decoder.columns():
        for row, stream in list(streams.items()):
            if not decoder.finished[row]:  # else it has just drawn a stop token, which is not shown
                yield row, stream.push(int(column[row]))
            if stream.stopped:
                decoder.finish(row)
            if decoder.finished[row]:
                yield row, streams.pop(row).flush()
    for row, stream in streams.items():
        yield row, stream.flush()


def whole_text(ids: Sequence[int], tokenizer: Tokenizer, options: SamplingConfig) -> str:
    """The text of all that was written, as :func:`text_pieces` would give it piece by piece."""
    stream = TextStream(tokenizer, tuple(options.stop), options.skip_special_tokens)
    stop_tokens = cast("tuple[int, ...]", options.stop_tokens)
    pieces = [stream.push(token) for token in ids if token not in stop_tokens]
    return "".join(pieces) + stream.flush()


def _overlap(text: str, stop: str) -> int:
    """How many characters at the end of ``text`` are a proper beginning of ``stop``."""
    for n in range(min(len(text), len(stop) - 1), 0, -1):
        if text.endswith(stop[:n]):
            return n
    return 0
