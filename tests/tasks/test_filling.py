"""Filling in masked tokens of a text."""

from __future__ import annotations

import numpy as np
import pytest

from minigpt import CharTokenizer
from minigpt.models import Encoder, EncoderConfig
from minigpt.tasks.filling import fill_mask

TOKENIZER = CharTokenizer.train("to be or not", special_tokens=["<mask>", "<pad>"])


@pytest.fixture
def model():
    config = EncoderConfig(
        TOKENIZER.vocab_size, block_size=12, n_layer=1, n_head=2, n_embd=8, init_std=0.3
    )
    return Encoder(config, seed=0)


def test_guesses_are_the_models_gap_by_gap(model):
    guesses = fill_mask(model, TOKENIZER, "to <mask>e <mask>r", k=3)
    ids = np.array([TOKENIZER.encode("to <mask>e <mask>r", allowed_special="all")])
    mask_id = TOKENIZER.encode("<mask>", allowed_special="all")[0]
    expected = model.fill_mask(ids, mask_id, 3)
    assert [[text for text, _ in gap] for gap in guesses] == [
        [TOKENIZER.decode([token]) for token in tokens] for tokens in expected.tokens.tolist()
    ]
    assert [[p for _, p in gap] for gap in guesses] == expected.probabilities.tolist()


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("to be", {}, "the text has no <mask>: put it where"),
        ("to <gap>", {"mask_token": "<gap>"}, "<gap>.*special tokens are '<mask>'"),
        ("to <mask> or not to be", {}, "do not fit the context, block_size=12"),
        ("<mask>", {"k": 0}, "k=0 must be 1 or more"),
    ],
)
def test_wrong_arguments(model, text, options, message):
    with pytest.raises(ValueError, match=message):
        fill_mask(model, TOKENIZER, text, **options)
