"""What is the same in every model that learns to predict: the loss's weight, and its metrics."""

from __future__ import annotations

import inspect
from typing import Any, ClassVar

import numpy as np

import minigpt.functional as F
from minigpt import checks
from minigpt.autograd import Array
from minigpt.grad_mode import no_grad
from minigpt.nn import Module
from minigpt.tensor import Tensor


class Predictor(Module):
    """A model that gives every target of a batch a probability, and learns to make it larger.

        L = −mean log p(target), over the targets that are not −1        (E7)

    A model of this kind has ``loss(*batch, rng=None)``, and with the same arguments
    :meth:`logits_and_targets`, from which its metrics follow.

    Attributes:
        TARGETS: the name of the targets among the arguments of ``loss``.
        dropout_rng: draws what is dropped where no other Generator is given.

    Example:
        >>> import numpy as np, minigpt as mg
        >>> class Bigrams(Predictor):  # the next token from the last one only
        ...     def __init__(self, n):
        ...         super().__init__()
        ...         self.table = mg.nn.Embedding(n, n, seed=0)
        ...
        ...     def logits_and_targets(self, ids, targets, rng=None):
        ...         return self.table(ids), targets
        >>> ids = np.array([[0, 1, 2, 0]])
        >>> metrics = Bigrams(3).metrics(ids[:, :-1], ids[:, 1:])
        >>> sorted(metrics), round(metrics["loss"], 1)  # nothing learned yet: ln 3
        (['accuracy', 'loss'], 1.1)
    """

    TARGETS: ClassVar[str] = "targets"

    dropout_rng: np.random.Generator

    def loss(self, *batch: Any, **options: Any) -> Tensor:
        """The mean loss of a batch; each model says which arrays its batches are."""
        return F.cross_entropy(*self.logits_and_targets(*batch, **options))

    def logits_and_targets(self, *batch: Any, **options: Any) -> tuple[Tensor, Array]:
        """The logits that a batch is scored by, and its targets; the arguments of ``loss``.

        Raises:
            TypeError: the model does not define it.
        """
        raise TypeError(f"{type(self).__name__} defines no logits_and_targets()")

    def loss_weight(self, *batch: Any, **options: Any) -> float:
        """How many targets the mean in ``loss`` runs over; takes the arguments of ``loss``."""
        arguments = inspect.signature(self.logits_and_targets).bind(*batch, **options).arguments
        targets = checks.integers(self.TARGETS, arguments[self.TARGETS])
        return float((targets != -1).sum())

    @no_grad()
    def metrics(self, *batch: Any, **options: Any) -> dict[str, float]:
        """Loss, and accuracy: how often the likeliest answer is the right one.

        Takes the arguments of ``loss``.
        """
        logits, targets = self.logits_and_targets(*batch, **options)
        loss, targets = F.cross_entropy(logits, targets), np.asarray(targets)
        right = logits.data.argmax(axis=-1) == targets
        return {"loss": loss.item(), "accuracy": float(right[targets != -1].mean())}

    def dropout_generator(self, rng: np.random.Generator | None) -> np.random.Generator:
        """The Generator that was given, or the model's own."""
        return self.dropout_rng if rng is None else rng
