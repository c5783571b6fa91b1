"""What can go wrong with texts and token files: OSErrors all, for what is outside the program."""

from __future__ import annotations


class CorpusError(OSError):
    """A corpus cannot be had: no network, no cache folder, or a Python without that part."""


class TextError(OSError, ValueError):
    """A file or folder holds no usable text: empty, not UTF-8, or too large to load at once."""


class TokenFileError(OSError, ValueError):
    """A file is not a token file, or it is damaged."""
