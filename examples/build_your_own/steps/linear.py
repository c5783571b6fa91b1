"""Step 3: linear(x, W), a matrix product with its two derivatives."""

from __future__ import annotations

from typing import Any

import numpy as np

import minigpt.functional as F
from comparing import check_operation, derivatives


def check(linear: Any) -> None:
    rng = np.random.default_rng(3)
    for shape in ((2, 3), (4, 5, 3)):  # (T, C), (B, T, C)
        x, W = rng.standard_normal(shape), rng.standard_normal((3, 6))
        dy = rng.standard_normal((*shape[:-1], 6))
        y, (dx, dW) = derivatives(F.linear, x, W, dy=dy)
        each = x.swapaxes(-1, -2) @ dy  # (C, D), or one for each row of the batch
        transposed = {"it is transposed, dyᵀ x: dW = xᵀ dy has the shape of W": dW.T}
        check_operation(
            "linear",
            linear,
            {"x": x, "W": W},
            ("y", y, {}),
            {
                "dx": (
                    dx,
                    {
                        "it has no dy in it: dx = dy Wᵀ": np.broadcast_to(W.sum(axis=1), shape),
                    },
                ),
                "dW": (
                    dW,
                    {
                        f"it has shape {each.shape}, one dW for each row of the batch: every row "
                        "went through the same W, so their derivatives are summed": each,
                        "the rows of the batch are averaged: derivatives of a weight that is used "
                        "several times are summed": each.mean(axis=0),
                        **transposed,
                        "all rows and places are averaged: they are summed": dW
                        / (dy.size // dy.shape[-1]),
                        "only the first row of the batch counts": each[0],
                    }
                    if len(shape) == 3
                    else {
                        **transposed,
                        "the places are averaged: they are summed, and the mean is taken once, in "
                        "the loss": dW / shape[0],
                    },
                ),
            },
            dy,
        )
