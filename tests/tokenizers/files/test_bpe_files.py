"""BPE tokenizers in files: our own, GPT-2's two, Hugging Face's one; sound, damaged and hostile."""

from __future__ import annotations

import copy
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigpt.tokenizers import (
    AddedToken,
    BPETokenizer,
    TokenizerFileError,
    load_tokenizer,
    tokenizer_from_dict,
)
from minigpt.tokenizers.files import reading as files_module
from minigpt.tokenizers.files.byte_alphabet import BYTE_OF, from_printable, printable
from tests.tokenizers.files.written import BYTE_LEVEL, tokenizer_json

END = "<|endoftext|>"
TEXT = "the cat's hat, the rat's mat — 漢字 漢字 😀😀\n" * 3
TOKENIZER = BPETokenizer.train(TEXT, 280, [END, "末"], progress=False)
GOOD = TOKENIZER.to_dict()
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


def gpt2_files(folder: Path) -> tuple[Path, Path]:
    TOKENIZER.to_gpt2(folder)
    return folder / "vocab.json", folder / "merges.txt"


@given(st.binary(max_size=40))
def test_bytes_as_printable_characters_and_back(data: bytes) -> None:
    text = printable(data)
    assert len(text) == len(data) and not any(c.isspace() for c in text) and text.isprintable()
    assert from_printable(text) == data


def test_the_alphabet_of_the_published_file(gpt2_folder: Path) -> None:
    vocab = json.loads((gpt2_folder / "vocab.json").read_text(encoding="utf-8"))
    assert {token for token, i in vocab.items() if i < 256} == set(BYTE_OF)
    for character in "\x00 \n\xa0\xad漢":
        with pytest.raises(ValueError, match="stands for no byte in GPT-2's alphabet"):
            from_printable(f"a{character}")


# ── our own file ──────────────────────────────────────────────────────────────────────────────────


def changed(key: str, value: Any) -> dict[str, Any]:
    return {**GOOD, key: value}


N = len(GOOD["vocab"])
DAMAGED = [
    ({k: v for k, v in GOOD.items() if k != "merges"}, "missing merges"),
    (changed("more", 1), "unexpected 'more'"),
    (changed("version", 4), "version of the tokenizer must be 1: got 4; a later minigpt"),
    (changed("version", 2), "missing added_tokens, ignore_merges"),
    (changed("version", 3), "missing add_bos_token, added_tokens, bos_token, chat_template, eos_"),
    (changed("version", True), "version of the tokenizer must be an int: got True"),
    (changed("pattern", 5), "pattern of the tokenizer must be a str or None"),
    (changed("pattern", "("), "nor a regular expression"),
    (changed("vocab", {}), "vocab of the tokenizer must be a list: got {}"),
    (changed("vocab", []), "vocab lacks 95 of the 95 printable bytes of ASCII"),
    (changed("vocab", [*GOOD["vocab"], 5]), rf"vocab\[{N}\] of the tokenizer must be a str: got 5"),
    (changed("vocab", [*GOOD["vocab"], "a b"]), r"holds ' ' \(U\+0020\), which stands for no byte"),
    (changed("vocab", [*GOOD["vocab"], ""]), "must be at least one byte"),
    (changed("vocab", [*GOOD["vocab"], "t"]), f"ids 116 and {N} of vocab are both b't'"),
    (changed("vocab", GOOD["vocab"][:270]), "needs the token b'.*', which is not in vocab"),
    (changed("merges", [*GOOD["merges"], "a"]), "must be two tokens with a space between: got 'a'"),
    (changed("merges", [*GOOD["merges"], "a  b"]), "must be two tokens with a space between"),
    (changed("merges", [*GOOD["merges"], ["a", "b"]]), "must be a str: got \\['a', 'b'\\]"),
    (changed("merges", [*GOOD["merges"], "z q"]), "needs the token b'zq', which is not in vocab"),
    (changed("merges", GOOD["merges"] * 2), "are both"),
    (changed("special_tokens", [END]), "special_tokens of the tokenizer must be a dict: got"),
    (changed("special_tokens", {END: 278.0}), "must be an integer: got 278.0"),
    (changed("special_tokens", {END: 5}), r"added token '<\|endoftext\|>' has id 278 in vocab"),
    (changed("special_tokens", {"<new>": 10**9}), "must go on from the vocabulary's"),
    (changed("special_tokens", {"": 280}), "must be 1 to 256 characters long"),
]


@pytest.mark.parametrize(("data", "message"), DAMAGED)
def test_damaged_descriptions(tmp_path: Path, data: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        tokenizer_from_dict(data)
    assert len(str(caught.value)) < 400
    (tmp_path / "t.json").write_text(json.dumps(data), encoding="utf-8")
    with pytest.raises(TokenizerFileError, match=message):
        load_tokenizer(tmp_path / "t.json")


@given(value=JSON, key=st.sampled_from([*GOOD]), place=st.integers(0, 300), inside=st.booleans())
def test_any_value_in_any_place_is_refused_or_sound(
    value: Any, key: str, place: int, inside: bool
) -> None:
    data = copy.deepcopy(GOOD)
    if inside and isinstance(data[key], list):
        data[key][place % len(data[key])] = value
    else:
        data[key] = value
    try:
        tokenizer = tokenizer_from_dict(data)
    except ValueError:
        return
    assert tokenizer.decode(tokenizer.encode(TEXT)) == TEXT


def test_a_key_that_stands_twice(tmp_path: Path) -> None:
    text = json.dumps(GOOD).replace('"version": 1', '"version": 1, "version": 1')
    (tmp_path / "t.json").write_text(text, encoding="utf-8")
    with pytest.raises(TokenizerFileError, match="the name 'version' stands twice"):
        load_tokenizer(tmp_path / "t.json")


# ── vocab.json and merges.txt ─────────────────────────────────────────────────────────────────────


def test_gpt2s_own_files(gpt2_folder: Path, tmp_path: Path) -> None:
    published = gpt2_folder / "vocab.json", gpt2_folder / "merges.txt"
    tokenizer = BPETokenizer.from_gpt2(*published)
    assert tokenizer.vocab_size == 50_257 and tokenizer.special_tokens == {END: 50_256}
    assert len(tokenizer.merges) == 50_000 and tokenizer.pattern == "gpt2"
    assert tokenizer.encode("Hello world") == [15496, 995]  # as the paper's encoder has it
    assert load_tokenizer(gpt2_folder) == tokenizer
    tokenizer.to_gpt2(tmp_path)
    written = tmp_path / "vocab.json", tmp_path / "merges.txt"
    for ours, theirs in zip(written, published, strict=True):
        if ours.suffix == ".json":
            assert json.loads(ours.read_bytes()) == json.loads(theirs.read_bytes())
        else:
            assert ours.read_bytes().split() == theirs.read_bytes().split()
    assert BPETokenizer.from_gpt2(*written) == tokenizer


def test_written_and_read(tmp_path: Path) -> None:
    files = gpt2_files(tmp_path / "new" / "folder")
    assert load_tokenizer(files[0].parent) == TOKENIZER
    assert BPETokenizer.from_gpt2(*files, special_tokens=["末"]) == TOKENIZER
    vocab_json, merges_txt = map(str, files)
    more = BPETokenizer.from_gpt2(vocab_json, merges_txt, special_tokens=["末", "<pad>"])
    assert more.special_tokens == {END: 278, "末": 279, "<pad>": 280}
    assert more.encode(f"the{END}<pad>末", "all")[-3:] == [278, 280, 279]


def test_windows_line_ends_are_no_damage(tmp_path: Path) -> None:
    files = gpt2_files(tmp_path)
    files[1].write_bytes(files[1].read_bytes().replace(b"\n", b"\r\n"))
    assert load_tokenizer(tmp_path) == TOKENIZER


def test_what_gpt2s_files_cannot_say(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="pattern='gpt4' cannot be told in GPT-2's files"):
        BPETokenizer.train(TEXT, 260, pattern="gpt4", progress=False).to_gpt2(tmp_path)
    with pytest.raises(ValueError, match="added token 'Ġ' cannot be told from the bytes"):
        BPETokenizer(TOKENIZER.vocab, TOKENIZER.merges, ["Ġ"]).to_gpt2(tmp_path)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        TOKENIZER.to_gpt2(tmp_path / "file")


def rewrite(path: Path, change: Any) -> None:
    data = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(change(data)), encoding="utf-8")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda v: [], r"vocab\.json: the vocabulary must be an object: got"),
        (lambda v: {**v, "t": "5"}, "the id of 't' must be an int: got '5'"),
        (lambda v: {**v, "t": True}, "the id of 't' must be an int: got True"),
        (lambda v: {**v, "t": 5.0}, "the id of 't' must be an int: got 5.0"),
        (lambda v: {**v, "t": 0}, "two tokens have the id 0: 't' is one of them"),
        (lambda v: {**v, "t": 10**12}, "ids of vocab must be 0 to 279: 116 is missing"),
        (lambda v: {**v, "t": -1}, "-1 is negative"),
        (lambda v: {**v, "<x>": 281}, "280 is missing"),
        (lambda v: {**v, "<\ud800>": 280}, "it holds a lone surrogate"),
        (lambda v: {**v, "zq": 280}, "token 'zq' is made by no merge: are merges missing"),
        (lambda v: {k: i for k, i in v.items() if i != 279}, None),  # a special token less
        (lambda v: {k: i for k, i in v.items() if i != 256}, "the 279 ids of vocab must be 0"),
    ],
)
def test_damaged_vocab_json(tmp_path: Path, change: Any, message: str | None) -> None:
    files = gpt2_files(tmp_path)
    (tmp_path / "tokenizer_config.json").unlink()
    rewrite(files[0], change)
    if message is None:
        assert load_tokenizer(tmp_path).vocab_size == 279
        return
    with pytest.raises(TokenizerFileError, match=message):
        BPETokenizer.from_gpt2(*files, special_tokens=["末"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: "", "made by no merge: are merges missing"),
        (lambda t: t + "a\n", r"merges\.txt: line 24 must be two tokens with a space between"),
        (lambda t: t + "a b c\n", "line 24 must be two tokens"),
        (lambda t: t + "a 漢\n", r"holds '漢' \(U\+6F22\), which stands for no byte"),
        (lambda t: t + "z q\n", "needs the token b'zq', which is not in vocab"),
        (lambda t: t + t.split("\n")[1], "are both"),
        (lambda t: t[: t.rindex("\n", 0, -1)], "made by no merge"),
        (lambda t: t.replace("\n", " "), "made by no merge"),
    ],
)
def test_damaged_merges_txt(tmp_path: Path, change: Any, message: str) -> None:
    files = gpt2_files(tmp_path)
    files[1].write_text(change(files[1].read_text(encoding="utf-8")), encoding="utf-8")
    with pytest.raises(TokenizerFileError, match=message):
        BPETokenizer.from_gpt2(*files, special_tokens=["末"])


@pytest.mark.parametrize("name", ["vocab.json", "merges.txt"])
def test_files_that_are_cut_short(tmp_path: Path, name: str) -> None:
    files = gpt2_files(tmp_path)
    content = (tmp_path / name).read_bytes()
    for length in range(0, len(content) - 1, 7):
        (tmp_path / name).write_bytes(content[:length])
        with pytest.raises(TokenizerFileError):
            BPETokenizer.from_gpt2(*files, special_tokens=["末"])


def test_files_that_are_not_there_or_too_large(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = gpt2_files(tmp_path)
    with pytest.raises(FileNotFoundError):
        BPETokenizer.from_gpt2(tmp_path / "none.json", files[1])
    with pytest.raises(FileNotFoundError):
        BPETokenizer.from_gpt2(files[0], tmp_path / "none.txt")
    with pytest.raises(TokenizerFileError, match="not a regular file"):
        BPETokenizer.from_gpt2(tmp_path, files[1])
    files[1].unlink()
    with pytest.raises(TokenizerFileError, match=r"has neither tokenizer\.json nor merges\.txt"):
        load_tokenizer(tmp_path)
    monkeypatch.setattr(files_module, "MAX_FILE_BYTES", 100)
    with pytest.raises(TokenizerFileError, match="bytes, 100 are the most"):
        BPETokenizer.from_gpt2(*files)


@pytest.mark.parametrize("config", [[], {"added_tokens_decoder": []}])
def test_a_damaged_tokenizer_config(tmp_path: Path, config: Any) -> None:
    gpt2_files(tmp_path)
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(TokenizerFileError, match="must be an object"):
        load_tokenizer(tmp_path)


# ── tokenizer.json ────────────────────────────────────────────────────────────────────────────────

NO_REGEX = {**BYTE_LEVEL, "use_regex": False}
DIGITS = {"type": "Digits", "individual_digits": True}
ADDED = {"id": 278, "content": END, "special": True, "lstrip": False, "rstrip": False,
         "single_word": False, "normalized": False}  # fmt: skip


NFC = {"type": "NFC"}
BOS, TEXT_IDS = {"SpecialToken": {"id": END, "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}


def template(*single: Any) -> dict[str, Any]:
    return {"type": "TemplateProcessing", "single": list(single), "pair": [], "special_tokens": {}}


def split(regex: str, behavior: str = "Isolated", invert: bool = False) -> dict[str, Any]:
    first = {"type": "Split", "pattern": {"Regex": regex}, "behavior": behavior, "invert": invert}
    return {"type": "Sequence", "pretokenizers": [first, NO_REGEX]}


def hugging_face() -> dict[str, Any]:
    return tokenizer_json(TOKENIZER)


def test_a_tokenizer_json(tmp_path: Path) -> None:
    data = hugging_face()
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(data), encoding="utf-8")
    assert load_tokenizer(path) == load_tokenizer(tmp_path) == TOKENIZER
    data["model"]["merges"] = [merge.split() for merge in data["model"]["merges"]]
    data["model"]["vocab"][END] = 278  # the special tokens may be there too
    data["post_processor"] = data["decoder"] = None
    del data["model"]["type"]  # as in GPT-2's, which is older
    path.write_text(json.dumps(data), encoding="utf-8")
    assert load_tokenizer(path) == TOKENIZER


@pytest.mark.parametrize(
    ("pre_tokenizer", "pattern"),
    [
        (NO_REGEX, None),
        ({"type": "Sequence", "pretokenizers": [BYTE_LEVEL]}, "gpt2"),
        ({"type": "Sequence", "pretokenizers": [DIGITS, BYTE_LEVEL]}, "gpt2-single-digits"),
        (split(r"\w+"), r"\w+"),
        (split(r"\p{N}{1,3}|\P{N}+"), r"\p{N}{1,3}|\P{N}+"),
    ],
)
def test_its_patterns(tmp_path: Path, pre_tokenizer: Any, pattern: str | None) -> None:
    path = tmp_path / "t.json"
    path.write_text(json.dumps({**hugging_face(), "pre_tokenizer": pre_tokenizer}), "utf-8")
    tokenizer = load_tokenizer(path)
    assert isinstance(tokenizer, BPETokenizer) and tokenizer.pattern == pattern


def with_model(**changes: Any) -> dict[str, Any]:
    return {"model": {**hugging_face()["model"], **changes}}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"surprise": 1}, "'surprise' of tokenizer.json is not known"),
        ({"truncation": {"max_length": 5}}, "truncation of tokenizer.json is {'max_length': 5}"),
        ({"padding": {"strategy": "x"}}, "padding of tokenizer.json is"),
        ({"normalizer": {"type": "NFD"}}, "normalizer of tokenizer.json is {'type': 'NFD'}: only"),
        ({"normalizer": {"type": "Sequence"}}, "normalizer of tokenizer.json is {'type': 'Seq"),
        ({"normalizer": {"type": "Sequence", "normalizers": [5]}}, "normalizer .* with a type"),
        ({"normalizer": {"type": "Sequence", "normalizers": [NFC, NFC]}}, "normalizer of .*'NFC'"),
        ({"pre_tokenizer": None}, "pre_tokenizer of tokenizer.json must be an object with a type"),
        ({"pre_tokenizer": {"type": "Metaspace"}}, "pre_tokenizer of .*Metaspace"),
        ({"pre_tokenizer": {**BYTE_LEVEL, "add_prefix_space": True}}, "'add_prefix_space': True"),
        ({"pre_tokenizer": split("a", "Removed")}, "pre_tokenizer of .* 'Removed'"),
        ({"pre_tokenizer": split("a", "Removed", True)}, "pre_tokenizer of .* 'Removed'"),
        ({"pre_tokenizer": split("(")}, "nor a regular expression"),
        ({"pre_tokenizer": {"type": "Sequence", "pretokenizers": [BYTE_LEVEL] * 2}}, "'Sequence'"),
        ({"pre_tokenizer": {"type": "Sequence", "pretokenizers": [DIGITS, NO_REGEX]}}, "'Digits'"),
        ({"post_processor": {"type": "RobertaProcessing"}}, "post_processor of .*Roberta"),
        ({"post_processor": template(BOS, TEXT_IDS, BOS)}, "post_processor of .*Template"),
        ({"post_processor": template(TEXT_IDS, BOS)}, "post_processor of .*TemplateProcessing"),
        ({"post_processor": template({"SpecialToken": 1}, TEXT_IDS)}, "TemplateProcessing"),
        ({"post_processor": template({"SpecialToken": {}}, TEXT_IDS)}, "TemplateProcessing"),
        ({"post_processor": template(5)}, "post_processor of tokenizer.json is"),
        ({"post_processor": {"type": "Sequence"}}, "post_processor of tokenizer.json is"),
        ({"post_processor": {"type": "Sequence", "processors": [template(TEXT_IDS)] * 2}}, "Seq"),
        ({"post_processor": template({"SpecialToken": {"id": "<s>"}}, TEXT_IDS)},
         "bos_token must be one of the special tokens: got '<s>'"),
        ({"decoder": {"type": "WordPiece"}}, "decoder of tokenizer.json is {'type': 'WordPiece'}"),
        ({"model": {"type": "Unigram"}}, "model of tokenizer.json is {'type': 'Unigram'}"),
        ({"model": None}, "model of tokenizer.json must be an object with a type: got None"),
        (with_model(dropout=0.1), "dropout=0.1 of the model is not known here"),
        (with_model(unk_token="<unk>"), "unk_token='<unk>' of the model"),
        (with_model(end_of_word_suffix="</w>"), "end_of_word_suffix='</w>'"),
        (with_model(byte_fallback=True), "byte_fallback=True of the model"),
        (with_model(ignore_merges=1.5), "ignore_merges=1.5 of the model"),
        (with_model(novelty=1), "novelty=1 of the model"),
        (with_model(vocab=[]), "must have a vocab"),
        (with_model(merges={}), "must have a vocab"),
        (with_model(merges=[5]), r"merges\[0\] must be two tokens: got 5"),
        (with_model(merges=[["a"]]), r"merges\[0\] must be two tokens"),
        (with_model(merges=[]), "made by no merge"),
        ({"added_tokens": {}}, "added_tokens must be a list of objects"),
        ({"added_tokens": [5]}, "added_tokens must be a list of objects"),
        ({"added_tokens": [{"id": 3}]}, "must be a str, or an object with a content"),
        ({"added_tokens": [{**ADDED, "id": True}]}, r"the id of added_tokens\[0\] must be an int"),
        ({"added_tokens": [{"content": END}]}, r"added_tokens\[0\] must be an object with an id"),
        ({"added_tokens": [{**ADDED, "special": 1}]}, "must be True or False: got 1"),
        ({"added_tokens": [{**ADDED, "lstrip": 1}]}, "must be True or False: got 1"),
        ({"added_tokens": [{**ADDED, "bold": 1}]}, "'bold' of .* is not known here"),
        ({"added_tokens": [{**ADDED, "content": "a\ud800b"}]}, "it holds a lone surrogate"),
        ({"added_tokens": [ADDED, ADDED]}, "added token '<|endoftext|>' is there twice"),
        ({"added_tokens": [{**ADDED, "id": 300}]}, "go on from the vocabulary's, 278 to 278: got"),
        ({"added_tokens": [{**ADDED, "id": 5}]}, "id 5 of added token '<|endoftext|>' is b"),
        ({"added_tokens": [{**ADDED, "content": "t"}]}, "special token 't' is an ordinary token"),
    ],
)  # fmt: skip
def test_what_a_tokenizer_json_may_not_say(tmp_path: Path, changes: Any, message: str) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps({**hugging_face(), **changes}), encoding="utf-8")
    with pytest.raises(TokenizerFileError) as caught:
        load_tokenizer(path)
    assert re.search(message.replace("|", r"\|"), str(caught.value)), caught.value
    assert len(str(caught.value)) < 500


@given(
    value=JSON, key=st.sampled_from(sorted(hugging_face())), inside=st.booleans(), data=st.data()
)
def test_any_value_in_a_tokenizer_json_is_refused_or_sound(
    tmp_path_factory: pytest.TempPathFactory, value: Any, key: str, inside: bool, data: Any
) -> None:
    described = hugging_face()
    part = described[key]
    if inside and isinstance(part, dict):
        described[key] = {**part, data.draw(st.sampled_from(sorted(part))): value}
    else:
        described[key] = value
    path = tmp_path_factory.mktemp("hostile") / "t.json"
    path.write_text(json.dumps(described), encoding="utf-8")
    try:
        tokenizer = load_tokenizer(path)
    except TokenizerFileError:
        return
    assert tokenizer.decode(tokenizer.encode(TEXT)) == TEXT


# ── a folder that held another tokenizer ──────────────────────────────────────────────────────────

STALE = {
    "tokenizer.json": hugging_face(),
    "added_tokens.json": {"<stale>": 280},
    "special_tokens_map.json": {"pad_token": "<stale>"},
}


def stale_folder(folder: Path) -> Path:
    folder.mkdir()
    for name, value in STALE.items():
        (folder / name).write_text(json.dumps(value), encoding="utf-8")
    (folder / "model.safetensors").write_bytes(b"not ours")
    return folder


def test_what_contradicts_the_new_files_goes(tmp_path: Path) -> None:
    other = BPETokenizer.train("to be or not to be", 258, [END, "<pad>"], progress=False)
    for files in ([], *([name] for name in STALE), [*STALE]):
        folder = stale_folder(tmp_path / "-".join(["t", *files]))
        for name in STALE.keys() - set(files):
            (folder / name).unlink()
        other.to_gpt2(folder)
        assert load_tokenizer(folder) == other
        written = {"vocab.json", "merges.txt", "tokenizer_config.json", "model.safetensors"}
        assert {path.name for path in folder.iterdir()} == written


def test_a_save_that_fails_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = stale_folder(tmp_path / "t")
    TOKENIZER.to_gpt2(tmp_path / "sound")
    for path in (tmp_path / "sound").iterdir():
        path.rename(folder / path.name)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def fails(tokenizer: BPETokenizer, error: type[Exception]) -> None:
        with pytest.raises(error):
            tokenizer.to_gpt2(folder)
        assert {path.name: path.read_bytes() for path in folder.iterdir()} == before

    fails(BPETokenizer.train(TEXT, 260, pattern="gpt4", progress=False), ValueError)
    fails(BPETokenizer(TOKENIZER.vocab, TOKENIZER.merges, ["Ġ"]), ValueError)
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(28, "disk full")))
    fails(TOKENIZER, OSError)


def test_our_own_file_says_all_by_itself(tmp_path: Path) -> None:
    """What lies beside it belongs to something else."""
    (tmp_path / "tokenizer_config.json").write_text('{"add_prefix_space": true}')
    TOKENIZER.save(tmp_path / "tokenizer.json")
    assert load_tokenizer(tmp_path) == TOKENIZER


# ── what lies beside the vocabulary ───────────────────────────────────────────────────────────────


@pytest.mark.parametrize("with_tokenizer_json", [False, True])
@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("tokenizer_config", {"add_prefix_space": True}, "add_prefix_space of .* is True: only"),
        ("tokenizer_config", {"split_special_tokens": True}, "split_special_tokens of .* is True"),
        ("tokenizer_config", [], "must be an object"),
        ("tokenizer_config", {"pad_token": 5}, "pad_token must be a str, or an object with a con"),
        ("tokenizer_config", {"pad_token": "\ud800"}, "holds a lone surrogate"),
        ("tokenizer_config", {"extra_special_tokens": "<a>"}, "must be a list of tokens"),
        ("tokenizer_config", {"add_eos_token": True}, "add_eos_token of tokenizer_config.json is"),
        ("tokenizer_config", {"add_bos_token": 1}, "add_bos_token must be True or False: got 1"),
        ("tokenizer_config", {"add_prefix_space": True}, "add_prefix_space of tokenizer_config"),
        ("tokenizer_config", {"chat_template": 5}, "chat_template must be a str: got 5"),
        ("tokenizer_config", {"added_tokens_decoder": {"x": {}}}, "must be a number: got 'x'"),
        ("tokenizer_config", {"added_tokens_decoder": {"280": {}}}, "an object with a content"),
        ("tokenizer_config", {"added_tokens_decoder": {"280": "<a>"}}, "must be an object"),
        (
            "tokenizer_config",
            {"added_tokens_decoder": {"280": {"content": "<a>"}, "281": {"content": "<a>"}}},
            "added token '<a>' has two ids",
        ),
        ("tokenizer_config", {"added_tokens_decoder": {"290": {"content": "<a>"}}}, "must go on"),
        ("tokenizer_config", {"added_tokens_decoder": {"9": {"content": END}}}, "has id 27[89]"),
        ("added_tokens", {"<a>": "280"}, "the id of '<a>' must be an integer"),
        ("added_tokens", {"<a>": 290}, "must go on from the vocabulary's"),
        ("added_tokens", {"<a>": 5}, "id 5 of added token '<a>' is b'"),
        ("added_tokens", [], r"added_tokens\.json must be an object"),
        ("special_tokens_map", {"pad_token": []}, "pad_token must be a str, or an object"),
        ("special_tokens_map", {"pad_token": {"content": "<a>", "lstrip": 1}}, "lstrip of pad_tok"),
    ],
)
def test_what_a_folder_may_not_say(
    tmp_path: Path, name: str, value: Any, message: str, with_tokenizer_json: bool
) -> None:
    BPETokenizer.train(TEXT, 279, [END], progress=False).to_gpt2(tmp_path)
    (tmp_path / "tokenizer_config.json").unlink()
    if with_tokenizer_json:
        (tmp_path / "tokenizer.json").write_text(json.dumps(hugging_face()), encoding="utf-8")
    (tmp_path / f"{name}.json").write_text(json.dumps(value), encoding="utf-8")
    with pytest.raises(TokenizerFileError, match=message) as caught:
        load_tokenizer(tmp_path)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"tokenizer_class": "Qwen2Tokenizer"}, "is 'Qwen2Tokenizer': vocab.json and merges.txt"),
    ],
)
def test_what_only_a_tokenizer_json_can_say(tmp_path: Path, config: Any, message: str) -> None:
    gpt2_files(tmp_path)
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(TokenizerFileError, match=re.escape(message)):
        load_tokenizer(tmp_path)
    (tmp_path / "tokenizer.json").write_text(json.dumps(hugging_face()), encoding="utf-8")
    assert load_tokenizer(tmp_path) == TOKENIZER


def test_a_lone_surrogate_in_a_token_that_is_not_declared(tmp_path: Path) -> None:
    files = gpt2_files(tmp_path)
    rewrite(files[0], lambda vocab: {**vocab, "<\ud800>": 280})
    with pytest.raises(TokenizerFileError, match="holds a lone surrogate"):
        load_tokenizer(tmp_path)


def test_a_token_that_only_the_files_beside_tokenizer_json_have(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text(json.dumps(hugging_face()), encoding="utf-8")
    (tmp_path / "added_tokens.json").write_text('{"<a>": 280}')
    (tmp_path / "special_tokens_map.json").write_text('{"pad_token": "<pad>"}')
    tokenizer = load_tokenizer(tmp_path)
    assert tokenizer.encode("<a>b") == [280, 98]
    assert tokenizer.encode("<pad>", "all") == [281]


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("added_tokens", {END: 279}, "has id 278 in tokenizer.json and 279 beside it"),
        (
            "tokenizer_config",
            {"added_tokens_decoder": {"278": {**ADDED, "lstrip": True}}},
            "has other options in tokenizer.json than in tokenizer_config.json",
        ),
    ],
)
def test_files_that_contradict_each_other(
    tmp_path: Path, name: str, value: Any, message: str
) -> None:
    (tmp_path / "tokenizer.json").write_text(json.dumps(hugging_face()), encoding="utf-8")
    (tmp_path / f"{name}.json").write_text(json.dumps(value), encoding="utf-8")
    with pytest.raises(TokenizerFileError, match=message):
        load_tokenizer(tmp_path)


# ── what is put around texts ──────────────────────────────────────────────────────────────────────


def with_config(folder: Path, described: dict[str, Any], **config: Any) -> BPETokenizer:
    """Out of a folder with a tokenizer.json, and what the configuration beside it says."""
    (folder / "tokenizer.json").write_text(json.dumps(described), encoding="utf-8")
    (folder / "tokenizer_config.json").unlink(missing_ok=True)
    if config:
        (folder / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
    tokenizer = load_tokenizer(folder)
    assert isinstance(tokenizer, BPETokenizer)
    assert tokenizer_from_dict(json.loads(json.dumps(tokenizer.to_dict()))) == tokenizer
    return tokenizer


def test_a_token_before_every_text(tmp_path: Path) -> None:
    """It is the tokenizer's to name, and a sampler's to put there: texts can be put together."""
    plain = TOKENIZER.encode("the hat")
    adds = {**hugging_face(), "post_processor": template(BOS, TEXT_IDS)}
    for part in (
        adds["post_processor"],
        {"type": "Sequence", "processors": [BYTE_LEVEL, adds["post_processor"]]},
    ):
        tokenizer = with_config(tmp_path, {**adds, "post_processor": part})
        assert (tokenizer.bos_token, tokenizer.add_bos_token) == (END, True)
        assert tokenizer.leading_ids == (278,) and tokenizer.encode("the hat") == plain
    # Nothing beside a tokenizer.json adds one to a text, or takes it away.
    for add_bos_token in (False, True):
        said = {"bos_token": END, "eos_token": "末", "add_bos_token": add_bos_token}
        assert with_config(tmp_path, adds, **said).leading_ids == (278,)
        assert with_config(tmp_path, adds, **said).eos_token == "末"
        assert with_config(tmp_path, hugging_face(), **said) == TOKENIZER
    with pytest.raises(TokenizerFileError, match=r"before a text, and bos_token of .* is '末'"):
        with_config(tmp_path, adds, bos_token="末")


def test_a_token_before_every_text_of_gpt2s_files(tmp_path: Path) -> None:
    gpt2_files(tmp_path)
    config = json.loads((tmp_path / "tokenizer_config.json").read_text(encoding="utf-8"))
    for bos_token, leading in (("末", (279,)), (END, (278,)), (None, ()), ("", (278,))):
        config |= {"bos_token": bos_token, "add_bos_token": True}
        if bos_token == "":
            del config["bos_token"]  # which GPT-2's class has by itself
        (tmp_path / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
        tokenizer = load_tokenizer(tmp_path)
        assert isinstance(tokenizer, BPETokenizer) and tokenizer.leading_ids == leading
        if leading:
            with pytest.raises(ValueError, match="add_bos_token=True cannot be told in GPT-2's"):
                tokenizer.to_gpt2(tmp_path / "again")


def test_where_a_chat_template_stands(tmp_path: Path) -> None:
    several = [{"name": "tools", "template": "t"}, {"name": "default", "template": "d"}]
    for config, expected in (("c", "c"), (several, "d"), (several[:1], None), (None, None)):
        tokenizer = with_config(tmp_path, hugging_face(), chat_template=config, eos_token="末")
        assert tokenizer.chat_template == expected
        assert tokenizer.eos_token == (expected and "末")  # only what uses it has a need of it
    (tmp_path / "chat_template.jinja").write_text("{{ 'é' }}", encoding="utf-8")
    assert with_config(tmp_path, hugging_face(), chat_template="c").chat_template == "{{ 'é' }}"
    with pytest.raises(ValueError, match=r"chat_template=.* cannot be told in GPT-2's"):
        with_config(tmp_path, hugging_face()).to_gpt2(tmp_path)


def test_normal_form_c(tmp_path: Path) -> None:
    normalizer: Any
    for normalizer in (NFC, {"type": "Sequence", "normalizers": [NFC]}):
        tokenizer = with_config(tmp_path, {**hugging_face(), "normalizer": normalizer})
        assert tokenizer.normalization == "NFC"
        assert tokenizer.encode("cafe\u0301") == tokenizer.encode("café")
        assert tokenizer.decode(tokenizer.encode("cafe\u0301")) == "café"
    none = {**hugging_face(), "normalizer": {"type": "Sequence", "normalizers": []}}
    assert with_config(tmp_path, none) == TOKENIZER


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"normalization": "NFD"}, ValueError, "normalization must be \"NFC\": got 'NFD'"),
        ({"bos_token": "<s>"}, ValueError, "bos_token must be one of the special tokens: got"),
        ({"eos_token": 5}, TypeError, "eos_token must be a str: got 5"),
        (
            {"add_bos_token": True},
            ValueError,
            "add_bos_token=True needs a token .*: pass bos_token",
        ),
        ({"add_bos_token": 1}, TypeError, "add_bos_token must be True or False: got 1"),
        ({"chat_template": b"x"}, TypeError, "chat_template must be a str: got b'x'"),
        ({"chat_template": "x" * 200_001}, ValueError, "chat_template must be at most 200,000"),
    ],
)
def test_what_publishers_may_not_say(arguments: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message) as caught:
        BPETokenizer(TOKENIZER.vocab, TOKENIZER.merges, [END], **arguments)
    assert len(str(caught.value)) < 400


# ── written for Transformers ──────────────────────────────────────────────────────────────────────

PATTERNS = ["gpt2", "gpt4", "gpt2-single-digits", "gpt4-single-digits", r"\w+", None]
OPTIONS: list[dict[str, Any]] = [
    {},
    {"ignore_merges": True},
    {"normalization": "NFC"},
    {"bos_token": END, "add_bos_token": True},
    {"chat_template": "{{ 'é' }}", "bos_token": END, "eos_token": "末"},
    {"added_tokens": [AddedToken("<a>", 278, special=False, lstrip=True, normalized=True)]},
]


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_folder_for_transformers(tmp_path: Path, pattern: Any, options: dict[str, Any]) -> None:
    special = {END: 278, "末": 279}
    if "added_tokens" in options:  # they may stand in any order
        special = {"末": 279, END: 280}
    ordinary = {i: token for i, token in TOKENIZER.vocab.items() if i < 278}
    tokenizer = BPETokenizer(ordinary, TOKENIZER.merges, special, pattern, **options)
    (tmp_path / "chat_template.jinja").write_text("of another tokenizer")
    (tmp_path / "added_tokens.json").write_text("{}")
    tokenizer.to_transformers(tmp_path)
    again = load_tokenizer(tmp_path)
    assert again == tokenizer
    is_gpt2s = pattern == "gpt2" and not options.keys() - {"added_tokens"}
    assert (tmp_path / "vocab.json").exists() == is_gpt2s
    assert (tmp_path / "tokenizer.json").exists() != is_gpt2s
    assert not (tmp_path / "added_tokens.json").exists()
    TOKENIZER.to_transformers(tmp_path)  # in the place of what was there
    assert load_tokenizer(tmp_path) == TOKENIZER


def test_a_name_that_no_file_for_transformers_can_hold(tmp_path: Path) -> None:
    tokenizer = BPETokenizer(TOKENIZER.vocab, TOKENIZER.merges, [END, "末", "é"], None)
    name = printable(tokenizer.vocab[260])
    ambiguous = BPETokenizer(tokenizer.vocab, TOKENIZER.merges, [END, "末", "é", name], None)
    if ambiguous.special_tokens[name] == 281:
        with pytest.raises(ValueError, match="cannot be told from the bytes"):
            ambiguous.to_transformers(tmp_path)
    assert list(tmp_path.iterdir()) == []
