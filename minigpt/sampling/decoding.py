"""The loop that writes: logits, filters, a draw, and again with the token appended (E6, E12)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from minigpt.autograd import Array
from minigpt.blas_threads import say_what_is_missing
from minigpt.progress_bar import ProgressBar
from minigpt.sampling.context import Context
from minigpt.sampling.filters import check_logits, sample_from
from minigpt.sampling.options import SamplingConfig
from minigpt.sampling.protocols import LanguageModel


class Decoder:
    """Writes on from a batch of prompts, one token of every row at a time.

    :meth:`columns` gives the new tokens as arrays (R,), R = B · num_return_sequences, until every
    row has finished or ``max_new_tokens`` are written. A row finishes at a stop token, or when the
    reader of the columns says so by :meth:`finish`; it then leaves the batch, which gets cheaper.
    Between two columns no mode of this thread is held: gradients are recorded as ever.

    Args:
        model: predicts the next token.
        ids: the prompts, padded at the left.
        mask: True for real tokens; None where all are.
        options: how to choose tokens.
        n_tokens: draw only from the ids below this; None from the model's whole vocabulary.
        cache: of the model, if it has read the beginning of the one prompt before.

    Shapes:
        ids, mask: (B, T)
    """

    def __init__(
        self,
        model: LanguageModel,
        ids: Array,
        mask: Array | None,
        options: SamplingConfig,
        n_tokens: int | None = None,
        cache: Any = None,
    ) -> None:
        n_rows = ids.shape[0] * options.num_return_sequences
        prompts = [row if mask is None else row[mask[i]] for i, row in enumerate(ids)]
        self.finished = np.zeros(n_rows, dtype=bool)
        self._options = options
        self._stop_tokens = options.known_stop_tokens(model.config.vocab_size)
        self._n_tokens = n_tokens
        self._generators = options.row_generators(prompts) if options.temperature > 0 else []
        self._context = Context(
            model, ids, mask, options.max_new_tokens, options.use_cache, options.window_shift, cache
        )
        # The prompts are read once each; their samples part ways after the first logits.
        self._copies = np.repeat(np.arange(ids.shape[0]), options.num_return_sequences)
        self._rows = np.arange(n_rows)  # row i of the context writes returned row self._rows[i]

    @property
    def ids(self) -> Array:
        """(A, T): the prompts of the rows still written, with what has been written after them."""
        return self._context.ids

    def finish(self, row: int) -> None:
        """Write no more in this row; what its column holds from here on means nothing."""
        self.finished[row] = True

    def columns(self) -> Iterator[Array]:
        """The new tokens (R,), one column after the other; a progress bar where asked for."""
        options = self._options
        bar = ProgressBar(options.max_new_tokens, "writing", "token", shown=options.progress)
        with bar:
            if options.progress:
                say_what_is_missing(bar.note)
            yield from bar.over(self._columns())

    def _columns(self) -> Iterator[Array]:
        context, options = self._context, self._options
        column = np.full(self.finished.shape, options.pad_id or 0, dtype=np.int64)
        for step in range(options.max_new_tokens):
            logits = context.next_logits()  # (A, V)
            if step == 0 and options.num_return_sequences > 1:
                context.select_rows(self._copies)
                logits = logits[self._copies]
            tokens = self._choose(logits[:, : self._n_tokens], n_new=step)
            column[self._rows] = tokens
            stopped = np.isin(tokens, self._stop_tokens)
            self.finished[self._rows[stopped]] = True
            yield column.copy()
            if self.finished.all():
                return
            if options.pad_id is not None:
                column[self.finished] = options.pad_id
            alive = ~self.finished[self._rows]
            if not alive.all():
                context.select_rows(np.flatnonzero(alive))
                self._rows = self._rows[alive]
            context.append(column[self._rows])

    def _choose(self, logits: Array, n_new: int) -> Array:
        """(A,) the next tokens of the rows still written, from their logits (A, V)."""
        options, context = self._options, self._context
        if options.temperature == 0:  # no filter takes the largest logit away
            logits = options.process(logits, context.ids, context.mask, n_new)
            return check_logits(logits).argmax(axis=-1)
        logits = options.filter(logits, context.ids, context.mask, n_new)
        return sample_from(logits, [self._generators[row] for row in self._rows])
