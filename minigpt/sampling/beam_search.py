"""Beam search: the likeliest text, which need not begin with the likeliest token.

    ŷ = argmax_y  ln P(y | x) / |y|^α,    ln P(y | x) = Σₜ ln p(yₜ | y₍<ₜ₎, x)    (E6)

Nobody can compare all V^N texts y of N tokens. Greedy decoding takes the likeliest token each time,
and cannot go back on it. Beam search keeps the k likeliest beginnings ("beams"): each is continued
with every token, and of these k·V candidates the k likeliest go on (Sutskever et al. 2014,
"Sequence to Sequence Learning with Neural Networks", §3.2; Freitag & Al-Onaizan 2017, "Beam Search
Strategies for Neural Machine Translation", §2). With k = 1 that is greedy decoding; with a k that
no step exceeds it is exact.

Each further token makes a text less likely. Dividing by its length to the power of α makes texts of
different lengths comparable (Wu et al. 2016, "Google's Neural Machine Translation System", §7,
where a variant of it is chosen): α = 0 compares probabilities, α = 1 means per token.

What is left open by the equation is decided as in Transformers, so that the results are the same.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from minigpt import checks
from minigpt.autograd import Array
from minigpt.blas_threads import say_what_is_missing
from minigpt.progress_bar import ProgressBar
from minigpt.sampling.context import Context
from minigpt.sampling.filters import log_softmax
from minigpt.sampling.options import SamplingConfig
from minigpt.sampling.prompts import checked_ids, checked_mask
from minigpt.sampling.protocols import LanguageModel, Tokenizer, check_model
from minigpt.sampling.text_stream import TextStream


@dataclass(frozen=True)
class Hypothesis:
    """A text that beam search found.

    Attributes:
        tokens: what was written after the prompt, up to and with its stop token.
        score: ln P(y | x) / |y|^α, with |y| the number of ``tokens``.

    Example:
        >>> import numpy as np, minigpt as mg
        >>> from minigpt.sampling import SamplingConfig, beam_search
        >>> model = mg.GPT(mg.GPTConfig(5, block_size=8, n_layer=1, n_head=1, n_embd=8), seed=0)
        >>> options = SamplingConfig(max_new_tokens=2, num_beams=2)
        >>> ((best,),) = beam_search(model, np.array([[1, 2]]), None, options)
        >>> len(best.tokens), best.score < 0
        (2, True)
    """

    tokens: tuple[int, ...]
    score: float


def beam_search(
    model: LanguageModel,
    ids: Array,
    mask: Array | None,
    options: SamplingConfig,
    n_tokens: int | None = None,
    tokenizer: Tokenizer | None = None,
) -> list[list[Hypothesis]]:
    """For each prompt the ``num_return_sequences`` best continuations found, the best one first.

    A text is finished by a stop token, by a stop string, or by being ``max_new_tokens`` long. It is
    taken in if it is among the k best candidates of its step, whether finished or not. The search
    for a prompt ends when k texts are finished and, unless ``early_stopping=True``, none of them is
    worse than what the best beam can still reach. With ``early_stopping=False`` that is what the
    beam would score if it ended now, a guess: for α > 0 its score may rise with its length. With
    ``"never"`` it is an upper bound: further tokens are assumed free, and the most favourable
    length divides the score.

    Args:
        model: predicts the next token.
        ids: the prompts, padded at the left.
        mask: True for real tokens; None where all are.
        options: ``num_beams`` is k, ``length_penalty`` α; what looks at the tokens so far, such
            as a repetition penalty, changes ln p.
        n_tokens: write only with the ids below this; None with the model's whole vocabulary.
        tokenizer: makes the text in which stop strings are looked for.

    Shapes:
        ids, mask: (B, T)

    Raises:
        ValueError: a stop token is unknown to the model, or fewer than ``num_return_sequences``
            texts are possible at all.

    Example:
        >>> import minigpt as mg
        >>> model = mg.GPT(mg.GPTConfig(5, block_size=8, n_layer=1, n_head=1, n_embd=8), seed=0)
        >>> options = SamplingConfig(max_new_tokens=3, num_beams=4, num_return_sequences=2)
        >>> ((best, second),) = beam_search(model, np.array([[1, 2]]), None, options)
        >>> len(best.tokens), best.score >= second.score
        (3, True)
    """
    ids, mask = _check(model, ids, mask, options, n_tokens)
    k, n_new, alpha = options.num_beams, options.max_new_tokens, options.length_penalty
    stop_tokens = options.known_stop_tokens(model.config.vocab_size)
    n_candidates = k * max(2, 1 + len(set(stop_tokens)))  # so many that k of them have not ended
    context = Context(model, ids, mask, n_new, options.use_cache, options.window_shift)
    finished = [[] if n_new else [Hypothesis((), 0.0)] for _ in ids]
    searched = np.arange(len(ids))  # the prompts that are not done
    log_p = np.zeros((len(ids), 1))  # ln P(y₍<ₜ₎ | x) of each beam; at first one, the empty text
    strings = _StopStrings(tokenizer, options, len(ids)) if options.stop else None

    for length in _steps(options):
        n_beams = log_p.shape[1]
        step = log_softmax(context.next_logits()[:, :n_tokens])  # ln p(yₜ | y₍<ₜ₎, x): (A·k, V)
        step = options.process(step, context.ids, context.mask, n_new=length - 1)
        total = (log_p.reshape(-1, 1) + step).reshape(len(searched), -1)  # (A·k, V) -> (A, k·V)
        best = largest(total, n_candidates)  # (A, candidates)
        log_p = np.take_along_axis(total, best, axis=1)
        beams, tokens = np.divmod(best, step.shape[1])
        rows = beams + n_beams * np.arange(len(searched))[:, None]  # of the context
        ended = np.isin(tokens, stop_tokens) | (length == n_new)
        if strings is not None:
            ended |= strings.end_with(rows, tokens)

        for i, place in np.argwhere(ended[:, :k] & np.isfinite(log_p[:, :k])):
            written = context.ids[rows[i, place], ids.shape[1] :]
            text = (*written.tolist(), int(tokens[i, place]))
            found = finished[searched[i]]
            found.append(Hypothesis(text, float(log_p[i, place]) / length**alpha))
            found.sort(key=lambda hypothesis: -hypothesis.score)
            del found[k:]

        n_open = min(k, int((~ended).sum(axis=1).max()))  # below k where texts are that few
        if n_open == 0:
            break
        first_open = np.argsort(ended, axis=1, kind="stable")[:, :n_open]  # (A, beams)
        log_p = np.where(ended, -np.inf, log_p)  # of what has ended nothing follows
        log_p, rows, tokens = (
            np.take_along_axis(x, first_open, axis=1) for x in (log_p, rows, tokens)
        )
        go_on = np.array(
            [
                _may_improve(finished[prompt], best_open, length, options)
                for prompt, best_open in zip(searched, log_p[:, 0].tolist(), strict=True)
            ]
        )
        if not go_on.any():
            break
        searched, log_p = searched[go_on], log_p[go_on]
        if strings is not None:
            strings.go_on_with(first_open, go_on)
        context.select_rows(rows[go_on].ravel())
        context.append(tokens[go_on].ravel())

    return [_best(found, options.num_return_sequences) for found in finished]


class _StopStrings:
    """Which beams have written a stop string: the text of each, as it grows.

    Shapes:
        rows of the context: (A·k,), k beams of each prompt side by side
    """

    def __init__(self, tokenizer: Tokenizer | None, options: SamplingConfig, n_rows: int) -> None:
        if tokenizer is None:
            raise ValueError(f"stop={options.stop!r} is text: pass beam_search a tokenizer")
        stream = TextStream(tokenizer, tuple(options.stop), options.skip_special_tokens)
        self._texts = [stream] * n_rows  # of each row; nothing is written in them yet
        self._candidates: list[list[TextStream]] = []

    def end_with(self, rows: Array, tokens: Array) -> Array:
        """Whether each row has a stop string when it goes on with a token: (A, C) → (A, C)."""
        self._candidates = []
        for pairs in np.stack([rows, tokens], axis=-1).tolist():
            self._candidates.append([self._texts[row].branch() for row, _ in pairs])
            for text, (_, token) in zip(self._candidates[-1], pairs, strict=True):
                text.push(token)
        return np.array([[text.stopped for text in texts] for texts in self._candidates])

    def go_on_with(self, chosen: Array, go_on: Array) -> None:
        """The candidates (A, k) of each prompt that goes on are its rows from now on."""
        self._texts = [
            texts[c]
            for texts, cs, goes in zip(self._candidates, chosen.tolist(), go_on, strict=True)
            for c in cs
            if goes
        ]


def _may_improve(
    finished: list[Hypothesis], log_p: float, length: int, options: SamplingConfig
) -> bool:
    """Whether to go on with a prompt whose best beam, of ``length`` tokens, has ``log_p``."""
    if not math.isfinite(log_p):  # the model rules out every token that is left
        return False
    if len(finished) < options.num_beams:
        return True
    if options.early_stopping is True:
        return False
    alpha = options.length_penalty
    bound = options.early_stopping == "never" and alpha > 0  # else the score if it ended now
    return log_p / (options.max_new_tokens if bound else length) ** alpha > finished[-1].score


def largest(x: Array, n: int) -> Array:
    """Where the n largest of each row are, in falling order; all of them if n is above N.

    Of equal ones the first come first.

    Shapes:
        x: (A, N) → (A, min(n, N))

    Example:
        >>> largest(np.array([[1.0, 4.0, 2.0, 4.0]]), 3)
        array([[1, 3, 2]])
    """
    n_left_out = max(x.shape[1] - n, 0)
    chosen = np.sort(np.argpartition(x, n_left_out, axis=1)[:, n_left_out:], axis=1)
    falling = np.argsort(-np.take_along_axis(x, chosen, axis=1), axis=1, kind="stable")
    return np.take_along_axis(chosen, falling, axis=1)


def _steps(options: SamplingConfig) -> Iterator[int]:
    """1, 2, … max_new_tokens; a progress bar where asked for."""
    bar = ProgressBar(options.max_new_tokens, "searching", "token", shown=options.progress)
    with bar:
        if options.progress:
            say_what_is_missing(bar.note)
        for length in range(1, options.max_new_tokens + 1):
            try:
                yield length
            finally:  # the last step too, after which the search may break off
                bar.update()


def _best(found: list[Hypothesis], n: int) -> list[Hypothesis]:
    if len(found) < n:
        raise ValueError(
            f"num_return_sequences={n} asks for more texts than there are: only {len(found)} "
            "differ; pass fewer, or a larger max_new_tokens"
        )
    return found[:n]


def _check(
    model: Any, ids: object, mask: object, options: object, n_tokens: object
) -> tuple[Array, Array | None]:
    check_model(model)
    if n_tokens is not None:
        checks.integer("n_tokens", n_tokens, least=1)
    checks.instance("options", options, SamplingConfig)
    rows = checked_ids(ids, model.config.vocab_size)
    return rows, None if mask is None else checked_mask(mask, rows)
