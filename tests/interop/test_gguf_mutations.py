"""Damaged GGUF files: an error or another sound file; never a crash, a hang, or memory for nothing.

Here the memory is held to what a file's own numbers take; all loaders, and less strictly, are in
tests/reliability/test_mutated_files.py, by whose mutators the files are damaged.
``MINIGPT_MUTATIONS=100000`` damages a tenth of that of each kind, instead of a few hundred.
"""

from __future__ import annotations

import math
import os
import random
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from minigpt import GPT, BPETokenizer, load_tokenizer
from minigpt.functional.rotary import RotaryScaling, rotary_frequencies
from minigpt.interop import GGUFFile, PretrainedError, find_smollm2
from minigpt.interop.gguf_config import LLAMA3
from minigpt.interop.quantization import FORMATS
from minigpt.tokenizers import TokenizerFileError
from tests.interop.gguf_files import EVERY_VALUE, Tensor, gguf, random_blocks, value, write
from tests.interop.gguf_models import gpt2, llama, model_file, stored
from tests.reliability.mutators import MUTATIONS, in_time, mutated, traced
from tests.tokenizers.files.written import gguf_metadata

FILES = MUTATIONS // 10 or 300  # of each kind
SPARE = 1_000_000  # bytes beyond the file's size and what its numbers take in float32


def is_sound(path: Path, content_bytes: int, memory_map: bool) -> bool:
    """Open a file and read everything in it: whether all of it could be read."""
    sound = False
    with refused_in_time(path):
        with traced(content_bytes + SPARE):
            file = GGUFFile(path, memory_map)
        for name, tensor in file.tensors.items():
            numbers = math.prod(tensor.shape)
            assert numbers < 8 * content_bytes
            with traced(8 * numbers + SPARE):
                assert file.read(name).shape == tensor.shape
        sound = True
    return sound


def test_damaged_files_do_no_harm(tmp_path, rng):
    everything = {
        name: Tensor(name, (2, 256), random_blocks(name, (2, 256), rng).tobytes())
        for name in FORMATS
    }
    aligned = EVERY_VALUE | {"general.alignment": value("uint32", 64)}
    one = {"w": Tensor("F32", (4, 8), rng.normal(size=(4, 8)).astype("<f4").tobytes())}
    originals = [  # with the bytes of their headers
        (gguf(everything, EVERY_VALUE), 1500),
        (gguf(everything, aligned, alignment=64), 1500),
        (gguf(one, {}, version=2), 100),
        (gguf({}, EVERY_VALUE), 900),
    ]
    draw = random.Random(0)
    sound = 0
    for i in range(FILES):
        content = mutated(*draw.choice(originals), draw)
        try:
            path = write(tmp_path / f"{i % 2}.gguf", content)
            mapped = os.name != "nt" and i % 4 < 2  # Windows does not let such a file be replaced
            sound += is_sound(path, len(content), mapped)
        except BaseException:
            print(f"file {i}, kept as {write(tmp_path / f'damaged-{i}.gguf', content)}")
            raise
    assert 0.1 < sound / FILES < 0.5  # the changes are neither too mild nor too wild


def originals_of_models() -> list[tuple[bytes, int]]:
    """Files of small models, one of them with a tokenizer, and the bytes of their headers."""
    tokenizer = BPETokenizer.train("the cat's hat " * 3, 260, ["<|end|>"], progress=False)
    kinds = {list: "[string]", np.ndarray: "[int32]", str: "string"}
    described = {
        key: value(kinds[type(content)], content)
        for key, content in gguf_metadata(tokenizer, "gpt-2").items()
    }
    scaling = RotaryScaling("llama3", 8.0, **LLAMA3)
    factors = rotary_frequencies(8, 500.0) / rotary_frequencies(8, 500.0, scaling)
    factored = {"rope_freqs.weight": stored(factors.astype("<f4"))}
    files = [
        model_file(llama(), "llama", "Q4_0", tensors=factored),
        model_file(llama(tie_head=True, bias=True), "llama", "F32"),
        model_file(llama(qkv_bias=True), "qwen2", "Q8_0"),
        model_file(llama(qk_norm=True, head_width=6), "qwen3", "F16"),
        model_file(gpt2(), "gpt2", "Q4_1"),
        model_file(llama(vocab_size=260), "llama", "F32", described),
    ]
    return [(content, content.rindex(b"output_norm.") + 60) for content in files]


def test_damaged_models_and_tokenizers_do_no_harm(tmp_path):
    originals = originals_of_models()
    draw = random.Random(1)
    models = tokenizers = 0
    for i in range(FILES):
        original = draw.choice([*originals, originals[-1]])
        content = mutated(*original, draw)
        path = write(tmp_path / f"{i % 2}.gguf", content)
        mapped = os.name != "nt" and i % 4 < 2
        try:
            models += is_sound_model(path, len(content), mapped)
            if original is originals[-1]:
                tokenizers += is_sound_tokenizer(path, len(content))
        except BaseException:
            print(f"file {i}, kept as {write(tmp_path / f'damaged-{i}.gguf', content)}")
            raise
    assert 0.05 < models / FILES < 0.5  # the changes are neither too mild nor too wild
    assert 0 < tokenizers / FILES < 0.1


def is_sound_model(path: Path, content_bytes: int, memory_map: bool) -> bool:
    """Load a model and have it read four tokens: whether it could be."""
    sound = False
    with refused_in_time(path):
        with traced(8 * content_bytes + SPARE), warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # weights that are NaN
            model = GPT.from_pretrained(path, memory_map=memory_map)
            if model.config.block_size >= 4:
                assert model(np.arange(4)[None]).shape == (1, 4, model.config.vocab_size)
        sound = True
    return sound


def is_sound_tokenizer(path: Path, content_bytes: int) -> bool:
    """Load a tokenizer and have it encode a text: whether it could be."""
    sound = False
    with refused_in_time(path):
        with traced(100 * content_bytes + SPARE):
            tokenizer = load_tokenizer(path)
            tokenizer.encode("the cat")
        sound = True
    return sound


@contextmanager
def refused_in_time(path: Path) -> Iterator[None]:
    """What is done here is done within two seconds, or refused with an error of that file."""
    with in_time():
        try:
            yield
        except (PretrainedError, TokenizerFileError) as error:
            assert str(error).startswith(str(path)) and len(str(error)) < 700


def test_damaged_headers_of_a_published_file(tmp_path):
    try:
        published = find_smollm2()
    except FileNotFoundError as error:
        pytest.skip(str(error))
    header_bytes = min(tensor.start for tensor in GGUFFile(published).tensors.values())
    with open(published, "rb") as file:
        header = file.read(header_bytes)
    draw = random.Random(0)
    path = tmp_path / "damaged.gguf"
    for _ in range(FILES // 200):
        with open(path, "wb") as file:
            file.write(mutated(header, header_bytes, draw))
            file.truncate(published.stat().st_size)  # zeros, which take no place on the disk
        with refused_in_time(path), traced(10 * header_bytes):  # a short text is 60 bytes as a str
            GGUFFile(path)
