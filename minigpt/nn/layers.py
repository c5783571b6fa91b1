"""The layers with one idea each: Linear, Embedding, the norms, Dropout; and none at all."""

from __future__ import annotations

import math

import numpy as np

import minigpt.functional as F
from minigpt import checks
from minigpt.autograd import Array
from minigpt.checks import Seed
from minigpt.nn.initial_weights import normal
from minigpt.nn.module import Module, Parameter
from minigpt.tensor import Tensor


class Linear(Module):
    """y = x W + b.

    Args:
        n_in, n_out: the sizes of x and y.
        bias: whether there is a b; it starts at 0.
        std: the standard deviation of the initial W; 1/√n_in by default, which keeps the variance.
        parts: the widths of the layers that W holds side by side, where there are several.
        seed: of W, a number or a Generator.

    Shapes:
        x: (..., n_in) -> (..., n_out);  weight: (n_in, n_out);  bias: (n_out,)

    Example:
        >>> import minigpt as mg
        >>> mg.nn.Linear(3, 2, seed=0)(mg.Tensor([[1.0, 0.0, 0.0]])).shape
        (1, 2)
    """

    def __init__(
        self,
        n_in: int,
        n_out: int,
        bias: bool = True,
        *,
        std: float | None = None,
        parts: tuple[int, ...] = (),
        seed: Seed,
    ) -> None:
        super().__init__()
        checks.sizes(n_in=n_in, n_out=n_out)
        std = 1 / math.sqrt(n_in) if std is None else std
        self.weight = Parameter(normal((n_in, n_out), std, seed), parts)
        has_bias = checks.flag("bias", bias)
        self.bias = Parameter(np.zeros(n_out, np.float32)) if has_bias else None

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight, self.bias)  # (..., n_in) -> (..., n_out)


class Embedding(Module):
    """y = W[id]: a learned vector for each of n ids (Bengio et al. 2003, §2).

    Args:
        n: how many ids there are, 0 to n − 1.
        d: the size of a vector.
        std: the standard deviation of the initial W.
        seed: of W, a number or a Generator.

    Shapes:
        ids: (...) integers -> (..., d);  weight: (n, d)

    Example:
        >>> import numpy as np, minigpt as mg
        >>> tokens = Embedding(65, 8, seed=0)
        >>> tokens(np.array([[3, 1, 3]])).shape
        (1, 3, 8)
    """

    def __init__(self, n: int, d: int, *, std: float = 0.02, seed: Seed) -> None:
        super().__init__()
        checks.sizes(n=n, d=d)
        self.weight = Parameter(normal((n, d), std, seed), is_embedding=True)

    def forward(self, ids: Array) -> Tensor:
        return F.embedding(ids, self.weight)  # (...) -> (..., d)


class LayerNorm(Module):
    """y = γ ∘ (x − μ)/√(σ² + ε) + β over the last axis (Ba et al. 2016); γ starts at 1, β at 0.

    Args:
        n: the size of the last axis.
        bias: whether there is a β.
        eps: ε.

    Shapes:
        x: (..., n) -> (..., n);  weight (γ), bias (β): (n,)

    Example:
        >>> import minigpt as mg
        >>> y = LayerNorm(4)(mg.Tensor([[1.0, 2.0, 3.0, 1000.0]]))
        >>> abs(round(y.mean().item(), 4)), round(y.var().item(), 4)  # whatever x is
        (0.0, 1.0)
    """

    def __init__(self, n: int, bias: bool = True, eps: float = 1e-5) -> None:
        super().__init__()
        checks.sizes(n=n)
        self.eps = checks.number("eps", eps, least=0)
        self.weight = Parameter(np.ones(n, np.float32))
        has_bias = checks.flag("bias", bias)
        self.bias = Parameter(np.zeros(n, np.float32)) if has_bias else None

    def forward(self, x: Tensor) -> Tensor:
        return F.layer_norm(x, self.weight, self.bias, self.eps)


class RMSNorm(Module):
    """y = γ ∘ x/√(mean(x²) + ε) over the last axis (Zhang & Sennrich 2019); γ starts at 1.

    Args:
        n: the size of the last axis.
        eps: ε.

    Shapes:
        x: (..., n) -> (..., n);  weight (γ): (n,)

    Example:
        >>> import minigpt as mg
        >>> RMSNorm(2)(mg.Tensor([[3.0, 4.0], [300.0, 400.0]])).numpy().round(3)
        array([[0.849, 1.131],
               [0.849, 1.131]], dtype=float32)
    """

    def __init__(self, n: int, eps: float = 1e-5) -> None:
        super().__init__()
        checks.sizes(n=n)
        self.eps = checks.number("eps", eps, above=0)
        self.weight = Parameter(np.ones(n, np.float32))

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, self.weight, self.eps)


class Dropout(Module):
    """In training, each number is 0 with probability p and the others grow by 1/(1 − p).

    It is :func:`minigpt.functional.dropout` (Srivastava et al. 2014), and does nothing in
    evaluation mode.

    Args:
        p: the probability of a zero, 0 ≤ p < 1.

    Shapes:
        x: any -> the same

    Raises:
        TypeError: called in training without a Generator.

    Example:
        >>> import numpy as np, minigpt as mg
        >>> layer, x = Dropout(0.5), mg.Tensor([1.0, 1.0, 1.0, 1.0])
        >>> layer(x, np.random.default_rng(1)).numpy()
        array([2., 2., 0., 0.], dtype=float32)
        >>> layer.eval()(x).numpy()
        array([1., 1., 1., 1.], dtype=float32)
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = checks.probability("p", p)

    def forward(self, x: Tensor, rng: np.random.Generator | None = None) -> Tensor:
        rng = _check(self, rng)
        if rng is None:
            return x
        return F.dropout(x, self.p, rng)

    def extra_repr(self) -> str:
        return f"p={self.p}"


class Identity(Module):
    """y = x: in the place of a layer that is left out.

    Shapes:
        x: any -> the same

    Example:
        >>> import minigpt as mg
        >>> block = mg.nn.Block(mg.nn.BlockConfig(n_embd=8, n_head=2), seed=0)
        >>> block.mlp_norm = Identity()  # what does the norm before the MLP do?
        >>> Identity()(mg.Tensor([1.0, 2.0])).numpy()
        array([1., 2.], dtype=float32)
    """

    def forward(self, x: Tensor) -> Tensor:
        return x


def _check(dropout: Dropout, rng: np.random.Generator | None) -> np.random.Generator | None:
    """The generator to drop with, or None where nothing is dropped."""
    if dropout.p == 0 or not dropout.training:
        return None
    mend = "pass rng=np.random.default_rng(seed), or switch dropout off with model.eval()"
    return checks.instance("rng of dropout in training", rng, np.random.Generator, mend)
