"""Files made to do harm, with an unbroken seal: each must be refused before it takes memory."""

from __future__ import annotations

import hashlib
import io
import struct
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

from minigpt.checkpoints import CheckpointError, latest_checkpoint, load_checkpoint, save_checkpoint
from minigpt.checkpoints.archive import is_whole, read_metadata
from tests.training.tiny import resume, trainer


def npy(array: np.ndarray, allow_pickle: bool = False) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array(file, array, allow_pickle=allow_pickle)
    return file.getvalue()


def announcing(shape: tuple[int, ...], dtype: str = "<f8", body: bytes = b"") -> bytes:
    """An array whose header promises more than there is."""
    file = io.BytesIO()
    header = {"descr": dtype, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
    return file.getvalue() + body


def with_header(header: bytes) -> bytes:
    """An array whose header is whatever."""
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header


GOOD = {"__metadata__.npy": npy(np.frombuffer(b'{"step":1}', np.uint8))}


def archive(members: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as out:
        for name, content in members.items():
            out.writestr(name, content)
    return file.getvalue()


def sealed(content: bytes) -> bytes:
    """The seal that any file can be given: it proves nothing about its maker."""
    content = content[:-2] + struct.pack("<H", 79)
    return content + b"minigpt sha256 " + hashlib.sha256(content).hexdigest().encode()


def write(tmp_path: Path, content: bytes) -> Path:
    path = tmp_path / "hostile.npz"
    path.write_bytes(sealed(content))
    return path


def test_the_seal_of_these_tests_is_the_library_s(tmp_path: Path) -> None:
    path = write(tmp_path, archive({**GOOD, "x.npy": npy(np.ones(2))}))
    assert load_checkpoint(path).metadata == {"step": 1}
    assert is_whole(path)


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"x.npy": announcing((2**40,))}, "announces float64"),
        ({"x.npy": announcing((2**70,))}, "announces"),
        ({"x.npy": announcing((-1,))}, "shape"),
        ({"x.npy": announcing((0, 2**62), body=b"1234")}, "announces"),
        ({"x.npy": npy(np.array([{"a": 1}]), allow_pickle=True)}, "not of numbers"),
        ({"x.npy": announcing((1,), "|S99999999", b"x")}, "not of numbers"),
        ({"x.npy": b"\x93NUMPY\x01\x00\xff\xff{'descr'"}, "cannot be read"),
        ({"x.npy": b"\x93NUMPY\x09\x00"}, "unknown format"),
        ({"x.npy": b"nothing"}, "cannot be read"),
        ({"x.npy": b""}, "cannot be read"),
        ({"x": npy(np.ones(1))}, "twice, or is not an array"),
        ({"__metadata__.npy": npy(np.frombuffer(b"[1]", np.uint8))}, "not a JSON object"),
        ({"__metadata__.npy": npy(np.frombuffer(b"{", np.uint8))}, "not JSON"),
        ({"__metadata__.npy": npy(np.frombuffer(b"[" * 100_000, np.uint8))}, "nested too deeply"),
        ({"__metadata__.npy": npy(np.frombuffer(b'{"step": 1e400}', np.uint8))}, "1e400 is more"),
        ({"x.npy": with_header(b"~" * 5976)}, "no sensible header"),
        ({"x.npy": with_header(b"(" * 5976)}, "no sensible header|cannot be read"),
        ({"__metadata__.npy": npy(np.frombuffer(b"\xff\xfe\xff", np.uint8))}, "not JSON"),
        ({"__metadata__.npy": npy(np.zeros((2, 2)))}, "not stored as bytes"),
    ],
)
def test_members_that_lie(tmp_path: Path, members, message) -> None:
    path = write(tmp_path, archive({**GOOD, **members}))
    tracemalloc.start()
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 32 << 20


def test_without_metadata(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="holds no metadata"):
        load_checkpoint(write(tmp_path, archive({"x.npy": npy(np.ones(1))})))
    with pytest.raises(CheckpointError, match="holds no metadata"):
        read_metadata(tmp_path / "hostile.npz")


def test_too_many_members_are_refused_at_once(tmp_path: Path, monkeypatch) -> None:
    content = archive({**GOOD, **{f"{n}.npy": b"" for n in range(60_000)}})
    opened = []
    monkeypatch.setattr(zipfile.ZipFile, "open", lambda *a, **k: opened.append(1))
    with pytest.raises(CheckpointError, match=r"claims (60001 arrays, 20000 are|\d+ bytes)"):
        load_checkpoint(write(tmp_path, content))
    assert not opened
    with pytest.raises(ValueError, match="20000 arrays are more than"):
        save_checkpoint(tmp_path / "a.npz", {str(n): np.zeros(0) for n in range(20_000)}, {})
    assert not (tmp_path / "a.npz").exists()


@pytest.mark.parametrize(
    "stray",
    [
        {"__metadata__.npy": npy(np.frombuffer(b'{"step": 1e400}', np.uint8))},
        {"__metadata__.npy": npy(np.frombuffer(b'{"step": "x"}', np.uint8))},
        {"__metadata__.npy": npy(np.frombuffer(b'{"step": true}', np.uint8))},
        {"__metadata__.npy": with_header(b"~" * 5976)},
    ],
)
def test_a_stray_file_beside_a_run_does_not_disturb_it(tmp_path: Path, stray) -> None:
    trainer(checkpoint_dir=tmp_path, max_steps=2).fit()
    (tmp_path / "other.npz").write_bytes(sealed(archive(stray)))
    assert latest_checkpoint(tmp_path).name == "step-00000002.npz"
    assert resume(tmp_path).step == 2


def test_a_compression_bomb_is_refused(tmp_path: Path) -> None:
    content = archive({**GOOD, "x.npy": npy(np.zeros(10**6))}, zipfile.ZIP_DEFLATED)
    with pytest.raises(CheckpointError, match="is compressed"):
        load_checkpoint(write(tmp_path, content))


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_doubled_and_encrypted_members_are_refused(tmp_path: Path) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as out:
        for _ in range(2):
            out.writestr("x.npy", npy(np.ones(1)))
    with pytest.raises(CheckpointError, match="twice"):
        load_checkpoint(write(tmp_path, file.getvalue()))
    content = bytearray(archive(GOOD))
    content[content.index(b"PK\1\2") + 8] |= 1
    with pytest.raises(CheckpointError, match="encrypted"):
        load_checkpoint(write(tmp_path, bytes(content)))


def test_a_directory_that_lies_is_refused(tmp_path: Path) -> None:
    content = archive({**GOOD, "x.npy": npy(np.ones(4))})
    entry = content.index(b"PK\1\2")
    for offset in (20, 24):  # the compressed and the real size of the first member
        lying = bytearray(content)
        lying[entry + offset : entry + offset + 4] = struct.pack("<L", 2**31)
        with pytest.raises(CheckpointError):
            load_checkpoint(write(tmp_path, bytes(lying)))
    for field, value in ((12, 2**32 - 1), (12, 0), (12, 45), (16, 2**31)):
        lying = bytearray(content)
        at = content.index(b"PK\5\6") + field  # the directory's size, and where it begins
        lying[at : at + 4] = struct.pack("<L", value)
        with pytest.raises(CheckpointError):
            load_checkpoint(write(tmp_path, bytes(lying)))
    overlapping = bytearray(content)  # two entries that share the bytes of one member
    second = content.index(b"PK\1\2", entry + 4)
    overlapping[second + 42 : second + 46] = overlapping[entry + 42 : entry + 46]
    with pytest.raises(CheckpointError):
        load_checkpoint(write(tmp_path, bytes(overlapping)))


def test_other_files_are_no_checkpoints(tmp_path: Path) -> None:
    np.savez(tmp_path / "plain.npz", x=np.ones(3))
    with pytest.raises(CheckpointError, match="not a checkpoint of minigpt"):
        load_checkpoint(tmp_path / "plain.npz")
    for content in (b"", b"#!/bin/sh\n" * 50, bytes(10_000), sealed(b"PK\5\6" + bytes(18))):
        (tmp_path / "a.npz").write_bytes(content)
        with pytest.raises(CheckpointError):
            load_checkpoint(tmp_path / "a.npz")
