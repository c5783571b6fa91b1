"""What NumPy's own functions do with a Tensor: they leave operators to it, and refuse the rest.

NumPy asks the arguments of its functions first, by two methods (NEP 13 and NEP 18). An array at the
left of an operator asks in that way too: ``array + tensor`` is the tensor's business.
"""

from __future__ import annotations

from typing import Any

import numpy as np

_OPERATORS = {  # of a tensor at the left, and of one at the right only
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


def array_ufunc(
    x: Any, ufunc: Any, method: str, *inputs: Any, out: tuple[Any, ...] = (), **options: Any
) -> Any:
    """``Tensor.__array_ufunc__``: the operator that a universal function stands for."""
    in_place = not out or out[0] is inputs[0]  # array += tensor makes the name a tensor's
    if method != "__call__" or ufunc not in _OPERATORS or options or not in_place:
        raise _refused(x, ufunc.__name__)
    left, right = inputs
    operator, reflected = _OPERATORS[ufunc]
    if hasattr(left, "node"):
        return getattr(left, operator)(right)
    return getattr(right, reflected)(left)


def array_function(x: Any, function: Any, types: Any, args: Any, options: Any) -> Any:
    """``Tensor.__array_function__``: all as without it, but for those that call our methods."""
    if function in _REDUCTIONS:
        raise _refused(x, function.__name__)
    return function._implementation(*args, **options)


def _refused(x: Any, function: str) -> TypeError:
    own = {"absolute": "abs", "amax": "max"}.get(function, function)
    way = f"x.{own}() or" if hasattr(x, own) else "its own methods and"
    return TypeError(
        f"NumPy's {function} would lose this tensor's gradient: use {way} minigpt.functional, "
        "or pass x.detach().numpy()"
    )
