"""How numbers and texts stand in a page: arrays as base64, all else as JSON that ends no script."""

from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np

from minigpt.autograd import Array
from minigpt.tokenizers import BPETokenizer, Tokenizer


def packed(array: Array) -> str:
    """The bytes of an array in base64, the last axis fastest, little-endian as in every browser.

    Example:
        >>> packed(np.array([1, 256], np.uint16))
        'AQAAAQ=='
    """
    little = array.astype(array.dtype.newbyteorder("<"), copy=False)
    return base64.b64encode(np.ascontiguousarray(little).tobytes()).decode("ascii")


def script_json(value: Any) -> str:
    r"""JSON in ASCII without ``<``, so that no text in it can end the script it stands in.

    Example:
        >>> script_json("</script> 类")
        '"\\u003c/script> \\u7c7b"'
    """
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c")


def token_bytes(tokenizer: Tokenizer, token: int) -> bytes:
    r"""What a token stands for; that of a byte-level tokenizer may be part of a character.

    Example:
        >>> tokenizer = BPETokenizer.train("a", 256, progress=False)
        >>> token_bytes(tokenizer, tokenizer.encode("类")[0])
        b'\xe7'
    """
    if isinstance(tokenizer, BPETokenizer):
        return tokenizer.vocab[token]
    return tokenizer.decode([token]).encode("utf-8")


def byte_string(content: bytes) -> str:
    """A byte for each character: the browser makes bytes of it again, and text of the bytes."""
    return content.decode("latin-1")
