"""What a loss means: between how many tokens a model hesitates, and how short it could write."""

from __future__ import annotations

import math

import numpy as np

from minigpt import checks


def perplexity_of(loss: float) -> float:
    """exp(L) of a loss L, the mean of −ln p(yₜ | y₍<ₜ₎); infinite where no float holds it.

    A model that gives each of V tokens 1/V has the perplexity V: it hesitates between all of them
    (Jelinek et al. 1977, "Perplexity: a measure of the difficulty of speech recognition tasks").

    Example:
        >>> round(perplexity_of(math.log(65)), 9), perplexity_of(1000.0)
        (65.0, inf)
    """
    try:
        return math.exp(_float("loss", loss))
    except OverflowError:
        return math.inf


def bits_per_byte(total_nll_nats: float, n_bytes: int) -> float:
    """−ln P / (n_bytes·ln 2): what an ideal coder using the model would need.

    Args:
        total_nll_nats: the negative log-likelihood −ln P of the whole text, not a mean.
        n_bytes: the length of the text in UTF-8.

    Raises:
        ValueError: ``n_bytes`` is below 1.

    Example:
        >>> bits_per_byte(8 * math.log(2), n_bytes=4)
        2.0
    """
    n_bytes = checks.integer("n_bytes", n_bytes, 1, 2**63 - 1)
    return _float("total_nll_nats", total_nll_nats) / (n_bytes * math.log(2))


def _float(name: str, value: object) -> float:
    """``value`` as a float, infinite or not a number though it may be."""
    if isinstance(value, (float, np.floating)) and not np.isfinite(value):
        return float(value)
    return checks.number(name, value)
