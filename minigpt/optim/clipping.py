"""Gradient clipping by the global norm."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import numpy as np

from minigpt import checks
from minigpt.autograd import Array
from minigpt.chunks import in_chunks
from minigpt.optim.parameters import named_parameters
from minigpt.optim.sharing import Apply, Scratch, one_by_one

_scratch = Scratch()


def gradient_norm(params: Iterable[Any]) -> float:
    """‖g‖ = √(Σ gᵢ²) over all gradients of all parameters, as one long vector.

    Added up in float64, in the same order whatever the number of threads. Parameters without a
    gradient are left out.

    Args:
        params: Parameters, or (name, Parameter) pairs.

    Example:
        >>> from minigpt.nn import Parameter
        >>> a, b = Parameter(np.zeros(1)), Parameter(np.zeros(2))
        >>> a.grad, b.grad = np.array([3.0]), np.array([0.0, 4.0])
        >>> gradient_norm([a, b])
        5.0
    """
    return math.sqrt(_squares(_gradients(params), one_by_one))


def clip_grad_norm(params: Iterable[Any], max_norm: float, apply: Apply = one_by_one) -> float:
    """Scale all gradients by one factor so that their global norm is at most ``max_norm``.

    g ← g · min(1, max_norm / ‖g‖)    (Pascanu, Mikolov & Bengio 2013, algorithm 1)

    The gradients are scaled in place, and their direction stays. Where the norm is not finite they
    are left as they are: check what is returned before the optimizer's step.

    Args:
        params: Parameters, or (name, Parameter) pairs; those without a gradient are left out.
        max_norm: above 0; ``math.inf`` measures and never clips.
        apply: how to call a function with every gradient; see :meth:`Optimizer.step`.

    Returns:
        ‖g‖ before the clipping.

    Raises:
        ValueError: max_norm is not above 0.

    Example:
        >>> from minigpt.nn import Parameter
        >>> p = Parameter(np.zeros(2))
        >>> p.grad = np.array([3.0, 4.0])
        >>> clip_grad_norm([p], max_norm=1.0), p.grad
        (5.0, array([0.6, 0.8]))
    """
    return clip_gradients(_gradients(params), _check(max_norm), apply)


def clip_gradients(
    gradients: list[Array],
    max_norm: float,
    apply: Apply = one_by_one,
    total: Callable[[float], float] = float,
) -> float:
    """As :func:`clip_grad_norm`, of the gradients themselves, and nothing is checked.

    This is what a training loop calls at every step, where the parameters are those that its
    optimizer was made with. Where the gradient lies in pieces on several machines, ``total`` makes
    of each one's Σ gᵢ² the sum of all.

    Example:
        >>> g = np.array([3.0, 4.0])
        >>> clip_gradients([g], max_norm=1.0), g
        (5.0, array([0.6, 0.8]))
    """
    norm = math.sqrt(total(_squares(gradients, apply)))
    if max_norm < norm < math.inf:
        apply(partial(_scale, max_norm / norm), gradients)
    return norm


def _squares(gradients: list[Array], apply: Apply) -> float:
    return sum(apply(_sum_of_squares, gradients), 0.0)


def _sum_of_squares(gradient: Array) -> float:
    (piece,) = _scratch(np.dtype(np.float64), 1)
    total = 0.0
    with np.errstate(over="ignore", invalid="ignore"):  # what is too large is inf, and is returned
        # The order of the numbers does not matter, so a transposed gradient is not copied.
        for g, g64 in in_chunks(gradient.ravel(order="K"), scratch=(piece,)):
            np.copyto(g64, g)
            total += float(np.einsum("i,i->", g64, g64))  # one sweep; BLAS would wake its threads
    return total


def _scale(factor: float, gradient: Array) -> None:
    gradient *= factor


def _gradients(params: Iterable[Any]) -> list[Array]:
    pairs = named_parameters(params)
    return [parameter.grad for _, parameter in pairs if parameter.grad is not None]


def _check(max_norm: float) -> float:
    if isinstance(max_norm, float) and max_norm == math.inf:
        return math.inf
    return checks.number("max_norm", max_norm, above=0, mend="or math.inf, to measure only")
