"""What the Trainer asks of a model, and the parts it makes up where a model leaves them out."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import numpy as np

from minigpt.autograd import Array
from minigpt.grad_mode import no_grad
from minigpt.tensor import Tensor

Batch = tuple[Array, ...]


class Trainable(Protocol):
    """A model that can be trained: parameters, and a loss of a batch.

    It may also have ``loss_weight(*batch) -> float``, how many terms the mean in ``loss`` runs over
    (the rows of the batch where it is left out), and ``metrics(*batch) -> dict`` with the loss and
    whatever else is worth knowing. Where ``loss`` takes an argument ``rng``, it is given a
    generator to draw dropout from.

    A recurrent model whose ``new_state(batch_size)`` gives an array, its state before a text, can
    be trained with ``TrainerConfig(carry_state=True)``: a batch then ends with that array, which
    ``loss`` and ``metrics`` overwrite with the state behind the batch.
    """

    def parameters(self) -> list[Any]:
        """Every parameter, once."""

    def named_parameters(self) -> Iterator[tuple[str, Any]]:
        """Every parameter with its name."""

    def state_dict(self) -> dict[str, Array]:
        """The values of the parameters, copied."""

    def load_state_dict(self, state_dict: Mapping[str, Array], /) -> Any:
        """Take over what state_dict() gave."""

    def train(self) -> Any:
        """Switch dropout and its like on."""

    def eval(self) -> Any:
        """Switch them off."""

    def loss(self, *batch: Any, **options: Any) -> Tensor:
        """The mean loss of a batch, a scalar."""


def loss_of(model: Trainable, batch: Batch, rng: np.random.Generator) -> Tensor:
    """The loss, with the generator where ``model.loss`` takes one."""
    if "rng" in inspect.signature(model.loss).parameters:
        return model.loss(*batch, rng=rng)
    return model.loss(*batch)


def weight_of(model: Trainable, batch: Batch) -> float:
    """How many terms the mean in the loss runs over: w in L = Σ wᵢ Lᵢ / Σ wᵢ."""
    own = getattr(model, "loss_weight", None)
    return float(own(*batch)) if own is not None else float(len(batch[0]))


@no_grad()
def metrics_of(model: Trainable, batch: Batch) -> dict[str, float]:
    """The loss, and what else the model measures."""
    own = getattr(model, "metrics", None)
    if own is None:
        return {"loss": model.loss(*batch).item()}
    return {name: float(value) for name, value in own(*batch).items()}


def rows_of(batch: Batch) -> int:
    """How many rows every array of a batch has."""
    return len(batch[0])
