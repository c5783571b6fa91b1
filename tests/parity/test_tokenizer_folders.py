"""Folders with added tokens, and patterns of other models: the same ids as Transformers."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import minigpt as mg

transformers = pytest.importorskip(
    "transformers", reason="compares with transformers: pip install -e '.[parity]'"
)
tokenizers = pytest.importorskip(
    "tokenizers", reason="compares with tokenizers: pip install -e '.[parity]'"
)

END = "<|endoftext|>"
TEXT = "the cat's hat, the rat's mat — 漢字 naïve 1234 56  \n" * 3
OPTIONS = ("lstrip", "rstrip", "single_word", "normalized")
some = settings(max_examples=60, suppress_health_check=list(HealthCheck))


def write(folder: Path, name: str, value: Any) -> None:
    (folder / name).write_text(json.dumps(value), encoding="utf-8")


def added(content: str, special: bool = True, **options: bool) -> dict[str, Any]:
    given = dict.fromkeys(OPTIONS, False) | {"normalized": not special} | options
    return {"content": content, "special": special, **given}


@pytest.fixture(scope="session")
def plain_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small vocab.json and merges.txt, and nothing beside them."""
    folder = tmp_path_factory.mktemp("plain")
    mg.BPETokenizer.train(TEXT, 290, [END], progress=False).to_gpt2(folder)
    (folder / "tokenizer_config.json").unlink()
    return folder


def beside(plain: Path, folder: Path, **files: Any) -> Path:
    """A folder with the small vocabulary and some JSON files."""
    folder.mkdir(exist_ok=True)
    for name in ("vocab.json", "merges.txt"):
        shutil.copy(plain / name, folder)
    for name, value in files.items():
        write(folder, f"{name}.json", value)
    return folder


def same_ids(folder: Path, texts: list[str], kind: Any = None) -> mg.BPETokenizer:
    theirs = (kind or transformers.GPT2Tokenizer).from_pretrained(folder)
    ours = mg.load_tokenizer(folder)
    assert isinstance(ours, mg.BPETokenizer)
    assert len(theirs) == ours.vocab_size
    for text in texts:
        ids = theirs(text)["input_ids"]
        assert ours.encode(text, "all") == ids, text
        for size in (1, 3):  # wherever it is cut
            pieces = [text[i : i + size] for i in range(0, len(text), size)]
            assert list(ours.encode_iterable(pieces, "all")) == ids, text
        assert ours.decode(ids) == theirs.decode(ids, clean_up_tokenization_spaces=False)
        assert ours.decode(ids, True) == theirs.decode(ids, skip_special_tokens=True)
    return ours


# ── which tokens, with which ids ──────────────────────────────────────────────────────────────────


def gpt2_beside(gpt2_folder: Path, tmp_path: Path, **files: Any) -> Path:
    return beside(gpt2_folder, tmp_path / "gpt2", **files)


def test_added_tokens_json(gpt2_folder: Path, tmp_path: Path) -> None:
    folder = gpt2_beside(gpt2_folder, tmp_path, added_tokens={"<|pad|>": 50257, "<sep>": 50258})
    ours = same_ids(folder, ["a<sep>b", f"<|pad|> <sep>{END}"])
    assert ours.encode("a<sep>b") == [64, 50258, 65]
    assert ours.decode([64, 50258, 65], skip_special_tokens=True) == "a<sep>b"  # not special


def test_added_tokens_decoder_in_any_order(gpt2_folder: Path, tmp_path: Path) -> None:
    decoder = {"50258": added("<sep>"), "50256": added(END), "50257": added("<pad>")}
    config = {"added_tokens_decoder": decoder, "pad_token": "<pad>"}
    folder = gpt2_beside(gpt2_folder, tmp_path, tokenizer_config=config)
    ours = same_ids(folder, [f"a <sep>b<pad>{END}"])
    assert ours.special_tokens == {END: 50256, "<pad>": 50257, "<sep>": 50258}


def test_special_tokens_map_json(plain_folder: Path, tmp_path: Path) -> None:
    folder = beside(
        plain_folder,
        tmp_path / "t",
        special_tokens_map={
            "pad_token": "<pad>",
            "bos_token": {**added("<s>", lstrip=True), "__type": "AddedToken"},
            "eos_token": END,
        },
        added_tokens={"<pad>": 290, "<s>": 291, "<x>": 292},
    )
    for name in ("__type", "special"):
        data = json.loads((folder / "special_tokens_map.json").read_text())
        data["bos_token"].pop(name, None)
        write(folder, "special_tokens_map.json", data)
    ours = same_ids(folder, [f"a <s>b<pad> <x> {END}"])
    assert list(ours.special_tokens) == ["<pad>", "<s>", END]


def test_named_tokens_that_have_no_id_come_last(plain_folder: Path, tmp_path: Path) -> None:
    config = {
        "mask_token": "<mask>",
        "pad_token": "<pad>",
        "unk_token": END,
        "image_token": "<image>",
        "extra_special_tokens": ["<a>", "<b>"],
    }
    folder = beside(plain_folder, tmp_path / "t", tokenizer_config=config)
    ours = same_ids(folder, [f"<mask><pad><image>a<a> <b>{END}"])
    assert ours.special_tokens["<pad>"] == 290
    write(folder, "tokenizer_config.json", {"additional_special_tokens": ["<a>", "<b>"]})
    same_ids(folder, [f"<mask><pad><image>a<a> <b>{END}"])


def test_a_token_that_is_not_declared_is_text(plain_folder: Path, tmp_path: Path) -> None:
    folder = beside(plain_folder, tmp_path / "t", tokenizer_config={"pad_token": END})
    vocab = json.loads((folder / "vocab.json").read_text(encoding="utf-8"))
    write(folder, "vocab.json", {**vocab, "<pad>": 290})
    same_ids(folder, ["the<pad> cat"])


def test_an_ordinary_token_that_was_added(plain_folder: Path, tmp_path: Path) -> None:
    vocab = json.loads((plain_folder / "vocab.json").read_text(encoding="utf-8"))
    decoder = {str(vocab["at"]): added("at", special=False, single_word=True)}
    config = {"added_tokens_decoder": decoder}
    folder = beside(plain_folder, tmp_path / "t", tokenizer_config=config)
    same_ids(folder, ["the cat at_the at", "at.at at"])


# ── how they are found ────────────────────────────────────────────────────────────────────────────

NAMES = ["<a>", "<a>b", "ab", " x", "漢!"]  # é would stand for a byte, when theirs decodes it
FLAGS = st.fixed_dictionaries({option: st.booleans() for option in OPTIONS})
PIECES = st.sampled_from(
    [
        *NAMES,
        " ",
        "  ",
        "\n",
        "\t",
        "\u00a0",
        "\u3000",
        "\x1c",
        "a",
        "b",
        "_",
        "1",
        "é",
        ".",
        "the",
        END,
    ]
)


@some
@given(
    flags=st.lists(FLAGS, min_size=len(NAMES), max_size=len(NAMES)),
    special=st.lists(st.booleans(), min_size=len(NAMES), max_size=len(NAMES)),
    texts=st.lists(st.lists(PIECES, max_size=14).map("".join), min_size=4, max_size=8),
)
def test_every_option(
    plain_folder: Path,
    tmp_path_factory: pytest.TempPathFactory,
    flags: list[dict[str, bool]],
    special: list[bool],
    texts: list[str],
) -> None:
    decoder = {
        str(290 + i): added(name, special[i], **flags[i]) for i, name in enumerate(NAMES)
    } | {"289": added(END)}
    config = {"added_tokens_decoder": decoder}
    folder = beside(plain_folder, tmp_path_factory.mktemp("t"), tokenizer_config=config)
    ours = same_ids(folder, texts)
    # The same out of Transformers' own file, and out of ours.
    theirs = transformers.GPT2Tokenizer.from_pretrained(folder)
    theirs.save_pretrained(folder / "theirs")
    assert same_ids(folder / "theirs", texts) == ours
    ours.to_gpt2(folder / "ours")
    assert same_ids(folder / "ours", texts) == ours
    ours.save(folder / "t.json")
    assert mg.load_tokenizer(folder / "t.json") == ours


# ── patterns of other models ──────────────────────────────────────────────────────────────────────

QWEN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
TEXTS = st.one_of(
    st.text(st.characters(exclude_categories=["Cs", "Cn"])),
    st.text(st.sampled_from("ab'stlveSLreſ  \n\n\r\t09²½,.!é漢😀\u0301\u00a0\u3000\x1c")),
)


def steps(pattern: str) -> list[Any]:
    make = tokenizers.pre_tokenizers
    if pattern == "gpt2-single-digits":  # as SmolLM's tokenizer.json has it
        return [make.Digits(individual_digits=True), make.ByteLevel(add_prefix_space=False)]
    split = make.Split(tokenizers.Regex(QWEN), "isolated")
    return [split, make.ByteLevel(add_prefix_space=False, use_regex=False)]


@pytest.fixture(scope="session", params=["gpt2-single-digits", "gpt4-single-digits"])
def both(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Their tokenizer with one of the patterns, and ours out of its file."""
    theirs = tokenizers.Tokenizer(tokenizers.models.BPE())
    theirs.pre_tokenizer = tokenizers.pre_tokenizers.Sequence(steps(request.param))
    theirs.decoder = tokenizers.decoders.ByteLevel()
    alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=320, initial_alphabet=alphabet, show_progress=False
    )
    theirs.train_from_iterator([TEXT, "  12 \n\n 3  a"], trainer)
    path = tmp_path_factory.mktemp("t") / "tokenizer.json"
    theirs.save(str(path))
    ours = mg.load_tokenizer(path)
    assert isinstance(ours, mg.BPETokenizer) and ours.pattern == request.param
    return theirs, ours


@settings(max_examples=300)
@given(text=TEXTS)
def test_digits_one_by_one(both: Any, text: str) -> None:
    theirs, ours = both
    assert ours.encode(text) == theirs.encode(text).ids


def test_long_texts_with_digits_one_by_one(both: Any, shakespeare_text: str) -> None:
    theirs, ours = both
    text = shakespeare_text[:200_000].replace("the", "  1623 ").replace("a", "a\n\n  7")
    assert ours.encode(text) == theirs.encode(text).ids
    assert list(ours.encode_iterable([text[:150_001], text[150_001:]])) == ours.encode(text)


def test_a_word_that_is_a_token_ignores_merges(tmp_path: Path, plain_folder: Path) -> None:
    theirs = transformers.GPT2Tokenizer.from_pretrained(plain_folder)
    theirs.save_pretrained(tmp_path)
    path = tmp_path / "tokenizer.json"
    data = json.loads(path.read_text(encoding="utf-8"))
    # "hat" is made of h and at, "cat" of c and at: without the first merges they never come.
    data["model"]["merges"].reverse()
    for ignore_merges in (False, True):
        data["model"]["ignore_merges"] = ignore_merges
        write(tmp_path, "tokenizer.json", data)
        ours = mg.load_tokenizer(path)
        theirs = tokenizers.Tokenizer.from_file(str(path))
        ids = [ours.encode(text) for text in ("the cat's hat", " the mat 1234")]
        assert ids == [theirs.encode(text).ids for text in ("the cat's hat", " the mat 1234")]
        ours.save(tmp_path / "ours.json")
        assert mg.load_tokenizer(tmp_path / "ours.json") == ours
    assert isinstance(ours, mg.BPETokenizer) and ours.ignore_merges
