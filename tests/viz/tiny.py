"""Models of a few hundred numbers whose heads and layers all do something, for the explorer."""

from __future__ import annotations

from typing import Any

import numpy as np

import minigpt as mg

TEXT = "the cat sat on the mat, and the dog sat on the cat"
CHARACTERS = mg.CharTokenizer.train(TEXT)


def tiny_gpt(vocab_size: int = CHARACTERS.vocab_size, seed: int = 0, **fields: Any) -> mg.GPT:
    """A GPT whose weights are large enough for sharp attention and clear predictions."""
    sizes: dict[str, Any] = {"block_size": 64, "n_layer": 2, "n_head": 2, "n_embd": 16}
    model = mg.GPT(mg.GPTConfig(vocab_size, **{**sizes, "init_std": 0.3, **fields}), seed=seed)
    rng = np.random.default_rng(seed)
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):  # zero at first: a page without biases would not be found out
            parameter.data += rng.normal(0, 0.1, parameter.shape).astype(parameter.dtype)
    return model
