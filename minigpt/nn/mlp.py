"""The position-wise feed-forward network (E10)."""

from __future__ import annotations

import numpy as np

from minigpt.functional.activations import ACTIVATIONS
from minigpt.nn.layers import Dropout, Linear, Seed, check_seed
from minigpt.nn.module import Module
from minigpt.tensor import Tensor


class MLP(Module):
    """y = f(x W_up + b_up) W_down + b_down, for each token alone.

    Args:
        n_embd: the width of x and y.
        n_inner: the width in between; 4·n_embd by default.
        activation: f: "gelu_tanh" (GPT-2), "gelu_erf" (exact), "relu" (Vaswani et al. 2017), "silu"
            or "tanh".
        dropout: on y, before it joins the residual stream.
        bias: whether the projections have biases.
        std: standard deviation of the initial W_up; 1/√n_in of each projection by default.
        out_std: that of W_down; the same as ``std`` by default.
        seed: of the projections, a number or a Generator.

    Shapes:
        x: (..., n_embd) -> (..., n_embd)

    Raises:
        ValueError: an activation of another name.
    """

    def __init__(
        self,
        n_embd: int,
        n_inner: int | None = None,
        activation: str = "gelu_tanh",
        dropout: float = 0.0,
        bias: bool = True,
        *,
        std: float | None = None,
        out_std: float | None = None,
        seed: Seed,
    ) -> None:
        super().__init__()
        check_activation(activation)
        check_seed(seed)
        rng = np.random.default_rng(seed)
        n_inner = 4 * n_embd if n_inner is None else n_inner
        self.activation = activation
        self.up_proj = Linear(n_embd, n_inner, bias, std=std, seed=rng)
        self.down_proj = Linear(
            n_inner, n_embd, bias, std=std if out_std is None else out_std, seed=rng
        )
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor, rng: np.random.Generator | None = None) -> Tensor:
        hidden = ACTIVATIONS[self.activation](self.up_proj(x))  # (…, C) -> (…, n_inner)
        return self.dropout(self.down_proj(hidden), rng)  # (…, n_inner) -> (…, C)

    def extra_repr(self) -> str:
        return f"activation={self.activation!r}"


def check_activation(activation: str) -> None:
    """Raise unless there is an activation of that name."""
    if activation not in ACTIVATIONS:
        known = ", ".join(repr(name) for name in ACTIVATIONS)
        raise ValueError(f"activation={activation!r} is not known: choose one of {known}")
