"""Cross-entropy, the loss of language models (E7), and the probability of a sequence (E6)."""

from __future__ import annotations

import numpy as np

from minigpt import checks
from minigpt.autograd import Array, is_recorded, record
from minigpt.tensor import Tensor


def cross_entropy(
    logits: Tensor,
    targets: Array,
    ignore_index: int = -1,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """L = −mean log p(target), p = softmax(logits); ∂L/∂logits = (p − onehot(target)) / N.

    For next-token prediction the targets are the ids one place to the left: logits at place t
    score the token at t + 1 (Radford et al. 2018, §3.1).

    With label smoothing ε a place asks for the distribution q = (1 − ε)·onehot(target) + ε/V, so
    that no logit is rewarded for growing without end (Szegedy et al. 2016, §7):

        L = −mean Σᵥ qᵥ log pᵥ,  ∂L/∂logits = (p − q) / N

    Args:
        logits: the scores z of which p is the softmax.
        targets: the right ones.
        ignore_index: the target of a place that is left out.
        reduction: "mean" over the places that count, "sum", or "none" for the loss of each place.
        label_smoothing: ε.

    Shapes:
        logits: (..., V)
        targets: (...), integers from 0 to V − 1, or ``ignore_index`` where a place is left out
        returns: a scalar (reduction "mean" over the N places that count, or "sum"), or (...) with
            0 in the places left out (reduction "none")

    Raises:
        ValueError: shapes that do not fit, an unknown reduction, a mean over no targets, or a
            ``label_smoothing`` outside [0, 1).
        IndexError: a target outside the vocabulary.
        TypeError: targets that are not integers.

    Example:
        >>> import numpy as np, minigpt as mg
        >>> import minigpt.functional as F
        >>> round(F.cross_entropy(mg.Tensor(np.zeros((1, 4))), np.array([2])).item(), 4)  # ln 4
        1.3863
    """
    labels, counted, n = _check(logits, targets, ignore_index, reduction, label_smoothing)
    vocab_size, places = logits.shape[-1], np.arange(labels.size)

    # log p = shifted − log Σ exp(shifted)
    shifted = logits.data.reshape(-1, vocab_size)  # (..., V) -> (N, V)
    with np.errstate(over="ignore", invalid="ignore"):  # −∞, or for ∞ − ∞ NaN, quietly
        shifted = shifted - shifted.max(axis=-1, keepdims=True)
    picked = shifted[places, labels]
    if label_smoothing:  # Σᵥ qᵥ·shiftedᵥ, in place of the target's
        picked = (1 - label_smoothing) * picked + label_smoothing * shifted.mean(axis=-1)
    probabilities = np.exp(shifted, out=shifted)
    total = probabilities.sum(axis=-1)
    losses = np.where(counted, np.log(total) - picked, logits.dtype.type(0))
    scale = 1 / n if reduction == "mean" else 1.0
    if reduction == "none":
        value = losses.reshape(logits.shape[:-1])
    else:
        value = np.asarray(losses.sum(dtype=np.float64) * scale, dtype=logits.dtype)

    if is_recorded((logits,)):  # p − q, in place of p; nothing else is kept
        probabilities /= total[:, None]
        probabilities[places, labels] -= 1 - label_smoothing
        if label_smoothing:
            probabilities -= label_smoothing / vocab_size
        if n < labels.size:
            probabilities *= counted[:, None]
    shape = logits.shape

    def vjp(g: Array) -> tuple[Array]:
        nonlocal probabilities  # used up: written over, as the walk comes here once
        probabilities *= g.reshape(-1, 1) if reduction == "none" else g * g.dtype.type(scale)
        return (probabilities.reshape(shape),)

    return record(value, (logits,), vjp)


def log_likelihood(logits: Tensor, targets: Array, ignore_index: int = -1) -> Tensor:
    """Log P(y|x) = Σₜ log p(yₜ | y₍<ₜ₎, x) for each sequence (E6: the chain rule, exact).

    Places whose target is ``ignore_index`` add nothing to the sum.

    Shapes:
        logits: (..., T, V), where place t scores targets[t]
        targets: (..., T), integers from 0 to V − 1, or ``ignore_index``
        returns: (...)

    Raises:
        ValueError: shapes that do not fit.
        IndexError: a target outside the vocabulary.
        TypeError: targets that are not integers.

    Example:
        >>> import numpy as np, minigpt as mg
        >>> import minigpt.functional as F
        >>> logits = mg.Tensor(np.zeros((3, 4)))  # each of four tokens as likely as the others
        >>> round(F.log_likelihood(logits, np.array([2, 0, 1])).item(), 4)  # 3·ln ¼
        -4.1589
    """
    checks.tensors("log_likelihood", logits=logits)
    return -cross_entropy(logits, targets, ignore_index, reduction="none").sum(axis=-1)


def _check(
    logits: Tensor, targets: Array, ignore_index: int, reduction: str, label_smoothing: float
) -> tuple[Array, Array, int]:
    """The targets in one row, which of them count, and how many these are."""
    checks.tensors("cross_entropy", logits=logits)
    checks.probability("label_smoothing", label_smoothing)
    checks.one_of("reduction", reduction, ("mean", "sum", "none"))
    checks.integer("ignore_index", ignore_index)
    targets = checks.integers("targets", targets)
    if logits.ndim == 0 or logits.shape[-1] == 0:
        expected = "of shape (..., V) with V of at least 1"
        raise checks.wrong_value("cross_entropy: logits", expected, logits)
    why = f", as logits are {logits.shape}"
    checks.same_shape("cross_entropy: targets", targets, logits.shape[:-1], why)
    counted = targets != ignore_index
    n = int(counted.sum())
    if reduction == "mean" and n == 0:
        raise ValueError(
            f"cross_entropy: every target is ignore_index={ignore_index}: there is no mean of none"
        )
    labels = checks.ids("targets", np.where(counted, targets, 0), logits.shape[-1])
    return labels.reshape(-1), counted.reshape(-1), n
