"""Tokenizers of published models: the same ids as Transformers, on real texts and on odd ones.

``MINIGPT_ODD_STRINGS=20000`` tries so many odd strings instead of two thousand.
"""

from __future__ import annotations

import json
import os
import random
import sysconfig
import unicodedata
from pathlib import Path
from typing import Any

import pytest
import regex

import minigpt as mg
from minigpt.interop import find_smollm2

transformers = pytest.importorskip(
    "transformers", reason="compares with transformers: pip install -e '.[parity]'"
)
tokenizers = pytest.importorskip(
    "tokenizers", reason="compares with tokenizers: pip install -e '.[parity]'"
)
pre_tokenizers = tokenizers.pre_tokenizers

ODD_STRINGS = int(os.environ.get("MINIGPT_ODD_STRINGS", "2000"))
STDLIB = Path(sysconfig.get_path("stdlib"))
SOURCES = ["ast.py", "dis.py", "html/entities.py", "turtle.py", "unicodedata.py", "zipfile.py"]


@pytest.fixture(scope="module")
def texts(shakespeare_text: str) -> dict[str, str]:
    """Shakespeare, five documents in Chinese, and Python's own source."""
    found = {"shakespeare": shakespeare_text}
    for path in sorted((Path(__file__).parents[3] / "shared" / "docs").glob("*.txt")):
        found[path.name] = path.read_text(encoding="utf-8")
    for name in SOURCES:
        if (STDLIB / name).exists():
            found[name] = (STDLIB / name).read_text(encoding="utf-8")
    return found


def odd_strings(n: int, names: list[str]) -> list[str]:
    """Short strings of whatever might be split otherwise than it seems."""
    draw = random.Random(0)
    marks = [chr(c) for c in range(0x300, 0x370)]
    blanks = [*"  \t\n\r\v\f\x1c\x85\xa0\u1680\u2003\u2028\u202f\u3000\ufeff\u200b"]
    blanks += ["  ", "\n\n", "\r\n"]
    makers = [
        lambda: chr(draw.choice([draw.randrange(32, 127), draw.randrange(0x300)])),
        lambda: chr(draw.choice([draw.randrange(0xD800), draw.randrange(0xE000, 0x110000)])),
        lambda: draw.choice(["'s", "'LL", "'ſ", "’t", "don't", "it'S", "I'm", " 've"]),
        lambda: draw.choice(
            ["1", "12", "2024", "²", "½", "Ⅷ", "٣", "一二", " 7", "3.14e-5", "\n 1"]
        ),
        lambda: draw.choice(blanks) * draw.randrange(1, 4),
        lambda: (
            draw.choice(["é", "e\u0301", "ﬁ", "İ", "ß", "가", "각", "क़", "Å"]) + draw.choice(marks)
        ),
        lambda: draw.choice(
            [*names, *(name[1:] for name in names), *(name[:-2] for name in names)]
        ),
        lambda: draw.choice(
            ["def f(x):\n    return x", "{'a': [1]}", "-->", "!!??", "://", "\\n", "=="]
        ),
        lambda: draw.choice(
            ["人工智能", "日本語。", "한국어", "Привет", "שלום", "مرحبا", "😀👍🏽", "🇨🇳"]
        ),
        lambda: draw.choice(
            ["hello", " world", " The", "ANTI", "x" * 50, "aAaA", "naïve", " ," * 9]
        ),
    ]
    strings = [
        "".join(draw.choice(makers)() for _ in range(draw.randrange(1, 9))) for _ in range(n)
    ]
    # What is a letter and what is not has only been settled for the characters that there are.
    return ["".join(c for c in text if unicodedata.category(c) != "Cn") for text in strings]


def assert_same_ids(one: Any, other: Any, text: str) -> None:
    assert ids_of(one, text) == ids_of(other, text), repr(text)[:300]


def ids_of(tokenizer: Any, text: str) -> list[int]:
    """Of ours, of Transformers', or of that of the package tokenizers."""
    if isinstance(tokenizer, mg.BPETokenizer):
        return tokenizer.encode(text, "all")
    ids = tokenizer.encode(text, add_special_tokens=False)
    return ids if isinstance(ids, list) else ids.ids


# ── SmolLM2's, out of its GGUF file ───────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def smollm2() -> tuple[Any, Any]:
    """Ours and Transformers', both from the same file."""
    try:
        path = find_smollm2()
    except FileNotFoundError as error:
        pytest.skip(str(error))
    theirs = transformers.AutoTokenizer.from_pretrained(str(path.parent), gguf_file=path.name)
    return mg.load_tokenizer(path), theirs


@pytest.fixture(scope="module")
def as_published(smollm2: tuple[Any, Any]) -> tuple[Any, Any]:
    """The same, but theirs splits as its publishers' own tokenizer.json says.

    Transformers does not know what "smollm" stands for in a GGUF file, and splits as GPT-2 does: a
    digit takes the last of several spaces before it along, where SmolLM2 was trained to see the
    digit by itself.
    """
    ours, theirs = smollm2
    backend = tokenizers.Tokenizer.from_str(theirs.backend_tokenizer.to_str())
    digits = pre_tokenizers.Digits(individual_digits=True)
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.pre_tokenizer = pre_tokenizers.Sequence([digits, byte_level])
    return ours, backend


def test_what_the_file_says(smollm2: tuple[Any, Any]) -> None:
    ours, theirs = smollm2
    assert (ours.bos_token, ours.eos_token) == (theirs.bos_token, theirs.eos_token)
    assert ours.add_bos_token is theirs.add_bos_token is False
    assert ours.chat_template == theirs.chat_template
    assert ours.vocab_size == len(theirs)
    added = theirs.added_tokens_decoder
    assert ours.special_tokens == {str(token): i for i, token in added.items() if token.special}


def test_real_texts(as_published: tuple[Any, Any], texts: dict[str, str]) -> None:
    ours, theirs = as_published
    assert len(texts) >= 10
    for text in texts.values():
        assert_same_ids(ours, theirs, text)
        ids = ours.encode(text, "all")  # turtle.py's <filename> is a special token here
        assert list(ours.encode_iterable([text[:1001], text[1001:]], "all")) == ids
        assert ours.decode(ids) == text


def test_odd_strings(smollm2: tuple[Any, Any], as_published: tuple[Any, Any]) -> None:
    """Also what a byte that the vocabulary lacks does: there it is dropped, here it is an error."""
    ours, published = as_published
    from_the_file = smollm2[1]
    lacks = {byte for byte in range(256) if bytes([byte]) not in ours.vocab.values()}
    assert len(lacks) == 21
    n_same = n_refused = n_from_the_file = 0
    for text in odd_strings(ODD_STRINGS, [*ours.special_tokens]):
        if not lacks.isdisjoint(text.encode()):
            n_refused += 1
            with pytest.raises(ValueError, match="the vocabulary does not have"):
                ours.encode(text, "all")
            continue
        n_same += 1
        assert_same_ids(ours, published, text)
        # What a split at digits changes: more white space before one, and numbers of other scripts.
        if not regex.search(r"\s\s\p{N}|[^\P{N}0-9]", text):
            n_from_the_file += 1
            assert_same_ids(ours, from_the_file, text)
        ids = ours.encode(text, "all")
        assert ours.decode(ids) == from_the_file.decode(ids, clean_up_tokenization_spaces=False)
    assert n_same > 20 * n_refused > 0 and n_from_the_file > n_same // 3


def test_the_way_back_out(as_published: tuple[Any, Any], tmp_path: Path) -> None:
    """What Transformers reads out of the folder that we write is the published tokenizer."""
    ours, published = as_published
    ours.to_transformers(tmp_path)
    assert mg.load_tokenizer(tmp_path) == ours
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
    assert theirs.chat_template == ours.chat_template
    assert (theirs.bos_token, theirs.eos_token) == (ours.bos_token, ours.eos_token)
    assert len(theirs) == ours.vocab_size
    for text in odd_strings(500, [*ours.special_tokens]):
        assert_same_ids(theirs, published, text)


# ── tokenizer.json of Llama 3 and of Qwen, in small ───────────────────────────────────────────────

LLAMA_3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
SAMPLE = "the cat's hat, the rat's mat — 漢字 naïve é e\u0301 1234 56  \n I'll go\n\n  12 3  a" * 3


def in_small(folder: Path, kind: str) -> Path:
    """A folder with the tokenizer.json of a small tokenizer that is made as the family's are."""
    added = tokenizers.AddedToken
    made = tokenizers.Tokenizer(tokenizers.models.BPE(ignore_merges=kind == "llama3"))
    pattern = LLAMA_3 if kind == "llama3" else LLAMA_3.replace("{1,3}", "")
    split = pre_tokenizers.Split(tokenizers.Regex(pattern), "isolated")
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    made.pre_tokenizer = pre_tokenizers.Sequence([split, byte_level])
    made.decoder = tokenizers.decoders.ByteLevel()
    if kind == "qwen":
        made.normalizer = tokenizers.normalizers.NFC()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=340, initial_alphabet=byte_level.alphabet(), show_progress=False
    )
    made.train_from_iterator([SAMPLE], trainer)
    if kind == "llama3":
        made.add_special_tokens(["<|begin_of_text|>", "<|eot_id|>"])
        bos = made.token_to_id("<|begin_of_text|>")
        template = tokenizers.processors.TemplateProcessing(
            single="<|begin_of_text|> $A", special_tokens=[("<|begin_of_text|>", bos)]
        )
        trim = tokenizers.processors.ByteLevel(trim_offsets=True)
        made.post_processor = tokenizers.processors.Sequence([trim, template])
        config: dict[str, Any] = {"bos_token": "<|begin_of_text|>", "eos_token": "<|eot_id|>"}
    else:
        made.add_special_tokens(["<|im_start|>", "<|im_end|>"])
        made.add_tokens([added("<think>", normalized=False), added("e\u0301!", normalized=False)])
        made.add_tokens([added("o\u0301?", normalized=True)])
        made.post_processor = tokenizers.processors.ByteLevel(trim_offsets=False)
        config = {"bos_token": None, "eos_token": "<|im_end|>", "add_bos_token": False}
    folder.mkdir()
    made.save(str(folder / "tokenizer.json"))
    config |= {"tokenizer_class": "PreTrainedTokenizerFast", "chat_template": "{{ 1 }}"}
    (folder / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
    return folder


@pytest.mark.parametrize("kind", ["llama3", "qwen"])
def test_other_families(kind: str, tmp_path: Path, texts: dict[str, str]) -> None:
    folder = in_small(tmp_path / kind, kind)
    ours: Any = mg.load_tokenizer(folder)
    theirs = transformers.PreTrainedTokenizerFast.from_pretrained(folder)
    assert (ours.bos_token, ours.eos_token) == (theirs.bos_token, theirs.eos_token)
    assert ours.chat_template == theirs.chat_template
    assert (ours.normalization == "NFC") is (kind == "qwen")
    assert ours.ignore_merges is (kind == "llama3")
    names = [*ours.special_tokens, "<think>", "e\u0301!", "o\u0301?", "ó?", "\u0301"]
    odd = odd_strings(min(ODD_STRINGS, 2000), names)
    for text in [*odd, *(text[:20_000] for text in texts.values())]:
        assert_same_ids(ours, theirs, text)
        assert [*ours.leading_ids, *ours.encode(text, "all")] == theirs(text)["input_ids"]
        pieces = [text[i : i + 3] for i in range(0, min(len(text), 200), 3)]
        assert list(ours.encode_iterable(pieces, "all")) == ours.encode("".join(pieces), "all")
    assert len(ours.leading_ids) == (kind == "llama3")
    ours.to_transformers(tmp_path / "again")
    again = transformers.AutoTokenizer.from_pretrained(tmp_path / "again")
    for text in odd[:500]:
        assert again(text)["input_ids"] == theirs(text)["input_ids"], text
    if kind == "qwen":
        assert any(unicodedata.normalize("NFC", text) != text for text in odd)


@pytest.mark.parametrize("add_bos_token", [None, False, True])
@pytest.mark.parametrize("kind", ["llama3", "qwen"])
def test_tokenizer_json_says_by_itself_what_is_before_a_text(
    tmp_path: Path, kind: str, add_bos_token: bool | None
) -> None:
    folder = in_small(tmp_path / kind, kind)
    bos_token = "<|begin_of_text|>" if kind == "llama3" else "<|im_start|>"
    config: dict[str, Any] = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": bos_token}
    if add_bos_token is not None:
        config["add_bos_token"] = add_bos_token
    (folder / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
    ours: Any = mg.load_tokenizer(folder)
    theirs = transformers.PreTrainedTokenizerFast.from_pretrained(folder)
    assert [*ours.leading_ids, *ours.encode("the cat")] == theirs("the cat")["input_ids"]
