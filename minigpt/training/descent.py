"""One step down: the gradient of its batches, clipped, and the optimizer's move; or none of it."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from minigpt.autograd import Array
from minigpt.optim.clipping import clip_gradients
from minigpt.optim.optimizer import Optimizer
from minigpt.optim.sharing import one_by_one
from minigpt.training.batches import Batches
from minigpt.training.optimization import worth_sharing
from minigpt.training.parallel import Workers
from minigpt.training.trainable import Batch, Objective


class Descent:
    """The steps of one process; those of several are :class:`minigpt.training.distributed.ZeRO`.

    Args:
        objective: the loss L(θ).
        optimizer: over the parameters θ that learn.
        workers: threads that share a batch, and the optimizer's work.
        grad_clip: the largest norm of the gradient, or None.

    Attributes:
        torn: whether a move has begun and is not through: such parameters are never saved.
        asked_to_stop: whether all ranks know that the run is to stop; in one process, never.
    """

    torn = asked_to_stop = False

    def __init__(
        self, objective: Objective, optimizer: Optimizer, workers: Workers, grad_clip: float | None
    ) -> None:
        self.objective, self.optimizer, self.workers = objective, optimizer, workers
        self.max_norm = grad_clip or math.inf
        self.apply = workers.apply if worth_sharing(optimizer) else one_by_one
        self.parameters = [p for p in objective.model.parameters() if p.requires_grad]

    def gradient(self, batches: Sequence[Batch], seed: Sequence[int]) -> tuple[float, float]:
        """Put ∂L/∂θ, clipped, in every ``.grad``; returns L, and the norm before the clipping."""
        loss, gradients = self.workers.gradients(self.objective, batches, seed)
        for parameter in self.parameters:
            parameter.grad = gradients.get(parameter)
        found = [p.grad for p in self.parameters if p.grad is not None]
        if len(found) < len(gradients):
            raise not_the_trainers(self.objective.model, gradients.keys() - set(self.parameters))
        return loss, clip_gradients(found, self.max_norm, self.apply)

    def move(self) -> None:
        """θ as the optimizer's equation has it; the gradients are forgotten."""
        self.optimizer.step(self.apply)
        self.optimizer.zero_grad()

    @contextlib.contextmanager
    def taken_back_if_it_fails(self, batches: Batches) -> Iterator[None]:
        """After an error inside, the batches are where they were, and there are no gradients."""
        position = batches.state_dict()
        try:
            yield
        except BaseException:
            batches.load_state_dict(position)
            self.optimizer.zero_grad()
            raise

    @contextlib.contextmanager
    def parameters_in_motion(self) -> Iterator[None]:
        """After an error inside, the parameters are torn."""
        self.torn = True
        yield
        self.torn = False

    def gradient_norms(self) -> dict[str, float]:
        """‖∂L/∂θ‖ of each parameter that has a gradient, by its name, the worst first."""
        found = {s.name: g for s in self.optimizer.slots if (g := s.parameter.grad) is not None}
        squares = [np.square(g, dtype=np.float64).sum() for g in found.values()]
        norms = np.sqrt(self._sum(np.array(squares))).tolist()
        worst_first = sorted(
            zip(found, norms, strict=True), key=lambda item: (math.isfinite(item[1]), -item[1])
        )
        return dict(worst_first)

    def _sum(self, numbers: Array) -> Array:
        """Over all processes."""
        return numbers

    def optimizer_state(self) -> Mapping[str, Any]:
        """What the optimizer remembers, as a checkpoint keeps it."""
        return self.optimizer.state_dict()

    def batches_state(self, state: Mapping[str, Any]) -> Mapping[str, Any]:
        """Where the batches stand, as a checkpoint keeps it."""
        return state


def not_the_trainers(model: Any, leaves: Iterable[Any]) -> ValueError:
    """The error for a gradient of what the optimizer does not move, and so would never learn."""
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    unknown = sorted(names.get(id(x), f"a tensor of shape {x.shape}") for x in leaves)
    rest = f" and {len(unknown) - 3} more" if len(unknown) > 3 else ""
    return ValueError(
        f"the loss has a gradient for {', '.join(unknown[:3])}{rest}, which the Trainer does not "
        "move, as it was not among the model's trainable parameters when the Trainer was made: "
        "make a new Trainer after add_lora, unfreeze and whatever else changes the model, and hold "
        "what a model learns in Parameters"
    )
