"""The layers with one idea each: Linear, Embedding, LayerNorm, Dropout; and none at all."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from contextvars import ContextVar

import numpy as np

import minigpt.functional as F
from minigpt.autograd import Array
from minigpt.functional.dropout import check_probability
from minigpt.nn.module import Module, Parameter
from minigpt.tensor import Tensor

Seed = int | np.random.Generator


class Linear(Module):
    """y = x W + b.

    Args:
        n_in, n_out: the sizes of x and y.
        bias: whether there is a b; it starts at 0.
        std: the standard deviation of the initial W; 1/√n_in by default, which keeps the variance.
        seed: of W, a number or a Generator.

    Shapes:
        x: (..., n_in) -> (..., n_out);  weight: (n_in, n_out);  bias: (n_out,)

    Example:
        >>> import minigpt as mg
        >>> mg.nn.Linear(3, 2, seed=0)(mg.Tensor([[1.0, 0.0, 0.0]])).shape
        (1, 2)
    """

    def __init__(
        self, n_in: int, n_out: int, bias: bool = True, *, std: float | None = None, seed: Seed
    ) -> None:
        super().__init__()
        check_size(n_in=n_in, n_out=n_out)
        std = 1 / math.sqrt(n_in) if std is None else std
        self.weight = Parameter(normal((n_in, n_out), std, seed))
        self.bias = Parameter(np.zeros(n_out, np.float32)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight, self.bias)


class Embedding(Module):
    """y = W[id]: a learned vector for each of n ids.

    Args:
        n: how many ids there are, 0 to n − 1.
        d: the size of a vector.
        std: the standard deviation of the initial W.
        seed: of W, a number or a Generator.

    Shapes:
        ids: (...) integers -> (..., d);  weight: (n, d)
    """

    def __init__(self, n: int, d: int, *, std: float = 0.02, seed: Seed) -> None:
        super().__init__()
        check_size(n=n, d=d)
        self.weight = Parameter(normal((n, d), std, seed))

    def forward(self, ids: Array) -> Tensor:
        return F.embedding(ids, self.weight)


class LayerNorm(Module):
    """y = γ ∘ (x − μ)/√(σ² + ε) + β over the last axis (Ba et al. 2016); γ starts at 1, β at 0.

    Args:
        n: the size of the last axis.
        bias: whether there is a β.
        eps: ε.

    Shapes:
        x: (..., n) -> (..., n);  weight (γ), bias (β): (n,)
    """

    def __init__(self, n: int, bias: bool = True, eps: float = 1e-5) -> None:
        super().__init__()
        check_size(n=n)
        self.eps = eps
        self.weight = Parameter(np.ones(n, np.float32))
        self.bias = Parameter(np.zeros(n, np.float32)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        return F.layer_norm(x, self.weight, self.bias, self.eps)


class Dropout(Module):
    """In training, each number is 0 with probability p and the others grow by 1/(1 − p).

    Args:
        p: the probability of a zero, 0 ≤ p < 1.

    Shapes:
        x: any -> the same

    Raises:
        TypeError: called in training without a Generator.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        check_probability(p)
        self.p = p

    def forward(self, x: Tensor, rng: np.random.Generator | None = None) -> Tensor:
        if not self.training or self.p == 0:
            return x
        if rng is None:
            raise TypeError(
                "dropout in training needs a Generator: pass rng=np.random.default_rng(seed), or "
                "switch it off with model.eval()"
            )
        return F.dropout(x, self.p, rng)

    def extra_repr(self) -> str:
        return f"p={self.p}"


class Identity(Module):
    """y = x: in the place of a layer that is left out.

    Shapes:
        x: any -> the same
    """

    def forward(self, x: Tensor) -> Tensor:
        return x


def normal(shape: tuple[int, ...], std: float, seed: Seed) -> Array:
    """Normal numbers of mean 0, float32, from a seed or a Generator."""
    check_seed(seed)
    if not _draws_weights.get():
        return np.broadcast_to(np.float32(np.nan), shape)
    draws = np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)
    draws *= np.float32(std)
    return draws


_draws_weights = ContextVar("_draws_weights", default=True)


@contextlib.contextmanager
def without_initial_weights() -> Iterator[None]:
    """Modules made inside have no initial weights: for those that get others right away.

    To draw them takes seconds in a large model. In their place is NaN, which takes neither time nor
    memory, and shows where a weight was forgotten.
    """
    token = _draws_weights.set(False)
    try:
        yield
    finally:
        _draws_weights.reset(token)


def check_size(**sizes: int) -> None:
    """Raise unless every size, given by its name, is an integer of 1 or more."""
    for name, size in sizes.items():
        if isinstance(size, bool) or not isinstance(size, (int, np.integer)):
            raise TypeError(f"{name} must be an integer, got {size!r}")
        if size < 1:
            raise ValueError(f"{name}={size} must be 1 or more")


def check_seed(seed: Seed) -> None:
    """Raise unless ``seed`` is an integer of 0 or more, or a Generator."""
    if isinstance(seed, np.random.Generator):
        return
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)):
        raise TypeError(f"seed must be an integer or a numpy.random.Generator, got {seed!r}")
    if seed < 0:
        raise ValueError(f"seed={seed} must be 0 or more")
