"""What can go wrong with published weights: OSErrors all, for what is outside the program."""

from __future__ import annotations

from pathlib import Path


class PretrainedError(OSError, ValueError):
    """A folder of weights, or a file in it, is damaged or holds no model that minigpt has.

    Attributes:
        path: the file or folder.
    """

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path


class HubError(OSError):
    """A model could not be fetched: no network, no such repository, or a broken download."""
