"""Special tokens: strings that stand for one id, found in a text only where that is allowed."""

from __future__ import annotations

import re
from collections.abc import Collection, Generator, Iterable, Iterator, Mapping

from minigpt import checks

END_OF_TEXT = "<|endoftext|>"  # GPT-2's token between texts
LONGEST_NAME = 256  # characters
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

    def check_allowed(self, allowed_special: str | Collection[str]) -> frozenset[str]:
        """``allowed_special`` as a set: ``"all"``, or a collection of special tokens."""
        expected = "'all' or a set of special tokens"
        if isinstance(allowed_special, str):
            if allowed_special == "all":
                return frozenset(self.id_of)
            mend = f"did you mean {{{allowed_special!r:.80}}}?"
            raise checks.wrong_value("allowed_special", expected, allowed_special, mend)
        try:
            allowed = frozenset(allowed_special)
        except TypeError:
            raise checks.wrong_type("allowed_special", expected, allowed_special) from None
        unknown = sorted(checks.shown(name) for name in allowed - self.id_of.keys())
        if unknown:
            raise ValueError(
                f"allowed_special names {', '.join(unknown)}, but the special tokens are "
                f"{', '.join(map(repr, self.id_of)) or 'none'}"
            )
        return allowed


def check_names(names: object, argument: str = "special_tokens") -> tuple[str, ...]:
    """The names of tokens: different strings that a text can hold."""
    expected = "a list of strings"
    if isinstance(names, (str, bytes)):
        raise checks.wrong_type(argument, expected, names, f"did you mean [{names!r:.80}]?")
    if not isinstance(names, Iterable):
        raise checks.wrong_type(argument, expected, names)
    checked: dict[str, None] = {}
    for name in names:
        if check_name(name, argument) in checked:
            raise checks.wrong_value(argument, "different names", name, "it is given twice")
        checked[name] = None
    return tuple(checked)


def check_name(name: object, argument: str) -> str:
    """The name of a token, a string of characters."""
    name = checks.text(argument, name)
    if not 1 <= len(name) <= LONGEST_NAME:
        expected = f"1 to {LONGEST_NAME} characters long"
        raise checks.wrong_value(argument, expected, name, f"it has {len(name):,}")
    if any("\ud800" <= character <= "\udfff" for character in name):
        mend = "it holds a lone surrogate, which is not a character"
        raise checks.wrong_value(argument, "text", name, mend)
    return name
