"""JSON out of files that are never trusted: of bounded size, and every name once in an object."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

from minigpt.regular_files import open_regular, read_now

# In memory an empty list takes 64 bytes, and a short text as much: 25 times what a file has for it.
# The largest vocabularies in use have 600,000 merges as lists, and 1.7 million values.
MOST_CONTAINERS, MOST_VALUES = 1 << 20, 1 << 22


def read_json(path: Path, max_bytes: int) -> Any:
    """What a JSON file holds.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not a regular file, is larger than ``max_bytes``, or is not JSON; the
            message goes after the file's name.
    """
    return parse_json(read_bytes(path, max_bytes))


def read_object(path: Path, max_bytes: int) -> dict[str, Any]:
    """The JSON object that a file holds.

    Raises:
        FileNotFoundError, ValueError: as :func:`read_json`; or it is not an object.
    """
    return parse_object(read_bytes(path, max_bytes))


def read_bytes(path: Path, max_bytes: int) -> bytes:
    """The bytes of a regular file of at most ``max_bytes``.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not a regular file, or is larger.
    """
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        content = read_now(file, size + 1) if size <= max_bytes else b""
    if max(size, len(content)) > max_bytes:
        raise ValueError(f"it has {size:,} bytes, {max_bytes:,} are the most")
    return content


def parse_json(content: bytes) -> Any:
    """The value that JSON in UTF-8 stands for.

    Raises:
        ValueError: it is not JSON in UTF-8, is nested too deeply, has too many values to hold in
            memory, holds NaN, Infinity or a number that a float cannot hold, or a name stands
            twice in one object.
    """
    # Characters in strings count too: these are upper bounds.
    for what, most, count in (
        ("lists and objects", MOST_CONTAINERS, content.count(b"[") + content.count(b"{")),
        ("values", MOST_VALUES, content.count(b",")),
    ):
        if count > most:
            raise ValueError(f"it has more than {most:,} {what}")
    try:
        return json.loads(
            content.decode("utf-8-sig"),
            object_pairs_hook=_each_once,
            parse_float=_finite,
            parse_constant=_refuse,
        )
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except ValueError as error:
        raise ValueError(f"it is not JSON in UTF-8: {error}") from None


def parse_object(content: bytes) -> dict[str, Any]:
    """The object that JSON in UTF-8 stands for.

    Raises:
        ValueError: as :func:`parse_json`; or it is not an object.
    """
    data = parse_json(content)
    if not isinstance(data, dict):
        raise ValueError(f"it is not a JSON object but a {type(data).__name__}")
    return data


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise ValueError(f"the name {name!r:.80} stands twice in one object")
            seen.add(name)
    return found


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise ValueError(f"{digits:.80} is more than a float can hold")
    return number


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not a number of JSON")
