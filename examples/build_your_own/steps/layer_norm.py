"""Step 6: layer_norm(x, gain) keeps the numbers of each place in one range."""

from __future__ import annotations

from typing import Any

import numpy as np

import minigpt.functional as F
from comparing import check_operation, derivatives

EPS = 1e-5


def check(layer_norm: Any) -> None:
    rng = np.random.default_rng(6)
    x, gain = rng.normal(0.7, 1.5, (2, 3, 5)), rng.uniform(0.5, 2, 5)
    x[0, 1] *= 0.01  # so small that ε counts
    dy = rng.standard_normal(x.shape)
    y, (dx, dgain) = derivatives(F.layer_norm, x, gain, dy=dy)

    def normal(axis: Any, ddof: int = 0) -> Any:
        variance = x.var(axis=axis, keepdims=True, ddof=ddof)
        return gain * (x - x.mean(axis=axis, keepdims=True)) / np.sqrt(variance + EPS)

    std = np.sqrt(x.var(axis=-1, keepdims=True) + EPS)
    x_hat = (x - x.mean(axis=-1, keepdims=True)) / std
    dx_hat = dy * gain
    along = x_hat * (dx_hat * x_hat).mean(axis=-1, keepdims=True)
    level = dx_hat.mean(axis=-1, keepdims=True)
    of_dy = dy - dy.mean(axis=-1, keepdims=True)
    of_dy = (of_dy - x_hat * (dy * x_hat).mean(axis=-1, keepdims=True)) / std
    check_operation(
        "layer_norm",
        layer_norm,
        {"x": x, "gain": gain},
        (
            "y",
            y,
            {
                "the gain is missing: y = γ ∘ x̂": x_hat,
                "the gain is added, and should multiply": x_hat + gain,
                "mean and variance run over the batch, axis 0: they run over the features of each "
                "place, axis=-1": normal(0),
                "mean and variance run over the places, axis 1: they run over the features of "
                "each, axis=-1": normal(1),
                "mean and variance are those of the whole array: they run over the features of "
                "each place, axis=-1": normal(None),
                "the mean is not subtracted": gain * x / std,
                "x is divided by the variance σ², and should be by √(σ² + ε)": gain
                * (x - x.mean(axis=-1, keepdims=True))
                / (x.var(axis=-1, keepdims=True) + EPS),
                "it is not divided by √(σ² + ε)": gain * (x - x.mean(axis=-1, keepdims=True)),
                "ε is added to the standard deviation, and should be to the variance, inside the "
                "root": gain
                * (x - x.mean(axis=-1, keepdims=True))
                / (x.std(axis=-1, keepdims=True) + EPS),
                "ε = 1e-5 is missing: √(σ² + ε)": gain
                * (x - x.mean(axis=-1, keepdims=True))
                / x.std(axis=-1, keepdims=True),
                **{
                    f"ε is {eps:g}, and should be 1e-5": gain
                    * (x - x.mean(axis=-1, keepdims=True))
                    / np.sqrt(x.var(axis=-1, keepdims=True) + eps)
                    for eps in (1e-8, 1e-6, 1e-12)
                },
                "the variance is divided by C − 1, and should be by C: NumPy's var does, without "
                "ddof": normal(-1, ddof=1),
            },
        ),
        {
            "dx": (
                dx,
                {
                    "μ and σ are treated as constants: both move with x, which takes two means "
                    "away": dx_hat / std,
                    "σ is treated as a constant: it moves with x, which takes x̂·mean(dx̂∘x̂) away": (
                        dx_hat - level
                    )
                    / std,
                    "μ is treated as a constant: it moves with x, which takes mean(dx̂) away": (
                        dx_hat - along
                    )
                    / std,
                    "it is not divided by the standard deviation": dx_hat - level - along,
                    "the gain is missing: dx̂ = dy ∘ γ": of_dy,
                    "the gain multiplies at the end, and should at the beginning: both means are "
                    "those of dx̂ = dy ∘ γ": gain * of_dy,
                    "two sums over the features stand where their means should": (
                        dx_hat - 5 * level - 5 * along
                    )
                    / std,
                    "mean(dx̂) is a sum, and should be a mean": (dx_hat - 5 * level - along) / std,
                    "mean(dx̂ ∘ x̂) is a sum, and should be a mean": (dx_hat - level - 5 * along)
                    / std,
                    "mean(dx̂ ∘ x̂) is taken away as it is: x̂ multiplies it first": (
                        dx_hat - level - (dx_hat * x_hat).mean(axis=-1, keepdims=True)
                    )
                    / std,
                },
            ),
            "dgain": (
                dgain,
                {
                    "it has one gradient for each place: the gain is the same at all places, so "
                    "they are summed": dy * x_hat,
                    "it is the sum of dy: y = γ ∘ x̂, so x̂ multiplies it": dy.sum(axis=(0, 1)),
                    "x multiplies dy, and should be x̂, as in y = γ ∘ x̂": (dy * x).sum(axis=(0, 1)),
                    "it is averaged over the places, and should be summed": dgain / 6,
                },
            ),
        },
        dy,
    )
