"""What the pairs of neighbouring tokens tell: the language model that every other has to beat."""

from __future__ import annotations

from typing import Any

import numpy as np

TRUST_IN_PAIRS = 10.0  # k: how often a token must be seen for its neighbours to count half
Tokens = np.ndarray[Any, np.dtype[Any]]


class Bigrams:
    r"""p(b | a) = (n(a, b) + k·p(b)) / (n(a) + k), counted in a text.

    Where a is rare, it leans on the token's own share p(b) (MacKay and Bauman Peto 1995, "A
    hierarchical Dirichlet language model").

    Args:
        tokens: the text, a stream of ids.
        vocab_size: how many different ones there may be.

    Example:
        >>> bigrams = Bigrams(np.array([0, 1, 0, 1, 0, 2]), vocab_size=3)
        >>> bigrams.after(0).round(2), bool(np.isclose(bigrams.after(0).sum(), 1))
        (array([0.34, 0.41, 0.25]), True)
    """

    def __init__(self, tokens: Tokens, vocab_size: int) -> None:
        tokens = tokens.astype(np.int64)
        self.vocab_size = vocab_size
        # The pairs that occur, as numbers a·V + b in their order: V² counts would be too many.
        self._pairs, self._counts = np.unique(
            tokens[:-1] * vocab_size + tokens[1:], return_counts=True
        )
        self._seen = np.bincount(tokens[:-1], minlength=vocab_size)  # n(a)
        self._share = (np.bincount(tokens, minlength=vocab_size) + 1) / (len(tokens) + vocab_size)

    def losses(self, before: Tokens, tokens: Tokens) -> Tokens:
        """−ln p(b | a) of each token b, whose neighbour a stands before it."""
        a, b = before.astype(np.int64), tokens.astype(np.int64)
        pairs = a * self.vocab_size + b
        places = np.searchsorted(self._pairs, pairs).clip(max=len(self._pairs) - 1)
        counts = np.where(self._pairs[places] == pairs, self._counts[places], 0)  # n(a, b)
        p = (counts + TRUST_IN_PAIRS * self._share[b]) / (self._seen[a] + TRUST_IN_PAIRS)
        return -np.log(p)

    def after(self, a: int) -> Tokens:
        """(V,) the probabilities of what follows the token ``a``."""
        every = np.arange(self.vocab_size)
        return np.exp(-self.losses(np.full_like(every, a), every))
