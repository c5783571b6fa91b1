from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigpt import BPETokenizer, CharTokenizer
from minigpt.sampling.text_stream import IncrementalDecoder, TextStream

TEXTS = st.text(st.sampled_from("ab é你😀\n\N{ZERO WIDTH JOINER}👩🚀"), max_size=12)


def pieces_of(stream, ids):
    return [*(stream.push(token) for token in ids), stream.flush()]


@given(TEXTS)
def test_every_character_comes_with_its_last_byte(fakes, text):
    decoder = IncrementalDecoder(fakes.byte_tokenizer())
    for character in text:
        *unfinished, last = character.encode()
        assert [decoder.push(byte) for byte in unfinished] == [""] * len(unfinished)
        assert decoder.push(last) == character


@given(st.lists(st.binary(min_size=1, max_size=5), min_size=1, max_size=8), st.data())
def test_any_bytes_cut_anywhere_give_their_decoding(fakes, chunks, data):
    """Also bytes that are no UTF-8 at all, as an untrained model writes them."""
    tokenizer = fakes.PieceTokenizer(*chunks)
    ids = data.draw(st.lists(st.integers(0, len(chunks) - 1), max_size=20))
    decoder = IncrementalDecoder(tokenizer)
    shown = "".join(decoder.push(token) for token in ids)
    whole = tokenizer.decode(ids)
    assert whole == shown or whole == shown + "\ufffd"


def test_a_long_run_of_invalid_bytes_keeps_nothing_but_its_end(fakes):
    tokenizer = fakes.byte_tokenizer()
    decoded = []
    decode = tokenizer.decode
    tokenizer.decode = lambda ids: decoded.append(len(ids)) or decode(ids)
    decoder = IncrementalDecoder(tokenizer)
    assert "".join(decoder.push(0x80) for _ in range(500)) == "\ufffd" * 499
    assert max(decoded) <= 2


class Bytes:
    """A tokenizer of bytes that gives them."""

    vocab_size = 256

    def encode(self, text):
        return list(text.encode())

    def decode(self, ids):
        return self.decode_bytes(ids).decode(errors="replace")

    def decode_bytes(self, ids):
        return bytes(ids)


@given(st.text(st.sampled_from("a\ufffdé你😀"), max_size=8))
def test_a_real_replacement_character_is_a_character_like_any_other(fakes, text):
    """Wherever it stands, also at the end: the ids decide, and not what they look like."""
    for tokenizer in (
        fakes.byte_tokenizer(),
        fakes.PieceTokenizer("a", "\ufffd", b"\xc3", b"\xa9", "你", b"\xf0\x9f", b"\x98\x80"),
        Bytes(),
        CharTokenizer("".join(sorted("a\ufffdé你😀"))),
        BPETokenizer.train("a\ufffd a\ufffd é", 261, progress=False),
    ):
        decoder = IncrementalDecoder(tokenizer)
        assert "".join(decoder.push(token) for token in tokenizer.encode(text)) == text


@given(st.binary(max_size=12))
def test_of_bytes_only_a_beginning_of_a_character_is_held_back(data):
    decoder = IncrementalDecoder(Bytes())
    shown = "".join(decoder.push(byte) for byte in data)
    whole = data.decode(errors="replace")
    assert whole == shown or whole == shown + "\ufffd"
    assert shown + "".join(map(decoder.push, b"aaa")) == (data + b"aaa").decode(errors="replace")


def test_a_stream_that_branches_off_goes_on_by_itself(fakes):
    for tokenizer in (Bytes(), fakes.byte_tokenizer()):
        stream = TextStream(tokenizer, ["né!"])
        head = [stream.push(token) for token in "ané".encode()[:3]]
        other = stream.branch()
        assert "".join(head) == "a"
        assert pieces_of(other, "è".encode()[1:]) == ["nè", ""] and not other.stopped
        assert pieces_of(stream, "é!".encode()[1:]) == ["", "", ""] and stream.stopped


def test_emoji_over_four_tokens_and_chinese_in_halves(fakes):
    tokenizer = fakes.PieceTokenizer(
        b"\xf0", b"\x9f\x98", b"\x80", b"\xe4\xbd", b"\xa0\xe5\xa5", b"\xbd!"
    )
    decoder = IncrementalDecoder(tokenizer)
    assert [decoder.push(token) for token in [0, 1, 2, 3, 4, 5]] == ["", "", "😀", "", "你", "好!"]


def test_special_tokens_are_left_out_where_asked_for(fakes):
    class WithSpecial(fakes.PieceTokenizer):
        def decode(self, ids, skip_special_tokens=False):
            return super().decode([i for i in ids if i != 0 or not skip_special_tokens])

    tokenizer = WithSpecial("<end>", "a")
    for skip, text in [(False, "a<end>a"), (True, "aa")]:
        decoder = IncrementalDecoder(tokenizer, skip_special_tokens=skip)
        assert "".join(decoder.push(token) for token in [1, 0, 1]) == text


# ── stop strings ──────────────────────────────────────────────────────────────────────────────


def first_stop(text, stops):
    """The plain way: a character at a time, until what is there ends with a stop string."""
    for end in range(1, len(text) + 1):
        matches = [s for s in stops if text[:end].endswith(s)]
        if matches:
            return text[: end - max(map(len, matches))], True
    return text, False


@given(
    pieces=st.lists(st.text("ab你", min_size=1, max_size=4), max_size=10),
    stops=st.lists(st.text("ab你", min_size=1, max_size=4), max_size=3),
)
def test_the_text_ends_before_the_first_stop_string_however_tokens_cut_it(fakes, pieces, stops):
    tokenizer = fakes.PieceTokenizer(*pieces)
    stream = TextStream(tokenizer, stops)
    shown = ""
    for token in range(len(pieces)):
        shown += stream.push(token)
        so_far, stopped = first_stop("".join(pieces[: token + 1]), stops)
        assert stream.stopped == stopped
        assert so_far.startswith(shown)  # nothing was shown that had to be taken back
    shown += stream.flush()
    assert (shown, stream.stopped) == first_stop("".join(pieces), stops)


def test_what_may_be_a_stop_string_waits_until_it_is_none(fakes):
    tokenizer = fakes.PieceTokenizer("Hi", "\n", "User", ":", "s")
    ids = [0, 1, 2, 4, 1, 2, 3, 0]
    assert pieces_of(TextStream(tokenizer, ["\nUser:"]), ids) == [
        "Hi", "", "", "\nUsers", "", "", "", "", "",
    ]  # fmt: skip
    assert pieces_of(TextStream(tokenizer, ["\nUser:"]), [0, 1, 2]) == ["Hi", "", "", "\nUser"]


def test_a_stop_string_inside_one_token_and_one_of_cut_characters(fakes):
    tokenizer = fakes.PieceTokenizer("one.two", b"\xe3\x80", b"\x82", "x")
    assert pieces_of(TextStream(tokenizer, ["."]), [0, 3]) == ["one", "", ""]
    assert pieces_of(TextStream(tokenizer, ["。"]), [3, 1, 2, 3]) == ["x", "", "", "", ""]


@pytest.mark.parametrize(("stops", "text"), [(["bc", "abcd"], "xa"), (["abc", "bc"], "x")])
def test_of_several_the_one_that_is_complete_first_counts_then_the_longer(fakes, stops, text):
    for cut in (["xabcd"], ["x", "a", "b", "c", "d"], ["xab", "cd"]):
        stream = TextStream(fakes.PieceTokenizer(*cut), stops)
        assert "".join(pieces_of(stream, range(len(cut)))) == text
