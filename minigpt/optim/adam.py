"""Adam, and AdamW: Adam with its weight decay taken out of the gradient."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from minigpt import checks
from minigpt.autograd import Array
from minigpt.chunks import in_chunks
from minigpt.optim.optimizer import Optimizer, Slot
from minigpt.optim.parameters import ParameterLike


class Adam(Optimizer):
    """Adam (Kingma & Ba 2015, "Adam: A Method for Stochastic Optimization", algorithm 1).

        g ← g + λ θ                           L2 regularisation, where λ > 0
        m ← β₁ m + (1 − β₁) g                 first moment: the mean gradient
        v ← β₂ v + (1 − β₂) g²                second moment: its mean square
        m̂ = m / (1 − β₁ᵗ),  v̂ = v / (1 − β₂ᵗ)   both start at 0: the bias corrected
        θ ← θ − η m̂ / (√v̂ + ε)

    t counts the updates of the parameter: steps at which it had no gradient are left out.
    As the paper writes it, it is :func:`minigpt.optim.plain.adam`.

    Args:
        params: Parameters, (name, Parameter) pairs, or groups: see :class:`Optimizer`.
        lr: η.
        betas: (β₁, β₂), each in [0, 1).
        eps: ε, above 0.
        weight_decay: λ, on all parameters whose group names none.

    Raises:
        ValueError: a value out of its range.
        TypeError: something that is not a parameter or a number.

    Example:
        >>> from minigpt.nn import Parameter
        >>> p = Parameter(np.array([1.0, 1.0]))
        >>> p.grad = np.array([100.0, -0.01])
        >>> Adam([p], lr=0.1).step()
        >>> p.data.round(4)  # the first step is lr, whatever the gradient's size
        array([0.9, 1.1])
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        self.betas = check_betas(betas)
        self.eps = checks.number("eps", eps, above=0)
        super().__init__(params, lr, weight_decay, ("first_moment", "second_moment"))

    def _update(self, slot: Slot, theta: Array, gradient: Array, lr: float) -> None:
        (beta1, beta2), t = self.betas, slot.updates
        # The order of the paper's §2, end: the bias corrections are moved out of the arrays,
        # θ ← θ − η_t m / (√v + ε_t)  with  η_t = η √(1 − β₂ᵗ) / (1 − β₁ᵗ)  and  ε_t = ε √(1 − β₂ᵗ).
        correction = math.sqrt(1 - beta2**t)
        lr_t = lr * correction / (1 - beta1**t)
        eps_t = self.eps * correction
        regularisation, shrink = self._decay(slot.weight_decay, lr)

        m_all, v_all = (array.reshape(-1) for array in slot.arrays.values())
        scratch = self._scratch(theta.dtype, 2)
        for p, g, m, v, gs, s in in_chunks(theta, gradient, m_all, v_all, scratch=scratch):
            if regularisation:
                np.multiply(p, regularisation, out=gs)
                g = np.add(g, gs, out=gs)  # g + λ θ
            if shrink != 1:
                p *= shrink  # θ − η λ θ

            m *= beta1
            np.multiply(g, 1 - beta1, out=s)
            m += s  # β₁ m + (1 − β₁) g

            v *= beta2
            np.multiply(g, g, out=s)
            s *= 1 - beta2
            v += s  # β₂ v + (1 − β₂) g²

            np.sqrt(v, out=s)
            s += eps_t
            np.divide(m, s, out=s)
            s *= lr_t
            p -= s  # θ − η_t m / (√v + ε_t)

    def _decay(self, weight_decay: float, lr: float) -> tuple[float, float]:
        """(λ of the term λ θ in the gradient, the factor on θ itself)."""
        return weight_decay, 1.0

    def is_divisible(self, slot: Slot) -> bool:
        return True

    def _settings(self) -> dict[str, Any]:
        return {"betas": self.betas, "eps": self.eps}


class AdamW(Adam):
    """AdamW (Loshchilov & Hutter 2019, "Decoupled Weight Decay Regularization", algorithm 2).

        θ ← θ − η ( m̂ / (√v̂ + ε) + λ θ )        m̂ and v̂ as in Adam, from g only

    In Adam, L2 regularisation is divided by √v̂ with the rest of the gradient, so weights with large
    gradients are hardly decayed. Here the decay is beside the gradient: all shrink by the same
    factor 1 − η λ. (The paper decays only by its schedule's factor η_t; here, as in PyTorch, η is
    the whole learning rate, the paper's η_t α.) As the paper writes it, it
    is :func:`minigpt.optim.plain.adamw`.

    Only matrices and embeddings decay (parameters of two dimensions or more), not biases and
    gains. A group that names its own ``weight_decay`` decays all its parameters by that.

    The defaults are PyTorch's. A Trainer has those of small language models: a loop of one's own
    that is to match it needs ``betas=(0.9, 0.99), weight_decay=0.1``.

    Args:
        params: Parameters, (name, Parameter) pairs, or groups: see :class:`Optimizer`.
        lr: η.
        betas: (β₁, β₂), each in [0, 1).
        eps: ε, above 0.
        weight_decay: λ.

    Raises:
        ValueError: a value out of its range.
        TypeError: something that is not a parameter or a number.

    Example:
        >>> from minigpt.nn import Parameter
        >>> matrix, bias = Parameter(np.ones((1, 2))), Parameter(np.ones(2))
        >>> matrix.grad, bias.grad = np.zeros((1, 2)), np.zeros(2)
        >>> AdamW([("matrix", matrix), ("bias", bias)], lr=0.1, weight_decay=0.5).step()
        >>> matrix.data, bias.data
        (array([[0.95, 0.95]]), array([1., 1.]))
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.01,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay)

    def _decays(self, parameter: ParameterLike) -> bool:
        return parameter.data.ndim >= 2

    def _decay(self, weight_decay: float, lr: float) -> tuple[float, float]:
        return 0.0, 1.0 - lr * weight_decay


def check_betas(betas: object, name: str = "betas") -> tuple[float, float]:
    """Adam's β₁ and β₂."""
    if not isinstance(betas, (tuple, list)) or len(betas) != 2:
        raise checks.wrong_type(name, "a pair of numbers", betas, "the usual is (0.9, 0.999)")
    one, two = (checks.number(f"{name}[{i}]", b, least=0, below=1) for i, b in enumerate(betas))
    return one, two
