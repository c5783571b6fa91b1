"""The corpus of Tang poems: what is regular, what is left out, and the command line."""

from __future__ import annotations

import json
import os
import shutil
import tarfile
from pathlib import Path

import pytest

from tang_poems import FORMS, Poem, collected_poems, main, read_corpus, regular_lines, written
from tests.data.tang_collection import write_collection

A, B, C, D = "一二三四五", "六七八九十", "上下左右中", "東西南北方"
POEM = f"{A}，{B}。{C}，{D}。"


@pytest.fixture
def collection(tmp_path: Path) -> Path:
    write_collection(tmp_path / "collection", per_form=5)
    return tmp_path / "collection"


def put(collection: Path, entries: object, name: str = "quantangshi/poet.tang.0.json") -> None:
    path = collection / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(entries), encoding="utf-8")


def test_what_is_regular():
    assert regular_lines(POEM) == (A, B, C, D)
    seven = f"{A}甲乙，{B}丙丁。" * 3
    assert regular_lines(seven) == (f"{A}甲乙", f"{B}丙丁") * 3
    assert regular_lines(POEM.replace("一", "𧽼")) is not None  # beyond the first plane
    assert regular_lines(POEM.replace("一", "㟧")) is not None


@pytest.mark.parametrize(
    "text",
    [
        "",
        f"{A}，{B}。",
        POEM[:-1],
        POEM + A + "，",
        POEM + f"{A}甲乙，{B}丙丁。",
        f"{A}甲，{B}乙。" * 2,
        POEM.replace("，", "。"),
        POEM.replace("。", "？"),
        POEM.replace("一", "□"),
        POEM.replace("一", "囗"),
        POEM.replace("一", "A"),
        POEM.replace("一", "1"),
        POEM.replace("一", "\ue82a"),
        POEM.replace("一", "（一作甲）一"),
        " " + POEM,
        POEM + "\n",
    ],
)
def test_what_is_not(text):
    assert regular_lines(text) is None


def test_forms_by_their_sizes():
    for name, (n, n_lines) in FORMS.items():
        assert Poem("題", ("字" * n,) * n_lines).form == name
    assert Poem("題", (A,) * 6).form == "other"


def test_the_poems_of_a_collection(collection):
    entries = write_collection(collection, per_form=5)
    poems, left_out = collected_poems(collection)
    assert [poem.text for poem in poems] == ["".join(e["paragraphs"]) for e in entries]
    assert [poem.title for poem in poems] == [e["title"] for e in entries]
    assert [poem.form for poem in poems] == [*FORMS] * 5 and not left_out


def test_what_is_left_out_is_counted(collection):
    good = {"title": " 題\n  目 ", "paragraphs": [POEM]}
    bad = [{**good, "paragraphs": [POEM, "（一作）"]}, {**good, "title": " "}, good]
    put(collection, [good, *bad])
    poems, left_out = collected_poems(collection)
    assert poems[0] == Poem("題 目", (A, B, C, D))
    assert sorted(left_out.values()) == [1, 2] and left_out["second copies"] == 1


def test_the_other_edition_and_the_names_of_the_repository(tmp_path):
    entries = [{"title": "題", "paragraphs": [POEM]}]
    put(tmp_path, entries, "御定全唐詩/json/001.json")
    assert len(collected_poems(tmp_path, "yudingquantangshi")[0]) == 1
    with pytest.raises(ValueError, match="no regular poems of quantangshi"):
        collected_poems(tmp_path)
    put(tmp_path, entries, "全唐诗/poet.tang.0.json")
    assert len(collected_poems(tmp_path)[0]) == len(collected_poems(tmp_path / "全唐诗")[0]) == 1
    put(tmp_path, entries, "quantangshi/poet.tang.0.json")
    with pytest.raises(ValueError, match="two collections in it: name one"):
        collected_poems(tmp_path)


def test_folder_and_archives_give_the_same_corpus(collection, tmp_path):
    shutil.make_archive(str(tmp_path / "a"), "zip", collection)
    with tarfile.open(tmp_path / "a.tgz", "w:gz") as tar:
        tar.add(collection, "package/dist")
    corpora = [collected_poems(path)[0] for path in (tmp_path / "a.zip", tmp_path / "a.tgz")]
    assert corpora == [collected_poems(collection)[0]] * 2


def test_what_is_written_is_read_again(collection):
    poems, _ = collected_poems(collection)
    assert read_corpus("".join(map(written, poems))) == (poems, 0)
    assert written(Poem("題", (A, B, C, D))) == f"題\n{A}，{B}。\n{C}，{D}。\n\n"
    two_sentences_a_row = f"題\n{POEM}\n\n句\n{A}，\n"
    assert read_corpus(two_sentences_a_row) == ([Poem("題", (A, B, C, D))], 1)
    assert read_corpus("") == ([], 0)


@pytest.mark.parametrize(
    ("entries", "complaint"),
    [
        ({"title": "題"}, "poet.tang.0.json: it is not a list of poems"),
        (["題"], "a poem must have a title and paragraphs"),
        ([{"title": "題", "paragraphs": POEM}], "a text and a list of texts"),
        ([{"title": 3, "paragraphs": [POEM]}], "a text and a list of texts"),
        ([{"title": "題", "paragraphs": [3]}], "a text and a list of texts"),
    ],
)
def test_a_file_that_is_not_of_the_collection_is_named(collection, entries, complaint):
    put(collection, entries)
    with pytest.raises(ValueError, match=complaint):
        collected_poems(collection)


def test_the_command_line(collection, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main([str(collection), "--output", "out/poems.txt"]) == 0
    out, _ = capsys.readouterr()
    assert out.startswith("5 wujue, 5 qijue, 5 wulü, 5 qilü: out") and "left out: none" in out
    assert len(read_corpus(Path("out/poems.txt").read_text(encoding="utf-8"))[0]) == 20
    assert main([str(collection), "--output", "out/poems.txt"]) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert main([str(collection), "--output", "out/poems.txt", "--overwrite", "--quiet"]) == 0
    assert capsys.readouterr() == ("", "")
    for wrong in ("nowhere", "out/poems.txt", "out", "a\0b"):
        assert main([wrong, "--output", "out/new.txt", "--quiet"]) == 2
        assert capsys.readouterr().err.count("\n") == 1
    main(["nowhere"])
    assert "npm pack" in (err := capsys.readouterr().err) and err.count("\n") == 1
    assert not Path("out/new.txt").exists()


def test_the_real_collection():
    """Every regular poem of the edition that the extract beside the checkout was made from."""
    if "MINIGPT_CHINESE_POETRY" not in os.environ:
        pytest.skip("MINIGPT_CHINESE_POETRY does not name the collection's archive or folder")
    collection = Path(os.environ["MINIGPT_CHINESE_POETRY"])
    poems, _ = collected_poems(collection)
    sizes = {form: sum(poem.form == form for poem in poems) for form in FORMS}
    assert sizes == {"wujue": 3724, "qijue": 10294, "wulü": 14231, "qilü": 7842}
    extract = Path(__file__).resolve().parents[3] / "shared/data/tang_poems.txt"
    if extract.exists():
        poems, _ = collected_poems(collection, "yudingquantangshi")
        found, _ = read_corpus(extract.read_text(encoding="utf-8"))
        assert {poem.lines for poem in poems} == {poem.lines for poem in found}
