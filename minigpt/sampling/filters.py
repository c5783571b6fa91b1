"""From logits to a token: the filters of sampling, each a plain function on arrays (E12).

A language model gives one logit zᵢ per token of its vocabulary, and softmax turns them into
probabilities pᵢ = exp(zᵢ) / Σⱼ exp(zⱼ). Each filter takes logits (…, V) and returns new ones, every
row for itself: a token it rules out gets -inf, which is the probability 0. At least one token is
always kept. The input is never changed, and float32 stays float32, float64 stays float64.

They compose; the :class:`~minigpt.sampling.Sampler` applies them in Transformers' order:
repetition penalty, no repeated n-gram, temperature, top-k, top-p, min-p, then a draw.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from minigpt import checks
from minigpt.autograd import Array
from minigpt.masked_arrays import is_masked


def softmax(logits: Array) -> Array:
    """The probabilities pᵢ = exp(zᵢ) / Σⱼ exp(zⱼ), in float64.

    Shapes:
        logits: (…, V) → (…, V)

    Raises:
        ValueError: a row holds NaN or +inf, or only -inf.

    Example:
        >>> softmax(np.array([0.0, 0.0, -np.inf]))
        array([0.5, 0.5, 0. ])
    """
    z = check_logits(logits).astype(np.float64)
    z -= z.max(axis=-1, keepdims=True)
    np.exp(z, out=z)
    z /= z.sum(axis=-1, keepdims=True)
    return z


def log_softmax(logits: Array) -> Array:
    """The log-probabilities ln pᵢ = zᵢ − ln Σⱼ exp(zⱼ), in float64.

    Shapes:
        logits: (…, V) → (…, V)

    Raises:
        ValueError: a row holds NaN or +inf, or only -inf.

    Example:
        >>> log_softmax(np.array([0.0, 0.0, -np.inf])).round(2)
        array([-0.69, -0.69,  -inf])
    """
    z = check_logits(logits).astype(np.float64)
    z -= z.max(axis=-1, keepdims=True)
    z -= np.log(np.exp(z).sum(axis=-1, keepdims=True))
    return z


def apply_temperature(logits: Array, temperature: float) -> Array:
    """Sharpen (T < 1) or flatten (T > 1) the distribution: zᵢ / T.

    Ackley, Hinton & Sejnowski 1985, "A Learning Algorithm for Boltzmann Machines". As T → 0 all
    the probability goes to the largest logit, so ``temperature=0`` keeps only that token (greedy
    decoding; of equal ones the lowest id).

    Shapes:
        logits: (…, V) → (…, V)

    Raises:
        ValueError: ``temperature`` is negative or not finite, or so small that z / T overflows.

    Example:
        >>> apply_temperature(np.array([1.0, 3.0]), temperature=2.0)
        array([0.5, 1.5])
        >>> apply_temperature(np.array([1.0, 3.0]), temperature=0)
        array([-inf,   3.])
    """
    z, temperature = check_logits(logits), check_temperature(temperature)
    if temperature == 0:
        greedy = z.argmax(axis=-1)[..., None]  # (…, 1)
        return np.where(np.arange(z.shape[-1]) == greedy, z, z.dtype.type(-np.inf))
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        scaled: Array = z / z.dtype.type(temperature)
        return _finite(scaled, temperature)


def top_k_filter(logits: Array, k: int) -> Array:
    """Keep the k largest logits (Fan, Lewis & Dauphin 2018, §5.1).

    Kept is every token with zᵢ ≥ the k-th largest logit, so where several equal it all of them
    stay, as in Transformers. A k above V keeps everything.

    Shapes:
        logits: (…, V) → (…, V)

    Raises:
        ValueError: ``k`` is below 1.

    Example:
        >>> top_k_filter(np.array([1.0, 4.0, 2.0, 3.0]), k=2)
        array([-inf,   4., -inf,   3.])
    """
    z, k = check_logits(logits), check_top_k(k)
    n_dropped = max(z.shape[-1] - k, 0)
    kth_largest = np.partition(z, n_dropped, axis=-1)[..., n_dropped, None]  # (…, 1)
    return _keep(z, z >= kth_largest)


def top_p_filter(logits: Array, p: float) -> Array:
    """Nucleus sampling: keep the smallest set of tokens that holds a mass of at least p.

    With the tokens sorted by falling probability, token i is kept where those before it hold less
    than p: p₁ + … + pᵢ₋₁ < p. The token that crosses p is inside, so the first always stays
    (Holtzman et al. 2020, "The Curious Case of Neural Text Degeneration", §3.1). Of equally
    probable tokens at the border the lower ids are kept. ``p=1`` keeps everything.

    Shapes:
        logits: (…, V) → (…, V)

    Raises:
        ValueError: ``p`` is not in (0, 1].

    Example:
        >>> top_p_filter(np.log([0.5, 0.2, 0.3]), p=0.6).round(2)
        array([-0.69,  -inf, -1.2 ])
    """
    z, p = check_logits(logits), check_top_p(p)
    if p == 1:  # not left to rounding: the sum may reach 1 before the last tiny term
        return z.copy()
    falling = np.sort(z, axis=-1)[..., ::-1]  # (…, V)
    probabilities = softmax(falling)
    mass_before = probabilities.cumsum(axis=-1)
    mass_before -= probabilities
    n_kept = (mass_before < p).sum(axis=-1, keepdims=True)  # (…, 1)
    border = np.take_along_axis(falling, n_kept - 1, axis=-1)  # the token that crosses p
    kept = z >= border
    if (kept.sum(axis=-1, keepdims=True) > n_kept).any():  # of equal ones at the border, the first
        at_border = z == border
        n_at_border = n_kept - (z > border).sum(axis=-1, keepdims=True)
        kept &= ~at_border | (at_border.cumsum(axis=-1) <= n_at_border)
    return _keep(z, kept)


def min_p_filter(logits: Array, min_p: float) -> Array:
    """Keep the tokens at least ``min_p`` times as probable as the best one.

    pᵢ ≥ m·maxⱼ pⱼ, that is zᵢ ≥ maxⱼ zⱼ + ln m (Nguyen et al. 2024, "Turning Up the Heat: Min-p
    Sampling", §3).

    Shapes:
        logits: (…, V) → (…, V)

    Raises:
        ValueError: ``min_p`` is not in (0, 1].

    Example:
        >>> min_p_filter(np.log([0.6, 0.3, 0.1]), min_p=0.25).round(2)
        array([-0.51, -1.2 ,  -inf])
    """
    z, min_p = check_logits(logits), check_min_p(min_p)
    threshold = z.max(axis=-1, keepdims=True) + z.dtype.type(np.log(min_p))  # (…, 1)
    return _keep(z, z >= threshold)


def repetition_penalty(
    logits: Array, ids: Array, penalty: float, mask: Array | None = None
) -> Array:
    """Make the tokens that are already there less likely (Keskar et al. 2019, "CTRL", §4.1).

    For every token that occurs in its row of ``ids``, once however often: zᵢ / θ where zᵢ > 0,
    and zᵢ·θ where zᵢ ≤ 0, so that θ > 1 lowers either. (The paper only divides, which would raise a
    negative logit; this is Transformers' rule.)

    Args:
        logits: what the model predicts next.
        ids: the tokens of each row so far.
        penalty: θ; 1 changes nothing, below 1 favours repetition.
        mask: True for real tokens, False for padding; None where all are real.

    Shapes:
        logits: (…, V) → (…, V)
        ids, mask: (…, T), the leading axes as those of ``logits``

    Raises:
        ValueError: ``penalty`` is not a finite number > 0, or the shapes do not fit.
        IndexError: an id is outside [0, V).

    Example:
        >>> repetition_penalty(np.array([2.0, -1.0, 3.0]), np.array([0, 1]), penalty=2.0)
        array([ 1., -2.,  3.])
    """
    z, ids, real = _check_ids(logits, ids, mask)
    theta = z.dtype.type(check_repetition_penalty(penalty))
    *rows, places = np.nonzero(real)
    seen = np.zeros(z.shape, dtype=bool)  # (…, V)
    seen[(*rows, ids[(*rows, places)])] = True
    return np.where(seen, np.where(z > 0, z / theta, z * theta), z)


def no_repeat_ngram_filter(logits: Array, ids: Array, n: int, mask: Array | None = None) -> Array:
    """Rule out the tokens that would repeat an n-gram (Paulus et al. 2017, §2.5).

    With the tokens y₁ … y_T so far, v is ruled out where the last n − 1 of them and v are an n-gram
    that is there already: (yⱼ, …, yⱼ₊ₙ₋₁) = (y_T₋ₙ₊₂, …, y_T, v). With n = 1 no token comes twice.

    Args:
        logits: what the model predicts next.
        ids: the tokens of each row so far.
        n: the length of the n-grams that may not be repeated.
        mask: True for real tokens, False for padding at the left; None where all are real.

    Shapes:
        logits: (…, V) → (…, V)
        ids, mask: (…, T), the leading axes as those of ``logits``

    Raises:
        ValueError: ``n`` is below 1, or the shapes do not fit.
        IndexError: an id is outside [0, V).

    Example:
        >>> no_repeat_ngram_filter(np.array([1.0, 2.0, 3.0]), np.array([0, 2, 1, 0]), n=2)
        array([  1.,   2., -inf])
    """
    z, ids, real = _check_ids(logits, ids, mask)
    n = checks.integer("n", n, least=1)
    if ids.shape[-1] < n:
        return z.copy()
    ngrams = sliding_window_view(ids, n, axis=-1)  # (…, T − n + 1, n)
    last = ids[..., None, ids.shape[-1] - n + 1 :]  # (…, 1, n − 1)
    again = (ngrams[..., :-1] == last).all(axis=-1)  # (…, T − n + 1)
    again &= sliding_window_view(real, n, axis=-1).all(axis=-1)
    *rows, places = np.nonzero(again)
    ruled_out = np.zeros(z.shape, dtype=bool)  # (…, V)
    ruled_out[(*rows, ngrams[(*rows, places)][..., -1])] = True
    return _keep(z, ~ruled_out)


def sample_from(logits: Array, rng: np.random.Generator | Sequence[np.random.Generator]) -> Array:
    """Draw one token id per row from softmax(logits), by inverting the cumulative distribution.

    With u uniform in [0, 1), token i is drawn where p₁ + … + pᵢ₋₁ ≤ u < p₁ + … + pᵢ: an interval
    as long as its probability. One u is used per row.

    Args:
        logits: filtered or not; a token at -inf is never drawn.
        rng: one generator for all rows, or a sequence of one for each (rows in C order).

    Shapes:
        logits: (…, V) → (…) int64

    Raises:
        ValueError: a row holds NaN or +inf, or only -inf; or there is not one generator per row.

    Example:
        >>> sample_from(np.log([[0.1, 0.9], [0.9, 0.1]]), np.random.default_rng(0))
        array([1, 0])
    """
    cumulative = softmax(logits)  # (…, V)
    np.cumsum(cumulative, axis=-1, out=cumulative)
    u = _uniform(cumulative.shape[:-1], rng)  # (…)
    # Scaled by the total, which rounding leaves a little off 1.
    threshold = u[..., None] * cumulative[..., -1:]  # (…, 1)
    drawn: Array = (cumulative <= threshold).sum(axis=-1, dtype=np.int64)
    return drawn


def _keep(z: Array, kept: Array) -> Array:
    return np.where(kept, z, z.dtype.type(-np.inf))


def _uniform(
    shape: tuple[int, ...], rng: np.random.Generator | Sequence[np.random.Generator]
) -> Array:
    if isinstance(rng, np.random.Generator):
        return np.asarray(rng.random(shape))
    if not isinstance(rng, Sequence) or not all(isinstance(g, np.random.Generator) for g in rng):
        raise checks.wrong_type("rng", "a numpy.random.Generator, or a list of them", rng)
    if len(rng) != int(np.prod(shape)):
        raise ValueError(f"rng holds {len(rng)} generators for {int(np.prod(shape))} rows")
    return np.reshape([g.random() for g in rng], shape)


# ── what the filters are given ────────────────────────────────────────────────────────────────


def check_logits(logits: object) -> Array:
    """``logits`` if it is a float32 or float64 array (…, V) that a token can be drawn from.

    Raises:
        TypeError: ``logits`` is not such an array.
        ValueError: the last axis is missing or empty, or a row holds NaN or +inf, or only -inf.
    """
    if not isinstance(logits, np.ndarray) or is_masked(logits):
        mend = "logits.data" if hasattr(logits, "data") else "np.asarray(logits, dtype=np.float32)"
        raise checks.wrong_type("logits", "a NumPy array", logits, f"pass {mend}")
    if logits.dtype not in (np.float32, np.float64):
        mend = "use logits.astype(np.float32)"
        raise checks.wrong_type("logits", "of float32 or float64", logits, mend)
    if logits.ndim == 0 or logits.shape[-1] == 0:
        raise checks.wrong_value("logits", "of shape (..., V) with V >= 1", logits)
    peak = logits.max(axis=-1)  # NaN where the row has a NaN, so one pass finds all three
    if np.isnan(peak).any():
        raise ValueError(
            "logits contain NaN: check that the model's parameters are finite "
            "(a diverged training run leaves NaN behind)"
        )
    if np.isposinf(peak).any():
        raise ValueError("logits contain +inf: the softmax over them is undefined, clip them first")
    if np.isneginf(peak).any():
        raise ValueError(
            "a row of logits is -inf everywhere: no token is left to draw; loosen the options that "
            "rule tokens out"
        )
    return logits


def check_temperature(value: object) -> float:
    """A finite number of at least 0."""
    return checks.number("temperature", value, least=0, mend="0 is greedy, 1 changes nothing")


def check_top_k(value: object) -> int:
    """An integer of at least 1."""
    return checks.integer("top_k", value, least=1, mend="None keeps every token")


def check_top_p(value: object) -> float:
    """A number in (0, 1]."""
    return checks.number("top_p", value, above=0, most=1, mend="1 keeps every token")


def check_min_p(value: object) -> float:
    """A number in (0, 1]."""
    mend = "1 keeps only the best token, None keeps every one"
    return checks.number("min_p", value, above=0, most=1, mend=mend)


def check_repetition_penalty(value: object) -> float:
    """A finite number above 0."""
    mend = "1 changes nothing, above 1 makes repeating less likely"
    return checks.number("repetition_penalty", value, above=0, mend=mend)


def _check_ids(logits: object, ids: object, mask: object) -> tuple[Array, Array, Array]:
    """The logits (…, V), the ids (…, T), and the mask of those that are real (…, T)."""
    z, tokens = check_logits(logits), checks.integers("ids", ids)
    if tokens.shape[:-1] != z.shape[:-1] or tokens.ndim == 0:
        raise ValueError(f"ids {tokens.shape} does not fit logits {z.shape}: expected (..., T)")
    real = np.ones(tokens.shape, dtype=bool)
    if mask is not None:
        real = checks.booleans("mask", mask)
    checks.same_shape("mask", real, tokens.shape, ", other than ids")
    checks.ids("ids", tokens[real], z.shape[-1])
    return z, tokens, real


def _finite(scaled: Array, temperature: float) -> Array:
    if not np.isfinite(scaled.max(axis=-1)).all():
        raise ValueError(
            f"temperature={temperature} is too small for these {scaled.dtype} logits: they "
            "overflow; use temperature=0 for greedy decoding"
        )
    return scaled
