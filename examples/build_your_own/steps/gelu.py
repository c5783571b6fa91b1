"""Step 5: gelu(x), the bend between two linear maps."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import minigpt as mg
import minigpt.functional as F
from comparing import check_operation, derivatives


def mistyped(digits: str = "044715") -> list[float]:
    """What someone gets who types 0.044715 with a digit left out, twice, or before another."""
    out = [digits[:i] + digits[i + 1 :] for i in range(6)]
    twice = [digits[:i] + digits[i] + digits[i:] for i in range(6)]
    turned = [digits[:i] + digits[i + 1] + digits[i] + digits[i + 2 :] for i in range(5)]
    return sorted({float(f"0.{d}") for d in [*out, *twice, *turned]} - {0.044715})


def check(gelu: Any) -> None:
    rng = np.random.default_rng(5)
    x, dy = rng.normal(0, 1.5, (3, 8)), rng.standard_normal((3, 8))
    y, (dx,) = derivatives(F.gelu, x, dy=dy)
    slope = math.sqrt(2 / math.pi)
    u = slope * (x + 0.044715 * x**3)
    t = np.tanh(u)
    du = slope * (1 + 3 * 0.044715 * x**2)

    def value(cubic: float) -> Any:
        return 0.5 * x * (1 + np.tanh(slope * (x + cubic * x**3)))

    def slopes(du: Any) -> Any:
        return dy * (0.5 * (1 + t) + 0.5 * x * (1 - t**2) * du)

    check_operation(
        "gelu",
        gelu,
        {"x": x},
        (
            "y",
            y,
            {
                "this is the exact form, with the integral of the normal distribution: GPT-2 has "
                "the form with tanh": F.gelu(mg.Tensor(x), approximate="none").numpy(),
                "the factor ½ is missing": 2 * y,
                "this is ReLU, max(x, 0)": np.maximum(x, 0),
                "the factor x before (1 + tanh u) is missing": 0.5 * (1 + t),
                "the 1 + before tanh is missing": 0.5 * x * t,
                "√(2/π) multiplies both terms of u: √(2/π)·(x + 0.044715·x³)": 0.5
                * x
                * (1 + np.tanh(slope * x + 0.044715 * x**3)),
                "√(2/π) is missing in u": 0.5 * x * (1 + np.tanh(x + 0.044715 * x**3)),
                "u has x³, and here it is x²": 0.5
                * x
                * (1 + np.tanh(slope * (x + 0.044715 * x**2))),
                "√(2/π) is the square root of the quotient, and here √2/π is": 0.5
                * x
                * (1 + np.tanh(math.sqrt(2) / math.pi * (x + 0.044715 * x**3))),
                "this is x·σ(x), SiLU": x / (1 + np.exp(-x)),
                "the term with x³ is missing in u": value(0.0),
                **{
                    f"x³ is multiplied by {c:g}, and should be by 0.044715": value(c)
                    for c in mistyped()
                },
            },
        ),
        {
            "dx": (
                dx,
                {
                    "only the first factor is differentiated: by the product rule there is a "
                    "second term, ½x·(1 − tanh²u)·u′": dy * 0.5 * (1 + t),
                    "the first term of the product rule is missing, ½(1 + tanh u)": dy
                    * 0.5
                    * x
                    * (1 - t**2)
                    * du,
                    "there is a minus between the two terms: the product rule adds them": dy
                    * (0.5 * (1 + t) - 0.5 * x * (1 - t**2) * du),
                    "u′, the derivative of what is inside tanh, is missing": slopes(1),
                    "u′ is √(2/π)·(1 + 3·0.044715·x²), and its √(2/π) is missing": slopes(
                        du / slope
                    ),
                    "u′ is √(2/π)·(1 + 3·0.044715·x²), and its 3 is missing": slopes(
                        slope * (1 + 0.044715 * x**2)
                    ),
                    "u′ is √(2/π)·(1 + 3·0.044715·x²), and here x stands for x²": slopes(
                        slope * (1 + 3 * 0.044715 * x)
                    ),
                    "u′ is √(2/π)·(1 + 3·0.044715·x²), and here x³ stands for x²": slopes(
                        slope * (1 + 3 * 0.044715 * x**3)
                    ),
                    **{
                        f"in u′ stands {c:g}, and should stand 0.044715": slopes(
                            slope * (1 + 3 * c * x**2)
                        )
                        for c in mistyped()
                    },
                    "tanh′ is 1 − tanh², and here it is 1 − tanh": dy
                    * (0.5 * (1 + t) + 0.5 * x * (1 - t) * du),
                    "dy is missing: dx = dy · y′": dx / dy,
                },
            )
        },
        dy,
    )
