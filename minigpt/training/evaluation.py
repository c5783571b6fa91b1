"""Loss, accuracy and perplexity on batches that stay the same from one evaluation to the next."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from minigpt.training.batches import FixedBatches
from minigpt.training.history import Record
from minigpt.training.parallel import Workers
from minigpt.training.trainable import Trainable


class EvaluationCutShort(Exception):
    """It was asked to stop before it was through."""


def evaluate_splits(
    model: Trainable,
    splits: Mapping[str, FixedBatches],
    workers: Workers,
    should_stop: Callable[[], bool] = lambda: False,
) -> Record:
    """The metrics of every split, ``{split}_{metric}``, with dropout off.

    Means are over all terms that the losses of the batches count, so that batches of different
    sizes add up to the exact mean. Perplexity is exp(loss): the number of tokens among which the
    model is as undecided as if all of them were equally likely.

    Raises:
        EvaluationCutShort: ``should_stop`` said so.
        ValueError: a split has no term that the loss counts.
    """
    was_training = getattr(model, "training", True)
    model.eval()
    try:
        record: Record = {}
        for split, batches in splits.items():
            total, sums = 0.0, dict[str, float]()
            for batch in batches:
                if should_stop():
                    raise EvaluationCutShort
                weight, metrics = workers.metrics(model, batch)
                total += weight
                for name, value in metrics.items():
                    sums[name] = sums.get(name, 0.0) + weight * value
            if total == 0:
                raise ValueError(
                    f"the {split} batches of the evaluation hold nothing but targets -1"
                )
            means = {name: value / total for name, value in sums.items()}
            means["perplexity"] = perplexity(means["loss"])
            record |= {f"{split}_{name}": value for name, value in means.items()}
        return record
    finally:
        if was_training:
            model.train()


def perplexity(loss: float) -> float:
    """exp(loss), held within what a float can carry.

    Example:
        >>> round(perplexity(math.log(65)), 9)
        65.0
    """
    return math.exp(min(loss, 700.0))
