"""Normal form C, in texts that come in pieces, and where it stands among added tokens."""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Iterator

import pytest
import regex
from hypothesis import example, given
from hypothesis import strategies as st

from minigpt.tokenizers import AddedToken, BPETokenizer
from minigpt.tokenizers.normalization import STARTS_ANEW, in_form_c

BYTES = {i: bytes([i]) for i in range(256)}
# A letter, marks of three classes, one without a class, Hangul's letters, and what stays as it is.
ODD = st.text(
    st.sampled_from("aeé\u0301\u0308\u0323\u09c7\u09be\u1100\u1161\u11a8가漢 \n"), max_size=9
)


def form_c(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def texts_of(pieces: list[str]) -> str:
    places = [sum(map(len, pieces[:i])) for i in range(len(pieces))]
    return "".join(text for text, _ in in_form_c(zip(pieces, places, strict=True)))


@given(pieces=st.lists(ODD, max_size=6))
@example(pieces=["e", "\u0301\u0323", "\u0308x"])
@example(pieces=["\u0301", "e", "", "\u0301"])
def test_the_same_wherever_the_text_is_cut(pieces: list[str]) -> None:
    assert texts_of(pieces) == form_c("".join(pieces))


def characters() -> Iterator[str]:
    return (chr(i) for i in range(sys.maxunicode + 1) if not 0xD800 <= i <= 0xDFFF)


def test_nothing_joins_across_a_character_that_starts_anew() -> None:
    """Every pair that becomes one character begins and goes on as the pattern says."""
    starts_anew = regex.compile(STARTS_ANEW)
    pairs = 0
    for character in characters():
        decomposition = unicodedata.decomposition(character)
        if decomposition and decomposition[0] != "<":  # not one of compatibility
            first = unicodedata.normalize("NFD", character)[0]
            assert starts_anew.match(first) or not starts_anew.match(character)
            for code in decomposition.split()[1:]:
                pairs += 1
                assert not starts_anew.match(chr(int(code, 16))), character
        elif unicodedata.combining(character):
            assert not starts_anew.match(character), character
    assert pairs > 900


def test_a_lone_surrogate_is_found_where_it_is() -> None:
    with pytest.raises(ValueError, match=r"text holds U\+D800 at position 7"):
        texts_of(["e\u0301 ", "abc", "e\ud800"])


def test_where_it_stands_among_added_tokens() -> None:
    """Names are found in the text as it came, but those that are normalized, in their own form."""
    plain = AddedToken("e\u0301", 256, special=False)
    late = AddedToken("o\u0301", 257, special=False, normalized=True)
    tokenizer = BPETokenizer(BYTES, [], added_tokens=[plain, late], normalization="NFC")
    assert tokenizer.encode("e\u0301") == [256]
    assert tokenizer.encode("é") == list("é".encode())
    assert tokenizer.encode("o\u0301") == tokenizer.encode("ó") == [257]
    assert tokenizer.encode("a\u0301e\u0301") == [*"á".encode(), 256]
    pieces = ["x", "e", "\u0301", "o", "\u0301", "a", "\u0301"]
    ids = tokenizer.encode("".join(pieces))
    assert list(tokenizer.encode_iterable(pieces)) == ids == [120, 256, 257, *"á".encode()]
