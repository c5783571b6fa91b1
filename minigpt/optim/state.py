"""Whether a saved optimizer state fits the optimizer that is to go on from it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from minigpt.optim.checks import count, not_negative

SHOWN = 10  # problems listed in the error before the rest is only counted


def fitting_state(
    state: Mapping[str, Any], expected: Mapping[str, Any], owner: str
) -> dict[str, Any]:
    """The values of ``state`` under the names of ``expected``, each of the expected kind.

    Args:
        state: what was saved; a number may have become an array of no dimensions.
        expected: the optimizer's own present state: its names, kinds, shapes and dtypes count.
        owner: the optimizer's name, for the error.

    Raises:
        TypeError: ``state`` is no mapping.
        ValueError: something does not fit; the error lists what.
    """
    if not isinstance(state, Mapping):
        raise TypeError(f"state is a {type(state).__name__}: give what state_dict() returned")
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
        return count(name, value)
    if isinstance(expected, float):
        return not_negative(name, value)
    if not isinstance(value, np.ndarray):
        raise TypeError(f"{name}: a {type(value).__name__}, expected an array")
    if value.shape != expected.shape or value.dtype != expected.dtype:
        raise ValueError(
            f"{name}: {value.dtype} {value.shape}, expected {expected.dtype} {expected.shape}"
        )
    return value
