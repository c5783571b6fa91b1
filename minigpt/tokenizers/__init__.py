"""Text to ids and back.

Reading order: ``base`` (what a tokenizer can do), ``char`` (a token is a character); ``bpe_plain``
(byte-pair encoding on one page), ``patterns`` (words), ``bpe_training``, ``bpe_merging`` and
``bpe_words`` (the same, fast), ``bpe``; then tokenizers out of files: ``byte_alphabet``,
``bpe_description``, ``gpt2_files``, ``huggingface``, ``loading``.
"""

from minigpt.tokenizers.base import Tokenizer
from minigpt.tokenizers.bpe import BPETokenizer
from minigpt.tokenizers.char import CharTokenizer
from minigpt.tokenizers.files import TokenizerFileError
from minigpt.tokenizers.loading import load_tokenizer, tokenizer_from_dict

__all__ = [
    "BPETokenizer",
    "CharTokenizer",
    "Tokenizer",
    "TokenizerFileError",
    "load_tokenizer",
    "tokenizer_from_dict",
]
