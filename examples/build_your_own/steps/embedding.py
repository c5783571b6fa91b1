"""Step 4: embedding(ids, W) looks up a row for each token."""

from __future__ import annotations

from typing import Any

import numpy as np

from comparing import check_operation, derivatives
from minigpt.functional import embedding as reference


def check(embedding: Any) -> None:
    rng = np.random.default_rng(4)
    W = rng.standard_normal((7, 3))
    ids = np.array([[1, 5, 1, 0], [5, 1, 6, 6]])  # several of them more than once
    dy = rng.standard_normal((2, 4, 3))
    y, (dW,) = derivatives(lambda w: reference(ids, w), W, dy=dy)
    last, first, ones = np.zeros_like(W), np.zeros_like(W), np.zeros_like(W)
    last[ids] = dy
    for i, row in zip(ids.ravel()[::-1], dy.reshape(-1, 3)[::-1], strict=True):
        first[i] = row
    np.add.at(ones, ids, 1.0)
    times = np.bincount(ids.ravel(), minlength=7)[:, None].clip(min=1)
    check_operation(
        "embedding",
        embedding,
        {"ids": ids, "W": W},
        (
            "y",
            y,
            {
                "the row before is looked up, that of ids − 1: tokens count from 0, as rows do": W[
                    ids - 1
                ],
                "the row after is looked up, that of ids + 1": W[(ids + 1) % 7],
            },
        ),
        {
            "dW": (
                dW,
                {
                    "a token that comes several times keeps one of its gradients only: "
                    "`dW[ids] += dy` adds once for each row; np.add.at(dW, ids, dy) adds each "
                    "time": last,
                    "a token that comes several times keeps its first gradient only: they are all "
                    "added up": first,
                    "a row that was looked up n times gets the mean of n gradients: it gets their "
                    "sum": dW / times,
                    "it is dy itself, one gradient for each place: dW has a row for each token of "
                    "the vocabulary": dy,
                    "np.empty holds what happens to be in memory: begin with zeros, "
                    "np.zeros_like(W)": np.full_like(W, np.nan),
                    "the gradients go to the rows of ids − 1, and should go to those of "
                    "ids": np.roll(dW, -1, axis=0),
                    "it begins as W, and should begin as zeros of the same shape": W + dW,
                    "dW counts how often a row was looked up, and dy is not in it": ones,
                },
            )
        },
        dy,
    )
