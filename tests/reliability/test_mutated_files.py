"""Damaged files: each is loaded, or refused with the loader's documented error; never a crash.

Nor more than two seconds, nor more memory than twice the files and 64 MB. A plain run damages 20
files for each loader; ``MINIGPT_MUTATIONS=100000`` so many for each. ``fuzz.py`` beside
this file goes on from what the code has been seen to do.
"""

from __future__ import annotations

import json
import random
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.reliability.loaders import LOADERS, Folder, sound_folders
from tests.reliability.mutators import (
    MUTATIONS,
    SECONDS,
    deep,
    in_time,
    limited,
    mutated_file,
    resealed,
    traced,
)  # fmt: skip

FILES = MUTATIONS or 20  # of each loader
SPARE = 64 << 20


def damaged(name: str, draw: random.Random) -> Folder:
    """One of a loader's sound folders with one file changed, or, one in twenty, missing."""
    folder = dict(draw.choice(sound_folders(name)))
    file = draw.choice([n for n in sorted(folder) if n in (LOADERS[name].damage or folder)])
    folder[file] = mutated_file(file, folder[file], draw)
    if draw.random() < 0.05 and len(folder) > 1:
        del folder[draw.choice(sorted(folder))]
    return folder


def put(folder: Folder, path: Path) -> Path:
    """The files, in place of what is in the folder."""
    path.mkdir(exist_ok=True)
    for old in path.iterdir():
        old.unlink()
    for name, content in folder.items():
        (path / name).write_bytes(content)
    return path


def outcome(name: str, path: Path) -> str:
    """Whether it is "loaded" or "refused"; whatever else happens is an error."""
    most = 2 * sum(file.stat().st_size for file in path.iterdir()) + SPARE
    if sys.platform != "linux":
        return "loaded" if counted_attempt(name, path, most) is None else "refused"
    try:
        with in_time(), limited(most - SPARE // 2):
            refusal = attempt(name, path)
            if has_met_the_limit(refusal):
                raise MemoryError
    except Exception:  # what the limit has a part in, and errors: the whole once more, and counted
        refusal = counted_attempt(name, path, most)
    return "loaded" if refusal is None else "refused"


def counted_attempt(name: str, path: Path, most: int) -> Exception | None:
    start = time.process_time()
    with traced(most):
        refusal = attempt(name, path)
    if time.process_time() - start > SECONDS:  # counting the memory takes most of the time
        with in_time():
            attempt(name, path)
    return refusal


def attempt(name: str, path: Path) -> Exception | None:
    """The documented error of a loader, or None where it has loaded what is there."""
    documented: tuple[type[Exception], ...] = (*LOADERS[name].errors, FileNotFoundError)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", UserWarning)  # broken checkpoints are skipped, and named
        warnings.filterwarnings("ignore", ".* are NaN or infinite", RuntimeWarning)
        try:
            LOADERS[name].load(path)
        except documented as error:
            assert type(error) in documented, f"{type(error).__name__} is not documented: {error}"
            assert len(str(error)) < 1500, f"an error of {len(str(error)):,} letters"
            return error
    return None


def has_met_the_limit(error: BaseException | None) -> bool:
    """Whether a MemoryError stands behind it."""
    while error is not None and not isinstance(error, MemoryError):
        error = error.__cause__ or error.__context__
    return error is not None


@pytest.mark.parametrize("name", LOADERS)
def test_sound_files_are_loaded(name, tmp_path):
    for i, folder in enumerate(sound_folders(name)):
        assert outcome(name, put(folder, tmp_path / str(i))) == "loaded"


@pytest.mark.parametrize("name", LOADERS)
def test_damaged_files_do_no_harm(name, tmp_path):
    draw = random.Random(len(name))
    outcomes = []
    counted_attempt(name, put(sound_folders(name)[0], tmp_path / "0"), SPARE)  # what is made once
    for i in range(FILES):
        path = put(damaged(name, draw), tmp_path / str(i % 2))
        try:
            outcomes.append(outcome(name, path))
        except BaseException:
            print(f"file {i} of {name}, kept in {path}")
            raise
    if len(outcomes) >= 200:  # the changes are neither too mild nor too wild
        assert 0.02 < np.mean([o == "loaded" for o in outcomes]) < 0.8, outcomes.count("loaded")


def with_document(name: str, change: Callable[[Any], Any]) -> Folder:
    """A loader's first sound folder, its JSON file (of several, its index) changed."""
    folder = dict(sound_folders(name)[0])
    found = [file for file in folder if file.endswith(".json")]
    (file,) = [file for file in found if len(found) == 1 or "index" in file]
    folder[file] = json.dumps(change(json.loads(folder[file]))).encode()
    return folder


# Damage that was once not refused as it should be.
FOUND = {
    "a flag for a number": ("generation_config", lambda d: d | {"max_new_tokens": False}),
    "a flag among the ids": ("generation_config", lambda d: d | {"eos_token_id": [2, True]}),
    "half an id": ("generation_config", lambda d: d | {"eos_token_id": 0.5}),
    "a negative temperature": ("generation_config", lambda d: d | {"temperature": -(2**63)}),
    "a negative probability": ("generation_config", lambda d: d | {"top_p": -(2**63)}),
    "an option of 5,000 letters": ("generation_config", lambda d: d | {"a" * 5000: 1}),
    "a part of 5,000 letters": (
        "tokenizer_json",
        lambda d: d | {"model": d["model"] | {"a" * 5000: None}},
    ),
    "a shard of 5,000 letters": (
        "index",
        lambda d: {"weight_map": dict.fromkeys(d["weight_map"], "a" * 5000 + ".safetensors")},
    ),
    "20,000 lists in lists": ("house_tokenizer", lambda d: d | {"type": [deep(200)] * 100}),
}


@pytest.mark.parametrize("what", FOUND)
def test_what_was_found_is_refused(what, tmp_path):
    name, change = FOUND[what]
    assert outcome(name, put(with_document(name, change), tmp_path / "files")) == "refused"


def test_a_member_whose_name_goes_on_and_on_is_refused_in_few_words(tmp_path):
    ((file, content),) = sound_folders("adapters")[0].items()
    at = content.index(b"PK\x03\x04", 10) + 26  # where the second member says how long its name is
    changed = content[:at] + b"\xff\x01" + content[at + 2 :]
    assert outcome("adapters", put({file: resealed(changed)}, tmp_path / "files")) == "refused"
