"""Stochastic gradient descent, with momentum."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from minigpt import checks
from minigpt.autograd import Array
from minigpt.chunks import in_chunks
from minigpt.optim.optimizer import Optimizer, Slot


class SGD(Optimizer):
    """Stochastic gradient descent (Robbins & Monro 1951) with momentum or Nesterov's momentum.

        g ← g + λ θ              L2 regularisation
        b ← μ b + g              b = 0 at first
        θ ← θ − η b              or, with Nesterov,  θ ← θ − η (g + μ b)

    PyTorch's convention: the learning rate is outside b, so that a change of it acts at once.
    Sutskever, Martens, Dahl & Hinton (2013, §2) write v = −η b, which is the same while η is
    constant. Nesterov's form is the one with both equations moved to the point looked ahead to.
    As it is written here, it is :func:`minigpt.optim.plain.sgd`.

    Args:
        params: Parameters, (name, Parameter) pairs, or groups: see :class:`Optimizer`.
        lr: η.
        momentum: μ in [0, 1).
        nesterov: whether to look ahead; needs momentum.
        weight_decay: λ, on all parameters whose group names none.

    Raises:
        ValueError: a value out of its range, or nesterov without momentum.
        TypeError: something that is not a parameter or a number.

    Example:
        >>> from minigpt.nn import Parameter
        >>> p = Parameter(np.array([1.0, 2.0]))
        >>> p.grad = np.array([10.0, -10.0])
        >>> SGD([p], lr=0.1).step()
        >>> p.data
        array([0., 3.])
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float,
        momentum: float = 0.0,
        nesterov: bool = False,
        weight_decay: float = 0.0,
    ) -> None:
        self.momentum = checks.number("momentum", momentum, least=0, below=1)
        self.nesterov = checks.flag("nesterov", nesterov)
        if self.nesterov and self.momentum == 0:
            mend = "give momentum=0.9, or nesterov=False"
            raise checks.wrong_value("momentum", "above 0 with nesterov=True", momentum, mend)
        super().__init__(params, lr, weight_decay, ("momentum",) if self.momentum else ())

    def _update(self, slot: Slot, theta: Array, gradient: Array, lr: float) -> None:
        mu, decay = self.momentum, slot.weight_decay
        scratch = self._scratch(theta.dtype, 2)
        memory = slot.arrays["momentum"].reshape(-1) if mu else gradient
        for p, g, b, regularised, s in in_chunks(theta, gradient, memory, scratch=scratch):
            if decay:
                np.multiply(p, decay, out=regularised)
                g = np.add(g, regularised, out=regularised)  # g + λ θ
            if mu:
                b *= mu
                b += g  # μ b + g
            else:
                b = g
            if self.nesterov:
                np.multiply(b, mu, out=s)
                s += g  # g + μ b
                s *= lr
            else:
                np.multiply(b, lr, out=s)
            p -= s

    def is_divisible(self, slot: Slot) -> bool:
        return True

    def _settings(self) -> dict[str, Any]:
        return {"momentum": self.momentum, "nesterov": self.nesterov}
