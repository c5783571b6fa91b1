"""The position-wise feed-forward network (E10), plain and gated."""

from __future__ import annotations

import numpy as np

import minigpt.functional as F
from minigpt import checks
from minigpt.checks import Seed
from minigpt.functional.activations import ACTIVATIONS
from minigpt.nn.config import TransformerConfig, check_config
from minigpt.nn.layers import Dropout, Linear
from minigpt.nn.lora_layer import project
from minigpt.nn.module import Module
from minigpt.tensor import Tensor


class MLP(Module):
    """y = f(x W_up + b_up) W_down + b_down, for each token by itself (Vaswani et al. 2017, §3.3).

    Args:
        config: a model's, a :class:`~minigpt.nn.BlockConfig`, or any object with what is read of
            it: n_embd (the width of x and y), n_inner (the width in between; 4·n_embd where None),
            activation (f), dropout (on y, before it joins the residual stream), bias, init_std and
            residual_std (of the initial W_up and W_down).
        seed: of the projections, a number or a Generator.

    Shapes:
        x: (..., n_embd) -> (..., n_embd)

    Raises:
        TypeError: ``config`` lacks something of that.

    Example:
        >>> from minigpt.nn import BlockConfig
        >>> MLP(BlockConfig(n_embd=4, n_head=1, activation="relu"), seed=0).up_proj.weight.shape
        (4, 16)
    """

    def __init__(self, config: TransformerConfig, *, seed: Seed) -> None:
        super().__init__()
        _check(config)
        c, rng = config, np.random.default_rng(checks.seed(seed))
        n_inner = 4 * c.n_embd if c.n_inner is None else c.n_inner
        self.activation = c.activation
        self.up_proj = Linear(c.n_embd, n_inner, c.bias, std=c.init_std, seed=rng)
        self.down_proj = Linear(n_inner, c.n_embd, c.bias, std=c.residual_std, seed=rng)
        self.dropout = Dropout(c.dropout)

    def forward(self, x: Tensor, rng: np.random.Generator | None = None) -> Tensor:
        up = project(self.up_proj, x, rng)  # (..., C) -> (..., n_inner)
        y = project(self.down_proj, ACTIVATIONS[self.activation](up), rng)  # -> (..., C)
        return self.dropout(y, rng)

    def extra_repr(self) -> str:
        return f"activation={self.activation!r}"


class GatedMLP(Module):
    """y = (f(x W_gate + b_gate) ∘ (x W_up + b_up)) W_down + b_down (Shazeer 2020, §2).

    What goes on of x W_up is decided by x itself: f of a second projection lets it pass, or not.
    With f = SiLU it is Llama's SwiGLU.

    Args:
        config: as :class:`MLP` has it; n_inner where None is :func:`gated_width`.
        seed: of the projections, a number or a Generator.

    Shapes:
        x: (..., n_embd) -> (..., n_embd)

    Raises:
        TypeError: as :class:`MLP`.

    Example:
        >>> from minigpt.nn import BlockConfig
        >>> mlp = GatedMLP(BlockConfig(n_embd=48, n_head=1, mlp="gated", activation="silu"), seed=0)
        >>> mlp.up_proj.weight.shape
        (48, 128)
    """

    def __init__(self, config: TransformerConfig, *, seed: Seed) -> None:
        super().__init__()
        _check(config)
        c, rng = config, np.random.default_rng(checks.seed(seed))
        n_inner = gated_width(c.n_embd) if c.n_inner is None else c.n_inner
        self.activation = c.activation
        self.gate_proj = Linear(c.n_embd, n_inner, c.bias, std=c.init_std, seed=rng)
        self.up_proj = Linear(c.n_embd, n_inner, c.bias, std=c.init_std, seed=rng)
        self.down_proj = Linear(n_inner, c.n_embd, c.bias, std=c.residual_std, seed=rng)
        self.dropout = Dropout(c.dropout)

    def forward(self, x: Tensor, rng: np.random.Generator | None = None) -> Tensor:
        gate, up = project(self.gate_proj, x, rng), project(self.up_proj, x, rng)
        hidden = F.gated_unit(gate, up, self.activation)  # (..., n_inner)
        y = project(self.down_proj, hidden, rng)  # (..., n_inner) -> (..., C)
        return self.dropout(y, rng)

    def extra_repr(self) -> str:
        return f"activation={self.activation!r}"


def mlp_of(config: TransformerConfig, seed: Seed) -> MLP | GatedMLP:
    """The feed-forward network of a block, plain or gated."""
    return GatedMLP(config, seed=seed) if config.mlp == "gated" else MLP(config, seed=seed)


def gated_width(n_embd: int) -> int:
    """n_inner of a gated network: 8/3·n_embd, rounded up to a multiple of 32.

    Three matrices of 8/3·n_embd have as many weights as two of 4·n_embd (Shazeer 2020, §3). 32
    numbers are a block of the usual quantised formats, and fill any processor's vectors.

    Example:
        >>> gated_width(96), gated_width(576)
        (256, 1536)
    """
    return -(-n_embd // 12) * 32  # 8/3 of it, in blocks of 32: a twelfth, rounded up


def _check(config: object) -> None:
    check_config(
        config, "n_embd", "n_inner", "activation", "dropout", "bias", "init_std", "residual_std"
    )
