"""The tokenizer in the header of a GGUF file: what it says, what it may not, and hostile ones."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigpt as mg
from minigpt import tokenizers
from minigpt.tokenizers import BPETokenizer, TokenizerFileError
from minigpt.tokenizers.files.gguf import SPLITTINGS, read_gguf_tokenizer
from tests.interop.gguf_files import gguf, value, write
from tests.tokenizers.files.written import gguf_metadata

NAMES = ["<|end|>", "<|start|>"]
TEXT = "the cat's hat, the rat's mat — 漢字 naïve 1234 56  \n" * 3
TOKENIZER = BPETokenizer.train(TEXT, 290, NAMES, progress=False)
GOOD = gguf_metadata(TOKENIZER, "gpt-2")
P = "tokenizer.ggml."


def changed(key: str, value: Any) -> dict[str, Any]:
    return {**GOOD, key if "." in key else P + key: value}


def read(metadata: dict[str, Any]) -> BPETokenizer:
    return BPETokenizer(*read_gguf_tokenizer(metadata))


def with_tokens(*more: tuple[str, int]) -> dict[str, Any]:
    """Some tokens more, each with its type."""
    tokens, kinds = GOOD[P + "tokens"], GOOD[P + "token_type"].tolist()
    return GOOD | {
        P + "tokens": [*tokens, *(token for token, _ in more)],
        P + "token_type": np.array([*kinds, *(kind for _, kind in more)], np.int32),
    }


def test_the_same_tokenizer() -> None:
    assert read(GOOD) == TOKENIZER


@pytest.mark.parametrize("pre", SPLITTINGS)
def test_how_texts_are_split(pre: str) -> None:
    tokenizer = read({**GOOD, P + "pre": pre, P + "bos_token_id": 288})
    splitting = SPLITTINGS[pre]
    assert tokenizer.pattern == splitting.pattern
    assert tokenizer.normalization == splitting.normalization
    assert tokenizer.ignore_merges == splitting.ignore_merges
    assert tokenizer.leading_ids == (288,) * splitting.add_bos_token


def test_tokens_of_every_kind() -> None:
    tokenizer = read(with_tokens(("<think>", 4), ("[PAD291]", 5), ("<|pad|>", 3)))
    assert list(tokenizer.special_tokens.items()) == [
        (NAMES[0], 288), (NAMES[1], 289), ("<|pad|>", 292),
    ]  # fmt: skip
    assert tokenizer.encode("a<think>") == [97, 290]
    assert 291 not in tokenizer.encode("the [PAD291]") and tokenizer.decode([291]) == "[PAD291]"


def test_what_is_put_around_texts() -> None:
    ids = {P + "bos_token_id": 289, P + "eos_token_id": 288}
    assert read(GOOD | ids) == TOKENIZER  # without a template they say nothing
    assert read(GOOD | ids | {P + "add_bos_token": True}).leading_ids == (289,)
    assert read(GOOD | {P + "add_bos_token": True}) == TOKENIZER  # which one?
    told = read(GOOD | ids | {"tokenizer.chat_template": "x"})
    assert (told.bos_token, told.eos_token, told.chat_template) == ("<|start|>", "<|end|>", "x")
    assert not told.add_bos_token
    llama_3 = {**GOOD, **ids, P + "pre": "llama-bpe", P + "add_bos_token": False}
    assert read(llama_3).leading_ids == ()


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({}, "it has no tokenizer.ggml.model"),
        ({k: v for k, v in GOOD.items() if k != P + "pre"}, "it has no tokenizer.ggml.pre"),
        ({k: v for k, v in GOOD.items() if k != P + "merges"}, "it has no tokenizer.ggml.merges"),
        (changed("model", "llama"), "model must be \"gpt2\": got 'llama'"),
        (changed("model", 5), 'model must be "gpt2": got 5'),
        (changed("pre", "tekken"), "pre must be \"gpt-2\", .* or \"qwen2\": got 'tekken'"),
        (changed("add_space_prefix", True), "add_space_prefix is True: only a tokenizer that"),
        (changed("add_eos_token", True), "add_eos_token is True: only"),
        (changed("add_bos_token", 1), "add_bos_token must be True or False: got 1"),
        (changed("tokens", 5), "tokens must be a list of texts: got 5"),
        (changed("tokens", np.arange(290)), "tokens must be a list of texts: got"),
        (changed("tokens", [["a"]]), "tokens must be a list of texts"),
        (changed("tokens", ["a"] * 290), "tokens holds 'a' twice"),
        (changed("tokens", GOOD[P + "tokens"][1:]), "token_type must be 289 integers"),
        (changed("token_type", np.ones(290)), "token_type must be 290 integers"),
        (changed("token_type", [1] * 290), "token_type must be 290 integers"),
        (changed("token_type", np.full(290, 6, np.int32)), "made of 1, 3, 4, 5: got 6"),
        (changed("token_type", np.ones(290, np.int32)), "token '<|end|>' is made by no merge, and"),
        (changed("token_type", np.full(290, 3, np.int32)), "id 0 of added token 'Ā' is b"),
        (changed("merges", ["t h", 5]), "merges must be a list of texts"),
        (changed("merges", ["t h e"]), r"merges\[0\] must be two tokens with a space between"),
        (changed("merges", ["t \u4e00"]), "stands for no byte in GPT-2's alphabet"),
        (changed("merges", GOOD[P + "merges"][1:]), "made by no merge"),
        (changed("merges", [*GOOD[P + "merges"], "z q"]), "needs the token b'zq'"),
        (with_tokens(("", 3)), "the name of an added token must be 1 to 256 characters long"),
        (with_tokens(("<" + "x" * 256, 5)), "must be 1 to 256 characters long"),
        (changed("bos_token_id", 290), "bos_token_id must be an integer from 0 to 289: got 290"),
        (changed("eos_token_id", -1), "eos_token_id must be an integer from 0 to 289: got -1"),
        (changed("eos_token_id", 1.0), "eos_token_id must be an integer"),
        (changed("tokenizer.chat_template", 5), "chat_template must be a str: got 5"),
        ({**changed("tokenizer.chat_template", "x"), P + "eos_token_id": 5}, "eos_token must be"),
    ],
)  # fmt: skip
def test_what_a_header_may_not_say(metadata: dict[str, Any], message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message.replace("|", r"\|")) as caught:
        read(metadata)
    assert len(str(caught.value)) < 400


VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 400), st.floats(), st.text(max_size=5),
    st.lists(st.text(max_size=3), max_size=3), st.just(np.arange(290)),
    st.just(np.ones(290, np.int8)),
)  # fmt: skip


@given(key=st.sampled_from([*GOOD, P + "bos_token_id", P + "add_bos_token"]), value=VALUES,
       inside=st.booleans(), place=st.integers(0, 289))  # fmt: skip
def test_any_value_in_any_place_is_refused_or_sound(
    key: str, value: Any, inside: bool, place: int
) -> None:
    metadata, old = dict(GOOD), GOOD.get(key)
    if inside and isinstance(old, list):
        metadata[key] = [*old[: place % len(old)], value, *old[place % len(old) + 1 :]]
    else:
        metadata[key] = value
    try:
        tokenizer = read(metadata)
    except (ValueError, TypeError):
        return
    assert tokenizer.decode(tokenizer.encode(TEXT)) == TEXT


# ── out of a file ─────────────────────────────────────────────────────────────────────────────────


def file_of(path: Path, metadata: dict[str, Any]) -> Path:
    kinds = {list: "[string]", np.ndarray: "[int32]", str: "string", int: "uint32", bool: "bool"}
    entries = {key: value(kinds[type(held)], held) for key, held in metadata.items()}
    return write(path, gguf({}, entries))


def test_a_file(tmp_path: Path) -> None:
    more = {"tokenizer.chat_template": "x", P + "eos_token_id": 288, P + "add_bos_token": False}
    path = file_of(tmp_path / "model.GGUF", GOOD | more)
    tokenizer = mg.load_tokenizer(path)
    assert tokenizer == read(GOOD | more) and mg.load_tokenizer(str(path)) == tokenizer
    tokenizer.save(tmp_path / "t.json")
    assert mg.load_tokenizer(tmp_path / "t.json") == tokenizer


def test_files_without_one(tmp_path: Path) -> None:
    path = file_of(tmp_path / "model.gguf", {"general.architecture": "llama"})
    message = f"{re.escape(str(path))} does not hold a tokenizer: it has no tokenizer.ggml.model"
    with pytest.raises(TokenizerFileError, match=message):
        mg.load_tokenizer(path)
    with pytest.raises(mg.interop.PretrainedError, match="it is not a GGUF file"):
        mg.load_tokenizer(write(tmp_path / "other.gguf", b"x" * 100))
    with pytest.raises(FileNotFoundError):
        mg.load_tokenizer(tmp_path / "none.gguf")
    with pytest.raises(TokenizerFileError, match=r"is a whole model: .*minigpt\.load_tokenizer"):
        tokenizers.load_tokenizer(path)
