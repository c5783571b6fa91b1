"""A tokenizer of ours as others write it: a tokenizer.json, and the header of a GGUF file."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigpt.tokenizers import BPETokenizer
from minigpt.tokenizers.files.byte_alphabet import printable

BYTE_LEVEL = {
    "type": "ByteLevel",
    "add_prefix_space": False,
    "trim_offsets": True,
    "use_regex": True,
}


def tokenizer_json(tokenizer: BPETokenizer) -> dict[str, Any]:
    """What Hugging Face would write of a tokenizer with special tokens only."""
    special = {i: name for name, i in tokenizer.special_tokens.items()}
    options = dict.fromkeys(("lstrip", "rstrip", "single_word", "normalized"), False)
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {"id": i, "content": name, "special": True, **options} for i, name in special.items()
        ],
        "normalizer": None,
        "pre_tokenizer": BYTE_LEVEL,
        "post_processor": BYTE_LEVEL,
        "decoder": BYTE_LEVEL,
        "model": {
            "type": "BPE", "dropout": None, "unk_token": None, "fuse_unk": False,
            "continuing_subword_prefix": "", "end_of_word_suffix": None,
            "byte_fallback": False, "ignore_merges": False,
            "vocab": {printable(t): i for i, t in tokenizer.vocab.items() if i not in special},
            "merges": [f"{printable(a)} {printable(b)}" for a, b in tokenizer.merges],
        },
    }  # fmt: skip


def gguf_metadata(tokenizer: BPETokenizer, pre: str) -> dict[str, Any]:
    """What llama.cpp would write of it into the header of a GGUF file."""
    special = {i: name for name, i in tokenizer.special_tokens.items()}
    ids = range(tokenizer.vocab_size)
    return {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": pre,
        "tokenizer.ggml.tokens": [special.get(i) or printable(tokenizer.vocab[i]) for i in ids],
        "tokenizer.ggml.token_type": np.array([3 if i in special else 1 for i in ids], np.int32),
        "tokenizer.ggml.merges": [f"{printable(a)} {printable(b)}" for a, b in tokenizer.merges],
    }
