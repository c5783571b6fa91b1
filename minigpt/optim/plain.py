"""SGD, Adam, AdamW and Muon on one page, as the papers write them (E13), and their learning rates.

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


NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)  # a, b, c of Jordan et al. 2024


def muon(
    w: Array,
    g: Array,
    m: Array,
    *,
    lr: float,
    momentum: float = 0.95,
    nesterov: bool = True,
    weight_decay: float = 0.1,
    ns_coefficients: tuple[float, float, float] = NEWTON_SCHULZ,
    eps: float = 1e-7,
    ns_steps: int = 5,
    adjust_lr_fn: str = "original",
) -> tuple[Array, Array]:
    """The mean gradient of a matrix, made orthogonal (Jordan et al. 2024): (W, G, M) → (W', M').

    At first M = 0. The step is as long in all directions, those that the gradient has little of
    included.

    Example:
        >>> w, g = np.zeros((2, 2)), np.array([[3.0, 0.0], [0.0, 0.1]])
        >>> muon(w, g, w, lr=0.1)[0].diagonal().round(2)
        array([-0.07, -0.11])
    """
    m = momentum * m + (1 - momentum) * g
    n = (1 - momentum) * g + momentum * m if nesterov else m
    x = newton_schulz(n / max(float(np.linalg.norm(n)), eps), ns_coefficients, ns_steps)
    return w - lr * weight_decay * w - lr * update_scale(w.shape, adjust_lr_fn) * x, m


def newton_schulz(
    x: Array, coefficients: tuple[float, float, float] = NEWTON_SCHULZ, steps: int = 5
) -> Array:
    """X = U S Vᵀ → U p(p(…p(S))) Vᵀ with p(σ) = a σ + b σ³ + c σ⁵: soon, every σ is near 1.

    (Bernstein & Newhouse 2024, appendix A.) X Xᵀ = U S² Uᵀ, so a product with it multiplies each
    singular value by σ². They must be at most 1 at first.

    Example:
        >>> newton_schulz(np.diag([0.9, 0.05])).diagonal().round(2)
        array([0.68, 0.76])
    """
    a, b, c = coefficients
    for _ in range(steps):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x


def update_scale(shape: tuple[int, ...], adjust_lr_fn: str) -> float:
    """How long the orthogonal step of a matrix (n_in, n_out) is made.

    "original" (Jordan et al. 2024) counts a change by how long it makes its outputs;
    "match_rms_adamw" (Liu et al. 2025, §2.2) makes the root mean square of the step 0.2, about that
    of an Adam step: U Vᵀ has 1/√max(n_in, n_out).

    Example:
        >>> update_scale((4, 16), "original"), update_scale((4, 16), "match_rms_adamw")
        (2.0, 0.8)
    """
    n_in, n_out = shape
    if adjust_lr_fn == "original":
        return math.sqrt(max(1.0, n_out / n_in))
    return 0.2 * math.sqrt(max(n_in, n_out))


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


def trapezoid(
    step: int,
    learning_rate: float,
    min_learning_rate: float,
    warmup_steps: int,
    max_steps: int,
    decay_steps: int,
) -> float:
    """A linear rise, a long level, and a straight line down (Hägele et al. 2024, §3).

    Example:
        >>> [trapezoid(t, 1.0, 0.0, 1, 6, 2) for t in range(7)]
        [0.5, 1.0, 1.0, 1.0, 1.0, 0.5, 0.0]
    """
    if step < warmup_steps:
        return learning_rate * (step + 1) / (warmup_steps + 1)
    if step >= max_steps:
        return min_learning_rate
    fall = learning_rate - min_learning_rate
    return min_learning_rate + fall * min(1.0, (max_steps - step) / max(decay_steps, 1))


__all__ = [
    "adam",
    "adamw",
    "muon",
    "newton_schulz",
    "sgd",
    "trapezoid",
    "update_scale",
    "warmup_cosine",
    "warmup_linear",
]
