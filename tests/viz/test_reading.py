"""The labels of tokens, and what a model reads."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigpt as mg
from minigpt.viz import token_labels
from minigpt.viz.reading import next_logits, read

BYTES = mg.BPETokenizer.train("a", 256, progress=False)


class Pieces:
    """A tokenizer whose tokens are any bytes."""

    vocab_size = 9

    def __init__(self, *pieces):
        self.pieces = pieces

    def decode_bytes(self, ids):
        return b"".join(self.pieces[i] for i in ids)

    @property
    def labels(self):
        return token_labels(self, range(len(self.pieces)))


def test_white_space_is_seen_and_long_tokens_are_cut():
    tokenizer = Pieces(b" the", b"\n\n", b"\t", b"\r", b"x" * 20, b"\x00\x1b[31m", b"")
    assert tokenizer.labels == [
        "␣the", "⏎⏎", "⇥", "␍", "x" * 13 + "…", r"\x00\x1b[31m", "(empty)",
    ]  # fmt: skip


def test_parts_of_a_character_say_of_which():
    first, second, third = "类".encode()[:1], "类".encode()[1:2], "类".encode()[2:]
    assert Pieces(b"a", first, second, third).labels == ["a", "类 1/3", "类 2/3", "类 3/3"]
    assert Pieces(first + second, third).labels == ["类 1–2/3", "类 3/3"]
    assert Pieces("类类".encode()).labels == ["类类"]
    assert Pieces(b" " + first, second, third).labels == [r"␣\xe7", "类 2/3", "类 3/3"]
    assert Pieces(first, second).labels == [r"\xe7", r"\xb1"]  # no character is whole
    assert Pieces("🙂".encode()[:3], "🙂".encode()[3:]).labels == ["🙂 1–3/4", "🙂 4/4"]
    assert Pieces(b"\xc2", b"\x80").labels == [r"\x80 1/2", r"\x80 2/2"]  # a control character
    assert Pieces(b"\xff", b"\xed\xa0\x80").labels == [r"\xff", r"\xed\xa0\x80"]


def test_a_tokenizer_of_text_will_do():
    tokenizer = mg.CharTokenizer.train("类 a")
    assert token_labels(tokenizer, tokenizer.encode("a 类")) == ["a", "␣", "类"]


@given(st.binary(max_size=12), st.data())
def test_every_token_has_a_label_that_can_be_seen(text, data):
    cuts = data.draw(st.lists(st.integers(0, len(text)), max_size=4).map(sorted))
    pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    labels = Pieces(*pieces).labels
    assert len(labels) == len(pieces)
    assert all(label and label.isprintable() and len(label) <= 14 for label in labels)


def test_what_is_read(chinese):
    ids, labels = read(*chinese, "猫 龘")
    assert ids.shape == (1, 6)
    assert labels == ["猫 1–2/3", "猫 3/3", "␣", "龘 1/3", "龘 2/3", "龘 3/3"]


def test_the_logits_of_the_next_token(english):
    model, tokenizer = english
    ids, logits = next_logits(model, tokenizer, "the cat")
    with mg.no_grad():
        np.testing.assert_allclose(logits, model(ids).data[:, -1], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("text", "error", "said"),
    [
        ("", ValueError, "the prompt is empty"),
        (3, TypeError, "text must be a str: got 3"),
        ("t" * 65, ValueError, "text has 65 tokens, and the model's context holds 64: shorten it"),
        ("Q", ValueError, "'Q'"),
    ],
)
def test_a_text_that_does_not_fit_is_refused(english, text, error, said):
    with pytest.raises(error, match=said):
        read(*english, text)


def test_model_and_tokenizer_are_told_apart(english):
    model, tokenizer = english
    with pytest.raises(TypeError, match="the model comes first, then the tokenizer"):
        read(tokenizer, model, "the")
    with pytest.raises(TypeError, match="tokenizer must be a tokenizer"):
        read(model, None, "the")
