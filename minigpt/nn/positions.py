"""Where a token stands: learned positions, and sinusoidal ones (E4)."""

from __future__ import annotations

import numpy as np

import minigpt.functional as F
from minigpt.autograd import Array
from minigpt.nn.layers import Embedding, check_size
from minigpt.nn.module import Module
from minigpt.tensor import Tensor


class LearnedPositions(Embedding):
    """A learned vector for each place, as in GPT-1 and GPT-2.

    Shapes:
        positions: (...) integers below block_size -> (..., n_embd)
    """


class SinusoidalPositions(Module):
    """Sines and cosines of the place (Vaswani et al. 2017, §3.5); nothing is learned.

    Shapes:
        positions: (...) integers below block_size -> (..., n_embd)
    """

    def __init__(self, block_size: int, n_embd: int) -> None:
        super().__init__()
        check_size(block_size=block_size, n_embd=n_embd)
        self.table = F.sinusoidal_positions(block_size, n_embd)

    def forward(self, positions: Array, dtype: np.dtype[np.floating] | None = None) -> Tensor:
        return F.embedding(positions, Tensor(self.table.astype(dtype or np.float32)))
