"""Training as one would write it down: a batch, its loss, its gradient, a step; and on N machines.

:class:`minigpt.training.Trainer` does the same, and evaluates, saves, resumes and shows it besides;
a test holds the two equal to the last bit, and on several machines to rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from minigpt.functional.row_draws import RowsGenerator
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


def train_on_ranks(
    comm: Any,
    model: Any,
    batches: Any,
    optimizer: Any,
    learning_rate: Callable[[int], float],
    max_steps: int,
    grad_clip: float = 1.0,
    seed: int = 0,
) -> Iterator[float]:
    """The same on N ranks that have the same model: gives L(θ) of each whole batch, on every rank.

    Each reads the whole batch and takes its own rows, with wᵣ targets and the mean loss Lᵣ:

        L = Σᵣ (wᵣ / Σⱼ wⱼ) Lᵣ        ∂L/∂θ = Σᵣ (wᵣ / Σⱼ wⱼ) ∂Lᵣ/∂θ

    One all-reduce gives both sums to all ranks. All of them then take the same step, so that the
    models stay the same without a parameter ever being sent. ``minigpt.training.distributed`` sends
    while the walk back goes on, and shares the optimizer's work.

    Args:
        comm: what MPI calls a communicator, such as ``mpi4py.MPI.COMM_WORLD``.
        model, batches, optimizer, learning_rate, max_steps, grad_clip, seed: as in :func:`train`,
            made with the same seeds on every rank; all parameters learn.
    """
    model.train()
    parameters = model.parameters()
    for step in range(max_steps):
        batch = batches.next_batch()
        bounds = np.linspace(0, len(batch[0]), comm.size + 1).round().astype(int).tolist()
        first, last = bounds[comm.rank : comm.rank + 2]
        rows = [array[first:last] for array in batch]
        share = model.loss_weight(*rows) / model.loss_weight(*batch)  # wᵣ / Σⱼ wⱼ
        rng = RowsGenerator([seed, step, 0], first, len(batch[0]))
        loss = model.loss(*rows, rng=rng) * share
        loss.backward()

        mine = np.concatenate([loss.data.reshape(1), *(p.grad.reshape(-1) for p in parameters)])
        total = np.empty_like(mine)
        comm.Allreduce(mine, total)
        start = 1
        for p in parameters:
            p.grad = total[start : start + p.data.size].reshape(p.data.shape)
            start += p.data.size

        clip_grad_norm(parameters, grad_clip)
        optimizer.lr = learning_rate(step)
        optimizer.step()
        optimizer.zero_grad()
        yield float(total[0])
