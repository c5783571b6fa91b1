"""Where a text is split into words; patterns out of files that may be anything."""

from __future__ import annotations

import json
import time
from itertools import accumulate, product
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigpt.tokenizers import BPETokenizer, TokenizerFileError, load_tokenizer, tokenizer_from_dict
from minigpt.tokenizers.bpe import patterns
from minigpt.tokenizers.bpe.patterns import NAMED, SplitPattern

BYTES: dict[Any, Any] = {i: bytes([i]) for i in range(256)}
TEXTS = st.text(st.sampled_from("ab's lSL1²½  \n\r\t,!é漢😀\u0301\u00a0\x1c"), max_size=60)


def starts_of(words: list[str]) -> list[int]:
    return [0, *accumulate(map(len, words))][:-1]


@pytest.mark.parametrize("name", NAMED)
@given(text=TEXTS, ascii_only=st.booleans())
def test_words_joined_are_the_text_and_blocks_cut_between_words(
    name: str, text: str, ascii_only: bool
) -> None:
    if ascii_only:
        text = text.encode("ascii", "ignore").decode()
    pattern = SplitPattern(name)
    words = pattern.split(text)
    assert "".join(words) == text and all(words)
    assert pattern.starts(text).tolist() == starts_of(words)
    assert SplitPattern(pattern._words.pattern).split(text) == words  # nothing is left out
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(patterns, "BLOCK_CHARACTERS", 5)
        blocks = list(pattern.blocks([(text, 0)]))
    assert [word for block in blocks for word in pattern.split(block)] == words


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("gpt2", ["a", "  ", " 12", " b", "3"]),
        ("gpt2-single-digits", ["a", "   ", "1", "2", " b", "3"]),
        ("gpt4", ["a", "  ", " ", "12", " b", "3"]),
        ("gpt4-single-digits", ["a", "  ", " ", "1", "2", " b", "3"]),
    ],
)
def test_digits(name: str, words: list[str]) -> None:
    assert SplitPattern(name).split("a   12 b3") == words


@pytest.mark.parametrize("name", patterns.BY_KINDS)
def test_the_starts_of_words_in_every_neighbourhood(name: str) -> None:
    """All strings of five out of what the rules tell apart, all pairs of ASCII, and of
    each character with the next."""
    fives = "0".join(map("".join, product("asle' \n", repeat=5)))
    pairs = "".join(f"{a}{b}0{a}{b}a" for a, b in product(map(chr, range(128)), repeat=2))
    characters = "".join(chr(code) for code in range(0x20000) if not 0xD800 <= code < 0xE000)
    pattern = SplitPattern(name)
    for text in (fives, pairs, characters):
        assert pattern.starts(text).tolist() == starts_of(pattern._words.findall(text))


# ── hostile patterns ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("pattern", ["(a|aa)+$", r"(?:a{0,999}){0,999}$"])
def test_a_pattern_that_tries_too_many_ways_is_stopped(
    pattern: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patterns, "SECONDS", 0.2)
    tokenizer = BPETokenizer(BYTES, [], pattern=pattern)
    begin = time.monotonic()
    with pytest.raises(ValueError, match=r"took more than .* s on a text of 61 characters"):
        tokenizer.encode("a" * 60 + "c")
    assert time.monotonic() - begin < 30


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("(?R)", "pattern must be without calls of itself or of its groups"),
        ("a(?R)?b", "without calls"),
        ("(a(?1)?b)", "without calls"),
        ("(a(?+1))(b)", "without calls"),
        ("(?P<x>a(?&x)?)", "without calls"),
        ("(?P<x>a(?P>x)?)", "without calls"),
        ("\ud800", "pattern must be text: .*; it holds a lone surrogate"),
    ],
)
def test_a_pattern_that_is_refused_on_every_path(
    pattern: str, message: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=message):
        BPETokenizer(BYTES, [], pattern=pattern)
    described = BPETokenizer(BYTES, []).to_dict() | {"pattern": pattern}
    with pytest.raises(ValueError, match=message):  # as out of a checkpoint
        tokenizer_from_dict(described)
    split = {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated"}
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "use_regex": False}
    hugging_face = {
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [split, byte_level]},
        "model": {"type": "BPE", "vocab": dict.fromkeys(described["vocab"]), "merges": []},
    }
    hugging_face["model"]["vocab"] = {t: i for i, t in enumerate(described["vocab"])}
    for data in (described, hugging_face):
        (tmp_path / "t.json").write_text(json.dumps(data), encoding="utf-8")
        with pytest.raises(TokenizerFileError, match=message):
            load_tokenizer(tmp_path / "t.json")


@pytest.mark.parametrize("pattern", [r"\(?R\)", r"(?-i)a", "(?i:s)", r"(?P<a>b)(?P=a)"])
def test_a_pattern_that_only_looks_as_if_it_called_itself(pattern: str) -> None:
    assert SplitPattern(pattern).split("a(R)bb") and SplitPattern(pattern).pattern == pattern
