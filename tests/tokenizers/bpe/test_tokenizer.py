"""Byte-level BPE: training, encoding, decoding, special tokens, and what is refused."""

from __future__ import annotations

import io
import os
import random
import re
import shlex
import string
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from minigpt.sampling.text_stream import IncrementalDecoder
from minigpt.tokenizers import BPETokenizer, load_tokenizer, tokenizer_from_dict
from minigpt.tokenizers.bpe import hash_table, merging_together, text_ids, word_table
from minigpt.tokenizers.bpe import patterns as patterns_module
from minigpt.tokenizers.bpe import words as words_module
from minigpt.tokenizers.bpe.merging import Merger
from minigpt.tokenizers.bpe.patterns import SplitPattern
from minigpt.tokenizers.bpe.plain import encode_word_plain, learn_merges_plain
from minigpt.tokenizers.bpe.training import learn_merges
from minigpt.tokenizers.bpe.whole_tokens import whole_tokens

END = "<|endoftext|>"
ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]))
# Few characters, so that pairs come often: white space of every kind, contractions, digits, runs.
MIXED_TEXT = st.text(
    st.sampled_from("ab' \n\r\tlLsſ019,!é漢字😀\u0301\u00a0\u2028\u3000\x1c"), max_size=60
)
TEXTS = st.one_of(ANY_TEXT, MIXED_TEXT, st.text("ab", max_size=40))
PATTERNS = st.sampled_from(["gpt2", "gpt4", None, r"\w+", r"\s", "(a)(b)?|"])
BYTES: dict[Any, Any] = {i: bytes([i]) for i in range(256)}
SAMPLE = (
    "The cat's hat, the rat's mat: they'll have 1234 things!\n\n  So it’s said — 猫和狗，狗和猫。\n"
    "naïve café \t tabs  \r\n😀😀 aaaaaaaa bbbbbbbbb " * 3
)


def train(text: Any = SAMPLE, vocab_size: int = 320, **options: Any) -> BPETokenizer:
    return BPETokenizer.train(text, vocab_size, progress=False, **options)


@pytest.fixture(scope="module", params=["gpt2", "gpt4", None, r"\w+"])
def tokenizer(request: pytest.FixtureRequest) -> BPETokenizer:
    return train(pattern=request.param)


# ── the fast forms are the plain ones ─────────────────────────────────────────────────────────────

WORDS = st.dictionaries(
    st.one_of(
        st.binary(min_size=1, max_size=8), st.text("abc", min_size=1, max_size=9).map(str.encode)
    ),
    st.integers(1, 5),
    max_size=12,
)


@given(words=WORDS, n_merges=st.integers(0, 40))
@example(words={b"aaaa": 1, b"aaa": 2}, n_merges=5)
@example(words={b"abab": 1, b"baba": 1}, n_merges=3)
def test_training_is_the_plain_one(words: dict[bytes, int], n_merges: int) -> None:
    assert learn_merges(words, n_merges) == learn_merges_plain(words, n_merges)


@pytest.mark.parametrize("n_merges", [100, 2**56, 2**60, 2**63, 10**400])
def test_more_merges_than_there_can_be_are_all_there_are(n_merges: int) -> None:
    words = {b"low": 5, b"lower": 2, b"newest": 6, b"widest": 3}
    assert learn_merges(words, n_merges) == learn_merges_plain(words, 100)


def test_training_on_one_long_word_is_the_plain_one() -> None:
    word = "".join(random.Random(0).choices("abcdefgh", k=20_000)).encode()
    assert learn_merges({word: 1}, 30) == learn_merges_plain({word: 1}, 30)


@st.composite
def merge_lists(draw: Any) -> list[tuple[bytes, bytes]]:
    """Merges that were learned, or any others: out of order, of the same token, unreachable."""
    if draw(st.booleans()):
        return learn_merges_plain(draw(WORDS), draw(st.integers(0, 30)))
    tokens = [b"a", b"b", b"c"]
    merges: list[tuple[bytes, bytes]] = []
    for _ in range(draw(st.integers(0, 12))):
        pair = draw(st.sampled_from(tokens)), draw(st.sampled_from(tokens))
        if pair not in merges:
            merges.append(pair)
            tokens.append(pair[0] + pair[1])
    return draw(st.permutations(merges)) if draw(st.booleans()) else merges


def vocab_of(merges: list[tuple[bytes, bytes]]) -> dict[int, bytes]:
    return dict(enumerate(dict.fromkeys([*BYTES.values(), *(a + b for a, b in merges)])))


@given(merges=merge_lists(), data=st.data())
def test_encoding_a_word_is_the_plain_one(merges: Any, data: Any) -> None:
    word = data.draw(
        st.one_of(
            st.binary(max_size=60),
            st.text("abc", max_size=60).map(str.encode),
            st.sampled_from([a + b for a, b in merges] or [b""]),
        )
    )
    vocab = vocab_of(merges)
    expected = encode_word_plain(word, merges)
    id_of = {token: token_id for token_id, token in vocab.items()}
    merge = Merger([(id_of[a], id_of[b]) for a, b in merges], [id_of[a + b] for a, b in merges])
    for way in (merge, merge._with_list, merge._with_queues):
        assert [vocab[i] for i in way(list(word))] == expected


@given(merges=merge_lists(), data=st.data(), few=st.integers(1, 3))
@pytest.mark.parametrize("steps", [1, hash_table.STEPS])
def test_encoding_words_together_is_the_plain_one(
    steps: int, merges: Any, data: Any, few: int
) -> None:
    one = st.one_of(st.binary(min_size=1, max_size=70), st.text("abc", min_size=1, max_size=70))
    words = data.draw(st.lists(one, max_size=8))
    words = [word.encode() if isinstance(word, str) else word for word in words]
    vocab = vocab_of(merges)
    id_of = {token: token_id for token_id, token in vocab.items()}
    merge = Merger([(id_of[a], id_of[b]) for a, b in merges], [id_of[a + b] for a, b in merges])
    lengths = np.array([len(word) for word in words], int)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(merging_together, "FEW", few)
        patch.setattr(hash_table, "STEPS", steps)  # with one, no pair finds a place
        together = merging_together.WordsMerger(merge, range(256))
        flat = np.frombuffer(b"".join(words), np.uint8)
        ids, counts = together(flat, np.cumsum(lengths) - lengths, lengths)
    expected = [encode_word_plain(word, merges) for word in words]
    assert counts.tolist() == [len(tokens) for tokens in expected]
    assert [vocab[i] for i in ids.tolist()] == [token for tokens in expected for token in tokens]


@given(merges=merge_lists())
def test_whole_tokens_are_what_their_bytes_become(merges: Any) -> None:
    vocab = vocab_of(merges)
    id_of = {token: token_id for token_id, token in vocab.items()}
    pairs = [(id_of[a], id_of[b]) for a, b in merges]
    whole = whole_tokens(pairs, [id_of[a + b] for a, b in merges], len(vocab))
    for token_id, token in vocab.items():
        if whole[token_id]:
            assert encode_word_plain(token, merges) == [token]


def test_nearly_all_tokens_of_real_text_are_whole(shakespeare_text: str) -> None:
    tokenizer = train(shakespeare_text[:200_000], 1000)
    assert len(tokenizer._word_ids.whole) > 0.99 * len(tokenizer.merges)


@given(text=TEXTS, training=TEXTS, pattern=PATTERNS, vocab_size=st.integers(256, 300))
@pytest.mark.filterwarnings("ignore:the vocabulary has")
def test_encode_is_the_equation_word_by_word(
    text: str, training: str, pattern: str | None, vocab_size: int
) -> None:
    tokenizer = train(training + "x", vocab_size, pattern=pattern)
    ids = tokenizer.encode(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_ids, "LONG", 1)
        patch.setattr(merging_together, "FEW", 1)
        assert tokenizer.encode(text) == ids  # once new to the table, once known
        assert tokenizer.encode(text) == ids
    words = SplitPattern(pattern).split(text)
    expected = [t for word in words for t in encode_word_plain(word.encode(), tokenizer.merges)]
    assert [tokenizer.vocab[i] for i in ids] == expected
    assert tokenizer.decode(ids) == tokenizer.decode(np.array(ids, dtype=int)) == text


@given(text=TEXTS, cuts=st.lists(st.integers(0, 60), max_size=8), block=st.integers(1, 9))
def test_encode_iterable_wherever_the_text_is_cut(
    tokenizer: BPETokenizer, text: str, cuts: list[int], block: int
) -> None:
    places = [0, *sorted(cuts), len(text)]
    pieces = [text[a:b] for a, b in pairwise(places)]
    ids = tokenizer.encode(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(patterns_module, "BLOCK_CHARACTERS", block)
        assert list(tokenizer.encode_iterable(iter(pieces))) == ids
        arrays = list(tokenizer.encode_arrays(pieces))
    assert [i for array in arrays for i in array.tolist()] == ids


@given(text=TEXTS, special=st.lists(st.sampled_from(["<e>", "<e>x", "ab"]), max_size=3))
def test_special_tokens_wherever_the_text_is_cut(text: str, special: list[str]) -> None:
    tokenizer = train(special_tokens=["<e>", "<e>x", "ab"])
    text = f"{text} ".join(["", *special, ""])
    ids = tokenizer.encode(text, "all")
    assert tokenizer.decode(ids) == text
    for size in (1, 2, 5):
        pieces = [text[i : i + size] for i in range(0, len(text), size)]
        assert list(tokenizer.encode_iterable(pieces, "all")) == ids
    plain = text.replace("<e>x", "\0").replace("<e>", "\0").replace("ab", "\0")
    assert sum(i >= 317 for i in ids) == plain.count("\0") - text.count("\0")
    ordinary = [i for i in ids if i < 317]
    assert tokenizer.decode(ids, skip_special_tokens=True) == tokenizer.decode(ordinary)


# ── training ──────────────────────────────────────────────────────────────────────────────────────


def test_the_most_frequent_pair_and_of_equal_ones_the_greater() -> None:
    text = "low " * 5 + "lower " * 2 + "widest " * 3 + "newest " * 6  # Sennrich et al.'s
    tokenizer = train(text, 256 + 6, pattern=r"\w+")
    assert tokenizer.merges == [
        (b"s", b"t"), (b"e", b"st"), (b"o", b"w"), (b"l", b"ow"), (b"w", b"est"), (b"n", b"e"),
    ]  # fmt: skip
    assert train("ab cd", 257, pattern=r"\w+").merges == [(b"c", b"d")]  # both once
    # The pair is compared, not what it makes: b < ba, though bab > baa.
    assert train("bab bab baab", 258, pattern=r"\S+").merges[0] == (b"b", b"a")


def test_the_ids_are_bytes_then_merges_then_special_tokens() -> None:
    tokenizer = train(special_tokens=[END, "<pad>"])
    assert tokenizer.vocab_size == len(tokenizer.vocab) == 320
    assert [tokenizer.vocab[i] for i in range(256)] == list(BYTES.values())
    assert [tokenizer.vocab[256 + i] for i in range(62)] == [a + b for a, b in tokenizer.merges]
    assert tokenizer.special_tokens == {END: 318, "<pad>": 319}
    assert tokenizer.vocab[318] == END.encode()
    assert list(tokenizer.vocab) == list(range(320))
    again = BPETokenizer(tokenizer.vocab, tokenizer.merges, tokenizer.special_tokens)
    assert again == tokenizer and hash(again) == hash(tokenizer)
    assert again == BPETokenizer(tokenizer.vocab, tokenizer.merges, [END, "<pad>"])
    assert repr(again).startswith("BPETokenizer(vocab_size=320, merges=62, special_tokens=['<|")


@given(size=st.integers(1, 20))
def test_an_iterable_is_one_text(size: int) -> None:
    special = ["<e>"]
    text = f"{SAMPLE[:150]}<e>{SAMPLE[150:300]}"
    pieces = [text[i : i + size] for i in range(0, len(text), size)]
    whole = train(text, 280, special_tokens=special)
    assert train(iter(pieces), 280, special_tokens=special) == whole
    assert train(io.StringIO(text), 280, special_tokens=special) == whole


def test_no_pair_goes_across_a_special_token_or_a_word() -> None:
    with pytest.warns(UserWarning, match="the vocabulary has 258 tokens, not vocab_size=300: each"):
        tokenizer = train("ab<e>ab<e>ab", 300, special_tokens=["<e>"])
    assert tokenizer.merges == [(b"a", b"b")]
    with pytest.warns(UserWarning, match="the vocabulary has 256 tokens"):
        assert train("a1a1", 300).merges == []
    assert train("a1a1", 257, pattern=None).merges == [(b"a", b"1")]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((b"abc", 300), TypeError, r"text must be a str: got b.*; decode it first"),
        (([b"abc"], 300), TypeError, "text must be a str: got b"),
        ((5, 300), TypeError, "text must be a str: got \\d"),
        (("", 300), ValueError, "text is empty"),
        ((["", ""], 300), ValueError, "text is empty"),
        (("ab\ud800c", 300), ValueError, r"U\+D800 at position 2: a lone surrogate"),
        ((["ab", "c\udfff"], 300), ValueError, r"U\+DFFF at position 3"),
        (("abc", 255), ValueError, "vocab_size .*at least 256: got 255; the 256 bytes need 256"),
        (("abc", 257, ["<e>", "<f>"]), ValueError, "256 bytes and the 2 special tokens need 258"),
        (("abc", 300.0), TypeError, "vocab_size must be an integer .*: got 300.0"),
        (("abc", True), TypeError, "vocab_size must be an integer .*: got True"),
        (("abc", 300, "<e>"), TypeError, r"must be a list of strings: got '<e>'; did you mean"),
        (("abc", 300, ["<e>", "<e>"]), ValueError, "'<e>'; it is given twice"),
        (("abc", 300, [""]), ValueError, "special_tokens must be 1 to 256 characters long: got ''"),
        (("abc", 300, ["a"]), ValueError, "'a' is an ordinary token of the vocabulary"),
        (("abc", 300, [5]), TypeError, "special_tokens must be a str: got \\d"),
        (("abc", 300, [], "("), ValueError, r"pattern '\(' is neither 'gpt2' nor .* nor a reg"),
        (("abc", 300, [], 5), TypeError, "pattern must be 'gpt2', .* or None: got 5"),
        (("abc", 300, [], "a" * 10_001), ValueError, "at most 10,000 char.*; it has 10,001"),
    ],
)  # fmt: skip
def test_what_training_refuses(arguments, error, message):
    with pytest.raises(error, match=message) as caught:
        BPETokenizer.train(*arguments, progress=False)
    str(caught.value).encode()  # it can be printed


def test_a_bar_only_when_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    train()
    assert capsys.readouterr() == ("", "")
    BPETokenizer.train(SAMPLE, 300)
    out, err = capsys.readouterr()
    assert out == "" and "reading" in err and "merging: 100%" in err and "44/44" in err


# ── encoding and decoding ─────────────────────────────────────────────────────────────────────────


def test_every_character() -> None:
    tokenizer = train()
    code_points = [*range(0x3000), *range(0x3000, 0xD800, 7), *range(0xE000, 0x110000, 61)]
    text = "".join(map(chr, code_points))
    assert tokenizer.decode(tokenizer.encode_array(text)) == text


@pytest.mark.parametrize("place", [0, 1, 200_000])
def test_a_lone_surrogate_is_refused_with_its_place(tokenizer: BPETokenizer, place: int) -> None:
    text = "é" * place + "\udc80" + "b"
    with pytest.raises(ValueError, match=rf"U\+DC80 at position {place:,}: a lone surrogate"):
        tokenizer.encode(text)
    with pytest.raises(ValueError, match=rf"U\+D83D at position {place + 2:,}"):
        list(tokenizer.encode_iterable(["ab", "c" * place, "\ud83d", "\ude00"]))


def test_a_special_token_that_is_not_allowed() -> None:
    tokenizer = train(special_tokens=[END, "<pad>"])
    with pytest.raises(ValueError, match=r"special token '<\|endoftext\|>' at position 3, .*allow"):
        tokenizer.encode(f"abc{END}")
    with pytest.raises(ValueError, match="at position 3, which is not allowed"):
        list(tokenizer.encode_iterable(["abc<|end", "oftext|>"], {"<pad>"}))
    assert tokenizer.encode(f"a{END}<pad>", "all") == [97, 318, 319]
    assert tokenizer.encode(f"a{END}", {END}) == [97, 318]
    assert tokenizer.decode([97, 318, 98], skip_special_tokens=True) == "ab"


@given(st.lists(st.integers(0, 319), max_size=30))
def test_any_ids_decode_to_their_bytes(tokenizer: BPETokenizer, ids: list[int]) -> None:
    data = b"".join(tokenizer.vocab[i] for i in ids)
    assert tokenizer.decode(ids) == data.decode("utf-8", "replace")
    decoder = IncrementalDecoder(tokenizer)  # what the sampler streams with
    streamed = "".join(decoder.push(i) for i in ids)
    assert data.decode("utf-8", "replace") in (streamed, streamed + "\ufffd")


@given(text=TEXTS)
def test_streaming_shows_whole_characters_alone(text: str) -> None:
    tokenizer = train("x", 256)  # bytes alone: every character is cut
    decoder = IncrementalDecoder(tokenizer)
    for character in text:
        *unfinished, last = tokenizer.encode(character)
        assert [decoder.push(i) for i in unfinished] == [""] * len(unfinished)
        assert decoder.push(last) == character


def test_ids_that_end_in_mid_character() -> None:
    tokenizer = train("x", 256)
    ids = tokenizer.encode("漢")
    assert [tokenizer.decode(ids[:n]) for n in range(4)] == ["", "\ufffd", "\ufffd", "漢"]
    for wrong, error in (([256], ValueError), ([-1], ValueError), (["a"], TypeError)):
        with pytest.raises(error):
            tokenizer.decode(wrong)


@pytest.mark.parametrize(
    ("vocab_size", "dtype"), [(256, np.uint8), (257, np.uint16), (320, np.uint16)]
)
def test_the_array_has_the_smallest_type(vocab_size: int, dtype: Any) -> None:
    tokenizer = train(vocab_size=vocab_size)
    ids = tokenizer.encode_array(SAMPLE)
    assert ids.dtype == tokenizer.encode_array("").dtype == dtype
    assert ids.tolist() == tokenizer.encode(SAMPLE)
    assert all(type(i) is int for i in tokenizer.encode(SAMPLE))


def test_a_long_word_is_no_quadratic_work(tokenizer: BPETokenizer) -> None:
    """A search through all ranks for every merge would not come to an end here."""
    digits = "".join(random.Random(0).choices(string.ascii_letters + string.digits, k=50_000))
    for text in ("a" * 100_000, digits, " " * 100_000):
        assert tokenizer.decode(tokenizer.encode(text)) == text


def test_the_cache_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(words_module, "CACHED_WORDS", 10)
    tokenizer = train()
    text = " ".join(map(str, range(1000))) + " " + "x" * 65
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert 0 < len(tokenizer._word_ids) <= 10
    assert max(map(len, tokenizer._word_ids)) <= 64


def test_the_words_kept_of_long_texts_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(word_table, "PLACES_BITS", 4)
    monkeypatch.setattr(text_ids, "LONG", 1)
    tokenizer = train()
    for start in range(0, 3000, 1000):
        text = "x" * 65 + " " + " ".join(map(str, range(start, start + 1000)))
        ids = tokenizer.encode(text)
        assert ids == tokenizer._word_ids.join(SplitPattern("gpt2").split(text)).tolist()
        (known,) = tokenizer._ids_of_text._idle
        assert 0 < len(known.table) <= 4 * 16 and len(known.ends) == len(known.table) + 1


def test_long_texts_in_several_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_ids, "LONG", 1)
    tokenizer = train()
    texts = [f"{SAMPLE}{i} " * 5 for i in range(20)]
    expected = list(map(train().encode, texts))
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(tokenizer.encode, texts)) == expected
    assert len(tokenizer._ids_of_text._idle) >= 1


@pytest.mark.parametrize("text", ["ab", "x" * 3000 + " ab caf\u00e9"])
def test_words_that_are_whole_and_bytes_that_are_missing(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text_ids, "LONG", 1_000)
    vocab = {i: bytes([i]) for i in range(128)} | {128: b"ab", 129: b" caf\xc3\xa9", 130: b" ab"}
    merging = BPETokenizer(vocab, [(b"a", b"b")])
    whole = BPETokenizer(vocab, [(b"a", b"b")], ignore_merges=True)
    assert whole.encode(text)[-1] == (129 if text.endswith("\u00e9") else 128)
    assert whole.encode("y" * 3000 + " ab")[-1] == 130
    assert merging.encode("y" * 3000 + " ab")[-2:] == [32, 128]
    for tokenizer in (whole, merging):
        with pytest.raises(ValueError, match=r"text holds 'é' .* whose byte 0xc3 the vocabulary"):
            tokenizer.encode(text + "\u00e9")


# ── what a tokenizer is made from ─────────────────────────────────────────────────────────────────

AB: dict[Any, Any] = {**BYTES, 256: b"ab"}
ABC = {**AB, 257: b"abc"}


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (([b"a"], []), TypeError, "vocab must be a dict of id to bytes: got"),
        (({}, []), ValueError, "vocab lacks 95 of the 95 printable bytes of ASCII"),
        (({i: BYTES[i] for i in range(125)}, []), ValueError, r"lacks 2 of .* \(0x7d, 0x7e\)"),
        (({**BYTES, 257: b"ab"}, []), ValueError, "the 257 ids of vocab must be 0 to 256: 256 is"),
        (({**BYTES, -1: b"ab"}, []), ValueError, "must be 0 to 256: -1 is negative"),
        (({**BYTES, "256": b"ab"}, []), TypeError, "an id of vocab must be an integer: got '256'"),
        (({**BYTES, 256.0: b"ab"}, []), TypeError, "an id of vocab must be an integer: got 256.0"),
        (({**BYTES, 256: "ab"}, []), TypeError, r"vocab\[256\] must be bytes: got 'ab'"),
        (({**BYTES, 256: b""}, []), ValueError, r"vocab\[256\] must be at least one byte"),
        (({**BYTES, 256: b"a"}, []), ValueError, "ids 97 and 256 of vocab are both b'a'"),
        ((AB, b"ab"), TypeError, "merges must be a list of pairs of bytes: got b'ab'"),
        ((AB, 5), TypeError, "merges must be a list of pairs of bytes: got 5"),
        ((AB, [b"ab"]), TypeError, r"merges\[0\] must be a pair of bytes: got b'ab'"),
        ((AB, [("a", "b")]), TypeError, r"merges\[0\] must be a pair of bytes: got \('a', 'b'\)"),
        ((AB, [(b"a", b"b", b"")]), TypeError, r"merges\[0\] must be a pair of bytes"),
        ((AB, [(b"a", b"b"), (b"ab", b"c")]), ValueError, r"merges\[1\] needs the token b'abc'"),
        ((AB, [(b"x", b"xx")]), ValueError, r"merges\[0\] needs the token b'xx', which is not"),
        ((AB, [(b"a", b"b")] * 2), ValueError, r"merges\[0\] and merges\[1\] are both"),
        ((AB, [(b"a", b"b")], ["ab"]), ValueError, "special token 'ab' is an ordinary token"),
        ((AB, [], {"ab": 3}), ValueError, "added token 'ab' has id 256 in vocab: got 3"),
        ((AB, [], {"<e>": 256}), ValueError, "id 256 of added token '<e>' is b'ab' in vocab"),
        ((AB, [], {"<e>": 258}), ValueError, r"go on from .*, 257 to 257: got \[258\]"),
        ((AB, [], {"<e>": 257, "<f>": 257}), ValueError, "two added tokens have the id 257"),
        ((AB, [], {"<e>": "257"}), TypeError, "the id of special token '<e>' must be an integer"),
        ((AB, [], {5: 257}), TypeError, "special_tokens must be a str: got \\d"),
        ((AB, [], ["\ud800"]), ValueError, "lone surrogate"),
    ],
)  # fmt: skip
def test_what_is_no_tokenizer(arguments, error, message):
    with pytest.raises(error, match=message) as caught:
        BPETokenizer(*arguments)
    assert len(str(caught.value)) < 400


def test_a_byte_that_a_published_vocabulary_does_not_have() -> None:
    """Such as those of code points that no text of its training had."""
    missing = [0x04, 0xF1, 0xFF]
    known = [BYTES[i] for i in range(256) if i not in missing]
    tokenizer = BPETokenizer(dict(enumerate(known)), [], ["<e>"])
    text = "\x05 naïve 漢 😀\n"
    assert tokenizer.decode(tokenizer.encode(text)) == text
    for text, said in (("a\x04", r"'\x04' (U+0004), whose byte 0x04"), ("\U00040000", "byte 0xf1")):
        for pattern in ("gpt2", None):
            other = BPETokenizer(tokenizer.vocab, [], ["<e>"], pattern)
            with pytest.raises(ValueError, match=f"{re.escape(said)} the .*: take it out"):
                other.encode(f"the {text} end")
    assert tokenizer_from_dict(tokenizer.to_dict()) == tokenizer


def test_special_tokens_get_the_ids_that_they_have_or_are_given() -> None:
    vocab = {**AB, 257: b"<e>"}
    tokenizer = BPETokenizer(vocab, [(b"a", b"b")], ["<f>", "<e>"])
    assert tokenizer.special_tokens == {"<f>": 258, "<e>": 257}
    assert BPETokenizer(AB, [], {"<f>": 258, "<g>": 257}).vocab[257] == b"<g>"
    assert vocab == {**AB, 257: b"<e>"}  # ours is a copy
    assert BPETokenizer(vocab, []).encode("<e>") == [60, 101, 62]  # not said to be special


def test_a_token_that_no_merge_makes_is_never_encoded() -> None:
    for pattern in ("gpt2", None):
        tokenizer = BPETokenizer({**AB, 257: b"abc"}, [(b"a", b"b")], pattern=pattern)
        assert tokenizer.encode("abc") == [256, 99] and tokenizer.decode([257]) == "abc"


def test_merges_of_one_token_and_in_any_order() -> None:
    """As others' files have them: two merges that make abc, the first of them before its parts."""
    merges = [(b"ab", b"c"), (b"b", b"c"), (b"a", b"b"), (b"a", b"bc")]
    tokenizer = BPETokenizer({**ABC, 258: b"bc"}, merges)
    assert tokenizer.encode("abc") == [257] and tokenizer.encode("ab") == [256]
    for text in ("abcabc", "aabcc", "bcab"):
        expected = encode_word_plain(text.encode(), merges)
        assert [tokenizer.vocab[i] for i in tokenizer.encode(text)] == expected


def test_saved_and_loaded(tokenizer: BPETokenizer, tmp_path: Any) -> None:
    special = BPETokenizer(
        tokenizer.vocab, tokenizer.merges, ["<末>", END], pattern=tokenizer.pattern
    )
    for each in (tokenizer, special):
        each.save(tmp_path / "t.json")
        loaded = load_tokenizer(tmp_path / "t.json")
        assert loaded == each and loaded.encode(SAMPLE) == each.encode(SAMPLE)
        assert loaded.to_dict() == each.to_dict()
    assert tokenizer != special and tokenizer != 5


def test_the_bytes_of_ids_may_end_inside_a_character():
    tokenizer = BPETokenizer.train("ab ab", 259, ["<end>"], progress=False)
    ids = tokenizer.encode("aé<end>", allowed_special="all")
    assert tokenizer.decode_bytes(ids) == "aé<end>".encode()
    assert tokenizer.decode_bytes(ids, skip_special_tokens=True) == "aé".encode()
    assert tokenizer.decode_bytes(ids[:2]) == "aé".encode()[:2]


TRAINING = """
import sys
from minigpt.tokenizers import BPETokenizer
tokenizer = BPETokenizer.train("low lower lowest newest " * 400, 262)
print(tokenizer.merges)
"""


@pytest.mark.skipif(os.name != "posix", reason="redirections of a POSIX shell")
@pytest.mark.parametrize(
    "redirection", ["2>&-", "2>/dev/full", "2>&1 >merges | head -c 1 >/dev/null; cat merges"]
)
def test_a_bar_that_cannot_be_shown_ends_nothing(redirection: str, tmp_path: Path) -> None:
    if "full" in redirection and not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full here")
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[3])}
    (tmp_path / "t.py").write_text(TRAINING)
    command = f"{shlex.quote(sys.executable)} t.py {redirection}"
    done = subprocess.run(
        command, shell=True, cwd=tmp_path, env=environment, capture_output=True, timeout=60
    )
    merges = train("low lower lowest newest " * 400, 262).merges
    assert done.stdout.decode().strip() == str(merges), done.stderr
