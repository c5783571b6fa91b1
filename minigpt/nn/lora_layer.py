"""A linear layer with a low-rank adapter beside its matrix (LoRA)."""

from __future__ import annotations

import math

import numpy as np

import minigpt.functional as F
from minigpt import checks
from minigpt.checks import Seed
from minigpt.nn.initial_weights import normal
from minigpt.nn.layers import Dropout, Linear
from minigpt.nn.module import Module, Parameter
from minigpt.tensor import Tensor


class LoRALinear(Linear):
    """y = x W + b + (α/r) (dropout(x) A) B, with W and b as they were (Hu et al. 2021, §4.1).

    A begins with normal numbers and B with zeros, so that at first y is what it was. What is
    learned is a change of W by (α/r) A B, a matrix of rank r.

    Args:
        linear: its W and b are this layer's too, not copies.
        rank: r, at most the smaller side of W.
        alpha: α; larger changes faster. With α/r, the learning rate need not follow r.
        dropout: the share of x that the adapter does not see in training; W sees all of it.
        seed: of A, a number or a Generator.

    Shapes:
        x: (..., n_in) -> (..., n_out);  lora_a (A): (n_in, r);  lora_b (B): (r, n_out)

    Raises:
        ValueError: rank, alpha or dropout out of range.
        TypeError: called in training with dropout and without a Generator.

    Example:
        >>> import minigpt as mg
        >>> layer = Linear(6, 4, seed=0)
        >>> adapted = LoRALinear(layer, rank=2, alpha=2, seed=1)
        >>> x = mg.Tensor(np.ones((1, 6), np.float32))
        >>> bool((adapted(x).data == layer(x).data).all())
        True
    """

    def __init__(
        self, linear: Linear, rank: int, alpha: float, *, dropout: float = 0.0, seed: Seed
    ) -> None:
        Module.__init__(self)
        checks.instance("linear", linear, Linear)
        self.weight, self.bias = linear.weight, linear.bias
        n_in, n_out = linear.weight.shape
        most, why = min(n_in, n_out), f"as the matrix is {(n_in, n_out)}"
        rank = checks.integer("rank", rank, least=1, most=most, mend=why)
        self.alpha = checks.number("alpha", alpha, above=0)
        self.dropout = Dropout(checks.probability("dropout", dropout))
        dtype = linear.weight.dtype
        self.lora_a = Parameter(normal((n_in, rank), 1 / math.sqrt(n_in), seed).astype(dtype))
        self.lora_b = Parameter(np.zeros((rank, n_out), dtype), linear.weight.parts)
        self.train(linear.training)

    @property
    def rank(self) -> int:
        """r."""
        return self.lora_a.shape[1]

    def forward(self, x: Tensor, rng: np.random.Generator | None = None) -> Tensor:
        seen = self.dropout(x, rng)
        low = F.linear(seen, self.lora_a) * (self.alpha / self.rank)  # (..., n_in) -> (..., r)
        high = F.linear(low, self.lora_b)  # (..., r) -> (..., n_out)
        return F.linear(x, self.weight, self.bias) + high

    def extra_repr(self) -> str:
        return f"rank={self.rank}, alpha={self.alpha:g}"


def project(layer: Module, x: Tensor, rng: np.random.Generator | None) -> Tensor:
    """layer(x); an adapter beside the layer's matrix draws what it drops out from ``rng``."""
    y: Tensor = layer(x, rng) if isinstance(layer, LoRALinear) else layer(x)
    return y
