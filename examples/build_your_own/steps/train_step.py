"""Step 12: train_step(…) is training: loss, gradient, clipping, a step of every parameter."""

from __future__ import annotations

from typing import Any

import numpy as np

from calling import Wrong, call
from comparing import compare
from minigpt.optim import plain

LR, DECAY = 0.01, 0.1
NAMES = ("W", "loss_and_gradients", "moments", "ids", "targets", "t", "lr")
LOSS = 1.25


def check(train_step: Any) -> None:
    rng = np.random.default_rng(12)
    W = {"matrix": rng.standard_normal((3, 2)), ("1", "gain"): rng.standard_normal(3)}
    for size in (3.0, 0.1):  # of the gradient: more than 1, which is clipped, and less
        for t in (1, 5):
            _check_once(train_step, W, size, t, rng)


def _check_once(train_step: Any, W: Any, size: float, t: int, rng: Any) -> None:
    gradients = {name: rng.standard_normal(w.shape) for name, w in W.items()}
    norm = np.sqrt(sum((g**2).sum() for g in gradients.values()))
    gradients = {name: g * size / norm for name, g in gradients.items()}
    before = {name: (0.0 * w, 0.0 * w) if t == 1 else (0.1 * w, abs(w)) for name, w in W.items()}
    ids, targets = np.array([[1, 2], [4, 0]]), np.array([[2, 3], [0, 5]])
    asked: list[Any] = []

    def loss_and_gradients(W: Any, ids: Any, targets: Any) -> Any:
        asked.append((W, ids, targets))
        return LOSS, {name: g.copy() for name, g in gradients.items()}

    given = {name: w.copy() for name, w in W.items()}
    mine, moments = dict(given), dict(before)
    arguments = (mine, loss_and_gradients, moments, ids, targets, t, LR)
    loss = call("train_step", train_step, dict(zip(NAMES, arguments, strict=True)))
    if len(asked) != 1:
        raise Wrong(
            f"loss_and_gradients is called {len(asked)} times in a step, and should be once: it "
            "is the forward and the backward pass"
        )
    if not np.array_equal(asked[0][1], ids) or not np.array_equal(asked[0][2], targets):
        raise Wrong("loss_and_gradients takes W, ids, targets, in this order")
    if not isinstance(loss, float) or loss != LOSS:
        raise Wrong(f"it returns {loss!r:.40}, and should return the loss of the batch, {LOSS}")
    if mine.keys() != W.keys() or moments.keys() != W.keys():
        raise Wrong("W and moments must keep their names")
    for name, theta in W.items():
        if not np.array_equal(given[name], theta):
            raise Wrong(
                f"the new numbers are written into the old array of W[{name!r}], which others may "
                "hold: put the new array in its place, W[name] = …"
            )

    when = f"at t={t}, where the norm of the gradient is {size:g},"
    for name, theta in W.items():
        g, decay = gradients[name], DECAY * (theta.ndim == 2)

        def step(
            g: Any, decay: float = decay, t: int = t, name: Any = name, theta: Any = theta
        ) -> Any:
            m, v = before[name]
            return plain.adamw(
                theta, g, m, v, t, lr=LR, betas=(0.9, 0.99), eps=1e-8, weight_decay=decay
            )

        norms = [np.sqrt((g**2).sum()) for g in gradients.values()]
        own = np.sqrt((g**2).sum())
        clipped = g * min(1.0, 1.0 / size)
        mistakes = {
            "the gradient is not clipped: where the norm of all gradients together is above 1, "
            "they are divided by it": step(g),
            "each gradient is clipped by a norm of its own: the norm is that of all gradients "
            "together": step(g / max(1.0, own)),
            "the gradient is divided by its norm although that is below 1": step(g / size),
            "each number is clipped to −1 … 1: all gradients are divided by their common norm, "
            "where that is above 1": step(g.clip(-1, 1)),
            "the norms of the arrays are added: the norm of all together is the root of the sum of "
            "all squares": step(g / max(1.0, sum(norms))),
            "the gradient is divided by the square of its norm": step(g / size**2),
            "the step goes up the slope": step(-clipped),
            "the decay is for matrices only: gains (one axis) have none": step(clipped, DECAY),
            "the decay of matrices is missing, 0.1": step(clipped, 0.0),
            "t + 1 is handed on where t should be: the first step is t = 1": step(clipped, t=t + 1),
            "t = 1 is handed on where t should be": step(clipped, t=1),
        }
        expected = step(clipped)
        kept = moments[name]
        if not (isinstance(kept, (tuple, list)) and len(kept) == 2):
            raise Wrong("moments[name] must be the tuple (m, v) that adamw returned")
        # By the moments first: they know no decay, so that a wrong gradient is told from that.
        for i, part in enumerate(("m", "v")):
            compare(
                f"{when} the {part} in moments[{name!r}]",
                kept[i],
                expected[1 + i],
                {
                    "it is that from before the step: keep the new one": before[name][i],
                    **{sentence: wrong[1 + i] for sentence, wrong in mistakes.items()},
                },
            )
        compare(
            f"{when} W[{name!r}]",
            mine[name],
            expected[0],
            {
                "it has not moved: put what adamw returned into the W that is given": theta,
                **{sentence: wrong[0] for sentence, wrong in mistakes.items()},
            },
        )
