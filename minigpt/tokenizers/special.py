"""Special tokens: strings that stand for one id, found in a text only where that is allowed."""

from __future__ import annotations

import re
from collections.abc import Collection, Generator, Iterable, Iterator, Mapping

Part = tuple["str | int", int]  # a text without special tokens or a token's id, and where it starts


class SpecialTokens:
    """Special strings with their ids.

    Example:
        >>> special = SpecialTokens({"<|end|>": 7})
        >>> list(special.split("ab<|end|>c", special.check_allowed("all")))
        [('ab', 0), (7, 2), ('c', 9)]
    """

    def __init__(self, id_of: Mapping[str, int]) -> None:
        self.id_of = dict(id_of)
        self.name_of = {token_id: name for name, token_id in self.id_of.items()}
        # Of two tokens that begin alike the longer one is taken.
        longest_first = sorted(self.id_of, key=lambda name: (-len(name), name))
        self._longest = len(longest_first[0]) if longest_first else 0
        self._pattern = re.compile("|".join(map(re.escape, longest_first)))

    def check_allowed(self, allowed_special: str | Collection[str]) -> frozenset[str]:
        """``allowed_special`` as a set: ``"all"``, or a collection of special tokens."""
        if isinstance(allowed_special, str):
            if allowed_special == "all":
                return frozenset(self.id_of)
            raise ValueError(
                f"allowed_special={allowed_special!r} must be 'all' or a set of special tokens: "
                f"did you mean {{{allowed_special!r}}}?"
            )
        try:
            allowed = frozenset(allowed_special)
        except TypeError:
            raise TypeError(
                "allowed_special must be 'all' or a set of special tokens: "
                f"got {type(allowed_special).__name__} {allowed_special!r}"
            ) from None
        unknown = sorted(repr(name) for name in allowed - self.id_of.keys())
        if unknown:
            raise ValueError(
                f"allowed_special names {', '.join(unknown)}, but the special tokens are "
                f"{', '.join(map(repr, self.id_of)) or 'none'}"
            )
        return allowed

    def split(self, text: str, allowed: frozenset[str]) -> Iterator[Part]:
        """The text as parts: plain strings, and ids where an allowed special token stands.

        Raises:
            ValueError: a special token that is not allowed turns up.
        """
        return self.split_iterable([text], allowed)

    def split_iterable(self, pieces: Iterable[str], allowed: frozenset[str]) -> Iterator[Part]:
        """The parts of the pieces' concatenation, each as soon as it is certain."""
        held, start = "", 0  # text not given yet, and its place in the whole
        for piece in pieces:
            held += piece
            # Whether a special token begins at a place is certain once the longest would fit there.
            certain = len(held) - self._longest + 1 if self.id_of else len(held)
            if certain > 0:
                used = yield from self._parts(held, start, certain, allowed)
                held, start = held[used:], start + used
        if held:
            yield from self._parts(held, start, len(held), allowed)

    def _parts(
        self, text: str, start: int, certain: int, allowed: frozenset[str]
    ) -> Generator[Part, None, int]:
        """Parts of ``text`` that begin before ``certain``; returns the characters they take."""
        done = 0
        if self.id_of:
            for match in self._pattern.finditer(text):
                if match.start() >= certain:
                    break
                name = match.group()
                if name not in allowed:
                    raise ValueError(
                        f"text holds the special token {name!r} at position "
                        f"{start + match.start():,}, which is not allowed: pass "
                        f"allowed_special={{{name!r}}} or 'all', or take it out of the text"
                    )
                if match.start() > done:
                    yield text[done : match.start()], start + done
                yield self.id_of[name], start + match.start()
                done = match.end()
        if done < certain:
            yield text[done:certain], start + done
            done = certain
        return done
