"""Small models with tokenizers, as pictures of models need them."""

import pytest

import minigpt as mg


@pytest.fixture(scope="session")
def english():
    """A GPT of two layers of three heads, and characters."""
    tokenizer = mg.CharTokenizer.train("the cat sat on the mat. ")
    config = mg.GPTConfig(
        tokenizer.vocab_size, block_size=64, n_layer=2, n_head=3, n_embd=12, init_std=0.4
    )
    return mg.GPT(config, seed=0), tokenizer


@pytest.fixture(scope="session")
def chinese():
    """A GPT over bytes, of which some Chinese characters are one token."""
    tokenizer = mg.BPETokenizer.train("猫坐在垫子上。" * 9, 270, progress=False)
    config = mg.GPTConfig(
        tokenizer.vocab_size, block_size=64, n_layer=1, n_head=2, n_embd=8, init_std=0.4
    )
    return mg.GPT(config, seed=0), tokenizer
