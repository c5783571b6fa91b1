"""How far two sequences of tokens spell the same text, cut into tokens as they may be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minigpt.tasks.answering import special_id


def read_already(known: Sequence[int], ids: Sequence[int], tokenizer: Any) -> tuple[int, int]:
    """The longest beginnings of both that spell the same: ``known[:m]`` and ``ids[:n]``, as m, n.

    A model may write "hello" as h, ello, where the tokenizer gives hel, lo. To read the text again
    in the tokenizer's way would gain nothing. A special token is the same only as itself, not as
    text that spells its name.

    Example:
        >>> from minigpt.tokenizers import BPETokenizer
        >>> tokenizer = BPETokenizer.train("abab", 258, ["<|>"], progress=False)
        >>> read_already([97, 98, 97, 98, 257], [256, 256, 257, 99], tokenizer)
        (5, 3)
        >>> read_already([256, *b"<|>"], [256, 257], tokenizer)
        (1, 1)
    """
    special = {special_id(tokenizer, name) for name in tokenizer.special_tokens}
    spell = getattr(tokenizer, "decode_bytes", lambda ids: b"")
    same = m, n = 0, 0
    a = b = b""  # what the tokens after the two beginnings spell, up to known[m] and ids[n]
    while True:
        if a == b:
            same, a, b = (m, n), b"", b""
            if m < len(known) and n < len(ids) and known[m] == ids[n]:
                m, n = m + 1, n + 1
                continue
        rest, k = (known, m) if len(a) <= len(b) else (ids, n)  # the shorter one goes on
        if k == len(rest) or rest[k] in special or not (more := spell([rest[k]])):
            return same
        if rest is known:
            a, m = a + more, m + 1
        else:
            b, n = b + more, n + 1
        if a[: len(b)] != b[: len(a)]:
            return same
