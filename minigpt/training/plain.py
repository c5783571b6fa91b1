"""Training as one would write it down: a batch, its loss, its gradient, a step.

:class:`minigpt.training.Trainer` does the same, and evaluates, saves, resumes and shows it besides;
a test holds the two equal to the last bit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from minigpt.optim import clip_grad_norm


def train(
    model: Any,
    batches: Any,
    optimizer: Any,
    learning_rate: Callable[[int], float],
    max_steps: int,
    grad_clip: float = 1.0,
    seed: int = 0,
) -> Iterator[float]:
    """The training loop; gives the loss L(θ) of each batch, before the step that it leads to.

    Args:
        model: with a loss, such as a GPT.
        batches: with ``next_batch()``, such as ``minigpt.datasets.RandomBatches``.
        optimizer: over the model's parameters θ.
        learning_rate: η of a step, counted from 0; see ``minigpt.optim.schedules``.
        max_steps: how many steps.
        grad_clip: the largest norm of the gradient, ‖∂L/∂θ‖.
        seed: of dropout, which draws anew at every step.

    Example:
        >>> import minigpt as mg
        >>> model = mg.GPT(mg.GPTConfig(vocab_size=5, block_size=4, n_layer=1, n_head=1, n_embd=8))
        >>> batches = mg.datasets.RandomBatches(np.arange(200) % 5, 4, batch_size=8, seed=0)
        >>> optimizer = mg.AdamW(model.named_parameters(), lr=0.03)
        >>> losses = list(train(model, batches, optimizer, lambda step: 0.03, max_steps=60))
        >>> losses[0] > 1.0 > losses[-1]
        True
    """
    model.train()
    for step in range(max_steps):
        ids, targets = batches.next_batch()
        loss = model.loss(ids, targets, rng=np.random.default_rng([seed, step, 0]))
        loss.backward()
        clip_grad_norm(model.parameters(), grad_clip)
        optimizer.lr = learning_rate(step)
        optimizer.step()
        optimizer.zero_grad()
        yield loss.item()
