"""JSON out of files that are never trusted: of bounded size, an object, each name once."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from minigpt.interop.errors import PretrainedError

MAX_BYTES = 8 << 20  # as the header of a weights file that is enough for some 60,000 tensors


def read_object(path: Path) -> dict[str, Any]:
    """The JSON object that a file holds.

    Raises:
        FileNotFoundError: there is no such file.
        PretrainedError: it is too large, or not a JSON object in UTF-8.
    """
    if path.exists() and not path.is_file():
        raise PretrainedError(path, "it is not a file")
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size > MAX_BYTES:
            raise PretrainedError(path, f"it has {size:,} bytes, {MAX_BYTES:,} are the most")
        return parse_object(file.read(size), path, "it")


def parse_object(content: bytes, path: Path, subject: str) -> dict[str, Any]:
    """The JSON object in ``content``; ``subject`` is what an error calls it.

    Raises:
        PretrainedError: ``content`` is not a JSON object in UTF-8, or has a name twice.
    """
    try:
        data = json.loads(
            content.decode("utf-8"), object_pairs_hook=_each_once, parse_constant=_refuse
        )
    except RecursionError:
        raise PretrainedError(path, f"{subject} is nested too deeply") from None
    except ValueError as error:
        raise PretrainedError(path, f"{subject} is not JSON in UTF-8: {error}") from None
    if not isinstance(data, dict):
        raise PretrainedError(path, f"{subject} is not a JSON object but a {type(data).__name__}")
    return data


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    data = dict(pairs)
    if len(data) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the name {twice!r:.80} is there twice")
    return data


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no number of JSON")
