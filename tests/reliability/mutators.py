"""Damage to files: bytes, numbers, pieces, and JSON in its own terms; what a loader may cost.

``MINIGPT_MUTATIONS=100000`` is how many files of each loader are damaged.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import random
import time
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from minigpt.autograd import Array
from minigpt.checkpoints import archive

MUTATIONS = int(os.environ.get("MINIGPT_MUTATIONS", "0"))
SECONDS = 2.0

# What a careless reader may trip over, in four bytes or eight.
INTEGERS = [0, 1, 2, 7, 8, 9, 31, 32, 255, 2**16, 2**31 - 1, 2**31, 2**32 - 1]
LONG = [2**32, 2**48, 2**61, 2**62, 2**63 - 1, 2**63, 2**64 - 32, 2**64 - 8, 2**64 - 1]


# ── bytes ─────────────────────────────────────────────────────────────────────────────────────


def change_a_byte(content: bytearray, at: int, draw: random.Random) -> None:
    content[at] = draw.choice([0, 255, draw.randrange(256), content[at] ^ 1 << draw.randrange(8)])


def change_an_integer(content: bytearray, at: int, draw: random.Random) -> None:
    n_bytes = draw.choice([4, 8])
    there = int.from_bytes(content[at : at + n_bytes], "little")
    near = [there + 1, there - 1, 2 * there, len(content), len(content) - at]
    number = draw.choice(INTEGERS + near + LONG * (n_bytes == 8)) % 256**n_bytes
    content[at : at + n_bytes] = number.to_bytes(n_bytes, "little")


def cut(content: bytearray, at: int, draw: random.Random) -> None:
    del content[at:]


def leave_out(content: bytearray, at: int, draw: random.Random) -> None:
    del content[at : at + draw.choice([1, 4, 8, draw.randrange(1, 200)])]


def put_in(content: bytearray, at: int, draw: random.Random) -> None:
    content[at:at] = draw.choice([bytes, draw.randbytes])(draw.choice([1, 4, 8, 100]))


def repeat(content: bytearray, at: int, draw: random.Random) -> None:
    content[at:at] = content[at : at + draw.randrange(1, 200)]


def copy_over(content: bytearray, at: int, draw: random.Random) -> None:
    start, length = draw.randrange(len(content)), draw.randrange(1, 100)
    content[at : at + length] = content[start : start + length]


MUTATORS: list[Callable[[bytearray, int, random.Random], None]] = [
    change_a_byte, change_an_integer, change_an_integer, cut, leave_out, put_in, repeat, copy_over,
]  # fmt: skip


def mutated(content: bytes, header_bytes: int, draw: random.Random) -> bytes:
    """The content with one to four changes, most of them in the header."""
    changed = bytearray(content)
    for _ in range(draw.choice([1, 1, 1, 2, 4])):
        if changed:
            end = min(header_bytes if draw.random() < 0.9 else len(changed), len(changed))
            draw.choice(MUTATORS)(changed, draw.randrange(end), draw)
    return bytes(changed)


# ── JSON ──────────────────────────────────────────────────────────────────────────────────────

NUMBERS: list[Any] = [
    0, -0.0, 1, -1, 2, 3, 0.5, 1e-300, 1e308, 2**31, 2**32, 2**53 + 1, 2**63, 2**64, -(2**63),
    10**30, 10**400, float("nan"), float("inf"), float("-inf"),
]  # fmt: skip
TEXTS = ["", " ", "\n", "\0", "é", "\ud800", "0", "1e9", "a" * 5000, "../../x", "%s{0}", "<|end|>"]


def deep(n: int) -> Any:
    """Lists in lists, n of them."""
    value: Any = []
    for _ in range(n):
        value = [value]
    return value


def other_value(value: Any, draw: random.Random) -> Any:
    """Something else in its place: of its own kind, near it, or of any other kind."""
    strange = [None, True, False, [], {}, [value], {"": value}, str(value)[:1000], deep(200)]
    if isinstance(value, bool):
        return draw.choice([not value, *strange])
    if isinstance(value, (int, float)):
        near = [value + 1, value - 1, -value, 2 * value, value * 1000, f"{value}"]
        return draw.choice([*near, *NUMBERS, *strange])
    if isinstance(value, str):
        at = draw.randrange(len(value) + 1)
        near = [value[:at], value[at:], value + value, value[:at] + draw.choice(TEXTS) + value[at:]]
        return draw.choice([*near, value.upper(), value[::-1], *TEXTS, *strange, *NUMBERS])
    return draw.choice([*strange, *NUMBERS, *TEXTS])


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every (list or dict, index or key) of a document."""
    found = []
    waiting = [value]
    while waiting:
        one = waiting.pop()
        keys = one if isinstance(one, dict) else range(len(one)) if isinstance(one, list) else ()
        for key in keys:
            found.append((one, key))
            waiting.append(one[key])
    return found


def mutated_document(document: Any, draw: random.Random) -> Any:
    """A JSON document with one to three values changed, left out, renamed, exchanged, repeated."""
    document = json.loads(json.dumps(document))
    for _ in range(draw.choice([1, 1, 1, 2, 3])):
        there = places(document)
        if not there:
            return other_value(document, draw)
        # Values near the top decide most: the many entries of a vocabulary are one kind of thing.
        home, key = draw.choice(there[:30] if draw.random() < 0.6 else there)
        other_home, other_key = draw.choice(there)
        kind = draw.randrange(8)
        if kind < 4:
            home[key] = other_value(home[key], draw)
        elif kind == 4:
            del home[key]
        elif kind == 5 and isinstance(home, dict):
            home[draw.choice([*TEXTS, key + "x", key.upper(), str(other_key)])] = home.pop(key)
        elif kind == 6:
            home[key] = json.loads(json.dumps(other_home[other_key]))
        elif isinstance(home, list):
            home[key:key] = [home[key]] * draw.choice([1, 2, 100])
        else:
            home[key] = other_value(home[key], draw)
    return document


def mutated_json(content: bytes, draw: random.Random) -> bytes:
    """A JSON file changed in its document, or, one in four, in its bytes."""
    if draw.random() < 0.25:
        return mutated(content, len(content), draw)
    text = json.dumps(mutated_document(json.loads(content), draw), ensure_ascii=draw.random() < 0.5)
    if draw.random() < 0.05 and '": ' in text:  # a name that stands twice
        at = text.index('"')
        text = text[:at] + text[at : text.index(", ", at) + 2 if ", " in text else at] + text[at:]
    return text.encode("utf-8", "surrogatepass")


def mutated_lines(content: bytes, draw: random.Random) -> bytes:
    """A file of lines: some of them changed, left out, repeated, exchanged."""
    lines = content.split(b"\n")
    for _ in range(draw.choice([1, 1, 2, 4])):
        i, j = draw.randrange(len(lines)), draw.randrange(len(lines))
        change = draw.randrange(5)
        if change == 0:
            lines[i] = mutated(lines[i], len(lines[i]), draw)
        elif change == 1:
            lines[i], lines[j] = lines[j], lines[i]
        elif change == 2:
            lines[i:i] = [lines[j]] * draw.choice([1, 50])
        elif change == 3 and len(lines) > 1:
            del lines[i]
        else:
            lines[i] = draw.choice([b"", b" ", b"\xff\xfe", b"a b c", b"{}", b"null", b"a" * 9000])
    return b"\n".join(lines)


# ── files with a header in JSON, or a seal ────────────────────────────────────────────────────


def mutated_safetensors(content: bytes, draw: random.Random) -> bytes:
    """The header changed as JSON with its length put right, or the file, or what follows it."""
    length = int.from_bytes(content[:8], "little")
    choice = draw.random()
    if choice < 0.3:
        return mutated(content, 8 + length, draw)
    if choice < 0.4:
        return content[: 8 + length] + mutated(content[8 + length :], len(content), draw)
    header = mutated_json(content[8 : 8 + length], draw)
    return len(header).to_bytes(8, "little") + header + content[8 + length :]


def resealed(content: bytes) -> bytes:
    """A checkpoint whose seal says that it is whole, whatever is in it."""
    if len(content) < archive._SEAL_BYTES:
        return content
    body = content[: -archive._SEAL_BYTES]
    digest = hashlib.sha256(body).hexdigest()
    return body + archive._SEAL + digest.encode()


def mutated_checkpoint(content: bytes, draw: random.Random) -> bytes:
    """A checkpoint changed as bytes, as what is announced in it, or in its metadata.

    Mostly sealed again: what its own checksum would have refused says nothing of the reader.
    """
    choice = draw.random()
    if choice < 0.15:
        return mutated(content, len(content), draw)
    if choice < 0.4:
        return resealed(mutated(content, len(content), draw))
    directory = content.find(b"PK\x01\x02")  # of the zip file, at its end
    if choice < 0.55 and directory > 0:
        changed = bytearray(content)
        at = draw.randrange(directory, len(content) - archive._SEAL_BYTES - 8)
        change_an_integer(changed, at, draw)
        return resealed(bytes(changed))
    return mutated_members(content, draw)


@lru_cache(maxsize=8)
def members_of(content: bytes) -> dict[str, bytes]:
    """The files in a zip file, by the names of their arrays."""
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        return {name.removesuffix(".npy"): file.read(name) for name in file.namelist()}


def as_array(member: bytes) -> Array:
    array: Array = np.load(io.BytesIO(member))
    return array


def as_member(array: Array) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=False)
    return file.getvalue()


def mutated_members(content: bytes, draw: random.Random) -> bytes:
    """A checkpoint written again, with other metadata, names, shapes or types of arrays."""
    members = dict(members_of(content))
    if draw.random() < 0.75:
        document = json.loads(as_array(members[archive.METADATA]).tobytes())
        text = json.dumps(mutated_document(document, draw)).encode("utf-8", "surrogatepass")
        members[archive.METADATA] = as_member(np.frombuffer(text, np.uint8))
    else:
        name = draw.choice(
            [name for name in members if name != archive.METADATA] or [archive.METADATA]
        )
        array = as_array(members[name])
        changed = [
            array[..., None], array.reshape(-1), array[:0], array.astype(np.float16),
            array.astype(np.complex64), array.astype("U4"), np.full_like(array, 1),
            array.astype(np.float64) * np.nan, array.astype(np.int64), array.astype(bool),
            np.concatenate([array.reshape(-1)] * 2),
        ]  # fmt: skip
        as_name = draw.choice([name, name, name, "x", name + ".y"])
        members[as_name] = as_member(draw.choice(changed))
        if draw.random() < 0.3:
            del members[draw.choice([*members])]
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        for name, member in members.items():
            file.writestr(f"{name}.npy", member)
    body = bytearray(out.getvalue())
    body[-2:] = archive._SEAL_BYTES.to_bytes(2, "little")
    return resealed(bytes(body) + bytes(archive._SEAL_BYTES))


def mutated_file(name: str, content: bytes, draw: random.Random) -> bytes:
    """A file changed as its kind asks for, which its name tells."""
    suffix = Path(name).suffix
    if suffix == ".json":
        return mutated_json(content, draw)
    if suffix == ".safetensors":
        return mutated_safetensors(content, draw)
    if suffix == ".npz":
        return mutated_checkpoint(content, draw)
    if suffix in {".txt", ".jsonl"}:
        return mutated_lines(content, draw)
    return mutated(content, 2000 if suffix == ".gguf" else 128, draw)


# ── what it may cost ──────────────────────────────────────────────────────────────────────────


@contextmanager
def traced(most: int) -> Iterator[None]:
    """What is done here takes at most so many bytes of memory."""
    tracemalloc.start()
    try:
        yield
    finally:
        taken = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert taken <= most, f"{taken:,} bytes, {most:,} are the most"


@contextmanager
def limited(most: int) -> Iterator[None]:
    """Here Linux gives about so many bytes more, and then a MemoryError.

    Counting every allocation makes a loader three to four times as slow, this costs nothing. What
    meets the limit has to be counted, since the system also gives what was reserved and not used.
    """
    import resource

    pages = int(Path("/proc/self/statm").read_text().split()[0])
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + most, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


@contextmanager
def in_time() -> Iterator[None]:
    """What is done here takes at most two seconds of the processor."""
    start = time.process_time()
    try:
        yield
    finally:
        taken = time.process_time() - start
        assert taken < SECONDS, f"{taken:.1f} s, {SECONDS} are the most"
