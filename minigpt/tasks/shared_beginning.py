"""What all prompts of a task begin with, solved cases say, is read once and not with each prompt.

With a causal mask the keys and values of a token depend on the tokens before it and no others: for
the same beginning they are the same, whatever follows.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from itertools import takewhile
from typing import Any

import numpy as np

from minigpt.autograd import Array
from minigpt.grad_mode import evaluation
from minigpt.sampling.decoding import Decoder
from minigpt.sampling.options import SamplingConfig

WORTHWHILE = 64  # tokens: for fewer, prompts of different lengths in one batch are worth more


class SharedBeginning:
    """The tokens that all prompts begin with, and a cache of one row that holds them.

    Args:
        model: with ``new_cache``, whose cache can be copied, reordered and enlarged.
        ids: the tokens.

    Example:
        >>> import minigpt as mg
        >>> model = mg.GPT(mg.GPTConfig(9, block_size=80, n_layer=1, n_head=1, n_embd=8), seed=0)
        >>> prompts = [[1, 2, 3] * 22 + [last] for last in (4, 5)]
        >>> beginning = SharedBeginning.of(model, prompts)
        >>> beginning.length
        66
        >>> greedy = SamplingConfig(max_new_tokens=3, temperature=0)
        >>> beginning.write(np.array(prompts), greedy).shape
        (2, 3)
    """

    def __init__(self, model: Any, ids: Sequence[int]) -> None:
        self.model, self.length = model, len(ids)
        self._cache = model.new_cache(1, self.length)
        with evaluation():
            model(np.array([ids]), cache=self._cache, last_only=True)

    @classmethod
    def of(cls, model: Any, prompts: Sequence[Sequence[int]]) -> SharedBeginning | None:
        """What the prompts have in common, or None where that is short or cannot be kept."""
        rows = [[*map(int, prompt)] for prompt in prompts]
        first, last = min(rows), max(rows)  # in the order of ids: all others lie between
        equal = takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False))
        n = min(sum(1 for _ in equal), min(map(len, rows)) - 1)  # a token is left to be read
        if len(rows) < 2 or n < WORTHWHILE or not _can_share(model):
            return None
        return cls(model, first[:n])

    def write(self, ids: Array, options: SamplingConfig, n_tokens: int | None = None) -> Array:
        """What the model writes after prompts of one length, all with this beginning.

        Shapes:
            ids: (B, T) -> (B, up to max_new_tokens)
        """
        cache = copy.copy(self._cache)
        cache.reserve(ids.shape[1] + options.max_new_tokens)  # copies what is held
        cache.reorder(np.zeros(len(ids), np.int64))
        decoder = Decoder(self.model, ids, None, options, n_tokens, cache)
        return np.stack([*decoder.columns()], axis=1)


def _can_share(model: Any) -> bool:
    """Whether the cache of the model is one of keys and values."""
    return hasattr(model, "new_cache") and hasattr(model.new_cache(1, 1), "reserve")
