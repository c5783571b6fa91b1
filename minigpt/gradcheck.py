"""Checking a derivative against finite differences."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minigpt import checks
from minigpt.autograd import gradients
from minigpt.tensor import Tensor


class GradcheckError(AssertionError):
    """A gradient does not agree with finite differences."""


def gradcheck(
    fn: Callable[..., Tensor],
    inputs: Tensor | Sequence[Tensor],
    eps: float = 1e-6,
    atol: float = 1e-6,
    rtol: float = 1e-5,
    seed: int = 0,
) -> bool:
    """Compare the gradients of ``fn(*inputs)`` with central differences, entry by entry.

    With a random v, the scalar s(x) = Σ v∘fn(x) is differentiated twice: by ``backward``, and as
    (s(x + εeᵢ) − s(x − εeᵢ)) / 2ε for every entry i of every input that requires a gradient. A
    random v hides an error of a vector–Jacobian product only with probability 0.

    Args:
        fn: computes one Tensor from the inputs, the same each time (reseed what is random).
        inputs: float64 tensors; ε = 1e-6 is below what float32 can resolve.
        eps: ε.
        atol, rtol: |analytic − numeric| ≤ atol + rtol·|numeric| must hold.
        seed: of v.

    Returns:
        True.

    Raises:
        GradcheckError: names the worst entry, with both values; or an operation whose gradient has
            the wrong shape or dtype.
        TypeError: an input is not a float64 Tensor, or what ``fn`` returns is not one Tensor.
        ValueError: no input requires a gradient.
        RuntimeError: ``fn`` gave a Tensor without a graph: it was computed from arrays, from
            detached tensors or under no_grad().

    Example:
        >>> import numpy as np, minigpt as mg
        >>> x = mg.Tensor(np.array([0.3, -1.2]), requires_grad=True)
        >>> mg.gradcheck(lambda x: (x * x).tanh(), [x])
        True
    """
    tensors: list[Any] = list(inputs) if isinstance(inputs, (list, tuple)) else [inputs]
    _check(fn, tensors, eps, atol, rtol, seed)
    output = checks.instance("what fn returns", fn(*tensors), Tensor)
    v = np.random.default_rng(seed).standard_normal(output.shape)
    try:
        analytic = gradients(output, v.astype(output.dtype))
    except (TypeError, ValueError) as wrong:
        raise GradcheckError(str(wrong)) from None

    worst = (0.0, "")
    for i, x in enumerate(tensors):
        if not x.requires_grad:
            continue
        g = analytic.get(x, np.zeros_like(x.data))
        for place in np.ndindex(x.shape):
            numeric = _central_difference(fn, tensors, x, place, v, eps)
            error = abs(float(g[place]) - numeric)
            excess = error / (atol + rtol * abs(numeric))
            if math.isnan(excess):
                excess = math.inf
            if excess > max(worst[0], 1.0):
                worst = (
                    excess,
                    f"inputs[{i}]{list(place)}: {g[place]:.9g}, by differences "
                    f"{numeric:.9g}, off by {error:.2g}",
                )
    if worst[1]:
        raise GradcheckError(f"gradient and finite differences disagree, worst at {worst[1]}")
    return True


def _central_difference(
    fn: Callable[..., Tensor],
    inputs: Sequence[Tensor],
    x: Tensor,
    place: tuple[int, ...],
    v: np.ndarray,
    eps: float,
) -> float:
    """(s(x + εeᵢ) − s(x − εeᵢ)) / 2ε, with s = Σ v∘fn."""
    original = x.data
    sums = []
    for step in (eps, -eps):
        x.data = original.copy()
        x.data[place] += step
        sums.append(float((v * fn(*inputs).data).sum()))
    x.data = original
    return (sums[0] - sums[1]) / (2 * eps)


def _check(fn: object, tensors: list[Any], eps: float, atol: float, rtol: float, seed: int) -> None:
    if not callable(fn):
        raise checks.wrong_type("fn", "a function of Tensors", fn)
    checks.number("eps", eps, above=0)
    checks.number("atol", atol, least=0)
    checks.number("rtol", rtol, least=0)
    checks.seed(seed)
    for i, x in enumerate(tensors):
        if not isinstance(x, Tensor) or x.dtype != np.float64:
            raise checks.wrong_type(f"inputs[{i}]", "a float64 Tensor", x)
    if not any(x.requires_grad for x in tensors):
        mend = "there is no gradient to check"
        raise checks.wrong_value("inputs", "Tensors, one with requires_grad=True", tensors, mend)
