"""Added tokens: strings that stand for one id, special ones only where that is allowed.

An ordinary added token is found in every text. A special one, such as ``<|endoftext|>``, means
something to the model: it is found only where the caller allows it, and is an error elsewhere, so
that text from outside cannot smuggle one in. The options are those of Hugging Face's
``AddedToken``, and are found as its ``tokenizers`` library finds them.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from minigpt import checks
from minigpt.tokenizers.normalization import in_form_c

END_OF_TEXT = "<|endoftext|>"  # GPT-2's token between texts
LONGEST_NAME = 256  # characters
# Unicode's White_Space. Python's own strip() takes four control characters more.
WHITE_SPACE = "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(
    map(chr, range(0x2000, 0x200B))
)
Part = tuple["str | int", int]  # a text without added tokens or a token's id, and where it starts


@dataclass(frozen=True)
class AddedToken:
    """A string that stands for one id, and how it is found in a text.

    Attributes:
        name: the string.
        id: its id; None for the one that it has in the vocabulary, or else the next one.
        special: it is found only where it is allowed, and left out by
            ``decode(…, skip_special_tokens=True)``.
        lstrip: it takes the white space before it along.
        rstrip: it takes the white space after it along.
        single_word: it is found only where neither neighbour is a letter, a digit or an underscore.
        normalized: it is looked for after those that are not, in what they leave.

    Example:
        >>> import minigpt as mg
        >>> vocab = {i: bytes([i]) for i in range(256)}
        >>> blank = AddedToken("[MASK]", lstrip=True)  # takes the space before it along
        >>> tokenizer = mg.BPETokenizer(vocab, [], added_tokens=[blank])
        >>> tokenizer.encode("a [MASK]", allowed_special="all")
        [97, 256]
    """

    name: str
    id: int | None = None
    special: bool = True
    lstrip: bool = False
    rstrip: bool = False
    single_word: bool = False
    normalized: bool = False

    def __post_init__(self) -> None:
        check_name(self.name, "the name of an added token")
        if self.id is not None:
            id_ = checks.integer(f"id of added token {checks.shown(self.name)}", self.id, least=0)
            object.__setattr__(self, "id", id_)
        for option in ("special", "lstrip", "rstrip", "single_word", "normalized"):
            checks.flag(f"{option} of added token {checks.shown(self.name)}", getattr(self, option))

    @property
    def way_to_be_found(self) -> tuple[bool, ...]:
        """What decides where it is found, among tokens that do not overlap."""
        return self.special, self.lstrip, self.rstrip, self.single_word

    @property
    def is_plain(self) -> bool:
        """Whether it is a special token without options."""
        return self == AddedToken(self.name, self.id)


class AddedTokens:
    """Added tokens, each with its id, and how a text is split at them.

    Args:
        tokens: with their ids.
        form_c: bring the text to normal form C, after those that are not normalized have been
            found, and before the others are looked for.

    Example:
        >>> added = AddedTokens([AddedToken("<|end|>", 7), AddedToken("<sep>", 8, special=False)])
        >>> list(added.split(["a<sep>b<|e", "nd|>c"], allowed_special="all"))
        [('a', 0), (8, 1), ('b', 6), (7, 7), ('c', 14)]
    """

    def __init__(self, tokens: Iterable[AddedToken], form_c: bool = False) -> None:
        self.tokens = tuple(tokens)
        self._form_c = form_c
        placed = [(token.id, token) for token in self.tokens if token.id is not None]
        self.special = {token.name: token_id for token_id, token in placed if token.special}
        self.name_of = {token_id: token.name for token_id, token in placed}
        self._finders: dict[tuple[frozenset[str], frozenset[str]], list[_Finder | None]] = {}

    def split(
        self,
        pieces: Iterable[str],
        allowed_special: str | Collection[str] = (),
        disallowed_special: str | Collection[str] = "all",
    ) -> Iterator[Part]:
        """The pieces' concatenation as parts: plain strings, and ids where added tokens stand.

        Raises:
            ValueError: a special token that is disallowed turns up.
        """
        first, second = self.finders(allowed_special, disallowed_special)
        parts: Iterator[Part] = _placed(pieces)
        if first is not None:
            parts = first.split_runs(parts)
        if self._form_c:
            parts = in_form_c(parts)
        return parts if second is None else second.split_runs(parts)

    def finders(
        self, allowed_special: str | Collection[str], disallowed_special: str | Collection[str]
    ) -> list[_Finder | None]:
        """What finds the tokens that are not normalized, and the others; None to find none."""
        allowed = self._names("allowed_special", allowed_special)
        disallowed = self._names("disallowed_special", disallowed_special)
        if isinstance(disallowed_special, str):  # it was checked to be "all"
            disallowed -= allowed
        key = allowed, disallowed
        if key not in self._finders:
            wanted = [t for t in self.tokens if not t.special or t.name in allowed | disallowed]
            first = {t.name: t for t in wanted if not t.normalized}
            second = {self._as_found(t.name): t for t in wanted if t.normalized}
            rounds = [_Finder(tokens, disallowed) if tokens else None for tokens in (first, second)]
            self._finders[key] = rounds
        return self._finders[key]

    def _as_found(self, name: str) -> str:
        """How a name reads in a text that was normalized."""
        return unicodedata.normalize("NFC", name) if self._form_c else name

    def _names(self, argument: str, names: str | Collection[str]) -> frozenset[str]:
        """Special tokens that are ``"all"``, or named."""
        expected = "'all' or a set of special tokens"
        if isinstance(names, str):
            if names == "all":
                return frozenset(self.special)
            mend = f"did you mean {{{names!r:.80}}}?"
            raise checks.wrong_value(argument, expected, names, mend)
        try:
            found = frozenset(names)
        except TypeError:
            raise checks.wrong_type(argument, expected, names) from None
        unknown = sorted(checks.shown(name) for name in found - self.special.keys())
        if unknown:
            raise ValueError(
                f"{argument} names {', '.join(unknown)}, but the special tokens are "
                f"{', '.join(map(repr, self.special)) or 'none'}"
            )
        return found


class _Finder:
    """Finds some tokens, each by a string, in texts that come in pieces."""

    def __init__(self, token_of: dict[str, AddedToken], disallowed: frozenset[str]) -> None:
        self._token = token_of
        self._disallowed = disallowed
        tokens = token_of.values()
        # Of two tokens that begin alike the longer one is taken.
        longest_first = sorted(self._token, key=lambda name: (-len(name), name))
        self._pattern = re.compile("|".join(map(re.escape, longest_first)))
        self._lstrip = any(token.lstrip for token in tokens)
        # Whether a token begins at a place is certain once the longest would fit there, and, where
        # words matter, the character after it.
        self._look_ahead = len(longest_first[0]) + any(token.single_word for token in tokens)

    def split_runs(self, parts: Iterator[Part]) -> Iterator[Part]:
        """The parts, with each run of texts split further."""
        for is_text, run in groupby(parts, key=lambda part: isinstance(part[0], str)):
            if is_text:
                yield from self._split(run)
            else:
                yield from run

    def _split(self, run: Iterator[Any]) -> Iterator[Part]:
        state = _State()
        for piece, place in run:
            if not state.text:
                state.start = place
            state.text += piece
            yield from self._parts(state, certain=len(state.text) - self._look_ahead + 1)
            state.forget()
        yield from self._parts(state, certain=None)

    def _parts(self, state: _State, certain: int | None) -> Iterator[Part]:
        """What is certain of the text: tokens that begin before ``certain``, and what is between.

        With None nothing follows the text, and all is certain.
        """
        text = state.text
        for match in self._pattern.finditer(text, state.scanned):
            first, last = match.span()
            if certain is not None and first >= certain:
                break
            token = self._token[match.group()]
            state.scanned = last
            if token.single_word and _is_in_a_word(text, first, last):
                continue
            if token.name in self._disallowed:
                raise ValueError(_message(token.name, state.start + first))
            begin, end = first, last
            if token.lstrip:
                begin = len(text[:first].rstrip(WHITE_SPACE))
            if token.rstrip:
                end = len(text) - len(text[last:].lstrip(WHITE_SPACE))
                if end == len(text) and certain is not None:  # more white space may follow
                    state.scanned = certain = first
                    break
            if begin > state.given:
                yield text[state.given : begin], state.start + state.given
            yield token.id, state.start + first  # type: ignore[misc]
            state.given = max(state.given, end)
        state.scanned = len(text) if certain is None else max(state.scanned, certain)
        plain = state.scanned
        if certain is not None and self._lstrip:  # a token may come that takes this along
            plain = len(text[:plain].rstrip(WHITE_SPACE))
        if plain > state.given:
            yield text[state.given : plain], state.start + state.given
            state.given = plain


@dataclass
class _State:
    """Text that comes in pieces, and how far it has been dealt with.

    Attributes:
        text: what is still of interest.
        start: its place in the whole.
        scanned: no token that has not been seen begins before it.
        given: what is before it has been given, as text or as a token with its white space.
    """

    text: str = ""
    start: int = 0
    scanned: int = 0
    given: int = 0

    def forget(self) -> None:
        """Drop what is dealt with, but for the character that a word may end with."""
        dropped = max(min(self.scanned, self.given) - 1, 0)
        self.text = self.text[dropped:]
        self.start += dropped
        self.scanned -= dropped
        self.given -= dropped


def _placed(pieces: Iterable[str]) -> Iterator[Part]:
    start = 0
    for piece in pieces:
        if piece:
            yield piece, start
            start += len(piece)


def _is_in_a_word(text: str, first: int, last: int) -> bool:
    import regex  # only here: importing it takes a while, and few tokens are single words

    neighbours = text[max(first - 1, 0) : first], text[last : last + 1]
    return any(regex.match(r"\w", neighbour) for neighbour in neighbours)


def _message(name: str, place: int) -> str:
    return (
        f"text holds the special token {name!r} at position {place:,}, which is not allowed: pass "
        f"allowed_special={{{name!r}}} or 'all' to make it that token, or disallowed_special=() to "
        "encode it as plain text"
    )


# ── checks ────────────────────────────────────────────────────────────────────────────────────


def check_names(names: object, argument: str = "special_tokens") -> tuple[str, ...]:
    """The names of tokens: different strings that a text can hold."""
    expected = "a list of strings"
    if isinstance(names, (str, bytes)):
        raise checks.wrong_type(argument, expected, names, f"did you mean [{names!r:.80}]?")
    if not checks.iterates(names):
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
