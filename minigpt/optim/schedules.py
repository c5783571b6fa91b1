"""Learning-rate schedules: plain functions from a step to its learning rate.

Steps are counted from 0. A schedule keeps nothing, so it can be plotted, and a resumed run asks
for the step it is at:

    >>> [warmup_linear(step, 1.0, 0.0, warmup_steps=3, max_steps=7) for step in range(9)]
    [0.25, 0.5, 0.75, 1.0, 0.75, 0.5, 0.25, 0.0, 0.0]
"""

from __future__ import annotations

import math

from minigpt.optim.checks import count, not_negative


def constant(step: int, learning_rate: float) -> float:
    """The same learning rate η at every step.

    Example:
        >>> constant(1000, 3e-4)
        0.0003
    """
    count("step", step)
    return not_negative("learning_rate", learning_rate)


def warmup_cosine(
    step: int,
    learning_rate: float,
    min_learning_rate: float,
    warmup_steps: int,
    max_steps: int,
) -> float:
    """A linear rise to η over w steps, then half a cosine down to η_min at step T, and η_min after.

    For step t:  η (t+1)/(w+1)                                      while t < w
                 η_min + ½ (η − η_min) (1 + cos(π (t−w)/(T−w)))     while w ≤ t < T
                 η_min                                              from T on

    The cosine is that of SGDR (Loshchilov & Hutter 2017, §3, equation 5) without restarts; the
    whole is the schedule of GPT-3 (Brown et al. 2020, appendix B) and of nanoGPT.

    Args:
        step: t, from 0 on.
        learning_rate: η, the highest.
        min_learning_rate: η_min, the last.
        warmup_steps: w. The first step already learns, at η/(w+1); 0 starts at η.
        max_steps: T, counted from step 0, so it includes the warm-up.

    Raises:
        ValueError: a negative number, η_min above η, or w above T.
        TypeError: steps that are no integers.

    Example:
        >>> [round(warmup_cosine(t, 1.0, 0.1, 2, 10), 3) for t in (0, 1, 2, 6, 10, 99)]
        [0.333, 0.667, 1.0, 0.55, 0.1, 0.1]
    """
    step, peak, floor = _checked(step, learning_rate, min_learning_rate, warmup_steps, max_steps)
    if step < warmup_steps:
        return peak * (step + 1) / (warmup_steps + 1)
    if step >= max_steps:
        return floor
    progress = (step - warmup_steps) / (max_steps - warmup_steps)
    return floor + 0.5 * (peak - floor) * (1.0 + math.cos(math.pi * progress))


def warmup_linear(
    step: int,
    learning_rate: float,
    min_learning_rate: float,
    warmup_steps: int,
    max_steps: int,
) -> float:
    """A linear rise to η over w steps, then a straight line to η_min at step T, and η_min after.

    As :func:`warmup_cosine`, with  η_min + (η − η_min) (T−t)/(T−w)  in place of the cosine: the
    schedule of BERT (Devlin et al. 2018, appendix A.2), there with η_min = 0.

    Raises:
        ValueError: a negative number, η_min above η, or w above T.
        TypeError: steps that are no integers.

    Example:
        >>> [warmup_linear(t, 1.0, 0.0, 1, 5) for t in range(6)]
        [0.5, 1.0, 0.75, 0.5, 0.25, 0.0]
    """
    step, peak, floor = _checked(step, learning_rate, min_learning_rate, warmup_steps, max_steps)
    if step < warmup_steps:
        return peak * (step + 1) / (warmup_steps + 1)
    if step >= max_steps:
        return floor
    return floor + (peak - floor) * (max_steps - step) / (max_steps - warmup_steps)


def _checked(
    step: int,
    learning_rate: float,
    min_learning_rate: float,
    warmup_steps: int,
    max_steps: int,
) -> tuple[int, float, float]:
    step = count("step", step)
    peak = not_negative("learning_rate", learning_rate)
    floor = not_negative("min_learning_rate", min_learning_rate)
    if floor > peak:
        raise ValueError(
            f"min_learning_rate={floor} is above learning_rate={peak}: the schedule falls from "
            "learning_rate to min_learning_rate"
        )
    if count("warmup_steps", warmup_steps) > count("max_steps", max_steps):
        raise ValueError(
            f"warmup_steps={warmup_steps} is more than max_steps={max_steps}: the warm-up is part "
            "of max_steps"
        )
    return step, peak, floor
