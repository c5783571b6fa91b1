"""What is a folder, what is a name, and what a name needs; tests/parity fetches from a server."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from minigpt import GPT
from minigpt.interop import PretrainedError, hub, pretrained_folder


@pytest.fixture
def fetched(monkeypatch):
    """The names that would be fetched."""
    names = []

    def fetch(name, weights=True):
        names.append(name)
        return Path("somewhere")

    monkeypatch.setattr(hub, "fetch", fetch)
    return names


def test_a_folder_comes_first(tmp_path, monkeypatch, fetched):
    monkeypatch.chdir(tmp_path)
    for name in ("gpt2", "owner/name", "any name at all"):
        (tmp_path / name).mkdir(parents=True)
        assert pretrained_folder(name) == Path(name)
        assert pretrained_folder(Path(name)) == Path(name)
        assert pretrained_folder(tmp_path / name) == tmp_path / name
    assert fetched == []


@pytest.mark.parametrize(
    "name", [*hub.PUBLISHED, "openai-community/gpt2", "a/b", "Some.One/a_model-2.0"]
)
def test_names(tmp_path, monkeypatch, fetched, name):
    monkeypatch.chdir(tmp_path)
    assert pretrained_folder(name) == Path("somewhere")
    assert fetched == [name]


@pytest.mark.parametrize(
    "name",
    [
        "gpt3", "gpt2 ", "./gpt2", "a/b/c", "/a/b", "../a", "a/../b", "a\\b", "a/", "a/b\n",
        "~/x", "https://huggingface.co/gpt2", "a/-b", Path("gpt2"), Path("a/b"),
    ],
)  # fmt: skip
def test_what_is_neither(tmp_path, monkeypatch, fetched, name):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        FileNotFoundError, match=r"no folder .*, and no model has that name: known are"
    ):
        pretrained_folder(name)
    assert fetched == []


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "folder_or_name must be a path: got ''"),
        ("x\0y", "a path without NUL characters"),
        ("\ud800", "a path without lone surrogates"),
        ("gpt2/" + "x" * 300, r"a path of names of at most 255 bytes: got 'gpt2/x{74}…$"),
    ],
)
def test_what_no_file_system_can_hold(fetched, name, message):
    with pytest.raises(ValueError, match=message):
        pretrained_folder(name)
    assert fetched == []


def test_a_file_in_place_of_its_folder(tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(PretrainedError, match="it is a file: pass the folder that it is in"):
        pretrained_folder(tmp_path / "model.safetensors")


@pytest.mark.parametrize("wrong", [None, 3, b"gpt2", ["gpt2"]])
def test_what_is_no_path(wrong):
    with pytest.raises(TypeError, match="folder_or_name must be a str or a path: got"):
        pretrained_folder(wrong)


def test_without_the_extra_one_line_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(
        ImportError, match=r'^\'gpt2\' is not a folder here.*pip install "minigpt\[hf\]"$'
    ):
        GPT.from_pretrained("gpt2")
