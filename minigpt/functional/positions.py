"""Sinusoidal positions (E4), and the slopes of attention with linear biases."""

from __future__ import annotations

import numpy as np

from minigpt import checks
from minigpt.autograd import Array


def sinusoidal_positions(length: int, d_model: int) -> Array:
    """PE(pos, 2i) = sin(pos/10000^(2i/d)), PE(pos, 2i+1) = cos of the same angle.

    Both of a pair share the exponent 2i/d (Vaswani et al. 2017, §3.5), so that each pair is a
    point on a circle, and a step of k positions is a rotation, the same wherever it starts.

    Args:
        length: how many places.
        d_model: d, how many features each has, even.

    Shapes:
        returns: (length, d_model), float64

    Raises:
        ValueError: a size below 1, or an odd ``d_model``.

    Example:
        >>> sinusoidal_positions(2, 4).round(4)
        array([[0.    , 1.    , 0.    , 1.    ],
               [0.8415, 0.5403, 0.01  , 1.    ]])
    """
    _check_sizes(length, d_model)
    pos = np.arange(length)[:, None]
    two_i = np.arange(0, d_model, 2)
    angle = pos / 10000 ** (two_i / d_model)  # (length, 1) / (d/2,) -> (length, d/2)
    table = np.empty((length, d_model))
    table[:, 0::2] = np.sin(angle)
    table[:, 1::2] = np.cos(angle)
    return table


def alibi_slopes(n_head: int, scale: float = 1.0) -> Array:
    """m_h = scale · 2^(−8h/n) for the heads h = 1 … n: how fast each forgets.

    Attention with linear biases (ALiBi) takes the distance of a key, times the slope of the head,
    from its score:  softmaxⱼ(qᵢ·kⱼ/√d_k − m_h (i − j))  (Press et al. 2022, §3).  It is all
    that the model learns of where tokens stand, is the same wherever they do, and makes "the last
    one that fits" easy to find. The paper has a scale of 1, for texts of a thousand tokens and
    more: of two words 4 tokens apart, its steepest head of 4 sees the nearer one e times as well as
    the other. Where texts are short, steeper heads tell neighbours apart. It also takes other
    slopes where n is not a power of two; here the formula holds for any n.

    Shapes:
        returns: (n_head,), float64

    Raises:
        ValueError: ``n_head`` below 1, or a ``scale`` that is not positive.

    Example:
        >>> alibi_slopes(4)
        array([0.25      , 0.0625    , 0.015625  , 0.00390625])
        >>> alibi_slopes(4, scale=8)
        array([2.     , 0.5    , 0.125  , 0.03125])
    """
    _check_slopes(n_head, scale)
    return scale * 2.0 ** (-8.0 * np.arange(1, n_head + 1) / n_head)


def _check_sizes(length: int, d_model: int) -> None:
    checks.integer("d_model", d_model, least=2)
    checks.sizes(length=length, d_model=d_model)
    if d_model % 2:
        mend = "sine and cosine come in pairs"
        raise checks.wrong_value("d_model", "an even number", d_model, mend)


def _check_slopes(n_head: int, scale: float) -> None:
    checks.sizes(n_head=n_head)
    checks.number("scale", scale, above=0)
