"""Small GPTs of every kind."""

from __future__ import annotations

import numpy as np
import pytest

from minigpt import GPT, GPTConfig

KINDS = {
    "GPT-2": {},
    "GPT-1": {"norm": "post"},
    "no bias": {"bias": False},
    "untied head": {"tie_head": False},
    "sinusoidal": {"positions": "sinusoidal"},
    "alibi": {"positions": "alibi"},
    "relu": {"activation": "relu"},
    "exact gelu": {"activation": "gelu_erf", "n_inner": 10},
    "rotary": {"positions": "rotary", "normalization": "rms"},
    "Llama": {
        "normalization": "rms",
        "positions": "rotary",
        "mlp": "gated",
        "activation": "silu",
        "n_head": 4,
        "n_kv_head": 2,
        "bias": False,
        "tie_head": False,
    },
    "Qwen": {
        "normalization": "rms",
        "positions": "rotary",
        "mlp": "gated",
        "activation": "silu",
        "n_kv_head": 1,
        "head_width": 6,
        "qk_norm": True,
        "bias": False,
        "qkv_bias": True,
    },
    "all at once": {
        "norm": "post",
        "bias": False,
        "tie_head": False,
        "positions": "sinusoidal",
        "activation": "relu",
    },
}


def small_gpt(seed=0, **changes) -> GPT:
    sizes = {"vocab_size": 13, "block_size": 12, "n_layer": 2, "n_head": 2, "n_embd": 16}
    return GPT(GPTConfig(**sizes | {"init_std": 0.3} | changes), seed=seed)


@pytest.fixture
def make_gpt():
    """A function that makes a small GPT; its initial weights are large, so that logits differ."""
    return small_gpt


@pytest.fixture(params=KINDS.values(), ids=KINDS)
def any_gpt(request) -> GPT:
    """A small GPT of each kind."""
    return small_gpt(**request.param)


@pytest.fixture
def ids(rng) -> np.ndarray:
    """(3, 10) tokens of a vocabulary of 13."""
    return rng.integers(0, 13, (3, 10))
