"""How likely a model finds a text: the chain rule, perplexity, bits per byte (E6).

P(y | x, θ) = Πₜ p(yₜ | y₍<ₜ₎, x; θ) is exact, whatever the model: every joint probability is that
product. In log form it is a sum of one term per token. The very first token of a text has nothing
before it, so that a model gives no term for it: it is conditioned on, never scored.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from minigpt import checks
from minigpt.autograd import Array
from minigpt.blas_threads import MatrixProducts, one_blas_thread
from minigpt.grad_mode import evaluation
from minigpt.metrics import bits_per_byte, perplexity_of
from minigpt.progress_bar import ProgressBar
from minigpt.sampling.filters import check_logits
from minigpt.sampling.prompts import checked_ids
from minigpt.sampling.protocols import LanguageModel, check_model

LOGITS_AT_ONCE = 2**24  # windows are batched up to this many numbers: 64 MB of float32
IN_CACHE = 2**18  # of them are normalised at once: 1 MB, which a processor's cache holds


@dataclass(frozen=True)
class Score:
    """How likely a text is.

    Attributes:
        log_probability: ln P of the scored tokens, in nats.
        n_tokens: how many tokens were scored: all but the first, or all after the context.
        n_bytes: how many bytes of UTF-8 these are.
        perplexity: exp(-log_probability / n_tokens): between how many equally likely tokens the
            model hesitates on average; infinite where the text is impossible.
        bits_per_byte: the same in bits, per byte instead of per token, so that models with
            different tokenizers compare.

    Example:
        >>> Score(log_probability=-8 * np.log(2), n_tokens=4, n_bytes=16).bits_per_byte
        0.5
    """

    log_probability: float
    n_tokens: int
    n_bytes: int
    perplexity: float = field(init=False)
    bits_per_byte: float = field(init=False)

    def __post_init__(self) -> None:
        n_tokens = checks.integer("n_tokens", self.n_tokens, 1, 2**63 - 1)
        bits = bits_per_byte(-self.log_probability, self.n_bytes)
        object.__setattr__(self, "bits_per_byte", bits)
        perplexity = perplexity_of(-self.log_probability / n_tokens)
        object.__setattr__(self, "perplexity", perplexity)


def token_log_probabilities(
    model: LanguageModel,
    ids: Array,
    stride: int | None = None,
    *,
    n_tokens: int | None = None,
    progress: bool = False,
) -> np.ndarray[Any, np.dtype[np.float64]]:
    """The ln p(yₜ | y₍<ₜ₎) of every token but the first.

    A text longer than the model's context is covered by windows of ``block_size`` tokens, each
    ``stride`` further on, and every token is scored once, in the first window that reaches it: with
    at least ``block_size - stride + 1`` tokens before it. Stride 1 gives every token the longest
    context, at one pass per token; the whole ``block_size`` is the fastest.

    Rows of different lengths: pad them at the right with any id, and leave the padding's values
    out; a causal model never looks ahead.

    Args:
        model: predicts the next token.
        ids: one text or a batch of them.
        stride: None takes half the context.
        n_tokens: p is shared out among the ids below this, those that a tokenizer knows; None for
            the model's whole vocabulary.
        progress: show a progress bar.

    Shapes:
        ids: (T,) or (B, T) → (T - 1,) or (B, T - 1) float64

    Raises:
        ValueError: a text is shorter than 2 tokens, or ``stride`` is below 1 or above the context.
        IndexError: an id is outside the vocabulary.

    Example:
        >>> import minigpt as mg
        >>> model = mg.GPT(mg.GPTConfig(5, block_size=4, n_layer=1, n_head=1, n_embd=8), seed=0)
        >>> log_p = token_log_probabilities(model, np.array([3, 1, 4, 1, 0, 2]), stride=1)
        >>> log_p.shape, bool(abs(log_p.mean() + np.log(5)) < 0.1)  # untrained: about ln 1/5 each
        ((5,), True)
    """
    rows, stride = _check(model, ids, stride, n_tokens, progress)
    n, block_size = rows.shape[1] - 1, model.config.block_size
    log_probabilities = np.empty((rows.shape[0], n))
    if block_size is None:
        scored = _score_stream(model, rows, n_tokens, log_probabilities)
    else:
        width = min(n, block_size)
        stride = stride or max(width // 2, 1)
        scored = _score_windows(model, rows, n_tokens, width, stride, log_probabilities)
    bar = ProgressBar(log_probabilities.size, "scoring", "token", shown=progress, large=True)
    with evaluation(), bar:
        for n_scored in scored:
            bar.update(n_scored)
    return log_probabilities.reshape(*np.shape(ids)[:-1], n)


def log_probability(
    model: LanguageModel,
    ids: Array,
    start: int = 1,
    stride: int | None = None,
    *,
    n_tokens: int | None = None,
) -> float:
    """The ln P(y | x) with x the first ``start`` tokens of ``ids`` and y the rest.

    Args:
        model: predicts the next token.
        ids: one text.
        start: how many tokens are given.
        stride, n_tokens: as in :func:`token_log_probabilities`.

    Shapes:
        ids: (T,)

    Raises:
        ValueError: ``start`` is not in [1, T), or as :func:`token_log_probabilities`.

    Example:
        >>> import minigpt as mg
        >>> model = mg.GPT(mg.GPTConfig(3, block_size=4, n_layer=1, n_head=1, n_embd=8), seed=0)
        >>> log_p = [log_probability(model, np.array([0, y])) for y in range(3)]
        >>> float(np.exp(log_p).sum().round(6))  # what comes after 0 is one of the three
        1.0
    """
    start = _check_start(ids, start)
    return float(token_log_probabilities(model, ids, stride, n_tokens=n_tokens)[start - 1 :].sum())


def perplexity(
    model: LanguageModel,
    ids: Array,
    stride: int | None = None,
    *,
    n_tokens: int | None = None,
    progress: bool = False,
) -> float:
    """exp(−(1/N)·Σₜ ln p(yₜ | y₍<ₜ₎)) over all tokens but each text's first.

    What it means is said at :func:`~minigpt.metrics.perplexity_of`. It is infinite where the model
    rules out a token that comes.

    Args:
        model: predicts the next token.
        ids: one text, or a batch of them.
        stride, n_tokens, progress: as in :func:`token_log_probabilities`.

    Shapes:
        ids: (T,) or (B, T)

    Raises:
        ValueError: as :func:`token_log_probabilities`.

    Example:
        >>> import minigpt as mg
        >>> model = mg.GPT(mg.GPTConfig(5, block_size=4, n_layer=1, n_head=1, n_embd=8), seed=0)
        >>> round(perplexity(model, np.arange(40) % 5))  # untrained, it hesitates between all five
        5
    """
    log_p = token_log_probabilities(model, ids, stride, n_tokens=n_tokens, progress=progress)
    return perplexity_of(-float(log_p.mean()))


def _score_windows(
    model: LanguageModel, rows: Array, n_tokens: int | None, width: int, stride: int, out: Array
) -> Iterator[int]:
    """Fill ``out`` (B, n) from windows of ``width`` tokens; the last one ends with the text.

    Gives after each batch of windows how many tokens it has scored.
    """
    n = out.shape[1]
    starts = [*range(0, n - width, stride), n - width]
    ends = [0, *(start + width for start in starts)]  # a window scores what the last one did not
    jobs = [
        (i, start, new) for start, new in zip(starts, ends, strict=False) for i in range(len(rows))
    ]
    n_at_once = max(1, LOGITS_AT_ONCE // (width * model.config.vocab_size))
    for first in range(0, len(jobs), n_at_once):
        batch = jobs[first : first + n_at_once]
        ids = np.stack([rows[i, start : start + width + 1] for i, start, _ in batch])
        ids = ids.astype(np.int64)  # a window at a time: the text may be a file of small integers
        scores = _scores(model, ids, n_tokens, [new - start for _, start, new in batch])
        for (i, start, new), score in zip(batch, scores, strict=True):
            out[i, new : start + width] = score
        yield sum(start + width - new for _, start, new in batch)


def _score_stream(model: Any, rows: Array, n_tokens: int | None, out: Array) -> Iterator[int]:
    """Fill ``out`` (B, n) with a model of unlimited context: piece by piece over its cache."""
    n = out.shape[1]
    cache = model.new_cache(len(rows), n)
    width = max(1, min(n, LOGITS_AT_ONCE // (len(rows) * model.config.vocab_size)))
    for start in range(0, n, width):
        ids = rows[:, start : start + width + 1].astype(np.int64)
        scores = _scores(model, ids, n_tokens, [0] * len(ids), cache=cache)
        out[:, start : start + width] = scores
        yield ids[:, 1:].size


def _scores(
    model: Any, ids: Array, n_tokens: int | None, starts: list[int], **options: Any
) -> list[Array]:
    """Ln p of each row's ids from its start on; the logits are gone when it returns."""
    with one_blas_thread(MatrixProducts(model).are_small(ids.size)):
        logits = model(ids[:, :-1], **options).data[..., :n_tokens]  # (N, W, V)
    return [
        _target_log_probabilities(z[start:], targets[start:])
        for z, targets, start in zip(logits, ids[:, 1:], starts, strict=True)
    ]


def _target_log_probabilities(logits: Array, targets: Array) -> Array:
    """Ln softmax(logits)[target]: (T, V), (T,) → (T,) float64; no second array of that size."""
    scores = np.empty(targets.shape)
    n_at_once = max(1, IN_CACHE // logits.shape[1])
    for first in range(0, len(targets), n_at_once):
        here = slice(first, first + n_at_once)
        z, target = check_logits(logits[here]), targets[here, None]
        peak = z.max(axis=-1, keepdims=True)
        log_sum = np.log(np.exp(z - peak).sum(axis=-1, dtype=np.float64))
        scores[here] = np.take_along_axis(z, target, axis=-1)[:, 0] - (peak[:, 0] + log_sum)
    return scores


def _check(
    model: Any, ids: object, stride: object, n_tokens: object, progress: object
) -> tuple[Array, int | None]:
    check_model(model)
    n = model.config.vocab_size
    checks.flag("progress", progress)
    if n_tokens is not None:
        n = checks.integer("n_tokens", n_tokens, 1, n)
    rows = checked_ids(ids, n, keep_dtype=True)  # perhaps a file, as it is
    if rows.shape[1] < 2:
        raise ValueError(
            "ids hold a single token, which has nothing before it to be predicted from: "
            "pass at least 2 tokens"
        )
    if stride is None:
        return rows, None
    return rows, checks.integer(
        "stride", stride, 1, model.config.block_size,
        mend=f"beyond block_size={model.config.block_size} it would skip tokens",
    )  # fmt: skip


def _check_start(ids: Any, start: object) -> int:
    shape = checks.regular("ids", ids).shape
    if len(shape) != 1:
        raise ValueError(f"ids has shape {shape}: expected one text (T,)")
    first = checks.integer("start", start, least=1)
    if first >= len(ids) > 1:
        raise ValueError(f"start={first} leaves none of the {len(ids)} tokens to score")
    return first
