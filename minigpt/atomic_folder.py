"""Several files of a folder replaced together: all of them, or none."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO


@contextlib.contextmanager
def replacing_files(
    folder: Path, names: Sequence[str], gone: Iterable[str] = ()
) -> Iterator[dict[str, IO[bytes]]]:
    """New files to write, by name, which take their places together once the block is through.

    As :func:`minigpt.atomic.replacing`, for files that make sense only together: after an error
    the folder is what it was. A process that is killed just between the renames leaves files
    missing, which a reader notices, and never new ones beside old ones.

    Args:
        folder: where they are; it must be there.
        names: of the files.
        gone: names of files that would contradict the new ones, and are removed with the old ones.

    Raises:
        OSError: a file could not be written, or is a folder.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with replacing_files(Path(folder), ["a", "b"]) as files:
        ...         _ = files["a"].write(b"1"), files["b"].write(b"2")
        ...     sorted(os.listdir(folder))
        ['a', 'b']
    """
    places = [folder / name for name in dict.fromkeys([*names, *gone])]
    if not folder.is_dir():
        reason = f"the folder {folder} does not exist: make it first"
        raise FileNotFoundError(errno.ENOENT, reason, str(folder))
    for place in places:
        if place.is_dir():
            reason = "that is a folder, and a file is to have its name"
            raise IsADirectoryError(errno.EISDIR, reason, str(place))
    temporary = {place: _beside(place) for place in places[: len(names)]}
    old = {place: _beside(place) for place in places}
    try:
        with contextlib.ExitStack() as stack:
            files: dict[str, IO[bytes]] = {}
            for place, path in temporary.items():
                files[place.name] = stack.enter_context(open(path, "x+b"))
            yield files
            for file in files.values():
                file.flush()
                os.fsync(file.fileno())
        _exchange(temporary, old)
    except OSError as error:
        if error.filename is not None:  # it says itself which file it is about
            raise
        reason = f"could not write it ({error.strerror or error}), what was there is kept"
        raise OSError(error.errno or 0, reason, str(folder)) from error
    finally:
        for path in temporary.values():
            path.unlink(missing_ok=True)


def _exchange(temporary: dict[Path, Path], old: dict[Path, Path]) -> None:
    """Move what is in the way aside, and the new files into place; on an error, back."""
    aside: list[Path] = []
    placed: list[Path] = []
    try:
        for place, path in old.items():
            if os.path.lexists(place):
                os.replace(place, path)
                aside.append(place)
        for place, path in temporary.items():
            os.replace(path, place)
            placed.append(place)
    except BaseException:
        for place in placed:
            place.unlink()
        for place in aside:
            os.replace(old[place], place)
        raise
    for place in aside:
        with contextlib.suppress(OSError):  # still open elsewhere, on Windows
            old[place].unlink()


def _beside(place: Path) -> Path:
    return place.with_name(f".{place.name}.{secrets.token_hex(4)}.minigpt-tmp")
