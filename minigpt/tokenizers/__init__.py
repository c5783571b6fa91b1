"""Text to ids and back.

Reading order: ``base`` (what a tokenizer can do), ``added_tokens`` (strings that stand for one id),
``char`` (a token is a character), ``bpe`` (a token is a string of bytes: first the algorithm on one
page), ``files`` (tokenizers saved and loaded, ours and others').
"""

from minigpt.tokenizers.added_tokens import AddedToken
from minigpt.tokenizers.base import Tokenizer
from minigpt.tokenizers.bpe.tokenizer import BPETokenizer
from minigpt.tokenizers.char import CharTokenizer
from minigpt.tokenizers.files.loading import load_tokenizer, tokenizer_from_dict
from minigpt.tokenizers.files.reading import TokenizerFileError

__all__ = [
    "AddedToken",
    "BPETokenizer",
    "CharTokenizer",
    "Tokenizer",
    "TokenizerFileError",
    "load_tokenizer",
    "tokenizer_from_dict",
]
