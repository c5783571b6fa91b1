"""The loop on one page is the Trainer's loop, to the last bit."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from minigpt.datasets import RandomBatches
from minigpt.optim import AdamW
from minigpt.optim.schedules import warmup_cosine
from minigpt.training.plain import train
from tests.training.tiny import tiny_gpt, tokens, trainer


@pytest.mark.parametrize("dropout", [0.0, 0.3])
@pytest.mark.parametrize("grad_clip", [0.05, 1.0])
def test_the_plain_loop_is_the_trainer_s(dropout: float, grad_clip: float) -> None:
    fast = trainer(tiny_gpt(dropout=dropout), max_steps=12, warmup_steps=3, grad_clip=grad_clip)
    history = fast.fit()

    model = tiny_gpt(dropout=dropout)
    losses = train(
        model,
        RandomBatches(tokens()[:500], 8, 4, seed=0),
        AdamW(model.named_parameters(), 0.01, (0.9, 0.99), weight_decay=0.1),
        partial(
            warmup_cosine,
            learning_rate=0.01,
            min_learning_rate=0.001,
            warmup_steps=3,
            max_steps=12,
        ),
        max_steps=12,
        grad_clip=grad_clip,
    )
    assert list(losses) == history.column("loss")
    for name, array in fast.model.state_dict().items():
        np.testing.assert_array_equal(model.state_dict()[name], array, err_msg=name)
