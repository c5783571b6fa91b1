"""Text out of files and folders."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigpt.datasets import TextError, iter_text, load_text
from minigpt.datasets.corpora.text import folder_files, iter_file

TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


def as_text_mode(data: bytes) -> str:
    """The rule, said with other means."""
    text = data.decode("utf-8")
    text = text[1:] if text.startswith("\ufeff") else text
    return text.replace("\r\n", "\n").replace("\r", "\n")


@given(text=TEXT | st.text("a\r\n\ufeffé😀", min_size=1), chunk=st.integers(1, 7))
def test_pieces_make_up_the_text_wherever_they_are_cut(
    tmp_path_factory: pytest.TempPathFactory, text: str, chunk: int
) -> None:
    path = tmp_path_factory.mktemp("text") / "a.txt"
    path.write_bytes(text.encode())
    pieces = list(iter_file(path, chunk))
    assert "".join(pieces) == as_text_mode(text.encode())
    assert all(0 < len(piece) <= chunk for piece in pieces)


@pytest.mark.parametrize("chunk", [1, 2, 3, 100])
def test_line_ends_and_byte_order_mark(tmp_path: Path, chunk: int) -> None:
    path = tmp_path / "windows.txt"
    path.write_bytes(b"\xef\xbb\xbfone\r\ntwo\rthree\n\xef\xbb\xbfend\r")
    assert "".join(iter_text(path, chunk_chars=chunk)) == "one\ntwo\nthree\n\ufeffend\n"


@given(before=st.binary(max_size=0) | TEXT.map(str.encode), chunk=st.integers(1, 9))
def test_the_first_bad_byte_is_named_by_its_offset(
    tmp_path_factory: pytest.TempPathFactory, before: bytes, chunk: int
) -> None:
    path = tmp_path_factory.mktemp("bad") / "bad.txt"
    path.write_bytes(before + b"\xffrest")
    with pytest.raises(TextError, match=f"bad.txt.*byte 0xff at offset {len(before):,}"):
        list(iter_file(path, chunk))


@pytest.mark.parametrize(
    ("data", "offset"),
    [
        (b"abc\xc3", 3),  # cut inside a character
        (b"ab\xed\xa0\x80", 2),  # a surrogate in bytes
        (b"\xc0\x80", 0),  # overlong
        (b"a\xf5\x80\x80\x80", 1),  # past U+10FFFF
    ],
)
def test_strict_utf8(tmp_path: Path, data: bytes, offset: int) -> None:
    path = tmp_path / "bad.txt"
    path.write_bytes(data)
    with pytest.raises(TextError, match=f"is not UTF-8: byte .* at offset {offset}"):
        load_text(path)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
def test_other_encodings_are_recognised(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "other.txt"
    path.write_bytes("text".encode(encoding))
    with pytest.raises(TextError, match=f"looks like {encoding.upper()}: save it as UTF-8"):
        load_text(path)


@pytest.mark.parametrize("data", [b"", b"\xef\xbb\xbf"])
def test_an_empty_file_is_an_error(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "empty.txt"
    path.write_bytes(data)
    with pytest.raises(TextError, match=r"empty\.txt holds no text: it is empty"):
        load_text(path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "texts"
    for name, data in {
        "b.txt": b"B",
        "a/z.txt": b"AZ\n",
        "a/y.md": b"# AY\r\n",
        "a.txt": b"",
        "C.TXT": b"C",
        ".hidden": b"\xff",
        ".git/config": b"\xff",
        "__pycache__/x.pyc": b"\xff",
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root


def test_a_folder_is_its_files_in_order(folder: Path) -> None:
    names = [path.relative_to(folder).as_posix() for path in folder_files(folder)]
    assert names == ["C.TXT", "a.txt", "a/y.md", "a/z.txt", "b.txt"]
    # A new line is added where a file ends without one.
    assert load_text(folder) == "C\n# AY\nAZ\nB\n"
    assert "".join(iter_text(str(folder), chunk_chars=1)) == "C\n# AY\nAZ\nB\n"


def test_suffixes_choose_files_whatever_their_case(folder: Path) -> None:
    assert load_text(folder, suffixes=[".txt"]) == "C\nAZ\nB\n"
    assert load_text(folder, suffixes=(".md", ".rst")) == "# AY\n"


def test_a_file_that_is_not_text_in_a_folder_is_named(folder: Path) -> None:
    (folder / "a" / "picture.png").write_bytes(b"\x89PNG")
    with pytest.raises(
        TextError, match=r"picture\.png is not UTF-8: byte 0x89 at offset 0.*suffix"
    ):
        load_text(folder)


def test_a_folder_without_text(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "bare").mkdir()
    with pytest.raises(TextError, match="bare holds no files"):
        load_text(tmp_path / "bare")
    with pytest.raises(TextError, match=r"holds no files whose names end with \.py"):
        load_text(folder, suffixes=[".py"])


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="makes a named pipe, which this system lacks")
def test_a_pipe_is_not_waited_for(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    assert load_text(folder) == "C\n# AY\nAZ\nB\n"
    with pytest.raises(TextError, match="pipe is not a regular file"):
        load_text(folder / "pipe")


@pytest.mark.parametrize(
    ("suffixes", "error", "message"),
    [
        (".txt", TypeError, "must be a list such as"),
        (["txt"], ValueError, "must be a dot and more"),
        ([], ValueError, "suffixes is empty"),
        ([1], TypeError, "suffixes: each must be a str: got 1"),
    ],
)
def test_wrong_suffixes(
    folder: Path, suffixes: object, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        load_text(folder, suffixes=suffixes)  # type: ignore[arg-type]


@pytest.mark.skipif(os.name != "posix", reason="links")
def test_links_out_of_the_folder_are_left_out(tmp_path: Path) -> None:
    folder, outside = tmp_path / "texts", tmp_path / "outside"
    folder.mkdir()
    outside.mkdir()
    (outside / "secret.txt").write_text("secret")
    (folder / "a.txt").write_text("a\n")
    (folder / "linked.txt").symlink_to(folder / "a.txt")
    (folder / "out.txt").symlink_to(outside / "secret.txt")
    (folder / "up.txt").symlink_to("../outside/secret.txt")
    (folder / "nowhere.txt").symlink_to("nothing")
    (folder / "folder").symlink_to(outside)
    assert load_text(folder) == "a\na\n"
    (tmp_path / "by-another-name").symlink_to(folder)
    assert load_text(tmp_path / "by-another-name") == "a\na\n"
    (folder / "a.txt").unlink()
    with pytest.raises(TextError, match="holds no files; links out of it do not count"):
        load_text(folder)
