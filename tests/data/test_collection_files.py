"""Files out of folders and archives that nobody has checked: nothing large, nothing endless."""

from __future__ import annotations

import gzip
import io
import os
import struct
import tarfile
import time
import tracemalloc
import zipfile
from pathlib import Path, PurePosixPath

import pytest

import collection_files as module
from collection_files import collection_files

CONTENTS = {"a/1.json": b"one", "a/2.json": b"two", "a/other.txt": b"three"}


def wanted(path: PurePosixPath) -> bool:
    return path.suffix == ".json"


def read(path: Path) -> dict[str, bytes]:
    return {str(p): content for p, content in collection_files(path, wanted)}


def tar_of(
    *members: tuple[str, bytes] | tarfile.TarInfo, format: int = tarfile.PAX_FORMAT
) -> bytes:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=format) as tar:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                tar.addfile(member)
                continue
            info = tarfile.TarInfo(member[0])
            info.size = len(member[1])
            tar.addfile(info, io.BytesIO(member[1]))
    return raw.getvalue()


def header(name: str, size_field: bytes, kind: bytes) -> bytes:
    """A header of a tar file that says anything of its size."""
    block = bytearray(tarfile.TarInfo(name).tobuf(tarfile.USTAR_FORMAT))
    block[124:136] = size_field
    block[156:157] = kind
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


@pytest.fixture
def put(tmp_path):
    """Writes bytes, compressed as a tar.gz is."""

    def write(content: bytes, packed: bool = True) -> Path:
        path = tmp_path / "archive"
        path.write_bytes(gzip.compress(content, 1) if packed else content)
        return path

    return write


def zip_of(path: Path, contents: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
    return path


def test_the_files_that_are_wanted(put, tmp_path):
    expected = {"a/1.json": b"one", "a/2.json": b"two"}
    assert read(put(tar_of(*CONTENTS.items()))) == expected
    assert read(zip_of(tmp_path / "x.zip", CONTENTS)) == expected
    for name, content in CONTENTS.items():
        file = tmp_path / "folder" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    prefix = (tmp_path / "folder").resolve().as_posix()
    assert read(tmp_path / "folder") == {f"{prefix}/{k}": v for k, v in expected.items()}


@pytest.mark.parametrize("format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_every_kind_of_tar_with_long_names(put, format):
    name = "/".join(["folder" * 5] * (4 if format == tarfile.USTAR_FORMAT else 12)) + "/長.json"
    assert read(put(tar_of((name, b"x" * 1000), format=format))) == {name: b"x" * 1000}


def test_links_and_devices_are_not_followed(put, tmp_path):
    links = []
    for name, kind in (("1.json", tarfile.SYMTYPE), ("2.json", tarfile.LNKTYPE)):
        link = tarfile.TarInfo(name)
        link.type, link.linkname = kind, "/etc/passwd"
        links.append(link)
    fifo = tarfile.TarInfo("3.json")
    fifo.type = tarfile.FIFOTYPE
    assert read(put(tar_of(*links, fifo, ("../../4.json", b"4")))) == {"../../4.json": b"4"}
    assert not (tmp_path.parent.parent / "4.json").exists()


def test_what_is_too_large_is_refused(put, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MOST_BYTES", 100)
    big = {"a.json": b"0" * 101}
    for path in (put(tar_of(*big.items())), zip_of(tmp_path / "x.zip", big)):
        with pytest.raises(ValueError, match=r"a\.json has more than 100 bytes"):
            read(path)
    (tmp_path / "f").mkdir()
    (tmp_path / "f/a.json").write_bytes(big["a.json"])
    with pytest.raises(ValueError, match=r"a\.json: it has 101 bytes, 100 are the most"):
        read(tmp_path / "f")


def test_a_zip_that_lies_about_its_sizes(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MOST_BYTES", 100)
    path = zip_of(tmp_path / "x.zip", {"a.json": b"0" * 5000})
    path.write_bytes(path.read_bytes().replace(struct.pack("<I", 5000), struct.pack("<I", 50)))
    with pytest.raises(ValueError, match=r"x\.zip: "):
        read(path)


def test_too_many_and_twice(put, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match=r"it holds a\.json twice"):
        read(put(tar_of(("a.json", b"1"), ("a.json", b"2"))))
    many = {f"{i}.json": b"" for i in range(4)}
    monkeypatch.setattr(module, "MOST_FILES", 3)
    for path in (put(tar_of(*many.items())), zip_of(tmp_path / "x.zip", many)):
        with pytest.raises(ValueError, match="more than 3 such files"):
            read(path)


def test_a_bomb_ends(put, monkeypatch):
    monkeypatch.setattr(module, "MOST_BYTES_IN_ALL", 1 << 22)
    bomb = header("zeros.txt", b"%011o\0" % (1 << 33), b"0") + bytes(1 << 23)
    with pytest.raises(ValueError, match="unpacks to more than 4,194,304 bytes"):
        read(put(bomb))
    with pytest.raises(ValueError, match="unpacks to more than 4,194,304 bytes"):
        read(put(tar_of(("a.json", b"1")) + bytes(1 << 24)))  # after the end


@pytest.mark.parametrize("kind", [b"x", b"g", b"L", b"K"])
def test_headers_that_ask_for_much_memory(put, kind):
    path = put(header("a", b"%011o\0" % (1 << 32), kind) + bytes(1 << 16))
    tracemalloc.start()
    with pytest.raises(ValueError, match="its headers take more than"):
        read(path)
    assert tracemalloc.get_traced_memory()[1] < 4 << 20
    tracemalloc.stop()


def test_headers_of_negative_size(put):
    for kind in (b"0", b"x", b"L"):
        negative = header("a.json", b"\xff" * 10 + b"\xfe\x00", kind)
        started = time.monotonic()
        with pytest.raises(ValueError, match=r"archive: "):
            read(put(tar_of(("b.json", b"1"))[:1024] + negative + bytes(4096)))
        assert time.monotonic() - started < 10


def test_a_chain_of_long_names(put):
    chain = (header("a", b"%011o\0" % 2, b"L") + b"b\0".ljust(512, b"\0")) * 5000
    with pytest.raises(ValueError, match=r"archive: "):
        read(put(chain + header("a.json", b"%011o\0" % 0, b"0") + bytes(1024)))


@pytest.mark.parametrize("cut", [5, 20, 200, -3])
def test_archives_that_end_early(put, tmp_path, cut):
    whole = gzip.compress(tar_of(("a.json", os.urandom(600)), ("b.json", b"2")))
    packed = zip_of(tmp_path / "x.zip", {"a.json": os.urandom(600)}).read_bytes()
    for content in (whole[:cut], packed[:cut]):
        with pytest.raises(ValueError, match=r"archive: "):
            read(put(content, packed=False))


def test_a_tar_whose_bits_are_damaged_is_not_read_in_part(put):
    whole = bytearray(gzip.compress(tar_of(*((f"{i}.json", b"1" * 700) for i in range(9))), 0))
    whole[9000] ^= 1  # in a header or in a file: the checksum tells
    with pytest.raises(ValueError, match=r"archive: "):
        read(put(bytes(whole), packed=False))


def test_zip_methods_that_may_take_any_memory_and_secrets(tmp_path):
    for method in (zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2):
        with pytest.raises(ValueError, match=r"a\.json is packed in a rare way"):
            read(zip_of(tmp_path / "x.zip", {"a.json": b"1"}, method))
    path = zip_of(tmp_path / "x.zip", {"a.json": b"1"})
    content = bytearray(path.read_bytes())
    for mark, offset in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        content[content.index(mark) + offset] |= 1  # encrypted
    path.write_bytes(content)
    with pytest.raises(ValueError, match="cannot be read"):
        read(path)


@pytest.mark.parametrize(
    "content", [b"", b"PK", b"\x1f\x8b", b"text", b"\x1f\x8b\x08\0" + b"1" * 9]
)
def test_what_is_not_an_archive(put, content):
    with pytest.raises(ValueError, match=r"archive: "):
        read(put(content, packed=False))


def test_what_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "nothing")
