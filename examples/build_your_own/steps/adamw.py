"""Step 11: adamw(…), a step of the optimizer for one array of parameters."""

from __future__ import annotations

from typing import Any

import numpy as np

from calling import Wrong, call, shown
from comparing import compare
from minigpt.optim import plain

LR, BETA1, BETA2, EPS, DECAY = 0.1, 0.9, 0.99, 1e-8, 0.3
NAMES = ("theta", "g", "m", "v", "t", "lr", "weight_decay")


def check(adamw: Any) -> None:
    rng = np.random.default_rng(11)
    theta, g, m = (rng.standard_normal((2, 3)) for _ in range(3))
    v = rng.uniform(0.1, 1, (2, 3))
    g[0, 0], m[0, 0], v[0, 0] = 1e-6, 1e-6, 1e-12  # so small that ε counts, and where it stands
    for t in (7, 1):
        before = (np.zeros((2, 3)), np.zeros((2, 3))) if t == 1 else (m, v)
        arguments = dict(zip(NAMES, (theta, g, *before, t, LR, DECAY), strict=True))
        found = call("adamw", adamw, arguments)
        if not (isinstance(found, (tuple, list)) and len(found) == 3):
            raise Wrong(f"it returns {shown(found)}, and should return theta, m, v")
        expected = plain.adamw(
            theta, g, *before, t, lr=LR, betas=(BETA1, BETA2), eps=EPS, weight_decay=DECAY
        )
        _compare(t, found, expected, theta, g, before)
    zero = np.zeros(2)
    found = call("adamw", adamw, dict(zip(NAMES, (zero, zero, zero, zero, 1, LR, 0), strict=True)))
    if not np.isfinite(found[0]).all():
        raise Wrong("a parameter whose gradient has always been 0 becomes NaN: √v̂ + ε, not √v̂")


def _compare(t: int, found: Any, expected: Any, theta: Any, g: Any, before: Any) -> None:
    m, v = before
    new_m, new_v = expected[1:]
    at = f"at t={t},"
    compare(f"{at} m", found[1], new_m, {
        "β₁ and 1 − β₁ are exchanged: m ← β₁·m + (1 − β₁)·g": (1 - BETA1) * m + BETA1 * g,
        "the 1 − β₁ before g is missing": BETA1 * m + g,
        "m is β₁·m only, and g is not in it": BETA1 * m,
        "it is m̂: return m as it is, it is corrected anew at each step": new_m / (1 - BETA1**t),
        "g² belongs to v": new_v,
        "β₂ is in it, which is v's": BETA2 * m + (1 - BETA2) * g,
        "the decay is in the gradient: in AdamW it is apart, θ ← θ − lr·λ·θ": BETA1 * m
        + (1 - BETA1) * (g + DECAY * theta),
        "it has not moved: return the new m": m,
    })  # fmt: skip
    compare(f"{at} v", found[2], new_v, {
        "β₂ and 1 − β₂ are exchanged": (1 - BETA2) * v + BETA2 * g**2,
        "v averages g², and here it averages g": BETA2 * v + (1 - BETA2) * g,
        "β₁ is in it, which is m's": BETA1 * v + (1 - BETA1) * g**2,
        "β₂ is 0.99 here, and this is the 0.999 of PyTorch": 0.999 * v + 0.001 * g**2,
        "the 1 − β₂ before g² is missing": BETA2 * v + g**2,
        "it is v̂: return v as it is, it is corrected anew at each step": new_v / (1 - BETA2**t),
        "it is the square root: return v": np.sqrt(new_v),
        "it has not moved: return the new v": v,
    })  # fmt: skip

    def moved(m_hat: Any, root: Any, decay: Any = DECAY * theta) -> Any:
        with np.errstate(all="ignore"):
            return theta - LR * m_hat / root - LR * decay

    m_hat, v_hat = new_m / (1 - BETA1**t), new_v / (1 - BETA2**t)
    root = np.sqrt(v_hat) + EPS

    def corrected(t: int, beta1: float = BETA1, beta2: float = BETA2) -> Any:
        with np.errstate(all="ignore"):
            return moved(new_m / (1 - beta1**t), np.sqrt(new_v / (1 - beta2**t)) + EPS)

    compare(f"{at} theta", found[0], expected[0], {
        "the step goes up the slope: θ − lr·…": theta + LR * m_hat / root - LR * DECAY * theta,
        "the means are not corrected for having begun at 0: m̂ = m/(1 − β₁ᵗ), v̂ = v/(1 − β₂ᵗ)":
            moved(new_m, np.sqrt(new_v) + EPS),
        "only v is corrected for having begun at 0: m̂ = m/(1 − β₁ᵗ) too": moved(new_m, root),
        "only m is corrected for having begun at 0: v̂ = v/(1 − β₂ᵗ) too":
            moved(m_hat, np.sqrt(new_v) + EPS),
        "t + 1 stands where t should: the first step is t = 1": corrected(t + 1),
        "t − 1 stands where t should: the first step is t = 1, and 1 − β⁰ is 0": corrected(t - 1),
        "v̂ has β₁ in it, which is m's: v̂ = v/(1 − β₂ᵗ)": corrected(t, beta2=BETA1),
        "m̂ has β₂ in it, which is v's: m̂ = m/(1 − β₁ᵗ)": corrected(t, beta1=BETA2),
        "v̂ has 0.999 in it, as in PyTorch, and β₂ is 0.99 here": corrected(t, beta2=0.999),
        "ε stands under the root: √v̂ + ε, not √(v̂ + ε)": moved(m_hat, np.sqrt(v_hat + EPS)),
        "without ε a parameter whose gradient has always been 0 becomes NaN: m̂/(√v̂ + ε)":
            moved(m_hat, root - EPS),
        "the square root is missing: m̂/(√v̂ + ε)": moved(m_hat, v_hat + EPS),
        "the decay is missing: θ ← θ − lr·λ·θ": moved(m_hat, root, 0),
        "the decay is not multiplied by the learning rate": moved(m_hat, root, DECAY * theta / LR),
        "the decay has the wrong sign: it makes θ smaller": moved(m_hat, root, -DECAY * theta),
        "the decay is that of the moved θ: take the θ from before the step":
            (theta - LR * m_hat / root) * (1 - LR * DECAY),
        "the gradient itself is the direction: m̂ is": moved(g, root),
    })  # fmt: skip
