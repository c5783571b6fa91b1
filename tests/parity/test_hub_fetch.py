"""Fetching with the real huggingface_hub, from a small server on the loopback address."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from minigpt import GPT, BPETokenizer, GPTConfig
from tests.parity.hub_server import COMMIT, Hub, serving
from tests.tokenizers.files.written import tokenizer_json

pytest.importorskip(
    "huggingface_hub", reason='huggingface_hub is not installed: pip install -e ".[hf]"'
)

SIZES = {"vocab_size": 13, "block_size": 8, "n_layer": 2, "n_head": 2, "n_embd": 12}
# huggingface_hub reads its settings when it is imported: each fetch has a process of its own.
LOAD = """
import json, sys, minigpt
try:
    model = minigpt.GPT.from_pretrained(sys.argv[1])
    ids = None
    if len(sys.argv) > 2:
        folder = minigpt.interop.pretrained_folder(sys.argv[1])
        ids = minigpt.load_tokenizer(folder).encode(sys.argv[2], "all")
except Exception as error:
    kinds = [kind.__name__ for kind in type(error).__mro__]
    print(json.dumps({"kinds": kinds, "error": str(error)}))
else:
    print(json.dumps({"first": model.token_embedding.weight.data[0].tolist(), "ids": ids}))
"""


@pytest.fixture(scope="module")
def model():
    return GPT(GPTConfig(**SIZES), seed=3)


@pytest.fixture
def hub(model, tmp_path):
    """A server with a GPT-2, and files beside it that nobody needs."""
    model.save_pretrained(tmp_path / "original")
    files = {path.name: path.read_bytes() for path in (tmp_path / "original").iterdir()}
    files |= {"vocab.json": b"{}", "merges.txt": b"#version: 0.2\n"}
    files |= {"pytorch_model.bin": b"no", "tf_model.h5": b"no", "README.md": b"no"}
    with serving(Hub(files)) as hub:
        yield hub


@pytest.fixture
def load(hub, tmp_path, model):
    """A function that loads a model in a new process, and gives what it said."""

    def load(name="me/tiny", text=None, **settings):
        unset = ("HF_TOKEN", "HF_HUB_CACHE", "HF_HUB_OFFLINE", "http_proxy", "HTTP_PROXY")
        environment = {key: value for key, value in os.environ.items() if key not in unset}
        environment |= {"HF_ENDPOINT": hub.endpoint, "HF_HOME": str(tmp_path / "home")}
        command = [sys.executable, "-c", LOAD, name, *([] if text is None else [text])]
        run = subprocess.run(
            command, env=environment | settings, cwd=tmp_path, capture_output=True, timeout=120
        )
        assert run.returncode == 0, run.stderr.decode()
        return json.loads(run.stdout)

    return load


def is_right(answer, model):
    np.testing.assert_array_equal(
        np.array(answer["first"], np.float32), model.token_embedding.weight.data[0]
    )


def test_a_repository_is_fetched_once_and_only_what_is_needed(hub, load, model):
    is_right(load(), model)
    assert sorted(hub.fetched()) == ["config.json", "merges.txt", "model.safetensors", "vocab.json"]
    hub.requests.clear()
    is_right(load(), model)
    assert hub.fetched() == []
    hub.requests.clear()
    is_right(load(HF_HUB_OFFLINE="1"), model)
    assert not any(name for _, name, _ in hub.requests)


def test_a_name_without_an_owner_and_no_tokenizer(hub, load, model):
    del hub.files["vocab.json"], hub.files["merges.txt"]
    is_right(load("gpt2"), model)
    assert sorted(hub.fetched()) == ["config.json", "model.safetensors"]


@pytest.mark.parametrize("kind", ["tokenizer.json", "vocab.json and merges.txt"])
def test_the_tokenizer_comes_with_all_that_belongs_to_it(hub, load, model, tmp_path, kind):
    tokenizer = BPETokenizer.train("to be or not to be", 258, ["<s>"], progress=False)
    tokenizer.to_gpt2(tmp_path / "t")
    del hub.files["vocab.json"], hub.files["merges.txt"]
    hub.files |= {"added_tokens.json": b'{"<sep>": 258}', "tokenizer_config.json": b"{}"}
    hub.files["special_tokens_map.json"] = b'{"pad_token": "<pad>", "bos_token": "<s>"}'
    if kind == "tokenizer.json":
        hub.files[kind] = json.dumps(tokenizer_json(tokenizer)).encode()
    else:
        for name in ("vocab.json", "merges.txt"):
            hub.files[name] = (tmp_path / "t" / name).read_bytes()
    for settings in ({}, {"HF_HUB_OFFLINE": "1"}):
        answer = load(text="a<sep>b<pad><s>", **settings)
        assert answer.get("ids") == [97, 258, 98, 259, 257], answer


def test_a_file_that_fails_is_not_one_that_is_not_there(hub, load, model):
    hub.failing = {"added_tokens.json"}
    fails(load(), "HubError", "me/tiny")
    hub.failing = set()
    is_right(load(), model)


def test_shards(hub, load, model):
    content = hub.files.pop("model.safetensors")
    names = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    del names["__metadata__"]
    one = "model-00001-of-00001.safetensors"
    hub.files |= {
        one: content,
        "model.safetensors.index.json": json.dumps(
            {"metadata": {}, "weight_map": dict.fromkeys(names, one)}
        ).encode(),
    }
    is_right(load(), model)
    assert one in hub.fetched()
    is_right(load(HF_HUB_OFFLINE="1"), model)


def fails(answer, kind, *parts):
    assert "error" in answer, answer
    assert kind in answer["kinds"] and "OSError" in answer["kinds"]
    assert "\n" not in answer["error"]
    for part in parts:
        assert part in answer["error"]


def test_a_missing_repository(hub, load):
    answer = load("me/missing")
    fails(answer, "HubError", "no folder me/missing, and no repository of that name", hub.endpoint)


def test_offline_and_not_in_the_cache(hub, load, tmp_path):
    answer = load(HF_HUB_OFFLINE="1")
    fails(answer, "HubError", "me/tiny is not in the cache", str(tmp_path), "HF_HUB_OFFLINE is set")
    assert not any(name for _, name, _ in hub.requests)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_repository_of_something_else(hub, load, name):
    del hub.files[name]
    fails(load(), "HubError", "me/tiny", "minigpt does not read such a model")


def test_a_broken_download_is_resumed(hub, load, tmp_path):
    # More than a block of 10 MB, so that there is something to go on from.
    model = GPT(GPTConfig(vocab_size=7, block_size=8, n_layer=1, n_head=1, n_embd=512), seed=4)
    model.save_pretrained(tmp_path / "large")
    for name in ("config.json", "model.safetensors"):
        hub.files[name] = (tmp_path / "large" / name).read_bytes()
    size = len(hub.files["model.safetensors"])
    hub.break_at["model.safetensors"] = size - 100_000
    answer = load()
    if "error" in answer:  # older clients go on when they are called again
        fails(answer, "HubError", "could not fetch me/tiny")
        answer = load()
    is_right(answer, model)
    ranges = [wanted for _, name, wanted in hub.requests if name == "model.safetensors"]
    (resumed,) = (wanted for wanted in ranges if wanted)
    assert 1_000_000 < int(resumed.removeprefix("bytes=").removesuffix("-")) < size


@pytest.mark.parametrize("difference", [-7, 1000])
def test_a_wrong_size(hub, load, model, difference):
    size = len(hub.files["model.safetensors"])
    hub.announced["model.safetensors"] = size + difference
    answer = load()
    fails(answer, "HubError", "could not fetch me/tiny", f"should be of size {size + difference}")
    hub.announced.clear()
    is_right(load(), model)


def test_a_damaged_file_on_the_server(hub, load):
    hub.files["model.safetensors"] = hub.files["model.safetensors"][:-4]
    fails(load(), "PretrainedError", COMMIT, "model.safetensors", "it is cut off or damaged")


def test_an_index_that_names_a_file_outside(hub, load):
    del hub.files["model.safetensors"]
    hub.files["model.safetensors.index.json"] = json.dumps(
        {"weight_map": {"wte.weight": "../../x.safetensors"}}
    ).encode()
    fails(load(), "PretrainedError", "index.json", "'../../x.safetensors': expected")
    assert not any("x.safetensors" in name for name in hub.fetched())
