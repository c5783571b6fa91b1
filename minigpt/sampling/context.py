"""What the model sees of the tokens so far: a sliding window over them, and a cache of the window.

Each row has a window of at most ``block_size`` tokens. While windows only grow at their right end,
the cache holds what the model computed for the tokens before, and a step costs one token. When the
window of a row is full its left end moves; all its tokens then stand at other positions, so that
nothing in the cache is valid any more and the windows are read again in one pass.

Prompts of different lengths stand in one batch with padding at their left (E15). To the model it is
the same as what a window has left: a mask hides it, and positions are counted from the
window's first token. So a row is written as if it were alone.
"""

from __future__ import annotations

import inspect
import sys
from typing import Any

import numpy as np

from minigpt.autograd import Array
from minigpt.blas_threads import MatrixProducts, one_blas_thread
from minigpt.grad_mode import evaluation
from minigpt.nn.cache import KeyValueCache
from minigpt.sampling.long_prompts import number_of_stretches, read_in_stretches
from minigpt.sampling.protocols import LanguageModel


class Context:
    """The tokens of a batch of rows, and the model's logits for the token after them.

    Args:
        model: gives the logits.
        ids: the prompts, padded at the left.
        mask: True for real tokens; None where all are.
        n_new: how many tokens will follow at most; the cache is made no larger than that needs.
        use_cache: whether to keep a cache at all.
        window_shift: how far the window moves when it is full.
        cache: one that holds the first ids already, fewer than all; None for a new one. The window
            must not move.

    Shapes:
        ids, mask: (R, T)
    """

    def __init__(
        self,
        model: LanguageModel,
        ids: Array,
        mask: Array | None,
        n_new: int,
        use_cache: bool = True,
        window_shift: int = 1,
        cache: Any = None,
    ) -> None:
        self.model = model
        self.length = ids.shape[1]
        self._ids = ids.astype(np.int64)
        self._options = {"last_only": True} if _takes_last_only(model) else {}
        self._products = MatrixProducts(model)
        block_size: int | None = model.config.block_size
        self._block_size = sys.maxsize if block_size is None else block_size
        self._shift = _checked_shift(window_shift, self._block_size)
        # Columns (R,): of each row's first token and its window's; and of the cache's first one.
        self._first = np.zeros(len(ids), np.int64) if mask is None else mask.argmax(axis=1)
        self._start = np.maximum(self._first, self.length - self._block_size)
        self._origin = int(self._start.min())
        self._cache = cache
        if cache is None and use_cache and hasattr(model, "new_cache"):
            n_read = self.length - self._origin + max(n_new - 1, 0)  # the last one is not read
            self._cache = model.new_cache(len(ids), min(n_read, self._block_size))

    @property
    def ids(self) -> Array:
        """(R, length): the prompts and what was appended."""
        return self._ids[:, : self.length]

    @property
    def mask(self) -> Array | None:
        """(R, length): True for real tokens; None where all are."""
        return np.arange(self.length) >= self._first[:, None] if self._first.any() else None

    def next_logits(self) -> Array:
        """(R, V): the logits of the token that follows each row."""
        overfull = self.length - self._start > self._block_size
        if overfull.any() or self.length - self._origin > self._block_size:
            self._start[overfull] = self.length - self._block_size + self._shift - 1
            self._origin = int(self._start.min())
            if self._cache is not None:
                self._cache.clear()
        n_cached = 0 if self._cache is None else self._cache.length
        # Where a window is full, and moves at every step, there is nothing to remember.
        moves_next = self._shift == 1 and (self.length - self._start == self._block_size).any()
        options: dict[str, Any] = dict(self._options)
        if self._cache is not None and (n_cached > 0 or not moves_next):
            options["cache"] = self._cache
        if (self._start > self._origin).any():
            columns = np.arange(self._origin, self.length)  # (S,)
            options["attention_mask"] = columns >= self._start[:, None]  # (R, S)
            positions = np.maximum(columns - self._start[:, None], 0)  # (R, S)
            options["positions"] = positions[:, n_cached:]
        fresh = self._ids[:, self._origin + n_cached : self.length]  # (R, T)
        return self._read(fresh, options)[:, -1]  # (R, T, V) -> (R, V)

    def _read(self, ids: Array, options: dict[str, Any]) -> Array:
        """What the model says to tokens that follow those in its cache."""
        if type(options.get("cache")) is KeyValueCache and "attention_mask" not in options:
            n_stretches = number_of_stretches(self._products, ids.size)
            if n_stretches > 1:
                return read_in_stretches(
                    self.model, ids, products=self._products, n_stretches=n_stretches, **options
                )
        with evaluation(), one_blas_thread(self._products.are_small(ids.size)):
            logits: Array = self.model(ids, **options).data
        return logits

    def append(self, tokens: Array) -> None:
        """Add one token to every row; ``tokens`` is (R,)."""
        if self.length == self._ids.shape[1]:  # doubled when full, so that each step is cheap
            self._ids = np.concatenate([self._ids, np.zeros_like(self._ids)], axis=1)
        self._ids[:, self.length] = tokens
        self.length += 1

    def select_rows(self, rows: Array) -> None:
        """Go on with only these rows; a row named several times is continued several times."""
        if np.array_equal(rows, np.arange(len(self._ids))):
            return
        self._ids, self._first, self._start = self._ids[rows], self._first[rows], self._start[rows]
        if self._cache is not None:
            self._cache.reorder(rows)
        if hasattr(self.model, "select_rows"):
            self.model = self.model.select_rows(rows)


def _takes_last_only(model: Any) -> bool:
    """Whether the model can leave out the logits of all positions but the last."""
    forward = getattr(model, "forward", model)
    return "last_only" in inspect.signature(forward).parameters


def _checked_shift(window_shift: int, block_size: int) -> int:
    if window_shift > block_size:
        raise ValueError(
            f"window_shift={window_shift} would drop more than the model's context holds: pass "
            f"at most block_size={block_size}"
        )
    return window_shift
