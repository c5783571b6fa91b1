"""The equations of a transformer in plain Python, number by number: nothing of them is minigpt's.

Each takes lists of numbers, and the functions of their kind (exp, sqrt, …): Python's floats, or
those of mpmath, which have as many digits as one likes. They are as slow as they look; what they
are for is to say what is right.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable, Sequence
from typing import Any

DIGITS = 50  # of mpmath's numbers
Vector = list[Any]
Matrix = list[Vector]


class Numbers:
    """A kind of numbers, with its functions.

    Args:
        name: for people.
        functions: has exp, log, sqrt, sin, cos, tanh, erf and pi.
        number: makes a number of a float.
    """

    def __init__(self, name: str, functions: Any, number: Callable[[float], Any]) -> None:
        self.name, self.number = name, number
        self.exp, self.log, self.sqrt = functions.exp, functions.log, functions.sqrt
        self.sin, self.cos, self.tanh = functions.sin, functions.cos, functions.tanh
        self.erf, self.pi = functions.erf, functions.pi

    def of(self, array: Any) -> Any:
        """An array, a list or a float in these numbers, exactly.

        Example:
            >>> FLOATS.of([[1, 2.5]])
            [[1.0, 2.5]]
        """
        if hasattr(array, "tolist"):
            array = array.tolist()
        return [self.of(x) for x in array] if isinstance(array, list) else self.number(array)


FLOATS = Numbers("Python's floats", math, float)


def kinds_of_numbers() -> list[Numbers]:
    """Python's floats, and mpmath's numbers where it is installed."""
    if importlib.util.find_spec("mpmath") is None:
        return [FLOATS]
    import mpmath

    context = mpmath.mp.clone()
    context.dps = DIGITS
    return [FLOATS, Numbers(f"mpmath ({DIGITS} digits)", context, context.mpf)]


def matmul(a: Matrix, b: Matrix) -> Matrix:
    """Σₖ aᵢₖ bₖⱼ.

    Example:
        >>> matmul([[1, 2]], [[3], [4]])
        [[11]]
    """
    return [[dot(row, column) for column in zip(*b, strict=True)] for row in a]


def dot(a: Sequence[Any], b: Sequence[Any]) -> Any:
    """Σᵢ aᵢ bᵢ."""
    return sum(x * y for x, y in zip(a, b, strict=True))


def add(a: Matrix, b: Matrix) -> Matrix:
    """aᵢⱼ + bᵢⱼ."""
    return [[x + y for x, y in zip(*rows, strict=True)] for rows in zip(a, b, strict=True)]


def softmax(scores: Vector, m: Numbers) -> Vector:
    """exp(xᵢ) / Σⱼ exp(xⱼ); a score that is None is hidden.

    Example:
        >>> softmax([0.0, None, 0.0], FLOATS)
        [0.5, 0.0, 0.5]
    """
    largest = max(x for x in scores if x is not None)
    e = [m.number(0) if x is None else m.exp(x - largest) for x in scores]
    return [x / sum(e) for x in e]


def attention_weights(
    q: Matrix, k: Matrix, m: Numbers, seen: Callable[[int, int], bool] = lambda i, j: True
) -> Matrix:
    """softmax(qᵢ·kⱼ/√d_k) of every query i over the keys j that it sees."""
    root = m.sqrt(m.number(len(q[0])))
    return [
        softmax([dot(qi, kj) / root if seen(i, j) else None for j, kj in enumerate(k)], m)
        for i, qi in enumerate(q)
    ]


def attention(
    q: Matrix,
    k: Matrix,
    v: Matrix,
    m: Numbers,
    seen: Callable[[int, int], bool] = lambda i, j: True,
) -> Matrix:
    """E1: softmax(Q Kᵀ / √d_k) V."""
    return matmul(attention_weights(q, k, m, seen), v)


def earlier(i: int, j: int) -> bool:
    """The causal mask: a token sees itself and those before it."""
    return j <= i


def heads(q: Matrix, k: Matrix, v: Matrix, n_head: int, m: Numbers) -> Matrix:
    """E9: Concat(head₁, …, head_h), causal, each head on its share of the features."""
    d = len(q[0]) // n_head
    each = []
    for i in range(n_head):
        own = slice(d * i, d * (i + 1))
        qi, ki, vi = ([row[own] for row in x] for x in (q, k, v))
        each.append(attention(qi, ki, vi, m, earlier))
    return [[x for head in each for x in head[t]] for t in range(len(q))]


def layer_norm(x: Matrix, gain: Vector, bias: Vector, m: Numbers, eps: float = 1e-5) -> Matrix:
    """E5: γ (x − μ)/√(σ² + ε) + β, of each row."""
    rows = []
    for row in x:
        mean = sum(row) / len(row)
        variance = sum((xi - mean) ** 2 for xi in row) / len(row)
        root = m.sqrt(variance + m.number(eps))
        rows.append([g * (xi - mean) / root + b for xi, g, b in zip(row, gain, bias, strict=True)])
    return rows


def gelu(x: Any, m: Numbers) -> Any:
    """½x(1 + tanh(√(2/π)(x + 0.044715x³)))."""
    return x / 2 * (1 + m.tanh(m.sqrt(2 / m.number(m.pi)) * (x + m.number(0.044715) * x**3)))


def exact_gelu(x: Any, m: Numbers) -> Any:
    """x·Φ(x), Φ the normal distribution: ½x(1 + erf(x/√2))."""
    return x / 2 * (1 + m.erf(x / m.sqrt(m.number(2))))


def feed_forward(x: Matrix, up: Matrix, down: Matrix, m: Numbers) -> Matrix:
    """E10: GELU(x W₁) W₂."""
    return matmul([[gelu(u, m) for u in row] for row in matmul(x, up)], down)


def cross_entropy(logits: Matrix, targets: Sequence[int], m: Numbers) -> Any:
    """E7, E8: −mean log p(target), over the targets that are not −1."""
    losses = [
        -m.log(softmax(row, m)[target])
        for row, target in zip(logits, targets, strict=True)
        if target != -1
    ]
    return sum(losses) / len(losses)


def position(place: int, d: int, m: Numbers) -> Vector:
    """E4: sin and cos of place/10000^(2i/d), in turn; both of a pair have one angle."""
    angles = [place / m.exp(m.log(m.number(10000)) * (2 * i) / d) for i in range(d // 2)]
    return [f(angle) for angle in angles for f in (m.sin, m.cos)]


def filtered(logits: Vector, temperature: float, k: int, p: float, m: Numbers) -> Vector:
    """E12: softmax(z/T) of the k likeliest, of which only those stay that hold the mass p."""
    z = [x / m.number(temperature) for x in logits]
    order = sorted(range(len(z)), key=lambda i: -z[i])
    kept = order[:k]
    probabilities = softmax([x if i in kept else None for i, x in enumerate(z)], m)
    mass, stay = m.number(0), []
    for i in kept:
        if mass < p:
            stay.append(i)
        mass += probabilities[i]
    return softmax([x if i in stay else None for i, x in enumerate(z)], m)


def adamw(theta: Any, gradients: Sequence[Any], settings: Sequence[float], m: Numbers) -> Any:
    """E13: one number after a step for each of its gradients.

    settings: the learning rate, β₁, β₂, ε, and the weight decay λ.
    """
    lr, beta1, beta2, eps, decay = map(m.number, settings)
    mean = square = m.number(0)
    for t, g in enumerate(gradients, start=1):
        mean = beta1 * mean + (1 - beta1) * g
        square = beta2 * square + (1 - beta2) * g**2
        step = mean / (1 - beta1**t) / (m.sqrt(square / (1 - beta2**t)) + eps)
        theta = theta - lr * step - lr * decay * theta
    return theta
