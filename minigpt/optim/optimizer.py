"""What all optimizers share: their parameters, the learning rate, the step, and the state."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from minigpt import checks
from minigpt.autograd import Array
from minigpt.optim.parameters import GROUP_KEYS, ParameterLike, as_groups, as_list, named_parameters
from minigpt.optim.sharing import Apply, Scratch, one_by_one

SHOWN = 10  # problems of a state listed in the error before the rest is only counted


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
        TypeError: something that is not a parameter, a group or a number.
        ValueError: no parameter at all, one listed twice, a negative or non-finite number.

    Example:
        >>> from minigpt.nn import Parameter
        >>> class SignSGD(Optimizer):  # θ ← θ − η sign(g) (Bernstein et al. 2018)
        ...     def _update(self, slot, theta, gradient, lr):
        ...         theta -= lr * np.sign(gradient)
        >>> p = Parameter(np.array([1.0, 1.0]))
        >>> p.grad = np.array([100.0, -0.01])
        >>> SignSGD([p], lr=0.1, weight_decay=0.0, array_names=()).step()
        >>> p.data
        array([0.9, 1.1])
    """

    _group_keys: tuple[str, ...] = GROUP_KEYS

    def __init__(
        self, params: Iterable[Any], lr: float, weight_decay: float, array_names: tuple[str, ...]
    ) -> None:
        self.lr = lr
        self.weight_decay = checks.number("weight_decay", weight_decay, least=0)
        self.steps = 0
        self._array_names = array_names
        self.slots = self._make_slots(as_groups(params, self._group_keys))
        self._scratch = Scratch()

    @property
    def lr(self) -> float:
        """The learning rate of the next step; each group's is this times its ``lr_scale``."""
        return self._lr

    @lr.setter
    def lr(self, value: float) -> None:
        self._lr = checks.number("lr", value, least=0)

    def step(self, apply: Apply = one_by_one) -> None:
        """Move every parameter that has a gradient; one whose ``.grad`` is None stays as it is.

        Parameters are changed in place, their gradients are not.

        Args:
            apply: calls a function with each of a list's items; one that does so from several
                threads shares the work between them, and the outcome is the same.

        Raises:
            ValueError: a gradient has another shape or dtype than its parameter, or the parameter
                another than when the optimizer was made. No parameter has moved then.
            TypeError: a gradient is not an array.
            RuntimeError: no parameter has a gradient.
        """
        with_gradient = []
        for slot in self.slots:
            gradient = slot.parameter.grad
            if gradient is not None:
                _check_fits(slot, gradient)
                with_gradient.append((slot, gradient))
        if not with_gradient:
            raise _no_gradient(self.slots)
        self.steps += 1
        apply(self._move, with_gradient)

    def _move(self, item: tuple[Slot, Array]) -> None:
        slot, gradient = item
        slot.updates += 1
        data = slot.parameter.data
        if data.size == 0:  # all its numbers are another rank's: see minigpt.optim.pieces
            return
        theta = data.reshape(-1)
        with np.errstate(over="ignore", invalid="ignore"):  # what overflows is ∞, quietly
            self._update(slot, theta, gradient.reshape(-1), self._lr * slot.lr_scale)
        if not data.flags.c_contiguous:  # then theta was a copy
            data[...] = theta.reshape(data.shape)
        version = getattr(slot.parameter, "version", None) or 0
        slot.parameter.version = version + 1  # graphs from before are no longer right

    @abstractmethod
    def _update(self, slot: Slot, theta: Array, gradient: Array, lr: float) -> None:
        """One step of the equation: change ``theta`` and ``slot.arrays`` in place (all flat)."""

    def is_divisible(self, slot: Slot) -> bool:
        """Whether the equation moves each number of ``slot`` without looking at the others."""
        return False

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
        """Take over a ``state`` that :meth:`state_dict` gave, exactly.

        Raises:
            ValueError: names are missing or too many, or a value has another type, shape or dtype;
                the error lists them, and nothing has been changed.
        """
        values = _fitting_state(state, self._state(), type(self).__name__)
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

    def _make_slots(self, groups: list[dict[str, Any]]) -> list[Slot]:
        members = [as_list("params", group["params"]) for group in groups]
        pairs = iter(named_parameters([item for items in members for item in items]))
        return [
            self._slot(*next(pairs), group)
            for group, items in zip(groups, members, strict=True)
            for _ in items
        ]

    def _slot(self, name: str, parameter: ParameterLike, group: Mapping[str, Any]) -> Slot:
        """What is kept for one parameter of a group."""
        decay = self.weight_decay if self._decays(parameter) else 0.0
        if "weight_decay" in group:
            decay = checks.number("weight_decay", group["weight_decay"], least=0)
        arrays = zeros_for(parameter, *self._array_names)
        return Slot(name, parameter, self._lr_scale(group), decay, arrays)

    def _lr_scale(self, group: Mapping[str, Any]) -> float:
        if "lr" not in group:
            return checks.number("lr_scale", group.get("lr_scale", 1.0), least=0)
        if "lr_scale" in group:
            raise ValueError("a group has both lr and lr_scale: give one of them")
        if self._lr == 0:
            raise ValueError("a group has lr, but the optimizer's lr is 0: give lr_scale instead")
        return checks.number("lr", group["lr"], least=0) / self._lr


def zeros_for(parameter: ParameterLike, *names: str) -> dict[str, Array]:
    """What an equation remembers of a parameter, before its first step."""
    return {name: np.zeros(parameter.data.shape, parameter.data.dtype) for name in names}


# ── checks ────────────────────────────────────────────────────────────────────────────────────


def _check_fits(slot: Slot, gradient: Any) -> None:
    data = slot.parameter.data
    if not isinstance(gradient, np.ndarray):
        raise checks.wrong_type(f"the gradient of {slot.name!r}", "an array", gradient)
    if gradient.shape != data.shape or gradient.dtype != data.dtype:
        expected = f"{data.dtype} of shape {data.shape}, as the parameter is"
        raise checks.wrong_value(f"the gradient of {slot.name!r}", expected, gradient)
    for array in slot.arrays.values():
        if array.shape != data.shape or array.dtype != data.dtype:
            expected = f"{array.dtype} of shape {array.shape}, as when the optimizer was made"
            mend = "make a new optimizer"
            raise checks.wrong_value(f"the parameter {slot.name!r}", expected, data, mend)


def _no_gradient(slots: list[Slot]) -> RuntimeError:
    which = f"the parameter {slots[0].name!r}" if len(slots) == 1 else "any parameter"
    return RuntimeError(
        f"step(): there is no gradient of {which}: call loss.backward() before, zero_grad() only "
        "afterwards, and give the optimizer the parameters of the model that the loss is of"
    )


def _fitting_state(
    state: Mapping[str, Any], expected: Mapping[str, Any], owner: str
) -> dict[str, Any]:
    """The values of ``state`` under the names of ``expected``, each of the expected kind.

    Args:
        state: what was saved; a number may have become an array of no dimensions.
        expected: the optimizer's own present state: its names, kinds, shapes and dtypes count.
        owner: the optimizer's name, for the error, which lists all that does not fit.
    """
    if not isinstance(state, Mapping):
        raise checks.wrong_type("state", "what state_dict() returned", state)
    problems = [f"{name}: missing" for name in expected if name not in state]
    problems += [f"{name}: unexpected" for name in state if name not in expected]
    values = {}
    for name in expected:
        if name in state:
            try:
                values[name] = _fitting_value(name, state[name], expected[name])
            except (TypeError, ValueError) as error:
                problems.append(str(error))
    if problems:
        rest = len(problems) - SHOWN
        lines = problems[:SHOWN] + ([f"and {rest} more"] if rest > 0 else [])
        raise ValueError(
            f"the state does not fit this {owner}; was it made with the same class, parameters and "
            "names?\n  " + "\n  ".join(lines)
        )
    return values


def _fitting_value(name: str, value: Any, expected: Any) -> Any:
    if isinstance(value, np.ndarray) and value.ndim == 0 and not isinstance(expected, np.ndarray):
        value = value.item()
    if isinstance(expected, int):
        return checks.integer(name, value, least=0)
    if isinstance(expected, float):
        return checks.number(name, value, least=0)
    fits = isinstance(value, np.ndarray) and value.shape == expected.shape
    if not fits or value.dtype != expected.dtype:
        raise checks.wrong_value(name, f"{expected.dtype} of shape {expected.shape}", value)
    return value
