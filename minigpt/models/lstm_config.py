"""What an LSTM language model is made of: its configuration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from minigpt.functional.dropout import check_probability
from minigpt.nn.layers import check_size


@dataclass(frozen=True)
class LSTMConfig:
    """The architecture of an LSTM language model.

    Attributes:
        vocab_size: how many tokens there are.
        n_embd: the width of the token embedding.
        n_hidden: the size of each layer's hidden state and of its cell state.
        n_layer: how many LSTM layers, one on top of the other.
        dropout: the probability used on the embeddings and on what each layer gives to the next,
            and never from one step to the next (Zaremba et al. 2014).
        tie_head: whether the output head is the token embedding again (Press & Wolf 2017); n_hidden
            is then n_embd.
        block_size: None: unlike a GPT's, its memory of a text has no last place.

    Raises:
        ValueError, TypeError: name the field, what came and what was expected.

    Example:
        >>> import minigpt as mg
        >>> from minigpt.models import LSTMConfig
        >>> LSTMConfig(vocab_size=65, n_embd=64, n_hidden=100, tie_head=True)
        Traceback (most recent call last):
        ...
        ValueError: tie_head=True needs n_hidden=100 equal to n_embd=64: choose n_hidden=64
    """

    vocab_size: int
    n_embd: int
    n_hidden: int
    n_layer: int = 1
    dropout: float = 0.0
    tie_head: bool = False

    block_size: ClassVar[None] = None

    def __post_init__(self) -> None:
        for name in ("vocab_size", "n_embd", "n_hidden", "n_layer"):
            check_size(**{name: getattr(self, name)})
            object.__setattr__(self, name, int(getattr(self, name)))  # NumPy's do not go to JSON
        check_probability(self.dropout, "dropout")
        object.__setattr__(self, "dropout", float(self.dropout))
        if not isinstance(self.tie_head, (bool, np.bool_)):
            raise TypeError(f"tie_head must be True or False, got {self.tie_head!r}")
        object.__setattr__(self, "tie_head", bool(self.tie_head))
        if self.tie_head and self.n_hidden != self.n_embd:
            raise ValueError(
                f"tie_head=True needs n_hidden={self.n_hidden} equal to n_embd={self.n_embd}: "
                f"choose n_hidden={self.n_embd}"
            )
