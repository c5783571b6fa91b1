from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from minigpt.checkpoints import CheckpointError, latest_checkpoint, load_checkpoint, save_checkpoint

ARRAYS = {
    "model/w": np.arange(6, dtype=np.float32).reshape(2, 3),
    "model/blocks.0.b": np.array(2.5),
    "empty": np.zeros((0, 4), np.int64),
    "fortran": np.asfortranarray(np.arange(12.0).reshape(3, 4)),
    "flags": np.array([True, False]),
}
METADATA = {"step": 3, "text": "häß", "nested": {"list": [1, 2.5, None]}, "large": 2**127}


def test_round_trip(tmp_path: Path) -> None:
    path = save_checkpoint(tmp_path / "a.npz", ARRAYS, METADATA)
    loaded = load_checkpoint(path)
    assert loaded.metadata == METADATA
    assert loaded.arrays.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(loaded.arrays[name], array, strict=True)
    assert os.listdir(tmp_path) == ["a.npz"]


def test_numpy_reads_it(tmp_path: Path) -> None:
    path = save_checkpoint(tmp_path / "a.npz", ARRAYS, METADATA)
    with np.load(path, allow_pickle=False) as archive:
        np.testing.assert_array_equal(archive["model/w"], ARRAYS["model/w"])


@given(
    array=hnp.arrays(
        dtype=st.sampled_from(["?", "i1", "<u2", "<i8", "<f4", "<f8", ">f4", "<c8"]),
        shape=hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
    )
)
def test_any_array_of_numbers_comes_back(tmp_path_factory, array) -> None:
    path = tmp_path_factory.mktemp("any") / "a.npz"
    save_checkpoint(path, {"x": array}, {})
    back = load_checkpoint(path).arrays["x"]
    assert (back.dtype, back.shape) == (array.dtype, array.shape)
    assert back.tobytes() == array.tobytes()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A whole checkpoint, and a later one to break."""
    small = {"model/w": np.arange(6, dtype=np.float32)}
    save_checkpoint(tmp_path / "step-00000010.npz", small, {"step": 10})
    save_checkpoint(tmp_path / "step-00000020.npz", small, {"step": 20})
    return tmp_path


def refused(folder: Path) -> CheckpointError:
    broken = folder / "step-00000020.npz"
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(broken)
    assert str(broken) in str(caught.value)
    assert caught.value.previous == folder / "step-00000010.npz"
    assert str(caught.value.previous) in str(caught.value)
    return caught.value


def test_cut_off_at_any_length_is_refused(folder: Path) -> None:
    broken = folder / "step-00000020.npz"
    whole = broken.read_bytes()
    for length in range(len(whole)):
        broken.write_bytes(whole[:length])
        refused(folder)


def test_any_flipped_bit_is_refused(folder: Path, rng: np.random.Generator) -> None:
    broken = folder / "step-00000020.npz"
    whole = broken.read_bytes()
    for position, bit in enumerate(rng.integers(0, 8, len(whole))):
        altered = bytearray(whole)
        altered[position] ^= 1 << bit
        broken.write_bytes(altered)
        refused(folder)


def test_bytes_added_or_swapped_are_refused(folder: Path) -> None:
    broken = folder / "step-00000020.npz"
    whole = broken.read_bytes()
    for altered in (whole + b"\0", b"\0" + whole, whole[::-1], b"", os.urandom(len(whole))):
        broken.write_bytes(altered)
        refused(folder)


def test_the_error_says_what_is_wrong(folder: Path) -> None:
    broken = folder / "step-00000020.npz"
    whole = broken.read_bytes()
    broken.write_bytes(whole[:500])
    assert "cut off (it has 500 bytes)" in str(refused(folder))
    broken.write_bytes(whole[:300] + b"!" + whole[301:])
    assert "do not match its checksum" in str(refused(folder))
    broken.write_bytes(b"")
    assert "empty" in str(refused(folder))


def test_nothing_is_offered_where_nothing_is_whole(tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_bytes(b"PK")
    (tmp_path / "step-00000001.npz").write_bytes(b"PK")
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(tmp_path / "a.npz")
    assert caught.value.previous is None


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load_checkpoint(tmp_path / "no.npz")
    with pytest.raises(CheckpointError, match="not a file"):
        load_checkpoint(tmp_path)


@pytest.mark.parametrize(
    ("arrays", "metadata", "error", "message"),
    [
        ({"x": np.array([object()])}, {}, ValueError, "must be of numbers: got an object array"),
        ({"x": np.array(["a"])}, {}, ValueError, "must be of numbers"),
        ({"x": np.zeros(2, [("a", "f4")])}, {}, ValueError, "must be of numbers"),
        ({"x": [1, 2]}, {}, TypeError, r"must be a NumPy array: got \[1, 2\]"),
        ({"": np.zeros(1)}, {}, ValueError, "cannot name"),
        ({"file": np.zeros(1)}, {}, ValueError, "cannot name"),
        ({"a\\b": np.zeros(1)}, {}, ValueError, "cannot name"),
        ({"a\0b": np.zeros(1)}, {}, ValueError, "cannot name"),
        ({"__metadata__": np.zeros(1)}, {}, ValueError, "cannot name"),
        ({}, {"x": {1, 2}}, TypeError, "JSON"),
        ({}, {"x": float("nan")}, ValueError, "JSON"),
    ],
)
def test_what_cannot_be_stored(tmp_path: Path, arrays, metadata, error, message) -> None:
    with pytest.raises(error, match=message):
        save_checkpoint(tmp_path / "a.npz", arrays, metadata)
    assert os.listdir(tmp_path) == []


def test_the_path_must_name_an_npz_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"model\.npz"):
        save_checkpoint(tmp_path / "model", {}, {})
    (tmp_path / "a.npz").mkdir()
    with pytest.raises(IsADirectoryError, match="is a folder"):
        save_checkpoint(tmp_path / "a.npz", {}, {})
    with pytest.raises(FileNotFoundError, match="no does not exist: make it first"):
        save_checkpoint(tmp_path / "no" / "a.npz", {}, {})


@pytest.mark.parametrize("function", ["fsync", "replace"])
def test_a_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch, function) -> None:
    path = save_checkpoint(tmp_path / "a.npz", {}, {"step": 1})
    before = path.read_bytes()

    def full(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, function, full)
    with pytest.raises(OSError, match=r"No space left on device.*kept") as caught:
        save_checkpoint(path, ARRAYS, {"step": 2})
    assert caught.value.errno == errno.ENOSPC
    assert caught.value.filename == str(path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["a.npz"]


def test_an_interrupted_write_leaves_the_old_file(tmp_path: Path, monkeypatch) -> None:
    path = save_checkpoint(tmp_path / "a.npz", {}, {"step": 1})
    monkeypatch.setattr(np, "savez", lambda *a, **k: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        save_checkpoint(path, ARRAYS, {"step": 2})
    assert load_checkpoint(path).metadata == {"step": 1}
    assert os.listdir(tmp_path) == ["a.npz"]


# ── the newest whole one ──────────────────────────────────────────────────────────────────────


def test_latest_goes_by_the_step_and_not_by_the_clock(folder: Path) -> None:
    os.utime(folder / "step-00000010.npz")
    assert latest_checkpoint(folder).name == "step-00000020.npz"
    save_checkpoint(folder / "mine.npz", {}, {"step": 25})
    save_checkpoint(folder / "best.npz", {}, {"step": 24})
    assert latest_checkpoint(folder).name == "mine.npz"


def test_latest_passes_over_broken_ones_and_says_so(folder: Path) -> None:
    (folder / "step-00000020.npz").write_bytes(b"half")
    (folder / "step-123456789.npz").write_bytes(b"")
    with pytest.warns(UserWarning, match=r"step-123456789\.npz, step-00000020\.npz"):
        assert latest_checkpoint(folder).name == "step-00000010.npz"


def test_latest_is_not_disturbed_by_other_files(folder: Path) -> None:
    np.savez(folder / "tokens.npz", x=np.zeros(3))
    (folder / "notes.npz").write_text("no archive")
    (folder / ".step-00000030.npz.0a1b2c3d.minigpt-tmp").write_bytes(b"half")
    (folder / "step-00000030.npz.bak").write_bytes(b"half")
    assert latest_checkpoint(str(folder)).name == "step-00000020.npz"


def test_latest_of_nothing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no checkpoint in"):
        latest_checkpoint(tmp_path)
    with pytest.raises(FileNotFoundError, match="no folder"):
        latest_checkpoint(tmp_path / "no")
    (tmp_path / "step-00000020.npz").write_bytes(b"half")
    with pytest.raises(CheckpointError, match=r"none .* whole: step-00000020"):
        latest_checkpoint(tmp_path)
