"""Where a token stands: learned positions, sinusoidal ones (E4), or none, added to what it is.

With "alibi" and "rotary" nothing is added either: attention itself depends on the distance of
tokens.
"""

from __future__ import annotations

import minigpt.functional as F
from minigpt import checks
from minigpt.autograd import Array
from minigpt.checks import Seed
from minigpt.nn.initial_weights import normal
from minigpt.nn.module import Module, Parameter
from minigpt.tensor import Tensor

POSITIONS = {
    "learned": "GPT-2",
    "sinusoidal": "Vaswani et al. 2017",
    "alibi": "causal models only",
    "rotary": "Llama",
    "none": "to study",
}


_FIRST_PLACES = 1024  # of sinusoidal positions, computed at once


class LearnedPositions(Module):
    """y = x + W[position]: a learned vector for each place, as in GPT-1 and GPT-2.

    (Radford et al. 2018, §3.1; Gehring et al. 2017, §3.1.)

    Args:
        block_size: how many places there are.
        n_embd: the width of x.
        std: the standard deviation of the initial W.
        seed: of W, a number or a Generator.

    Shapes:
        x: (B, T, n_embd) -> (B, T, n_embd);  weight: (block_size, n_embd)
        positions: (T,) or (B, T), integers below block_size

    Example:
        >>> import numpy as np, minigpt as mg
        >>> positions = LearnedPositions(block_size=16, n_embd=4, seed=0)
        >>> y = positions(mg.Tensor(np.zeros((1, 3, 4), np.float32)), np.arange(3))
        >>> bool((y.data[0] == positions.weight.data[:3]).all())
        True
    """

    def __init__(self, block_size: int, n_embd: int, *, std: float = 0.02, seed: Seed) -> None:
        super().__init__()
        checks.sizes(block_size=block_size, n_embd=n_embd)
        self.weight = Parameter(normal((block_size, n_embd), std, seed))

    def forward(self, x: Tensor, positions: Array) -> Tensor:
        places = _check(x, positions, len(self.weight))
        return x + F.embedding(places, self.weight)  # (B, T, C) + (T or B, T, C)


class SinusoidalPositions(Module):
    """y = x + PE[position]: sines and cosines (Vaswani et al. 2017, §3.5); nothing is learned.

    They are computed when a place is first used, for all places up to it and some more.

    Args:
        block_size: how many places there are.
        n_embd: the width of x, even.

    Shapes:
        x: (B, T, n_embd) -> (B, T, n_embd)
        positions: (T,) or (B, T), integers below block_size

    Example:
        >>> import numpy as np, minigpt as mg
        >>> layer = SinusoidalPositions(block_size=16, n_embd=2)
        >>> layer(mg.Tensor(np.zeros((1, 2, 2), np.float32)), np.arange(2)).numpy().round(2)
        array([[[0.  , 1.  ],
                [0.84, 0.54]]], dtype=float32)
        >>> layer.num_parameters()
        0
    """

    def __init__(self, block_size: int, n_embd: int) -> None:
        super().__init__()
        checks.sizes(block_size=block_size, n_embd=n_embd)
        self.block_size = block_size
        self.table = F.sinusoidal_positions(1, n_embd)

    def forward(self, x: Tensor, positions: Array) -> Tensor:
        places = _check(x, positions, self.block_size)
        table = self._up_to(places.max(initial=0))  # (places, C)
        return x + Tensor(table[places].astype(x.dtype))  # (B, T, C) + (T or B, T, C)

    def _up_to(self, last: int) -> Array:
        if last >= len(self.table):
            length = min(self.block_size, max(_FIRST_PLACES, 2 * int(last)))
            self.table = F.sinusoidal_positions(length, self.table.shape[1])
        return self.table


class NoPositions(Module):
    """y = x: attention by itself cannot tell in which order the tokens come. To study that.

    Shapes:
        x: (B, T, n_embd) -> (B, T, n_embd)

    Example:
        >>> import numpy as np, minigpt as mg
        >>> config = mg.GPTConfig(9, block_size=4, n_layer=1, n_head=1, n_embd=8, positions="none")
        >>> model = mg.GPT(config, seed=0)
        >>> a, b = (model(np.array([ids])).data[0, -1] for ids in ([1, 2, 3], [2, 1, 3]))
        >>> bool(np.allclose(a, b, atol=1e-6))  # the last token cannot tell which came first
        True
    """

    def forward(self, x: Tensor, positions: Array) -> Tensor:
        return x


def make_positions(kind: str, block_size: int, n_embd: int, *, std: float, seed: Seed) -> Module:
    """Positions of one kind: "learned", "sinusoidal", or nothing for the others.

    Raises:
        ValueError: another kind, or sinusoidal ones of an odd width.
    """
    checks.one_of("positions", kind, POSITIONS)
    if kind == "learned":
        return LearnedPositions(block_size, n_embd, std=std, seed=seed)
    return SinusoidalPositions(block_size, n_embd) if kind == "sinusoidal" else NoPositions()


def _check(x: Tensor, positions: Array, block_size: int) -> Array:
    """The places as an array of integers, as many in a row as x has tokens."""
    checks.tensors("positions", x=x)
    places = checks.ids("positions", positions, block_size)
    if not places.ndim or x.ndim < 2 or places.shape[-1] not in (1, x.shape[-2]):
        expected = f"of shape (T,) or (B, T) for the tokens of x, which is {x.shape}"
        raise checks.wrong_value("positions", expected, places)
    return places
