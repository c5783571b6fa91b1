"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """A binary file that is put in place of ``path`` when the block ends, and dropped on any error.

    It is written beside ``path`` (on the same disk, so that the rename is atomic) under a name of
    its own, so that two writers do not meet; a reader finds the old file whole, or the new one.

    Raises:
        OSError: the folder is not there, or cannot be written to.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with atomic_file(Path(folder, "a.bin")) as file:
        ...         _ = file.write(b"whole")
        ...     Path(folder, "a.bin").read_bytes()
        b'whole'
    """
    if not path.parent.is_dir():
        raise FileNotFoundError(f"the folder {path.parent} does not exist: make it first")
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder: name a file in it")
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with open(beside, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except BaseException:  # Ctrl-C too leaves nothing behind
        beside.unlink(missing_ok=True)
        raise
