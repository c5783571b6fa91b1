"""Cross-entropy, the loss of language models (E7), and the probability of a sequence (E6)."""

from __future__ import annotations

import numpy as np

from minigpt.autograd import Array, is_recorded, record
from minigpt.functional.dropout import check_probability
from minigpt.functional.embedding import check_ids, check_integers
from minigpt.operations.operands import check_tensors
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

    Shapes:
        logits: (..., V)
        targets: (...), integers from 0 to V − 1, or ``ignore_index`` where a place is left out
        returns: a scalar (reduction "mean" over the N places that count, or "sum"), or (...) with
            0 in the places left out (reduction "none")

    Raises:
        ValueError: shapes that do not fit, an unknown reduction, a mean over no targets, or a
            ``label_smoothing`` outside [0, 1).
        IndexError: a target outside the vocabulary.
        TypeError: targets that are not integers, or logits that are no Tensor.

    Example:
        >>> import numpy as np, minigpt as mg
        >>> import minigpt.functional as F
        >>> round(F.cross_entropy(mg.Tensor(np.zeros((1, 4))), np.array([2])).item(), 4)  # ln 4
        1.3863
    """
    check_tensors("cross_entropy", logits=logits)
    check_probability(label_smoothing, "label_smoothing")
    if reduction not in ("mean", "sum", "none"):
        raise ValueError(f'reduction={reduction!r}: expected "mean", "sum" or "none"')
    targets = np.asarray(targets)
    if logits.ndim == 0 or targets.shape != logits.shape[:-1]:
        raise ValueError(
            f"cross_entropy: targets have shape {targets.shape}, logits {logits.shape}: expected "
            f"{logits.shape[:-1]}"
        )
    check_integers(targets, "targets")
    vocab_size = logits.shape[-1]
    counted = (targets != ignore_index).reshape(-1)
    n = int(counted.sum())
    if reduction == "mean" and n == 0:
        raise ValueError(f"cross_entropy: every target is ignore_index={ignore_index}: no mean")
    labels = check_ids(np.where(targets == ignore_index, 0, targets), vocab_size, "targets")
    labels = labels.reshape(-1)
    places = np.arange(labels.size)

    # log p = shifted − log Σ exp(shifted)
    shifted = logits.data.reshape(-1, vocab_size)
    shifted = shifted - shifted.max(axis=-1, keepdims=True)
    picked = shifted[places, labels]
    if label_smoothing:  # Σᵥ qᵥ·shiftedᵥ, in place of the target's alone
        picked = (1 - label_smoothing) * picked + label_smoothing * shifted.mean(axis=-1)
    probabilities = np.exp(shifted, out=shifted)
    total = probabilities.sum(axis=-1)
    losses = np.where(counted, np.log(total) - picked, logits.dtype.type(0))
    scale = 1 / n if reduction == "mean" else 1.0
    if reduction == "none":
        value = losses.reshape(targets.shape)
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
        TypeError: targets that are not integers, or logits that are no Tensor.

    Example:
        >>> import numpy as np, minigpt as mg
        >>> import minigpt.functional as F
        >>> logits = mg.Tensor(np.zeros((3, 4)))  # each of four tokens as likely as the others
        >>> round(F.log_likelihood(logits, np.array([2, 0, 1])).item(), 4)  # 3·ln ¼
        -4.1589
    """
    check_tensors("log_likelihood", logits=logits)
    return -cross_entropy(logits, targets, ignore_index, reduction="none").sum(axis=-1)
