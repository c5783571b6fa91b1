"""The page of sampling and the Sampler write the same tokens."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigpt import GPT, GPTConfig
from minigpt.sampling import Sampler, plain


@given(
    prompt=st.lists(st.integers(0, 10), min_size=1, max_size=9),
    t=st.sampled_from([0, 0.7, 1.0, 2.5]),
    k=st.none() | st.integers(1, 12),
    p=st.none() | st.floats(0.05, 0.95),
    seed=st.integers(0, 99),
    block_size=st.sampled_from([None, 6]),
)
def test_the_same_tokens_also_past_the_context(fakes, prompt, t, k, p, seed, block_size):
    model = fakes.HashModel(block_size=block_size, sharpness=1.0)
    fast = Sampler(model).generate_ids(prompt, 12, temperature=t, top_k=k, top_p=p, seed=seed)
    assert plain.generate(model, prompt, 12, t=t, k=k, p=p, seed=seed) == fast[0].tolist()


@pytest.mark.parametrize("options", [{"t": 0}, {"t": 0.9, "k": 7}, {"t": 1.2, "p": 0.8}], ids=str)
def test_the_same_tokens_of_a_gpt_with_its_cache(options):
    config = GPTConfig(17, block_size=12, n_layer=2, n_head=2, n_embd=16, dropout=0.3, init_std=0.3)
    model = GPT(config, seed=0)
    of_sampler = {
        {"t": "temperature", "k": "top_k", "p": "top_p"}[n]: v for n, v in options.items()
    }
    fast = Sampler(model).generate_ids([3, 1, 4], 30, seed=5, **of_sampler)
    assert plain.generate(model, np.array([3, 1, 4]), 30, seed=5, **options) == fast[0].tolist()
    assert model.training
