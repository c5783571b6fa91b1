"""SGD, Adam and AdamW on one page, as the papers write them (E13), and the learning rate they take.

Each is one step: θ, its gradient g = ∂L/∂θ and what is remembered from the step before go in, and
come out as they are after it. The optimizers of the same names elsewhere in ``minigpt.optim`` are
the fast forms: they write over their arrays, a piece at a time; tests hold each equal to the
function here. The learning rate is the same function for both.
"""

from __future__ import annotations

import math

import numpy as np

from minigpt.autograd import Array


def sgd(
    theta: Array,
    g: Array,
    b: Array,
    *,
    lr: float,
    momentum: float = 0.0,
    nesterov: bool = False,
    weight_decay: float = 0.0,
) -> tuple[Array, Array]:
    """Down the slope (Robbins & Monro 1951), with momentum: (θ, g, b) → (θ', b'). At first b = 0.

    Nesterov's momentum takes the gradient where the momentum leads to (Sutskever et al. 2013, §2).

    Example:
        >>> sgd(np.array([1.0]), np.array([2.0]), np.array([0.0]), lr=0.1)
        (array([0.8]), array([2.]))
    """
    g = g + weight_decay * theta
    b = momentum * b + g
    direction = g + momentum * b if nesterov else b
    return theta - lr * direction, b


def adam(
    theta: Array,
    g: Array,
    m: Array,
    v: Array,
    t: int,
    *,
    lr: float,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
) -> tuple[Array, Array, Array]:
    """Step t = 1, 2, … of Adam (Kingma & Ba 2015, algorithm 1): (θ, g, m, v) → (θ', m', v').

    m is the mean gradient and v its mean square, both lately; both start at 0, which m̂ and v̂
    correct. So a step is about as long as the learning rate, whatever the gradient's size.

    Example:
        >>> one, zero = np.ones(1), np.zeros(1)
        >>> adam(one, 5 * one, zero, zero, t=1, lr=0.1)[0].round(6)
        array([0.9])
    """
    beta1, beta2 = betas
    g = g + weight_decay * theta
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g**2
    m_hat = m / (1 - beta1**t)
    v_hat = v / (1 - beta2**t)
    return theta - lr * m_hat / (np.sqrt(v_hat) + eps), m, v


def adamw(
    theta: Array,
    g: Array,
    m: Array,
    v: Array,
    t: int,
    *,
    lr: float,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.01,
) -> tuple[Array, Array, Array]:
    """Adam with the weight decay beside it (Loshchilov & Hutter 2019, algorithm 2).

    In Adam the decay is divided by √v̂ with the rest of the gradient; here all weights shrink alike.

    Example:
        >>> one, zero = np.ones(1), np.zeros(1)
        >>> adamw(one, 5 * one, zero, zero, t=1, lr=0.1, weight_decay=0.5)[0].round(6)
        array([0.85])
    """
    moved, m, v = adam(theta, g, m, v, t, lr=lr, betas=betas, eps=eps)
    return moved - lr * weight_decay * theta, m, v


def warmup_cosine(
    step: int,
    learning_rate: float,
    min_learning_rate: float,
    warmup_steps: int,
    max_steps: int,
) -> float:
    """A linear rise, then half a cosine down (Loshchilov & Hutter 2017, §3; Brown et al. 2020, B).

    Adam's first steps rest on a v of few gradients; while the rate rises, they are short.

    Example:
        >>> [round(warmup_cosine(t, 1.0, 0.1, 2, 10), 3) for t in (0, 1, 2, 6, 10, 99)]
        [0.333, 0.667, 1.0, 0.55, 0.1, 0.1]
    """
    if step < warmup_steps:
        return learning_rate * (step + 1) / (warmup_steps + 1)
    if step >= max_steps:
        return min_learning_rate
    progress = (step - warmup_steps) / (max_steps - warmup_steps)
    fall = learning_rate - min_learning_rate
    return min_learning_rate + 0.5 * fall * (1.0 + math.cos(math.pi * progress))


def warmup_linear(
    step: int,
    learning_rate: float,
    min_learning_rate: float,
    warmup_steps: int,
    max_steps: int,
) -> float:
    """A linear rise, then a straight line down (Devlin et al. 2018, appendix A.2).

    Example:
        >>> [warmup_linear(t, 1.0, 0.0, 1, 5) for t in range(6)]
        [0.5, 1.0, 0.75, 0.5, 0.25, 0.0]
    """
    if step < warmup_steps:
        return learning_rate * (step + 1) / (warmup_steps + 1)
    if step >= max_steps:
        return min_learning_rate
    fall = learning_rate - min_learning_rate
    return min_learning_rate + fall * (max_steps - step) / (max_steps - warmup_steps)


__all__ = ["adam", "adamw", "sgd", "warmup_cosine", "warmup_linear"]
