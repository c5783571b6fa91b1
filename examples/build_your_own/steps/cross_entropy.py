"""Step 2: cross_entropy(logits, targets) is the loss of a language model, and its derivative."""

from __future__ import annotations

from typing import Any

import numpy as np

import minigpt.functional as F
from calling import Wrong, call
from comparing import check_operation, derivatives


def check(cross_entropy: Any) -> None:
    rng = np.random.default_rng(2)
    logits, targets = rng.normal(0, 1.5, (2, 3, 5)), rng.integers(5, size=(2, 3))
    loss, (dlogits,) = derivatives(lambda x: F.cross_entropy(x, targets), logits, dy=0.7)
    p = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    of_targets = np.take_along_axis(p, targets[..., None], axis=-1)[..., 0]
    is_target = targets[..., None] == np.arange(5)
    before = np.roll(is_target, -1, axis=-1)  # what targets - 1 finds
    check_operation(
        "cross_entropy",
        cross_entropy,
        {"logits": logits, "targets": targets},
        (
            "loss",
            loss,
            {
                "the sign: a probability's logarithm is negative, and the loss is −log p": -loss,
                "it is the sum over all targets: take the mean": 6 * loss,
                "the sum is divided by the B rows: the mean runs over all targets of the batch, "
                "B·T": 3 * loss,
                "the sum is divided by the T places of a row: the mean runs over all targets of "
                "the batch, B·T": 2 * loss,
                "it is divided by all B·T·V numbers: the mean runs over the B·T targets": loss / 5,
                "targets − 1 is looked up, and should be targets: tokens count from 0, as the last "
                "axis of logits does": -np.log(p[before]).mean(),
                "it is one loss for each target: take their mean": -np.log(of_targets),
                "it is one loss for each of the 6 targets: take their mean": -np.log(
                    of_targets.ravel()
                ),
                "the logarithm has base 2: np.log": loss / np.log(2),
                "the logarithm is missing: −mean p is not −mean log p": -of_targets.mean(),
                "this is −log of the mean: the mean of −log p is another thing": -np.log(
                    of_targets.mean()
                ),
                "the mean runs over all V probabilities, and should run over those of the "
                "targets": -np.log(p).mean(),
                "the logits are taken as probabilities: softmax comes first": -np.log(
                    np.abs(np.take_along_axis(logits, targets[..., None], axis=-1))
                ).mean(),
                "the logits of the targets are averaged: log p = logit − log Σ exp(logits)": -(
                    np.take_along_axis(logits, targets[..., None], axis=-1).mean()
                ),
            },
        ),
        {
            "dlogits": (
                dlogits,
                {
                    "dloss is missing: it multiplies the derivative": dlogits / 0.7,
                    "dloss is added, and should multiply": 0.7 + dlogits / 0.7,
                    "1 is taken off at targets − 1, and should be at targets": 0.7
                    * (p - before)
                    / 6,
                    "the mean over the 6 targets divides the derivative too": 6 * dlogits,
                    "this is p/n: at the target, 1 is taken off: p − 1": 0.7 * p / 6,
                    "the sign: p − 1 at the target, p elsewhere": -dlogits,
                    "it is not 0 elsewhere: more of the others' probability also costs, p at "
                    "each token that is not the target": 0.7 * is_target * (p - 1) / 6,
                    "it is divided by all B·T·V numbers: the mean runs over the B·T "
                    "targets": dlogits / 5,
                    "the mean runs over all targets of the batch, B·T, not over the B rows": dlogits
                    * 3,
                },
            )
        },
        dy=0.7,
    )
    _check_large(cross_entropy)


def _check_large(cross_entropy: Any) -> None:
    logits = np.array([[1000.0, 0.0], [0.0, 1000.0]])
    loss, backward = call(
        "cross_entropy", cross_entropy, {"logits": logits, "targets": np.array([0, 0])}
    )
    if not np.isclose(loss, 500.0):
        raise Wrong(
            f"the logits 1000 and 0, the second being right, cost {loss:.4g} in the mean with one "
            "that is sure and right; it should be 500: log(exp(0)/…) of so small a p is log(0). "
            "Compute log p as x − max − log Σ exp(x − max)"
        )
    if not np.allclose(backward(1.0), np.array([[0, 0], [-0.5, 0.5]])):
        raise Wrong("dlogits is not finite for logits as large as 1000: use your softmax for p")

    beside = {"logits": np.array([[1000.0, 0.0], [0.0, 0.0]]), "targets": np.array([0, 0])}
    loss, backward = call("cross_entropy", cross_entropy, beside)
    mend = (
        "subtract the largest of each row, logits.max(axis=-1, keepdims=True), not the largest of "
        "all"
    )
    if not np.isclose(loss, np.log(2) / 2):
        raise Wrong(
            f"beside a row with a logit of 1000, the logits 0 and 0 cost {2 * loss:.4g}, and "
            f"should cost ln 2: {mend}"
        )
    if not np.allclose(backward(1.0), np.array([[0, 0], [-0.25, 0.25]])):
        raise Wrong(
            f"beside a row with a logit of 1000, dlogits of a row of zeros is wrong: {mend}"
        )
