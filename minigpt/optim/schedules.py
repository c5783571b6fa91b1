"""Learning-rate schedules: functions from a step to its learning rate, for plots and loops.

Steps are counted from 0. A schedule keeps nothing, so it can be plotted, and a resumed run asks
for the step it is at:

    >>> [warmup_linear(step, 1.0, 0.0, warmup_steps=3, max_steps=7) for step in range(9)]
    [0.25, 0.5, 0.75, 1.0, 0.75, 0.5, 0.25, 0.0, 0.0]

Here every argument is checked. A training loop whose settings were checked when it was made calls
the same equations in :mod:`minigpt.optim.plain`.
"""

from __future__ import annotations

from minigpt import checks
from minigpt.optim import plain


def constant(step: int, learning_rate: float) -> float:
    """ηₜ = η: the same ``learning_rate`` at every ``step``.

    Example:
        >>> constant(1000, 3e-4)
        0.0003
    """
    checks.integer("step", step, least=0)
    return checks.number("learning_rate", learning_rate, least=0)


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
        TypeError: steps that are not integers.

    Example:
        >>> [round(warmup_cosine(t, 1.0, 0.1, 2, 10), 3) for t in (0, 1, 2, 6, 10, 99)]
        [0.333, 0.667, 1.0, 0.55, 0.1, 0.1]
    """
    peak, floor = _check(step, learning_rate, min_learning_rate, warmup_steps, max_steps)
    return plain.warmup_cosine(step, peak, floor, warmup_steps, max_steps)


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
        TypeError: steps that are not integers.

    Example:
        >>> [warmup_linear(t, 1.0, 0.0, 1, 5) for t in range(6)]
        [0.5, 1.0, 0.75, 0.5, 0.25, 0.0]
    """
    peak, floor = _check(step, learning_rate, min_learning_rate, warmup_steps, max_steps)
    return plain.warmup_linear(step, peak, floor, warmup_steps, max_steps)


def trapezoid(
    step: int,
    learning_rate: float,
    min_learning_rate: float,
    warmup_steps: int,
    max_steps: int,
    decay_steps: int,
) -> float:
    """A linear rise to η over w steps, η for most of the run, and a line to η_min in the last d.

    For step t:  η (t+1)/(w+1)                            while t < w
                 η                                        while w ≤ t < T−d
                 η_min + (η − η_min) (T−t)/d              while T−d ≤ t < T
                 η_min                                    from T on

    Warmup–stable–decay (Hu et al. 2024; Hägele et al. 2024, "Scaling Laws and Compute-Optimal
    Training Beyond Fixed Training Durations", §3, who take d = T/5). A cosine must know T from the
    first step on; here only the fall does, so that a run can go on from before it.

    Args:
        step, learning_rate, min_learning_rate, warmup_steps, max_steps: as :func:`warmup_cosine`
            has them.
        decay_steps: d.

    Raises:
        ValueError: a negative number, η_min above η, or w + d above T.
        TypeError: steps that are not integers.

    Example:
        >>> [trapezoid(t, 1.0, 0.0, 1, 6, 2) for t in range(7)]
        [0.5, 1.0, 1.0, 1.0, 1.0, 0.5, 0.0]
    """
    peak, floor = _check(step, learning_rate, min_learning_rate, warmup_steps, max_steps)
    _check_decay(decay_steps, warmup_steps, max_steps)
    return plain.trapezoid(step, peak, floor, warmup_steps, max_steps, decay_steps)


def _check(
    step: int,
    learning_rate: float,
    min_learning_rate: float,
    warmup_steps: int,
    max_steps: int,
) -> tuple[float, float]:
    """η and η_min as Python floats."""
    checks.integer("step", step, least=0)
    peak = checks.number("learning_rate", learning_rate, least=0)
    floor = checks.number("min_learning_rate", min_learning_rate, least=0)
    if floor > peak:
        mend = "the schedule falls from learning_rate to min_learning_rate"
        expected = f"at most learning_rate={peak}"
        raise checks.wrong_value("min_learning_rate", expected, floor, mend)
    steps = checks.integer("max_steps", max_steps, least=0)
    checks.number("max_steps", steps)  # one that a float can hold
    if checks.integer("warmup_steps", warmup_steps, least=0) > steps:
        mend = "the warm-up is part of max_steps"
        expected = f"at most max_steps={max_steps}"
        raise checks.wrong_value("warmup_steps", expected, warmup_steps, mend)
    return peak, floor


def _check_decay(decay_steps: int, warmup_steps: int, max_steps: int) -> None:
    level = max_steps - warmup_steps
    if checks.integer("decay_steps", decay_steps, least=0) > level:
        expected = f"at most max_steps − warmup_steps = {level}"
        mend = "the fall comes after the warm-up"
        raise checks.wrong_value("decay_steps", expected, decay_steps, mend)
