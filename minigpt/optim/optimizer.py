"""What all optimizers share: their parameters, the learning rate, the step, and the state."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from minigpt.autograd import Array
from minigpt.optim.checks import not_negative
from minigpt.optim.parameters import ParameterLike, as_list, named_parameters
from minigpt.optim.sharing import Apply, Scratch, one_by_one
from minigpt.optim.state import fitting_state

GROUP_KEYS = {"params", "lr", "lr_scale", "weight_decay"}


@dataclass(eq=False)
class Slot:
    """One parameter, and what the optimizer keeps for it."""

    name: str
    parameter: ParameterLike = field(repr=False)
    lr_scale: float  # its learning rate is the optimizer's times this
    weight_decay: float
    # What the equation remembers, in the parameter's shape and dtype.
    arrays: dict[str, Array] = field(repr=False)
    updates: int = 0  # t in the equations: a step without a gradient does not count


class Optimizer(ABC):
    """The part of an optimizer that does not depend on its equation.

    A subclass writes its equation in ``_update``, and names the arrays that the equation remembers
    for each parameter from step to step.

    Args:
        params: Parameters; or (name, Parameter) pairs, whose names then appear in errors and in
            the state; or groups, dicts of ``"params"`` (either of the above) with their own
            ``"lr"`` (or ``"lr_scale"``, a factor on the optimizer's) and ``"weight_decay"``.
        lr: the learning rate.
        weight_decay: for the parameters whose group names none.
        array_names: the equation's own; each array has its parameter's shape and dtype.

    Raises:
        TypeError: something that is no parameter, group or number.
        ValueError: no parameter at all, one listed twice, a negative or non-finite number.
    """

    def __init__(
        self, params: Iterable[Any], lr: float, weight_decay: float, array_names: tuple[str, ...]
    ) -> None:
        self.lr = lr
        self.weight_decay = not_negative("weight_decay", weight_decay)
        self.steps = 0
        self.slots = self._make_slots(_as_groups(params), array_names)
        self._scratch = Scratch()

    @property
    def lr(self) -> float:
        """The learning rate of the next step; each group's is this times its ``lr_scale``."""
        return self._lr

    @lr.setter
    def lr(self, value: float) -> None:
        self._lr = not_negative("lr", value)

    def step(self, apply: Apply = one_by_one) -> None:
        """Move every parameter that has a gradient; one whose ``.grad`` is None stays as it is.

        Parameters are changed in place, their gradients are not.

        Args:
            apply: calls a function with each of a list's items; one that does so from several
                threads shares the work between them, and the outcome is the same.

        Raises:
            ValueError: a gradient has another shape or dtype than its parameter, or the parameter
                another than when the optimizer was made. No parameter has moved then.
            TypeError: a gradient is no array.
        """
        with_gradient = []
        for slot in self.slots:
            gradient = slot.parameter.grad
            if gradient is not None:
                _check_fits(slot, gradient)
                with_gradient.append((slot, gradient))
        self.steps += 1
        apply(self._move, with_gradient)

    def _move(self, item: tuple[Slot, Array]) -> None:
        slot, gradient = item
        slot.updates += 1
        data = slot.parameter.data
        theta = data.reshape(-1)
        self._update(slot, theta, gradient.reshape(-1), self._lr * slot.lr_scale)
        if not data.flags.c_contiguous:  # then theta was a copy
            data[...] = theta.reshape(data.shape)

    @abstractmethod
    def _update(self, slot: Slot, theta: Array, gradient: Array, lr: float) -> None:
        """One step of the equation: change ``theta`` and ``slot.arrays`` in place (all flat)."""

    def zero_grad(self) -> None:
        """Forget all gradients (``.grad = None``)."""
        for slot in self.slots:
            slot.parameter.grad = None

    def state_dict(self) -> dict[str, Array | int | float]:
        """All that a later run needs to go on as if it had never stopped, as copies.

        A flat dict: ``"step"``, ``"lr"``, and for each parameter ``"updates.NAME"`` and its arrays,
        such as ``"first_moment.NAME"``. The settings (betas, weight decay, groups) are not in it:
        they are given to the constructor.
        """
        return {
            name: value.copy() if isinstance(value, np.ndarray) else value
            for name, value in self._state().items()
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over a state that :meth:`state_dict` gave, exactly.

        Raises:
            TypeError: ``state`` is no mapping.
            ValueError: names are missing or too many, or a value has another type, shape or dtype;
                the error lists them, and nothing has been changed.
        """
        values = fitting_state(state, self._state(), type(self).__name__)
        self.steps = values["step"]
        self.lr = values["lr"]
        for slot in self.slots:
            slot.updates = values[f"updates.{slot.name}"]
            for key, array in slot.arrays.items():
                array[...] = values[f"{key}.{slot.name}"]

    def _state(self) -> dict[str, Array | int | float]:
        state: dict[str, Array | int | float] = {"step": self.steps, "lr": self._lr}
        for slot in self.slots:
            state[f"updates.{slot.name}"] = slot.updates
            state.update({f"{key}.{slot.name}": array for key, array in slot.arrays.items()})
        return state

    def __repr__(self) -> str:
        settings = "".join(f", {name}={value}" for name, value in self._settings().items())
        numbers = sum(slot.parameter.data.size for slot in self.slots)
        decayed = sum(slot.weight_decay > 0 for slot in self.slots)
        return (
            f"{type(self).__name__}(lr={self._lr}{settings}, weight_decay={self.weight_decay}: "
            f"{len(self.slots)} parameters, {decayed} of them decayed, {numbers:,} numbers)"
        )

    def _settings(self) -> dict[str, Any]:
        """The subclass's own settings, for the repr."""
        return {}

    def _decays(self, parameter: ParameterLike) -> bool:
        """Whether ``weight_decay`` holds for a parameter whose group does not name its own."""
        return True

    def _make_slots(self, groups: list[dict[str, Any]], array_names: tuple[str, ...]) -> list[Slot]:
        members = [as_list("params", group["params"]) for group in groups]
        pairs = iter(named_parameters([item for items in members for item in items]))
        slots = []
        for group, items in zip(groups, members, strict=True):
            lr_scale = self._lr_scale(group)
            for _ in items:
                name, parameter = next(pairs)
                decay = self.weight_decay if self._decays(parameter) else 0.0
                if "weight_decay" in group:
                    decay = not_negative("weight_decay", group["weight_decay"])
                data = parameter.data
                arrays = {key: np.zeros(data.shape, data.dtype) for key in array_names}
                slots.append(Slot(name, parameter, lr_scale, decay, arrays))
        return slots

    def _lr_scale(self, group: dict[str, Any]) -> float:
        if "lr" not in group:
            return not_negative("lr_scale", group.get("lr_scale", 1.0))
        if "lr_scale" in group:
            raise ValueError("a group has both lr and lr_scale: give one of them")
        if self._lr == 0:
            raise ValueError("a group has lr, but the optimizer's lr is 0: give lr_scale instead")
        return not_negative("lr", group["lr"]) / self._lr


def _as_groups(params: Iterable[Any]) -> list[dict[str, Any]]:
    items = as_list("params", params)
    if not any(isinstance(item, dict) for item in items):
        return [{"params": items}]
    for index, group in enumerate(items):
        if not isinstance(group, dict) or "params" not in group:
            raise TypeError(
                f'params[{index}] is no group, others are: give dicts with a "params" each'
            )
        if unknown := sorted(map(str, set(group) - GROUP_KEYS)):
            raise ValueError(
                f"params[{index}] has unknown keys {unknown}: a group has {sorted(GROUP_KEYS)}"
            )
    return items


def _check_fits(slot: Slot, gradient: Any) -> None:
    data = slot.parameter.data
    if not isinstance(gradient, np.ndarray):
        raise TypeError(f"the gradient of {slot.name!r} is a {type(gradient).__name__}, no array")
    if gradient.shape != data.shape or gradient.dtype != data.dtype:
        raise ValueError(
            f"the gradient of {slot.name!r} is {gradient.dtype} {gradient.shape}, the parameter "
            f"{data.dtype} {data.shape}"
        )
    for array in slot.arrays.values():
        if array.shape != data.shape or array.dtype != data.dtype:
            raise ValueError(
                f"the parameter {slot.name!r} was {array.dtype} {array.shape} when the optimizer "
                f"was made and is {data.dtype} {data.shape} now: make a new optimizer"
            )
