"""What operators mean for tensors where Python or NumPy would take them for something else."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from minigpt import tensor
from minigpt.operations.operands import Operand

if TYPE_CHECKING:
    from minigpt.tensor import Tensor

# NumPy's function for an operator, a tensor's method for it, and the one for a tensor at the right.
_OPERATORS = {
    np.add: ("__add__", "__radd__"),
    np.subtract: ("__sub__", "__rsub__"),
    np.multiply: ("__mul__", "__rmul__"),
    np.true_divide: ("__truediv__", "__rtruediv__"),
    np.matmul: ("__matmul__", "__rmatmul__"),
    np.equal: ("__eq__", "__eq__"),
    np.not_equal: ("__ne__", "__ne__"),
    np.less: ("__lt__", "__gt__"),
    np.less_equal: ("__le__", "__ge__"),
    np.greater: ("__gt__", "__lt__"),
    np.greater_equal: ("__ge__", "__le__"),
}
_REDUCTIONS = (np.sum, np.mean, np.var, np.max, np.amax)


def assigned(sign: str, operation: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """``x += y``, which makes another tensor and gives it the name of x: not where x learns."""

    def method(x: Tensor, y: Operand) -> Tensor:
        if x.requires_grad and x.node is None:
            raise RuntimeError(
                f"x {sign}= … would make a new tensor, and what learns is the old one: change its "
                f"numbers by x.data {sign}= …, or write x = x {sign} … where a new one is meant"
            )
        return operation(x, y)

    return method


def from_numpy(
    ufunc: Any, method: str, inputs: tuple[Any, ...], out: tuple[Any, ...], options: Any
) -> Any:
    """An operator between an array and a tensor, which NumPy was asked for.

    Raises:
        TypeError: another function of NumPy's.
    """
    in_place = not out or out[0] is inputs[0]  # array += tensor makes the name a tensor's
    if method != "__call__" or ufunc not in _OPERATORS or options or not in_place:
        raise not_for_numpy(ufunc.__name__)
    left, right = inputs
    operator, reflected = _OPERATORS[ufunc]
    if isinstance(left, tensor.Tensor):
        return getattr(left, operator)(right)
    return getattr(right, reflected)(left)


def refuse_reduction(function: Any) -> None:
    """NumPy's sum and mean would call a tensor's method of that name, with words of their own."""
    if function in _REDUCTIONS:
        raise not_for_numpy(function.__name__)


def not_for_numpy(function: str) -> TypeError:
    """The error to raise where NumPy would compute with a tensor's array, and lose its history."""
    own = {"absolute": "abs", "amax": "max"}.get(function, function)
    way = f"x.{own}() or" if hasattr(tensor.Tensor, own) else "its own methods and"
    return TypeError(
        f"NumPy's {function} would lose this tensor's gradient: use {way} minigpt.functional, "
        "or pass x.detach().numpy()"
    )
