"""Where a token stands: learned positions, sinusoidal ones (E4), or none, added to what it is.

With "alibi" nothing is added either: attention itself goes by the distance of tokens.
"""

from __future__ import annotations

import minigpt.functional as F
from minigpt.autograd import Array
from minigpt.nn.layers import Seed, check_size, normal
from minigpt.nn.module import Module, Parameter
from minigpt.tensor import Tensor


class LearnedPositions(Module):
    """y = x + W[position]: a learned vector for each place, as in GPT-1 and GPT-2.

    Args:
        block_size: how many places there are.
        n_embd: the width of x.
        std: the standard deviation of the initial W.
        seed: of W, a number or a Generator.

    Shapes:
        x: (B, T, n_embd) -> (B, T, n_embd);  weight: (block_size, n_embd)
        positions: (T,) or (B, T), integers below block_size
    """

    def __init__(self, block_size: int, n_embd: int, *, std: float = 0.02, seed: Seed) -> None:
        super().__init__()
        check_size(block_size=block_size, n_embd=n_embd)
        self.weight = Parameter(normal((block_size, n_embd), std, seed))

    def forward(self, x: Tensor, positions: Array) -> Tensor:
        return x + F.embedding(positions, self.weight)


class SinusoidalPositions(Module):
    """y = x + PE[position]: sines and cosines (Vaswani et al. 2017, §3.5); nothing is learned.

    Args:
        block_size: how many places there are.
        n_embd: the width of x, even.

    Shapes:
        x: (B, T, n_embd) -> (B, T, n_embd)
        positions: (T,) or (B, T), integers below block_size
    """

    def __init__(self, block_size: int, n_embd: int) -> None:
        super().__init__()
        check_size(block_size=block_size, n_embd=n_embd)
        self.table = Tensor(F.sinusoidal_positions(block_size, n_embd))

    def forward(self, x: Tensor, positions: Array) -> Tensor:
        return x + F.embedding(positions, self.table).astype(x.dtype)


class NoPositions(Module):
    """y = x: attention alone cannot tell in which order the tokens come. To study that.

    Shapes:
        x: (B, T, n_embd) -> (B, T, n_embd)
    """

    def forward(self, x: Tensor, positions: Array) -> Tensor:
        return x


def make_positions(kind: str, block_size: int, n_embd: int, *, std: float, seed: Seed) -> Module:
    """Positions of one kind: "learned", "sinusoidal", or nothing for "none" and "alibi".

    Raises:
        ValueError: another kind, or sinusoidal ones of an odd width.
    """
    check_positions(kind, n_embd)
    if kind == "learned":
        return LearnedPositions(block_size, n_embd, std=std, seed=seed)
    return SinusoidalPositions(block_size, n_embd) if kind == "sinusoidal" else NoPositions()


def check_positions(kind: str, n_embd: int, causal: bool = True) -> None:
    """Raise unless there are positions of that kind, of that width."""
    described = {
        "learned": '"learned" (GPT-2)', "sinusoidal": '"sinusoidal"',
        "alibi": '"alibi" (causal models alone)', "none": '"none" (to study)',
    }  # fmt: skip
    if kind not in described or (kind == "alibi" and not causal):
        if not causal:
            del described["alibi"]
        *others, last = described.values()
        raise ValueError(f"positions={kind!r}: expected {', '.join(others)} or {last}")
    if kind == "sinusoidal" and n_embd % 2:
        raise ValueError(f"n_embd={n_embd} must be even for sinusoidal positions")
