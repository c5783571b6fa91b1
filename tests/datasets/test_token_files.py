"""Token files: written as a stream, mapped, and never trusted."""

from __future__ import annotations

import os
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigpt.datasets import (
    RandomBatches,
    TokenFileError,
    open_tokens,
    token_dtype,
    token_writer,
    train_val_split,
    write_tokens,
)


@given(
    ids=st.lists(st.integers(0, 65_535), min_size=1),
    vocab_size=st.sampled_from([65_536, 65_537, 2**32]),
    form=st.sampled_from(["list", "iterator", "array", "arrays", "lists"]),
)
def test_what_was_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, ids: list[int], vocab_size: int, form: str
) -> None:
    path = tmp_path_factory.mktemp("tokens") / "t.npy"
    forms: dict[str, Any] = {
        "list": ids,
        "iterator": iter(ids),
        "array": np.array(ids),
        "arrays": (np.array(part, dtype=np.int64) for part in (ids[:3], ids[3:])),
        "lists": iter([ids[:1], ids[1:]]),
    }
    assert write_tokens(path, forms[form], vocab_size) == len(ids)
    tokens = open_tokens(path)
    assert tokens.dtype == token_dtype(vocab_size) and tokens.tolist() == ids
    assert np.array_equal(np.load(path, allow_pickle=False), ids)
    assert isinstance(tokens, np.memmap) and not tokens.flags.writeable


def test_the_type_follows_the_vocabulary() -> None:
    assert token_dtype(1) == token_dtype(65_536) == np.dtype("<u2")
    assert token_dtype(65_537) == token_dtype(2**32) == np.dtype("<u4")
    with pytest.raises(ValueError, match="uint32 ids cannot tell more apart"):
        token_dtype(2**32 + 1)
    with pytest.raises(ValueError, match="must be an integer from 1 to 4294967296: got 0"):
        token_dtype(0)


def test_a_file_of_numpy_is_a_token_file(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.arange(5, dtype=np.uint16))
    assert open_tokens(tmp_path / "a.npy").tolist() == [0, 1, 2, 3, 4]


def test_a_longer_stream_takes_no_more_memory(tmp_path: Path) -> None:
    def peak(count: int) -> int:
        tracemalloc.start()
        write_tokens(tmp_path / "t.npy", (i & 0xFFFF for i in range(count)), 65_536)
        highest = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return highest

    assert peak(500_000) < 1.2 * peak(150_000)
    tokens = open_tokens(tmp_path / "t.npy")
    assert len(tokens) == 150_000 and int(tokens[65_537]) == 1


def test_batches_read_a_map_only_where_they_draw(tmp_path: Path) -> None:
    """A file of 8 GB (sparse: nothing of it is on disk) gives batches at once."""
    path = tmp_path / "large.npy"
    write_tokens(path, [1], 10)
    count = 4_000_000_000
    data = path.read_bytes()
    header = data[:128].replace(b"(1,)", b"(4000000000,)").replace(b" " * 9 + b"\n", b"\n")
    assert len(header) == 128
    try:
        with open(path, "wb") as file:
            file.write(header)
            file.truncate(128 + 2 * count)
    except OSError:
        pytest.skip("this disk has no sparse files of that size")
    if getattr(os.stat(path), "st_blocks", 1 << 30) * 512 > 1_000_000:
        pytest.skip("this disk has no sparse files")
    train, val = train_val_split(open_tokens(path), 0.1)
    assert len(train) + len(val) == count
    tracemalloc.start()
    ids, targets = RandomBatches(train, 64, 12, seed=0).next_batch()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert ids.shape == targets.shape == (12, 64) and not ids.any()
    assert peak < 1_000_000


@pytest.mark.parametrize(
    ("ids", "error", "message"),
    [
        ([], ValueError, "no tokens to write"),
        (np.array([], dtype=np.uint16), ValueError, "no tokens to write"),
        ([1, 2, 10], ValueError, "id 10 at position 2 is not between 0 and 9, vocab_size=10"),
        ([1, -1], ValueError, "id -1 at position 1"),
        ([2**70], TypeError, "ids must be integers"),
        ([1.0], TypeError, "ids must be integers: got a float64"),
        ([True], TypeError, "ids must be integers: got a bool"),
        (["a"], TypeError, "ids must be integers"),
        ("text", TypeError, "encode the text first"),
        (5, TypeError, "one after the other: got 5"),
        (
            np.zeros((2, 2), int),
            ValueError,
            r"ids must be 1-D: got an int64 array of shape \(2, 2\)",
        ),
        ([np.array([1, 2]), np.array([3, 300], np.uint16)], ValueError, "id 300 at position 3"),
    ],
)
def test_wrong_ids_leave_the_old_file(
    tmp_path: Path, ids: Any, error: type[Exception], message: str
) -> None:
    path = tmp_path / "t.npy"
    write_tokens(path, [7], 10)
    with pytest.raises(error, match=message):
        write_tokens(path, ids, 10)
    assert open_tokens(path).tolist() == [7]
    assert os.listdir(tmp_path) == ["t.npy"]


def test_ctrl_c_leaves_nothing_half(tmp_path: Path) -> None:
    path = tmp_path / "t.npy"
    with pytest.raises(KeyboardInterrupt), token_writer(path, 10) as writer:
        writer.write([1, 2, 3])
        raise KeyboardInterrupt
    assert os.listdir(tmp_path) == []


def test_where_it_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere does not exist: make it first"):
        write_tokens(tmp_path / "nowhere" / "t.npy", [1], 10)
    with pytest.raises(IsADirectoryError, match="is a folder"):
        write_tokens(tmp_path, [1], 10)


def header(text: str, version: bytes = b"\x01\x00") -> bytes:
    body = text.encode("latin-1").ljust(117) + b"\n"
    return b"\x93NUMPY" + version + len(body).to_bytes(2, "little") + body


GOOD = "{'descr': '<u2', 'fortran_order': False, 'shape': (2,), }"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is not a token file"),
        (b"\x93NUM", "is not a token file"),
        (b"PK\x03\x04 a zip archive", "is not a token file"),
        (header(GOOD, b"\x02\x00") + b"1234", "is not a token file"),
        (b"\x93NUMPY\x01\x00\xff\xff", "damaged header"),
        (header("{'descr': '<u2'") + b"1234", "damaged header"),
        (header("__import__('os').system('true')") + b"1234", "damaged header"),
        (header("(" * 110) + b"1234", "damaged header"),
        (header(GOOD.replace("<u2", "|O")) + b"1234", "of type '|O'"),
        (header(GOOD.replace("<u2", "<f4")) + b"12345678", "of type '<f4'"),
        (header(GOOD.replace("<u2", "<i8")) + b"1234", "of type '<i8'"),
        (header(GOOD.replace("<u2", ">u2")) + b"1234", "of type '>u2'"),
        (header(GOOD.replace("(2,)", "(1, 2)")) + b"1234", "tokens are 1-D"),
        (header(GOOD.replace("(2,)", "()")) + b"12", "tokens are 1-D"),
        (header(GOOD.replace("(2,)", "(-2,)")) + b"1234", "damaged header"),
        (header(GOOD.replace("(2,)", "(0,)")), "holds no tokens"),
        (header(GOOD.replace("(2,)", "(999999999999999999,)")) + b"1234", "it is cut off"),
        (header(GOOD.replace("(2,)", "(9999999999999999999999,)")) + b"1234", "tokens are 1-D"),
        (header(GOOD) + b"123", "it is cut off"),
        (header(GOOD) + b"12345", "there is more after the tokens"),
    ],
)
def test_hostile_files(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "bad.npy"
    path.write_bytes(data)
    with pytest.raises(TokenFileError, match=message) as caught:
        open_tokens(path)
    assert "bad.npy" in str(caught.value)


@given(cut=st.integers(0, 135), place=st.integers(0, 127), byte=st.integers(0, 255))
def test_damaged_files_are_refused_or_sound(
    tmp_path_factory: pytest.TempPathFactory, cut: int, place: int, byte: int
) -> None:
    """Whatever a byte of the header becomes, what is opened has the size that the file has."""
    path = tmp_path_factory.mktemp("damaged") / "t.npy"
    write_tokens(path, [1, 2, 3, 4], 10)
    whole = path.read_bytes()
    path.write_bytes(whole[:cut])
    with pytest.raises(TokenFileError):
        open_tokens(path)
    path.write_bytes(whole[:place] + bytes([byte]) + whole[place + 1 :])
    try:
        tokens = open_tokens(path)
    except TokenFileError:
        return
    assert tokens.nbytes <= 8 and tokens.size in (2, 4)


def test_the_raw_file_of_nanogpt(tmp_path: Path) -> None:
    path = tmp_path / "train.bin"
    np.array([50256, 15496, 995], np.uint16).tofile(path)  # as its prepare.py does
    tokens = open_tokens(path)
    assert tokens.dtype == np.uint16 and tokens.tolist() == [50256, 15496, 995]
    assert not tokens.flags.writeable
    write_tokens(path, [1, 2, 3], 10)  # ours under that name stays ours
    assert open_tokens(path).tolist() == [1, 2, 3]


@pytest.mark.parametrize(("data", "message"), [(b"", "is empty"), (b"abc", "an odd number")])
def test_a_raw_file_that_is_none(tmp_path: Path, data: bytes, message: str) -> None:
    (tmp_path / "train.bin").write_bytes(data)
    with pytest.raises(TokenFileError, match=message):
        open_tokens(tmp_path / "train.bin")
    (tmp_path / "train").write_bytes(b"1234")  # by its name only
    with pytest.raises(TokenFileError, match="is not a token file"):
        open_tokens(tmp_path / "train")


def test_objects_are_never_unpickled(tmp_path: Path) -> None:
    np.save(tmp_path / "o.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(TokenFileError, match=r"of type '\|O'"):
        open_tokens(tmp_path / "o.npy")


def test_what_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        open_tokens(tmp_path / "absent.npy")
    with pytest.raises(TokenFileError, match="is not a regular file"):
        open_tokens(tmp_path)
