"""Added tokens: which are found, where, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from minigpt.tokenizers import (
    AddedToken,
    BPETokenizer,
    CharTokenizer,
    Tokenizer,
    tokenizer_from_dict,
)
from minigpt.tokenizers.added_tokens import AddedTokens

END = "<|endoftext|>"
BYTES: dict[Any, Any] = {i: bytes([i]) for i in range(256)}
FLAGS = st.fixed_dictionaries(
    {
        option: st.booleans()
        for option in ("special", "lstrip", "rstrip", "single_word", "normalized")
    }
)


def with_end(kind: str, special: tuple[str, ...] = (END, "<pad>")) -> Tokenizer:
    if kind == "char":
        return CharTokenizer.train("abc<|>endoftxpy ", special_tokens=special)
    return BPETokenizer(BYTES, [], special)


PLAIN = dict.fromkeys(("special", "lstrip", "rstrip", "single_word", "normalized"), False)


# A name inside a word ends with white space, which the next token takes along.
@example(
    flags=[PLAIN, {**PLAIN, "lstrip": True}, {**PLAIN, "single_word": True}, PLAIN],
    text=["<a>b", " x ", "<a>b", "<a>"],
    cuts=[1],
)
# White space that one token takes along begins the next.
@example(
    flags=[PLAIN, PLAIN, {**PLAIN, "rstrip": True}, PLAIN], text=[" x ", " x ", "<a>"], cuts=[1]
)
# More white space comes after the shortest of names.
@example(
    flags=[PLAIN, PLAIN, PLAIN, {**PLAIN, "rstrip": True}], text=["_", " ", " ", "a"], cuts=[1]
)
@given(
    flags=st.lists(FLAGS, min_size=4, max_size=4),
    text=st.lists(st.sampled_from(["<a>", "<a>b", " x ", "a", "b", " ", "_", "\n"]), max_size=20),
    cuts=st.lists(st.integers(1, 4), min_size=1, max_size=10),
)
def test_the_parts_are_the_same_wherever_the_text_is_cut(
    flags: list[dict[str, bool]], text: list[str], cuts: list[int]
) -> None:
    names = ["<a>", "<a>b", " x ", "_"]
    added = AddedTokens([AddedToken(n, i, **flags[i]) for i, n in enumerate(names)])
    whole = "".join(text)
    pieces: list[str] = []
    start = 0
    while start < len(whole):
        size = cuts[len(pieces) % len(cuts)]
        pieces.append(whole[start : start + size])
        start += size
    for allowed, disallowed in (("all", "all"), ((), ())):
        expected = list(added.split([whole], allowed, disallowed))
        found = list(added.split(pieces, allowed, disallowed))
        ids = [part for part in expected if not isinstance(part[0], str)]
        assert [part for part in found if not isinstance(part[0], str)] == ids
        assert [p for p, _ in _joined(found)] == [p for p, _ in _joined(expected)]
        for part, place in found:
            if isinstance(part, str):
                assert whole[place : place + len(part)] == part


def _joined(parts: Any) -> list[Any]:
    joined: list[Any] = []
    for part, place in parts:
        if joined and isinstance(part, str) and isinstance(joined[-1][0], str):
            joined[-1] = joined[-1][0] + part, joined[-1][1]
        else:
            joined.append((part, place))
    return joined


# ── allowed, an error, or plain text ──────────────────────────────────────────────────────────────


@pytest.mark.parametrize("kind", ["char", "bpe"])
def test_a_name_as_plain_text(kind: str) -> None:
    tokenizer, without = with_end(kind), with_end(kind, ())
    text = f"ab{END}c<pad> {END}"
    plain = without.encode(text)
    assert tokenizer.encode(text, disallowed_special=()) == plain
    assert tokenizer.encode_array(text, disallowed_special=()).tolist() == plain
    pieces = [text[:5], text[5:]]
    assert list(tokenizer.encode_iterable(pieces, disallowed_special=())) == plain
    arrays = tokenizer.encode_arrays(pieces, disallowed_special=())
    assert [i for array in arrays for i in array.tolist()] == plain
    assert tokenizer.decode(plain) == text
    mixed = tokenizer.encode(text, {"<pad>"}, disallowed_special=())
    assert tokenizer.decode(mixed) == text and len(mixed) == len(plain) - len("<pad>") + 1


@pytest.mark.parametrize("kind", ["char", "bpe"])
def test_what_is_disallowed_is_an_error_that_says_both_ways(kind: str) -> None:
    tokenizer = with_end(kind)
    for options in ({}, {"disallowed_special": {END}}, {"allowed_special": {"<pad>"}}):
        with pytest.raises(ValueError, match=r"allowed_special=\{.*\}.*disallowed_special=\(\)"):
            tokenizer.encode(f"ab{END}", **options)
    assert tokenizer.encode("<pad>", disallowed_special={END}) == with_end(kind, ()).encode("<pad>")
    with pytest.raises(ValueError, match="disallowed_special names '<eos>', but the special"):
        tokenizer.encode("a", disallowed_special={"<eos>"})
    with pytest.raises(ValueError, match=r"disallowed_special must be .*: got '<pad>'; did you"):
        tokenizer.encode("a", disallowed_special="<pad>")


def test_an_ordinary_token_is_always_found_and_stays() -> None:
    tokenizer = BPETokenizer(BYTES, [], [END], added_tokens=[AddedToken("<sep>", special=False)])
    assert tokenizer.special_tokens == {END: 256}
    assert [token.id for token in tokenizer.added_tokens] == [256, 257]
    for disallowed in ("all", ()):
        assert tokenizer.encode("a<sep>b", disallowed_special=disallowed) == [97, 257, 98]
    assert tokenizer.decode([97, 257, 256], skip_special_tokens=True) == "a<sep>"


# ── what is refused ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: AddedToken(""), ValueError, "must be 1 to 256 characters long: got ''"),
        (lambda: AddedToken("\ud800"), ValueError, "holds a lone surrogate"),
        (lambda: AddedToken(5), TypeError, "the name of an added token must be a str: got 5"),
        (
            lambda: AddedToken("<a>", lstrip=1),
            TypeError,
            "lstrip of added token '<a>' must be",
        ),
        (lambda: bpe("<a>"), TypeError, "added_tokens must be a list of AddedToken: got '<a>'"),
        (lambda: bpe(["<a>"]), TypeError, "added_tokens: each must be an AddedToken: got '<a>'"),
        (lambda: bpe([AddedToken]), TypeError, "make an object of it: AddedToken"),
        (
            lambda: bpe([AddedToken("<a>", 5.0)]),
            TypeError,
            "id of added token '<a>' must be an",
        ),
        (lambda: bpe([AddedToken("<a>", 5)]), ValueError, "id 5 of added token '<a>' is b'"),
        (lambda: bpe([AddedToken("<a>", 258)]), ValueError, "must go on from .* 256 to 256"),
        (lambda: bpe([AddedToken(END)]), ValueError, "different names: got .*; it is given twice"),
        (lambda: bpe([AddedToken("a")]), ValueError, "special token 'a' is an ordinary token"),
    ],
)
def test_wrong_tokens(make: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()


def bpe(added_tokens: Any) -> BPETokenizer:
    special = [END] if added_tokens == [AddedToken(END)] else []
    return BPETokenizer(BYTES, [], special, added_tokens=added_tokens)


def test_tokens_with_options_made_by_hand() -> None:
    sep = AddedToken("<sep>", special=False, lstrip=True)
    tokenizer = BPETokenizer(BYTES, [], [END], added_tokens=[sep])
    assert tokenizer.encode("a \n<sep> b") == [97, 257, 32, 98]
    again = tokenizer_from_dict(tokenizer.to_dict())
    assert again == tokenizer and again.to_dict()["version"] == 2
    assert BPETokenizer(BYTES, [], [END]).to_dict()["version"] == 1  # as it always was
