"""A tokenizer out of whatever holds one, a GGUF file with a whole model among them.

Here and not in ``tokenizers``, because that room and ``interop``, which reads GGUF, do not know
each other: what a file's header says goes from one to the other.
"""

from __future__ import annotations

import os

from minigpt import checks, tokenizers
from minigpt.interop import GGUFFile
from minigpt.tokenizers import BPETokenizer, Tokenizer, TokenizerFileError
from minigpt.tokenizers.files.gguf import read_gguf_tokenizer
from minigpt.tokenizers.files.loading import GGUF


def load_tokenizer(path: str | os.PathLike[str]) -> Tokenizer:
    """The tokenizer of a file or a folder, ours or a published model's.

    Args:
        path: a file that ``save(path)`` wrote; a GGUF file; a ``tokenizer.json``; or a folder of
            Hugging Face's with that, or with ``vocab.json`` and ``merges.txt``. What else a folder
            says of the tokenizer is read as Transformers reads it.

    Raises:
        FileNotFoundError: there is no such file or folder.
        PretrainedError: a GGUF file is cut off or damaged (an OSError and a ValueError).
        TokenizerFileError: there is no tokenizer in it, or it is damaged (an OSError and a
            ValueError), or one that this library does not have.

    Example:
        >>> import tempfile, minigpt as mg
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     mg.CharTokenizer.train("to be").save(f"{folder}/characters.json")
        ...     tokenizer = mg.load_tokenizer(f"{folder}/characters.json")
        >>> tokenizer.decode(tokenizer.encode("bet"))
        'bet'
    """
    path = checks.path("path", path)
    if path.suffix.lower() != GGUF or path.is_dir():
        return tokenizers.load_tokenizer(path)
    metadata = GGUFFile(path).metadata
    try:
        return BPETokenizer(*read_gguf_tokenizer(metadata))
    except (ValueError, TypeError) as error:
        raise TokenizerFileError(f"{path} does not hold a tokenizer: {error}") from None
