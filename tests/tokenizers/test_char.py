"""The character tokenizer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigpt.tokenizers import BPETokenizer, CharTokenizer, load_tokenizer

CHARACTERS = st.characters(exclude_categories=["Cs"])
TEXT = st.text(CHARACTERS, min_size=1)
END = "<|endoftext|>"


@given(text=TEXT)
def test_decode_undoes_encode(text: str) -> None:
    tokenizer = CharTokenizer.train(text)
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == tokenizer.decode(np.array(ids)) == text
    assert ids == [sorted(set(text)).index(character) for character in text]
    assert all(type(i) is int for i in ids)
    assert tokenizer.vocab_size == len(set(text)) == max(ids) + 1
    assert list(tokenizer.encode_iterable(iter(text))) == ids


@given(text=st.text(CHARACTERS), known=TEXT)
def test_unknown_characters_become_the_unknown_token(text: str, known: str) -> None:
    tokenizer = CharTokenizer.train(known, unknown_token="<unk>")
    assert tokenizer.vocab_size == len(set(known)) + 1
    assert tokenizer.unknown_id == len(set(known))
    ids = tokenizer.encode(text)
    assert len(ids) == len(text)
    assert tokenizer.decode(ids) == "".join(c if c in known else "<unk>" for c in text)
    kept = "".join(c for c in text if c in known)
    assert tokenizer.decode(ids, skip_special_tokens=True) == kept


def test_all_of_shakespeare(shakespeare_text: str) -> None:
    tokenizer = CharTokenizer.train(shakespeare_text)
    assert tokenizer.vocab_size == 65
    ids = tokenizer.encode_array(shakespeare_text)
    assert ids.dtype == np.uint8 and len(ids) == 1_115_394
    assert tokenizer.decode(ids) == shakespeare_text
    assert tokenizer.encode("hii there") == [46, 47, 47, 1, 58, 46, 43, 56, 43]  # as nanoGPT has it


@pytest.mark.parametrize(
    ("count", "dtype"), [(256, np.uint8), (257, np.uint16), (70_000, np.uint32)]
)
def test_the_array_has_the_smallest_type(count: int, dtype: Any) -> None:
    characters = "".join(map(chr, range(0x10000, 0x10000 + count)))
    tokenizer = CharTokenizer(characters)
    ids = tokenizer.encode_array(characters)
    assert ids.dtype == dtype and ids.tolist() == list(range(count))
    assert tokenizer.encode_array("").dtype == dtype


@pytest.mark.parametrize("known", ["ab", "é", "aé漢", "a😀"])
@pytest.mark.parametrize("text", ["z", "ÿ", "字", "\U0010ffff", "\ud800", "a\udfffb"])
def test_an_unknown_character_is_named(known: str, text: str) -> None:
    tokenizer = CharTokenizer.train("ab" + known)
    character = next(c for c in text if c not in "ab")
    place = text.index(character)
    with pytest.raises(ValueError) as caught:
        tokenizer.encode(text)
    message = str(caught.value)
    assert f"{character!r} (U+{ord(character):04X}, first at position {place})" in message
    assert "unknown_token='<unk>'" in message
    message.encode("utf-8")  # it can be printed


def test_at_most_five_unknown_characters_are_named() -> None:
    with pytest.raises(
        ValueError, match=r"'z' \(U\+007A, first at position 1\).* and 3 more: train"
    ):
        CharTokenizer.train("a").encode("azyxwvutszz")


def test_the_place_is_that_in_the_whole() -> None:
    text = "a" * 300_000 + "é"
    with pytest.raises(ValueError, match="first at position 300,000"):
        CharTokenizer.train("a").encode(text)
    with pytest.raises(ValueError, match="first at position 5"):
        list(CharTokenizer.train("a").encode_iterable(["aaa", "aaé"]))
    with pytest.raises(ValueError, match=f"first at position {len(END) + 1}"):
        CharTokenizer.train("a", special_tokens=[END]).encode(f"a{END}é", "all")


def test_a_lone_surrogate_is_no_character() -> None:
    tokenizer = CharTokenizer.train("ab", unknown_token="?")
    assert tokenizer.encode("a\ud800\udc00b") == [0, 2, 2, 1]
    with pytest.raises(ValueError, match=r"U\+D800\) is a lone surrogate"):
        CharTokenizer.train("ab\ud800")


@given(
    text=st.lists(st.sampled_from(["a", "b", "<", "<|", "|>", "<|e|>", "<|e|>x", "é"])).map(
        "".join
    ),
    cut=st.integers(1, 6),
)
def test_special_tokens_wherever_the_text_is_cut(text: str, cut: int) -> None:
    """The longer of two special tokens is taken, also where it lies across pieces."""
    special = ["<|e|>", "<|e|>x", "ab"]
    tokenizer = CharTokenizer.train("abx<|e>é", special_tokens=special)
    ids = tokenizer.encode(text, allowed_special="all")
    assert tokenizer.decode(ids) == text
    pieces = [text[i : i + cut] for i in range(0, len(text), cut)]
    assert list(tokenizer.encode_iterable(pieces, "all")) == ids
    arrays = list(tokenizer.encode_arrays(pieces, "all"))
    assert [i for array in arrays for i in array.tolist()] == ids
    expected = text.replace("<|e|>x", "\0").replace("<|e|>", "\1").replace("ab", "\2")
    assert len(ids) == len(expected)
    plain = tokenizer.decode(ids, skip_special_tokens=True)
    assert plain == expected.translate({0: None, 1: None, 2: None})


def test_special_tokens_have_the_last_ids() -> None:
    tokenizer = CharTokenizer.train("abc", unknown_token="<unk>", special_tokens=[END, "<pad>"])
    assert tokenizer.vocab_size == 6
    assert tokenizer.encode(f"a{END}<pad>z", {END, "<pad>"}) == [0, 4, 5, 3]
    assert tokenizer.decode([0, 3, 4, 5, 2]) == f"a<unk>{END}<pad>c"
    assert tokenizer.decode([0, 3, 4, 5, 2], skip_special_tokens=True) == "ac"


def test_a_special_token_that_is_not_allowed() -> None:
    tokenizer = CharTokenizer.train("abc<|>", special_tokens=[END, "<pad>"])
    for allowed in ((), {"<pad>"}):
        with pytest.raises(
            ValueError, match=r"special token '<\|endoftext\|>' at position 3, .*allow"
        ):
            tokenizer.encode(f"abc{END}", allowed)
        with pytest.raises(ValueError, match="at position 3, which is not allowed"):
            list(tokenizer.encode_iterable(["abc<|end", "oftext|>"], allowed))


@pytest.mark.parametrize(
    ("allowed", "error", "message"),
    [
        (END, ValueError, r"did you mean \{'<\|endoftext\|>'\}"),
        ({"<eos>"}, ValueError, r"names '<eos>', but the special tokens are '<\|endoftext\|>'"),
        (None, TypeError, "must be 'all' or a set of special tokens: got None"),
        (5, TypeError, "must be 'all' or a set of special tokens: got 5"),
    ],
)
def test_wrong_allowed_special(allowed: Any, error: type[Exception], message: str) -> None:
    tokenizer = CharTokenizer.train("abc", special_tokens=[END])
    with pytest.raises(error, match=message):
        tokenizer.encode("abc", allowed)
    with pytest.raises(error, match=message):
        list(tokenizer.encode_iterable(["abc"], allowed))


@pytest.mark.parametrize(
    ("ids", "error", "message"),
    [
        ([0, 3], ValueError, "id 3 at position 1 is not in the vocabulary: ids run from 0 to 2"),
        ([-1], ValueError, "id -1 at position 0"),
        ([2**70], ValueError, "is not in the vocabulary"),
        (np.array([2**63], np.uint64), ValueError, "is not in the vocabulary"),
        ([0.0], TypeError, "ids must be integers: got a float64"),
        ([True], TypeError, "ids must be integers: got a bool"),
        (["a"], TypeError, "ids must be integers"),
        ([None], TypeError, "ids must be integers"),
        ("abc", TypeError, "must be a sequence of integers: got 'abc'"),
        (1, TypeError, r"for one id, pass \[1\]"),
        (None, TypeError, "must be a sequence of integers: got None"),
        (np.zeros((2, 3), int), ValueError, r"of shape \(2, 3\); decode it row by row"),
        ([[0, 1], [2]], ValueError, "rows of one length"),
        (np.array(1), ValueError, r"of shape \(\); for one id"),
    ],
)
def test_wrong_ids(ids: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        CharTokenizer.train("abc").decode(ids)


def test_ids_of_any_kind() -> None:
    tokenizer = CharTokenizer.train("abc")
    kinds: list[Any] = [
        [2, 0],
        (2, 0),
        iter([2, 0]),
        np.array([2, 0], np.uint8),
        np.array([2, 0], np.int64)[::1],
        [np.int64(2), np.int32(0)],
    ]
    assert {tokenizer.decode(ids) for ids in kinds} == {"ca"}
    assert (
        tokenizer.decode([])
        == tokenizer.decode(np.array([]))
        == tokenizer.encode_array("").tobytes().decode()
        == ""
    )


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        (b"abc", TypeError, r"got b'abc'; decode it first: text\.decode\('utf-8'\)"),
        (None, TypeError, "text must be a str: got None"),
        (7, TypeError, "text must be a str: got \\d"),
        (["a", b"b"], TypeError, "got b'b'; decode"),
        (Path("a.txt"), TypeError, "text must be a str: got a Posix|WindowsPath; read it first"),
        ("", ValueError, "text is empty"),
        ([], ValueError, "text is empty"),
        (["", ""], ValueError, "text is empty"),
    ],
)
def test_wrong_texts_to_train_on(text: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        CharTokenizer.train(text)


@pytest.mark.parametrize("text", [b"abc", None, 7, ["a"]])
def test_wrong_texts_to_encode(text: Any) -> None:
    tokenizer = CharTokenizer.train("abc")
    with pytest.raises(TypeError, match="text must be a str"):
        tokenizer.encode(text)
    if text != ["a"]:
        with pytest.raises(TypeError, match="text must be a str"):
            list(tokenizer.encode_iterable(text))


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (("",), ValueError, "characters must not be empty"),
        (
            ("ba",),
            ValueError,
            r"'a' comes after 'b'; CharTokenizer\.train\(characters\) sorts them",
        ),
        (("aa",), ValueError, "must be distinct and sorted"),
        ((["a", "b"],), TypeError, "characters must be a str: got .*a"),
        (
            ("ab", "b"),
            ValueError,
            "unknown_token must be a new name: got 'b'; it is one of the characters",
        ),
        (("ab", ""), ValueError, "unknown_token must be 1 to 256 characters long: got ''"),
        (("ab", 5), TypeError, "unknown_token must be a str: got 5"),
        (("ab", "<u>", ["<u>"]), ValueError, "'<u>'; it is given twice"),
        (("ab", None, ["<a>", "<a>"]), ValueError, "'<a>'; it is given twice"),
        (("ab", None, "<a>"), TypeError, r"did you mean \['<a>'\]"),
        (("ab", None, 5), TypeError, "must be a list of strings: got 5"),
        (("ab", None, [5]), TypeError, "special_tokens must be a str: got 5"),
        (
            ("ab", None, ["a"]),
            ValueError,
            "special_tokens must be a new name: got 'a'; it is one of the characters",
        ),
        (("ab", None, ["\ud800x"]), ValueError, "holds a lone surrogate"),
        (("ab", None, ["x" * 257]), ValueError, "long: got .*; it has 257"),
    ],
)
def test_wrong_parts(arguments: tuple[Any, ...], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        CharTokenizer(*arguments)


@given(
    text=TEXT,
    unknown=st.none() | st.just("<u>"),
    special=st.lists(st.text(CHARACTERS, min_size=2, max_size=5), unique=True),
)
def test_save_and_load(
    tmp_path_factory: pytest.TempPathFactory, text: str, unknown: str | None, special: list[str]
) -> None:
    if unknown in special:
        return
    tokenizer = CharTokenizer.train(text, unknown, special)
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    tokenizer.save(path)
    loaded = load_tokenizer(path)
    assert loaded == tokenizer and hash(loaded) == hash(tokenizer)
    assert loaded.to_dict() == tokenizer.to_dict()
    assert loaded.encode(text, "all") == tokenizer.encode(text, "all")
    assert [p.name for p in path.parent.iterdir()] == ["tokenizer.json"]


def test_equality_and_repr() -> None:
    tokenizer = CharTokenizer.train("ab")
    assert tokenizer == CharTokenizer("ab") != CharTokenizer("abc")
    assert tokenizer != CharTokenizer("ab", "<unk>") and tokenizer != "ab"
    assert repr(tokenizer) == "CharTokenizer(vocab_size=2)"
    assert "special_tokens=('<e>',)" in repr(CharTokenizer("ab", special_tokens=["<e>"]))


def test_training_on_pieces_and_lines(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("to be\nor not", encoding="utf-8")
    with open(tmp_path / "a.txt", encoding="utf-8") as file:
        assert CharTokenizer.train(file) == CharTokenizer.train("to be\nor not")


# ── a path where text is expected ─────────────────────────────────────────────────────────────────


def learn_bpe(text: Any) -> object:
    return BPETokenizer.train(text, 256, progress=False)


@pytest.mark.parametrize("train", [CharTokenizer.train, learn_bpe])
def test_the_path_of_a_file_is_not_a_text(
    train: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a-file.txt").write_text("some text", encoding="utf-8")
    for path in ("a-file.txt", str(tmp_path / "a-file.txt")):
        with pytest.raises(ValueError, match="that is a file here, read it first"):
            train(path)
    assert train(["a-file.txt"]) == train(iter("a-file.txt"))  # in a list it is only text
    with pytest.warns(UserWarning, match=r"is 'misspelt\.txt': if that is the name of a file"):
        train("misspelt.txt")


@pytest.mark.parametrize("text", ["data", "a/b", "v1.2", "one.txt two.txt", "a.txt\n", ".", "e.g."])
def test_a_real_text_is_never_taken_for_a_path(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").touch()  # of that name, but without a suffix
    (tmp_path / "one.txt two.txt").touch()
    assert CharTokenizer.train(text).characters == "".join(sorted(set(text)))
    assert not recwarn.list
