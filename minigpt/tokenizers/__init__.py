"""Text to ids and back.

Reading order: ``base`` (what a tokenizer can do), ``char`` (a token is a character), ``loading``.
"""

from minigpt.tokenizers.base import Tokenizer
from minigpt.tokenizers.char import CharTokenizer
from minigpt.tokenizers.loading import TokenizerFileError, load_tokenizer, tokenizer_from_dict

__all__ = [
    "CharTokenizer",
    "Tokenizer",
    "TokenizerFileError",
    "load_tokenizer",
    "tokenizer_from_dict",
]
