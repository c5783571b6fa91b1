"""What can go wrong with published weights: all of it OSErrors, being outside the program."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from minigpt.wording import brief


class PretrainedError(OSError, ValueError):
    """A folder of weights, or a file in it, is damaged, or of a model that minigpt does not have.

    Args:
        path: the file or folder.
        reason: what is wrong with it.

    Attributes:
        path: the file or folder.

    Example:
        >>> import tempfile, minigpt as mg
        >>> from minigpt.interop import PretrainedError
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder, "model.gguf")
        ...     path.touch()
        ...     try:
        ...         mg.GPT.from_pretrained(path)
        ...     except PretrainedError as error:
        ...         print(error.path.name, str(error).partition(": ")[2], sep=": ")
        model.gguf: it has 0 bytes: it is cut off, or not a GGUF file
    """

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path}: {brief(reason)}")
        self.path = path


class HubError(OSError):
    """A model could not be fetched: no network, no such repository, or a broken download."""


@contextmanager
def refusing(path: Path, subject: str = "") -> Iterator[None]:
    """An error of a value inside becomes a PretrainedError of that file, or of a part of it."""
    try:
        yield
    except (ValueError, TypeError) as error:
        raise PretrainedError(path, f"{subject}{error}") from None
