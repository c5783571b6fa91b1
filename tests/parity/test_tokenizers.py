"""The same ids as tiktoken, and as Hugging Face's tokenizers and Transformers.

``MINIGPT_STRINGS=100000`` draws so many strings instead of a few hundred.
"""

from __future__ import annotations

import json
import os
import unicodedata
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import minigpt as mg
from minigpt.datasets import load_text
from minigpt.tokenizers.bpe.patterns import SplitPattern
from minigpt.tokenizers.bpe.plain import merge, single_bytes
from minigpt.tokenizers.files.byte_alphabet import from_printable

tiktoken = pytest.importorskip(
    "tiktoken", reason="compares with tiktoken: pip install -e '.[parity]'"
)
tokenizers = pytest.importorskip(
    "tokenizers", reason="compares with tokenizers: pip install -e '.[parity]'"
)

STRINGS = int(os.environ.get("MINIGPT_STRINGS", "300"))
CHINESE = Path(__file__).resolve().parents[3] / "shared" / "docs"
END = "<|endoftext|>"
# As OpenAI publishes them, possessive as tiktoken wants them.
PUBLISHED = {
    "gpt2": r"""'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s""",
    "gpt4": r"""'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+"""
    r"""| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s""",
}
# Code points without a name yet may be letters in a newer Unicode: the libraries' versions differ.
CHARACTERS = st.characters(exclude_categories=["Cs", "Cn"])
TEXTS = st.one_of(
    st.text(CHARACTERS),
    st.text(st.sampled_from("ab'stlveSLreſ  \n\n\r\t09!,.é漢字😀\u0301\u00a0\u2028\u3000\x1c\x85")),
    st.text(st.characters(max_codepoint=127)),
)
# As Llama 3's tokenizer.json has it.
GPT4_IN_A_FILE = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
many = settings(
    max_examples=STRINGS, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


@pytest.fixture(scope="module")
def gpt2(gpt2_folder: Path) -> mg.BPETokenizer:
    return mg.BPETokenizer.from_gpt2(gpt2_folder / "vocab.json", gpt2_folder / "merges.txt")


def as_tiktoken(tokenizer: mg.BPETokenizer, pattern: str = "gpt2") -> Any:
    special = tokenizer.special_tokens
    ranks = {data: i for i, data in tokenizer.vocab.items() if i not in special.values()}
    return tiktoken.Encoding(
        "test", pat_str=PUBLISHED[pattern], mergeable_ranks=ranks, special_tokens=special
    )


@pytest.fixture(scope="module")
def reference(gpt2: mg.BPETokenizer) -> Any:
    return as_tiktoken(gpt2)


def with_pattern(tokenizer: mg.BPETokenizer, pattern: str) -> mg.BPETokenizer:
    return mg.BPETokenizer(tokenizer.vocab, tokenizer.merges, tokenizer.special_tokens, pattern)


# ── tiktoken ──────────────────────────────────────────────────────────────────────────────────────


def assert_same_ids(tokenizer: mg.BPETokenizer, reference: Any, text: str) -> None:
    ids = reference.encode(text, allowed_special="all")
    array = tokenizer.encode_array(text, "all")
    assert array.tolist() == ids
    assert tokenizer.decode(array) == text


@pytest.mark.parametrize("pattern", ["gpt2", "gpt4"])
def test_shakespeare_and_chinese(
    gpt2: mg.BPETokenizer, shakespeare_text: str, pattern: str
) -> None:
    tokenizer = gpt2 if pattern == "gpt2" else with_pattern(gpt2, pattern)
    reference = as_tiktoken(tokenizer, pattern)
    assert_same_ids(tokenizer, reference, shakespeare_text)
    documents = sorted(CHINESE.glob("*.txt"))
    if not documents:
        pytest.skip("the Chinese documents are read from ../shared/docs, which is not there")
    for path in documents:
        assert_same_ids(tokenizer, reference, path.read_text(encoding="utf-8"))


def test_the_standard_library(gpt2: mg.BPETokenizer, reference: Any) -> None:
    text = load_text("python-stdlib")
    assert_same_ids(gpt2, reference, text if STRINGS >= 10_000 else text[:2_000_000])


def test_every_character_alone(gpt2: mg.BPETokenizer, reference: Any) -> None:
    characters = [chr(c) for c in range(0x110000) if not 0xD800 <= c <= 0xDFFF]
    if STRINGS < 10_000:
        characters = characters[:0x3000] + characters[0x3000::37]
    for character in characters:
        ids = gpt2.encode(character)
        assert ids == reference.encode_ordinary(character)
        assert gpt2.decode(ids) == character


def test_every_character_among_others(gpt2: mg.BPETokenizer, reference: Any) -> None:
    """So that it matters whether it counts as a letter, a digit, white space, or none of them."""
    characters = [
        c for c in map(chr, range(0x110000)) if unicodedata.category(c) not in ("Cs", "Cn", "Co")
    ]
    text = "".join(f"a{c}b 1{c}2 !{c}? {c} '{c}  {c}\n" for c in characters)
    assert_same_ids(gpt2, reference, text if STRINGS >= 10_000 else text[:800_000])
    assert_same_ids(with_pattern(gpt2, "gpt4"), as_tiktoken(gpt2, "gpt4"), text[:800_000])


@many
@given(text=TEXTS)
@example(text="\u0558")  # of no category in Python 3.11's Unicode, alone in its word
def test_any_string(gpt2: mg.BPETokenizer, reference: Any, text: str) -> None:
    assert_same_ids(gpt2, reference, text)


@given(text=TEXTS)
def test_any_string_as_gpt4_splits(text: str) -> None:
    tokenizer = mg.BPETokenizer.train("the cat's hat  1234 ", 264, pattern="gpt4", progress=False)
    assert_same_ids(tokenizer, as_tiktoken(tokenizer, "gpt4"), text)


def test_special_tokens(gpt2: mg.BPETokenizer, reference: Any) -> None:
    text = f"one{END}two {END}\n"
    for allowed in ("all", {END}):
        assert gpt2.encode(text, allowed) == reference.encode(text, allowed_special=allowed)
    for tokenizer in (gpt2, reference):
        with pytest.raises(ValueError, match=r"<\|endoftext\|>"):
            tokenizer.encode(text)
    plain = reference.encode(text, disallowed_special=())
    assert gpt2.encode(text, disallowed_special=()) == plain
    assert gpt2.encode(text, set(), ()) == reference.encode_ordinary(text) == plain
    assert list(gpt2.encode_iterable([text], disallowed_special=())) == plain


@given(ids=st.lists(st.integers(0, 50_256), max_size=20))
def test_any_ids_decode_alike(gpt2: mg.BPETokenizer, reference: Any, ids: list[int]) -> None:
    assert gpt2.decode(ids) == reference.decode(ids)


# ── tokenizers ────────────────────────────────────────────────────────────────────────────────────


def byte_level(pattern: str = "gpt2") -> Any:
    """An empty tokenizer of theirs that splits as ``pattern`` does."""
    made = tokenizers.Tokenizer(tokenizers.models.BPE())
    if pattern == "gpt2":
        made.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    else:
        regex = tokenizers.Regex(GPT4_IN_A_FILE if pattern == "gpt4" else pattern)
        made.pre_tokenizer = tokenizers.pre_tokenizers.Sequence(
            [
                tokenizers.pre_tokenizers.Split(regex, "isolated"),
                tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
            ]
        )
    made.decoder = tokenizers.decoders.ByteLevel()
    return made


def train_theirs(text: str, vocab_size: int, special: list[str], pattern: str = "gpt2") -> Any:
    made = byte_level(pattern)
    made.train_from_iterator(
        text.splitlines(keepends=True),
        tokenizers.trainers.BpeTrainer(
            vocab_size=vocab_size,
            special_tokens=special,
            initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    return made


@pytest.mark.parametrize("pattern", ["gpt2", "gpt4", r"\w+|\s"])
def test_reads_their_tokenizer_json(tmp_path: Path, shakespeare_text: str, pattern: str) -> None:
    """Their ids: the special tokens first, then the bytes in an order of their own."""
    text = shakespeare_text[:100_000] + "naïve 漢字 😀\n"
    theirs = train_theirs(text, 600, [END, "<pad>"], pattern)
    theirs.save(str(tmp_path / "tokenizer.json"))
    for path in (tmp_path, tmp_path / "tokenizer.json"):
        ours = mg.load_tokenizer(path)
        assert isinstance(ours, mg.BPETokenizer)
        assert ours.special_tokens == {END: 0, "<pad>": 1} and ours.pattern == pattern
        for sample in (text, f"a{END}b<pad>"):
            assert ours.encode(sample, "all") == theirs.encode(sample).ids


def test_training_gives_the_same_merges_up_to_ties(shakespeare_text: str) -> None:
    """Of equally frequent pairs they take the one of the smaller ids, we the greater in bytes.

    So the merges differ; but each of theirs is a most frequent pair of the words that those before
    it leave, as each of ours is.
    """
    text = shakespeare_text[:60_000] + "aaaa aaaaa 漢漢漢漢 " * 9
    theirs = json.loads(train_theirs(text, 420, []).to_str())["model"]["merges"]
    ours = mg.BPETokenizer.train(text, 420, progress=False).merges
    assert len(theirs) == len(ours) == 164
    words = Counter(word.encode() for word in SplitPattern("gpt2").split(text))
    for merges in (ours, [tuple(map(from_printable, pair)) for pair in theirs]):
        tokens_of = {word: single_bytes(word) for word in words}
        for pair in merges:
            counts: Counter[tuple[bytes, bytes]] = Counter()
            for word, tokens in tokens_of.items():
                for neighbours in pairwise(tokens):
                    counts[neighbours] += words[word]
            assert counts[pair] == max(counts.values())
            tokens_of = {word: merge(tokens, pair) for word, tokens in tokens_of.items()}


# ── Transformers ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("special", [[END], [END, "<pad>", "<|im start|>"], ["<s>"], []])
def test_to_gpt2_is_what_transformers_reads(
    tmp_path: Path, shakespeare_text: str, special: list[str]
) -> None:
    transformers = pytest.importorskip(
        "transformers", reason="compares with transformers: pip install -e '.[parity]'"
    )
    text = shakespeare_text[:50_000] + "naïve 漢字 😀  x\n"
    ours = mg.BPETokenizer.train(text, 500, special, progress=False)
    ours.to_gpt2(tmp_path / "t")
    assert mg.load_tokenizer(tmp_path / "t") == ours
    for kind in (transformers.GPT2Tokenizer, transformers.AutoTokenizer):
        theirs = kind.from_pretrained(tmp_path / "t")
        assert len(theirs) == ours.vocab_size
        for sample in (text, "".join(f"a {name}b" for name in special)):
            ids = theirs(sample)["input_ids"]
            assert ids == ours.encode(sample, "all")
            assert theirs.decode(ids, clean_up_tokenization_spaces=False) == sample
    theirs.save_pretrained(tmp_path / "again")
    again = mg.load_tokenizer(tmp_path / "again")  # a tokenizer.json
    assert isinstance(again, mg.BPETokenizer)
    assert again.encode(text, "all") == ours.encode(text, "all")
    assert again.vocab == ours.vocab


def test_gpt2_itself_under_transformers(gpt2: mg.BPETokenizer, tmp_path: Path) -> None:
    transformers = pytest.importorskip(
        "transformers", reason="compares with transformers: pip install -e '.[parity]'"
    )
    gpt2.to_gpt2(tmp_path)
    assert mg.load_tokenizer(tmp_path) == gpt2
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
    assert len(theirs) == 50_257 and theirs.eos_token_id == 50_256
    text = f"Hello world, 漢字 it's{END}"
    assert theirs(text)["input_ids"] == gpt2.encode(text, "all")
