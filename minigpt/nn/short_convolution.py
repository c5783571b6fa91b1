"""The short convolution as a module, and what a cache keeps for it."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np

import minigpt.functional as F
from minigpt import checks
from minigpt.autograd import Array
from minigpt.checks import Seed
from minigpt.nn.cache import KeyValueCache, check_room
from minigpt.nn.initial_weights import normal
from minigpt.nn.module import Module, Parameter
from minigpt.tensor import Tensor


class ShortConvolution(Module):
    """yₜ = Σₖ wₖ ∘ xₜ₋ₖ, k = 0 … K−1 (So et al. 2021, "Primer", §3).

    w₀ starts at 1 and the others as normal numbers, so that a token is itself at first and hears a
    little of its predecessors, in each feature with a sign of its own.

    Args:
        n: C, how many features there are.
        width: K, how many tokens are mixed, the present one included.
        std: standard deviation of the initial w₁ … ; 1/√K where None.
        seed: of these, a number or a Generator.

    Shapes:
        x: (B, T, C) -> (B, T, C);  weight: (K, C)

    Example:
        >>> import minigpt as mg
        >>> layer = mg.nn.ShortConvolution(2, width=4, seed=0)
        >>> layer(mg.Tensor([[[3.0, 5.0], [0.0, 0.0]]])).numpy()[0, 0]  # the first token is itself
        array([3., 5.], dtype=float32)
    """

    def __init__(self, n: int, width: int = 4, *, std: float | None = None, seed: Seed) -> None:
        super().__init__()
        checks.sizes(n=n)
        checks.integer("width", width, least=2)
        std = 1 / math.sqrt(width) if std is None else std
        weight = np.concatenate([np.ones((1, n), np.float32), normal((width - 1, n), std, seed)])
        self.weight = Parameter(weight, is_embedding=True)  # a vector for each k, not a matrix

    def forward(self, x: Tensor) -> Tensor:
        return F.short_convolution(x, self.weight)


class ConvolutionCache(KeyValueCache):
    """A key–value cache that also keeps what goes into each layer's short convolution.

    A new token's queries, keys and values are mixed with those of the tokens before it as they were
    before the convolution. All of these are kept, not only the last few, so that tokens can be
    forgotten again (:meth:`truncate`).

    Args:
        n_layer, batch_size, n_head, capacity, head_size, dtype: as of :class:`KeyValueCache`.
        n_inputs: the features of a token that go into a convolution.

    Shapes:
        inputs: (n_layer, batch_size, 1, capacity, n_inputs)

    Example:
        >>> import numpy as np
        >>> cache = ConvolutionCache(1, 1, 2, capacity=8, head_size=4, n_inputs=24)
        >>> new = np.ones((1, 3, 24), np.float32)  # of three tokens
        >>> cache.with_last(0, new, n=2).shape
        (1, 3, 24)
        >>> cache.advance(3)
        >>> cache.with_last(0, new, n=2).shape
        (1, 5, 24)
    """

    HELD: ClassVar = (*KeyValueCache.HELD, "inputs")

    def __init__(
        self,
        n_layer: int,
        batch_size: int,
        n_head: int,
        capacity: int,
        head_size: int,
        n_inputs: int,
        dtype: np.dtype[np.floating] | type = np.float32,
    ) -> None:
        super().__init__(n_layer, batch_size, n_head, capacity, head_size, dtype)
        checks.sizes(n_inputs=n_inputs)
        self.inputs = np.zeros((n_layer, batch_size, 1, capacity, n_inputs), self.keys.dtype)

    def with_last(self, layer: int, x: Array, n: int) -> Array:
        """Put a layer's new inputs after the old; they come back after the last ``n`` old ones.

        As with :meth:`extend`, ``length`` moves on only with :meth:`advance`, when every ``layer``
        has been here.

        Shapes:
            x: (B, T, n_inputs) -> (B, min(n, length) + T, n_inputs), a view

        Raises:
            ValueError: more tokens than fit the capacity, or another number of sequences.
        """
        check_room(self, x[:, None])
        start, stop = self.length, self.length + x.shape[1]
        held = self.inputs[layer, :, 0]  # (B, capacity, n_inputs)
        held[:, start:stop] = x
        return held[:, max(0, start - n) : stop]


def convolved(
    convolution: Any, x: Tensor, mask: Array | None, layer: int, cache: KeyValueCache | None
) -> Tensor:
    """The convolution of x, and with a cache of the inputs before it, padding left out.

    A token that the mask hides from all is padding: it counts as 0, as what lies before a text.

    Shapes:
        x: (B, T, C) -> (B, T, C)
        mask: (B, 1 or n_head, 1 or T, S), or None
    """
    n_tokens = x.shape[1]
    if mask is not None:
        is_token = np.any(mask, axis=(1, 2))[:, -n_tokens:, None]  # (B, S) -> (B, T, 1)
        if not is_token.all():
            x = x * Tensor(is_token.astype(x.dtype))
    if cache is None:
        y: Tensor = convolution(x)
        return y
    held = _check_cache(cache)
    y = convolution(Tensor(held.with_last(layer, x.data, len(convolution.weight) - 1)))
    return y[:, -n_tokens:]


def _check_cache(cache: KeyValueCache) -> ConvolutionCache:
    mend = "make it with model.new_cache(…)"
    return checks.instance("cache of a short convolution", cache, ConvolutionCache, mend)
