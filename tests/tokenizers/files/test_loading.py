"""Tokenizers out of files that may hold anything."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigpt.datasets import open_tokens, write_tokens
from minigpt.tokenizers import (
    BPETokenizer,
    CharTokenizer,
    TokenizerFileError,
    load_tokenizer,
    tokenizer_from_dict,
)
from minigpt.tokenizers.files import reading as files_module

GOOD: dict[str, Any] = {
    "type": "char",
    "version": 1,
    "characters": "abc",
    "unknown_token": None,
    "special_tokens": ["<e>"],
}


def without(key: str) -> dict[str, Any]:
    return {k: v for k, v in GOOD.items() if k != key}


DAMAGED = [
    (without("type"), "has no 'type': known are 'bpe', 'char'"),
    (
        {**GOOD, "type": "wordpiece"},
        "type of the tokenizer must be bpe or char: got 'wordpiece'",
    ),
    ({**GOOD, "type": ["char"]}, "type of the tokenizer must be"),
    ({**GOOD, "type": "x" * 10**6}, "type of the tokenizer must be"),
    ({**GOOD, "version": 2}, "version of the tokenizer must be 1: got 2"),
    ({**GOOD, "version": True}, "version of the tokenizer must be an int: got True"),
    (without("characters"), "missing characters"),
    ({**GOOD, "more": 1}, "unexpected 'more'"),
    ({**GOOD, "characters": ["a"]}, "characters of the tokenizer must be a str: got"),
    ({**GOOD, "characters": ""}, "characters must not be empty"),
    ({**GOOD, "characters": "cba"}, "distinct and sorted"),
    ({**GOOD, "characters": "a\ud800"}, "lone surrogate"),
    ({**GOOD, "unknown_token": 5}, "unknown_token of the tokenizer must be a str or None"),
    ({**GOOD, "unknown_token": "<e>"}, "given twice"),
    ({**GOOD, "special_tokens": "<e>"}, "special_tokens of the tokenizer must be a list: got"),
    ({**GOOD, "special_tokens": [1]}, "special_tokens must be a str: got \\d"),
    ({**GOOD, "special_tokens": [["<e>"]]}, "special_tokens must be a str: got .*<e>"),
]


@pytest.mark.parametrize(("data", "message"), DAMAGED)
def test_damaged_descriptions(tmp_path: Path, data: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        tokenizer_from_dict(data)
    assert len(str(caught.value)) < 400
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(data), encoding="utf-8")
    with pytest.raises(TokenizerFileError, match=message):
        load_tokenizer(path)


@pytest.mark.parametrize("data", [None, [], "char", 5])
def test_what_is_no_description(tmp_path: Path, data: Any) -> None:
    with pytest.raises(TypeError, match="must be a dict"):
        tokenizer_from_dict(data)
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(data), encoding="utf-8")
    with pytest.raises(TokenizerFileError, match="must be a dict"):
        load_tokenizer(path)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"PK\x03\x04",
        b"[" * 200_000,
        b'{"type": ' * 100_000,
        b'{"version": ' + b"9" * 100_000 + b"}",
        json.dumps(GOOD).encode()[:-1],
    ],
    ids=["empty", "open", "not-utf8", "zip", "deep-list", "deep-dict", "long-int", "truncated"],
)
def test_files_that_are_not_json(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_bytes(content)
    with pytest.raises(TokenizerFileError, match=r"tokenizer\.json"):
        load_tokenizer(path)


@given(
    data=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from([*GOOD]) | st.text(), inner, max_size=5)
        ),
    ),
    key=st.sampled_from([*GOOD]),
)
def test_any_value_in_any_place_is_refused_or_sound(data: Any, key: str) -> None:
    try:
        tokenizer = tokenizer_from_dict({**GOOD, key: data})
    except ValueError:
        return
    assert tokenizer.decode(range(tokenizer.vocab_size))


def test_a_file_that_is_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files_module, "MAX_FILE_BYTES", 100)
    path = tmp_path / "tokenizer.json"
    path.write_bytes(b" " * 101)
    with pytest.raises(TokenizerFileError, match="bytes, 100 are the most"):
        load_tokenizer(path)


def test_what_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load_tokenizer(tmp_path / "absent.json")
    with pytest.raises(
        TokenizerFileError, match=r"has neither tokenizer\.json nor vocab\.json and"
    ):
        load_tokenizer(tmp_path)


def test_a_byte_order_mark_is_no_damage(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps(GOOD).encode())
    assert load_tokenizer(path).to_dict() == GOOD


def test_the_file_is_utf8_json_on_every_system(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    CharTokenizer.train("né\n漢😀\u2028").save(str(path))
    content = path.read_bytes()
    assert b"\r" not in content and "漢😀".encode() in content
    assert json.loads(content)["type"] == "char"


def test_a_save_that_is_stopped_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*arguments: object) -> None:
        raise KeyboardInterrupt

    path = tmp_path / "tokenizer.json"
    CharTokenizer("ab").save(path)
    monkeypatch.setattr(os, "replace", stop)
    with pytest.raises(KeyboardInterrupt):
        CharTokenizer("xyz").save(path)
    assert load_tokenizer(path) == CharTokenizer("ab")
    assert os.listdir(tmp_path) == ["tokenizer.json"]


def test_where_it_cannot_be_saved(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere does not exist: make it first"):
        CharTokenizer("ab").save(tmp_path / "nowhere" / "t.json")
    with pytest.raises(IsADirectoryError, match="is a folder"):
        CharTokenizer("ab").save(tmp_path)


BAD_PATHS = [
    ("", "must be a path: got ''"),
    ("a\0b", "a path without NUL characters"),
    ("x" * 300, "a path of names of at most 255 bytes"),
    ("a/" + "漢" * 100, "a path of names of at most 255 bytes"),
    ("\ud800", "a path without lone surrogates"),
]


@pytest.mark.parametrize(("path", "message"), BAD_PATHS)
def test_names_that_no_file_can_have(path: str, message: str) -> None:
    tokenizer = BPETokenizer.train("ab", 256, progress=False)
    calls: list[Any] = [
        lambda: load_tokenizer(path),
        lambda: tokenizer.save(path),
        lambda: tokenizer.to_gpt2(path),
        lambda: BPETokenizer.from_gpt2(path, "merges.txt"),
        lambda: open_tokens(path),
        lambda: write_tokens(path, [1], 2),
    ]
    for call in calls:
        with pytest.raises(ValueError, match=message) as caught:
            call()
        assert len(str(caught.value)) < 200
        str(caught.value).encode()
