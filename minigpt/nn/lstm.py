"""The LSTM, as a module."""

from __future__ import annotations

import math

import numpy as np

import minigpt.functional as F
from minigpt import checks
from minigpt.autograd import Array
from minigpt.checks import Seed
from minigpt.nn.initial_weights import normal, orthogonal
from minigpt.nn.module import Module, Parameter
from minigpt.tensor import Tensor


class LSTM(Module):
    """One layer of long short-term memory (Hochreiter & Schmidhuber 1997; Gers et al. 2000).

        i, f, o = σ(…), σ(…), σ(…),  g = tanh(…),  each of x_t W_ih + h_{t−1} W_hh + b
        c_t = f∘c_{t−1} + i∘g
        h_t = o∘tanh(c_t)

    The weights of the gates i, f, g and o stand side by side. W_hh starts orthogonal in each gate,
    so that h neither fades nor grows through it (Saxe et al. 2014), and the bias of f at 1, so that
    the cell starts by remembering (Jozefowicz et al. 2015, §2.3); the other biases start at 0.

    Args:
        n_in: the size of x_t.
        n_hidden: H, the size of h_t and c_t.
        seed: of the weights, a number or a Generator.

    Shapes:
        x: (B, T, n_in) -> (B, T, H), and the last c (B, H)
        weight_ih: (n_in, 4·H);  weight_hh: (H, 4·H);  bias: (4·H,)

    Example:
        >>> import numpy as np, minigpt as mg
        >>> h, c = LSTM(3, 5, seed=0)(mg.Tensor(np.zeros((2, 7, 3), np.float32)))
        >>> h.shape, c.shape
        ((2, 7, 5), (2, 5))
    """

    def __init__(self, n_in: int, n_hidden: int, *, seed: Seed) -> None:
        super().__init__()
        checks.sizes(n_in=n_in, n_hidden=n_hidden)
        rng = np.random.default_rng(checks.seed(seed))
        gates = 4 * (n_hidden,)
        self.weight_ih = Parameter(normal((n_in, sum(gates)), 1 / math.sqrt(n_in), rng), gates)
        self.weight_hh = Parameter(np.hstack([orthogonal(n_hidden, rng) for _ in gates]), gates)
        forget = np.repeat(np.array([0, 1, 0, 0], np.float32), n_hidden)
        self.bias = Parameter(forget)

    def forward(
        self,
        x: Tensor,
        h0: Tensor | None = None,
        c0: Tensor | None = None,
        mask: Array | None = None,
    ) -> tuple[Tensor, Tensor]:
        """The hidden states of all steps, and the cell state of the last.

        Args:
            x: (B, T, n_in).
            h0, c0: (B, H), the state before the first step; zeros where None.
            mask: (B, T) booleans, False for padding, which leaves the state as it was.
        """
        return F.lstm(x, self.weight_ih, self.weight_hh, self.bias, h0, c0, mask)
