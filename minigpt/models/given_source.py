"""A decoder whose source is given is a language model: p(y | x) for a fixed x."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from minigpt.autograd import Array
from minigpt.nn import DecoderCache, Parameter
from minigpt.tensor import Tensor

if TYPE_CHECKING:
    from minigpt.models.seq2seq import EncoderDecoder


@dataclass(frozen=True)
class TargetSizes:
    """What a sampler asks of a configuration.

    Attributes:
        vocab_size: how many tokens the target has.
        block_size: None: no window slides over a target, since its start token would fall out of
            it. What does not fit the decoder's context is an error instead.
    """

    vocab_size: int
    block_size: int | None = None


class GivenSource:
    """p(yₜ | y₍<ₜ₎, x) for the sources x of a batch, from :meth:`EncoderDecoder.given`.

    It is what :class:`minigpt.Sampler` asks of a language model, so that greedy decoding, sampling,
    beam search and scores work as they do with a GPT. Row r of the ids belongs to source r. The
    encoder has run once; with a cache so have the projections of what it gave.

    Args:
        model: whose decoder writes.
        memory: (B, S, n_embd), what its encoder made of the sources.
        memory_mask: (B, 1, 1, S), True where a token of the source may be seen.
        rows: (R,) which source each row reads; each its own where None.
    """

    def __init__(
        self,
        model: EncoderDecoder,
        memory: Tensor,
        memory_mask: Array | None,
        rows: Array | None = None,
    ) -> None:
        self.model = model
        self.config = TargetSizes(model.config.target_vocab_size)
        self._memory, self._memory_mask = memory, memory_mask
        self._rows = np.arange(len(memory.data)) if rows is None else rows

    def __call__(
        self,
        ids: Array,
        attention_mask: Array | None = None,
        positions: Array | None = None,
        cache: DecoderCache | None = None,
        last_only: bool = False,
    ) -> Tensor:
        """Logits (R, T, V) of the token after each of the ids (R, T), as a GPT gives them."""
        memory = memory_mask = None
        if cache is None:
            self._check_rows(len(ids))
            memory, memory_mask = self._of_rows()
        logits: Tensor = self.model.decoder(
            ids, memory, attention_mask, memory_mask, positions, cache, last_only=last_only
        )
        return logits

    def parameters(self) -> list[Parameter]:
        """The weights that write: the decoder's."""
        return self.model.decoder.parameters()

    def new_cache(self, batch_size: int, capacity: int | None = None) -> DecoderCache:
        """An empty cache for ``capacity`` tokens of each target, which holds the sources already.

        Raises:
            ValueError: there are more tokens than the decoder's context holds, or another number of
                rows than sources.
        """
        longest = self.model.config.target_block_size
        capacity = longest if capacity is None else capacity
        if capacity > longest:
            raise ValueError(
                f"{capacity} tokens of target do not fit the decoder's context, "
                f"target_block_size={longest}: pass a smaller max_new_tokens"
            )
        self._check_rows(batch_size)
        memory, memory_mask = self._of_rows()
        return DecoderCache(capacity, self.model.decoder.memory_of(memory), memory_mask)

    def select_rows(self, rows: Array) -> GivenSource:
        """The same for these rows, in that order; one named twice is there twice."""
        return GivenSource(self.model, self._memory, self._memory_mask, self._rows[rows])

    def _of_rows(self) -> tuple[Tensor, Array | None]:
        """The memory of each row, and its mask."""
        mask, rows = self._memory_mask, self._rows
        if np.array_equal(rows, np.arange(len(self._memory.data))):
            return self._memory, mask
        return Tensor(self._memory.data[rows]), None if mask is None else mask[rows]

    def _check_rows(self, n_rows: int) -> None:
        if n_rows != len(self._rows):
            raise ValueError(
                f"there are {n_rows} targets for {len(self._rows)} sources: give each source a row"
            )
