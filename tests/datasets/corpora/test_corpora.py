"""Corpora by name, and paths."""

from __future__ import annotations

import importlib
import sysconfig
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest

from minigpt.datasets import CorpusError, TextError, corpora, get_corpus, iter_text, load_text
from minigpt.datasets.corpora.python import python_docs, python_stdlib


@pytest.mark.parametrize("name", corpora())
def test_each_corpus_says_what_it_is(name: str) -> None:
    corpus = get_corpus(name)
    assert corpus.name == name
    assert corpus.description and corpus.origin and corpus.licence


def test_every_corpus_is_on_the_page() -> None:
    page = Path(__file__).resolve().parents[3] / "data" / "README.md"
    text = page.read_text(encoding="utf-8")
    for name in corpora():
        assert f"`{name}`" in text and get_corpus(name).licence in text


def test_python_docs() -> None:
    text = load_text("python-docs")
    assert 300_000 < len(text) < 2_000_000
    assert "assert_stmt ::=" in text and "\r" not in text


def test_unicode_names_in_the_order_of_code_points() -> None:
    names = load_text("unicode-names").splitlines()
    assert len(names) > 25_000
    assert names[:3] == ["SPACE", "EXCLAMATION MARK", "QUOTATION MARK"]
    code_points = [ord(unicodedata.lookup(name)) for name in names]
    assert code_points == sorted(set(code_points))
    assert not any("IDEOGRAPH-" in name and name.startswith("CJK") for name in names)


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, data in {
        "b.py": b"b = 1\r\n",
        "a.py": b"a = 1",
        "empty.py": b"",
        "json/decoder.py": b"d = 1\n",
        "latin.py": b"# -*- coding: latin-1 -*-\n# \xe9\n",
        "test/test_a.py": b"no\n",
        "json/tests/test_b.py": b"no\n",
        "site-packages/numpy.py": b"no\n",
        "_sysconfigdata__linux.py": b"no\n",
        "config-3.11/python-config.py": b"no\n",
        "pydoc_data/topics.py": b"no\n",
        "notes.txt": b"no\n",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(tmp_path))
    return tmp_path


def test_python_stdlib_takes_the_library_alone(library: Path) -> None:
    assert load_text("python-stdlib") == "a = 1\nb = 1\nd = 1\n"


def test_python_stdlib_without_source(library: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(library / "python311.zip"))
    with pytest.raises(CorpusError, match=r"source is not in .*python311\.zip"):
        list(python_stdlib())


def test_the_running_python_has_its_library() -> None:
    pieces: Iterator[str] = python_stdlib()
    assert next(pieces).endswith("\n")


def test_python_without_its_docs(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ModuleNotFoundError(f"No module named {name!r}")

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(CorpusError, match="has no pydoc_data"):
        list(python_docs())


@pytest.mark.parametrize("chunk", [1, 1000, 4096, 10**7])
def test_a_corpus_in_pieces(chunk: int) -> None:
    whole = load_text("python-docs")
    pieces = list(iter_text("python-docs", chunk_chars=chunk))
    assert "".join(pieces) == whole
    assert all(len(piece) == chunk for piece in pieces[:-1]) and 0 < len(pieces[-1]) <= chunk


def test_a_name_is_a_corpus_and_a_path_is_a_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("python-docs").write_text("mine", encoding="utf-8")
    assert load_text("python-docs") != "mine"
    assert load_text("./python-docs") == load_text(Path("python-docs")) == "mine"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("shakespear", "did you mean 'shakespeare'"),
        ("Python_Docs", "did you mean 'python-docs'"),
        ("https://example.com/a.txt", "download the page first and pass the file"),
        ("no such file.txt", "is not a file, a folder or a corpus: the corpora are python-docs"),
        ("\ud800", "is not a file, a folder or a corpus"),
        ("nul\0inside", "is not a file, a folder or a corpus"),
        ("x" * 5000, "is not a file, a folder or a corpus"),
    ],
)
def test_what_is_not_there(name: str, message: str) -> None:
    with pytest.raises(FileNotFoundError, match=message):
        load_text(name)


def test_wrong_arguments(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("text", encoding="utf-8")
    with pytest.raises(TypeError, match="must be a corpus's name or a path: got 3"):
        load_text(3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="name_or_path is empty"):
        load_text("")
    with pytest.raises(ValueError, match="suffixes are for folders"):
        load_text(path, suffixes=[".txt"])
    with pytest.raises(ValueError, match="suffixes are for folders"):
        load_text("python-docs", suffixes=[".txt"])
    with pytest.raises(ValueError, match="chunk_chars must be an integer of at least 1: got 0"):
        iter_text(path, chunk_chars=0)
    with pytest.raises(TypeError, match="chunk_chars must be an int"):
        iter_text(path, chunk_chars=True)
    with pytest.raises(TypeError, match="name must be a str: got"):
        get_corpus(["python-docs"])  # type: ignore[arg-type]
    with pytest.raises(
        ValueError, match=r"name must be that of a corpus, python-docs, .*: got 'tinystories'"
    ):
        get_corpus("tinystories")


def test_a_file_larger_than_allowed_is_not_loaded(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("12345", encoding="utf-8")
    assert load_text(path, max_bytes=5) == "12345"
    with pytest.raises(TextError, match=r"holds 5 bytes, more than max_bytes=4: .*iter_text"):
        load_text(path, max_bytes=4)


def test_shakespeare_is_the_known_file(
    shakespeare_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file put into the cache by hand is used without a network."""
    monkeypatch.setenv("MINIGPT_CACHE", str(tmp_path))
    (tmp_path / "tinyshakespeare.txt").write_bytes(shakespeare_path.read_bytes())
    text = load_text("shakespeare")
    assert len(text) == 1_115_394 and text.startswith("First Citizen:\n")
