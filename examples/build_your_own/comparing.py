"""What is wrong with an array, in words: the sentences that the checks of the steps are made of.

A check compares what a function gives with what it should give. Where they differ, it looks first
for the usual mistakes: each is the array that someone gets who makes it, and a sentence that says
so. Where none fits, it says what can be seen: a shape, a sign, a factor, the worst entry.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import numpy as np

import minigpt as mg
from calling import Wrong, call, copied, shown

Array = np.ndarray[Any, np.dtype[Any]]
# A sentence for the reader, and what a function gives that has this mistake.
Mistakes = Mapping[str, Any]


def compare(
    name: str, found: Any, expected: Any, mistakes: Mistakes | None = None, tolerance: float = 1e-6
) -> None:
    """Nothing where ``found`` is what was expected, within the tolerance.

    Args:
        name: what it is called, as in "softmax(x)".
        found: what the reader's function gave.
        expected: what is right.
        mistakes: what comes of the usual ones.
        tolerance: of a number, by the size of the largest.

    Raises:
        Wrong: it differs; the sentence says how.
    """
    expected = np.asarray(expected)
    if isinstance(found, mg.Tensor) or not isinstance(found, (np.ndarray, np.generic, int, float)):
        kind = "an array" if expected.ndim else "a number"
        raise Wrong(f"{name} is a {type(found).__name__}, and must be {kind} of NumPy")
    found = np.asarray(found)
    scale = tolerance * max(1e-3, float(abs(expected).max(initial=0)))
    if same(found, expected, scale):
        return
    for sentence, wrong in (mistakes or {}).items():
        if same(found, np.asarray(wrong), scale):
            raise Wrong(f"{name} is wrong: {sentence}")
    if found.shape != expected.shape:
        _wrong_shape(name, found.shape, expected.shape)
    if found.dtype.kind in "iub" and expected.dtype.kind == "f":
        raise Wrong(f"{name} holds {found.dtype} numbers, and should hold floating-point ones")
    if not np.isfinite(found).all():
        place = np.argwhere(~np.isfinite(found))[0]
        raise Wrong(f"{_entry(name, place)} is {found[tuple(place)]}, and should be a number")
    if same(found, -expected, scale):
        raise Wrong(f"{name} has the wrong sign everywhere")
    if not expected.ndim:
        _worst(name, found, expected)
    factor = float((found * expected).sum() / (expected * expected).sum())
    if same(found, factor * expected, scale) and abs(factor) > 1e-3 < abs(factor - 1):
        raise Wrong(f"{name} is {factor:.4g} times what it should be, everywhere")
    _worst(name, found, expected)


def same(found: Array, expected: Array, scale: float) -> bool:
    """Whether both have one shape, and no entry differs by more than ``scale``."""
    if found.shape != expected.shape:
        return False
    both = np.isnan(found) & np.isnan(expected)
    with np.errstate(all="ignore"):
        return bool((both | (found == expected) | (abs(found - expected) <= scale)).all())


def check_operation(
    name: str,
    function: Callable[..., Any],
    arguments: Mapping[str, Any],
    value: tuple[str, Any, Mistakes],
    gradients: Mapping[str, tuple[Any, Mistakes]],
    dy: Any,
) -> None:
    """Compare an operation, which returns its value and a function that takes the gradient back.

    Args:
        name: of the operation.
        function: the reader's.
        arguments: its arguments by their names.
        value: what the value is called, what it must be, and the usual mistakes.
        gradients: of each result of ``backward``, by its name: what it must be, the mistakes.
        dy: the gradient that ``backward`` is given, ∂loss/∂value.

    Raises:
        Wrong: something is wrong.
    """
    result = call(name, function, arguments)
    called, expected, mistakes = value
    if not (isinstance(result, (tuple, list)) and len(result) == 2):
        got = "its value only" if isinstance(result, (np.ndarray, float)) else shown(result)
        raise Wrong(f"it returns {got}: end with `return {called}, backward`")
    compare(called, result[0], expected, mistakes)
    if not callable(result[1]):
        raise Wrong(
            f"the second thing it returns is {shown(result[1])}, and should be the function "
            "backward itself, which is called later: `backward`, not `backward(…)`"
        )
    names, both = list(gradients), []
    above = "dy" if np.ndim(dy) else "dloss"
    for factor in (1.0, 2.0):
        back = call("backward", result[1], {above: factor * dy}, besides=arguments)
        both.append([copied(result) for result in _results(back, gradients)])
    for i, key in enumerate(names):
        expected, mistakes = gradients[key]
        for other in names:
            if other != key and _close(both[0][i], gradients[other][0]):
                raise Wrong(f"{key} is what {other} should be: return {', '.join(names)}")
        compare(key, both[0][i], expected, mistakes)
        if same(np.asarray(both[1][i]), np.asarray(both[0][i]), 0.0):
            raise Wrong(
                f"{key} stays the same when {above} doubles: by the chain rule, what comes from "
                "above is multiplied by the operation's own derivative"
            )
        if not same(np.asarray(both[1][i]), 2 * expected, 2e-6 * max(1e-3, abs(expected).max())):
            raise Wrong(
                f"{key} is right once, and wrong when backward is called again: backward changes "
                "something, or keeps it, between two calls. Copy what it writes into (`.copy()`), "
                "and make what it adds to, such as zeros, inside backward"
            )


def _results(back: Any, gradients: Mapping[str, tuple[Any, Mistakes]]) -> tuple[Any, ...]:
    """What ``backward`` returned, one for each name: as a tuple, a list, or stacked in an array."""
    names, several = list(gradients), isinstance(back, (tuple, list))
    if len(names) == 1:
        if several:
            raise Wrong(f"backward returns {shown(back)}, and should return {names[0]} itself")
        return (back,)
    stacked = {(len(names), *np.shape(expected)) for expected, _ in gradients.values()}
    if (several or {np.shape(back)} == stacked) and len(back) == len(names):
        return tuple(back)
    got = f"{len(back)} results" if several else "one result"
    raise Wrong(f"backward returns {got}, and should return {', '.join(names)}")


def derivatives(
    function: Callable[..., mg.Tensor], *arrays: Array, dy: Any = 1.0
) -> tuple[Array, list[Array]]:
    """Value and gradients of a function of the library, which finds the derivatives by itself."""
    tensors = [mg.Tensor(array, requires_grad=True) for array in arrays]
    y = function(*tensors)
    (y * mg.Tensor(np.asarray(dy, y.dtype))).sum().backward()
    return y.numpy().copy(), [tensor.grad for tensor in tensors if tensor.grad is not None]


def _close(found: Any, expected: Any) -> bool:
    expected = np.asarray(expected)
    return isinstance(found, np.ndarray) and same(found, expected, 1e-9 * abs(expected).max())


def _entry(name: str, place: Array) -> str:
    return f"{name}[{', '.join(map(str, place.tolist()))}]" if place.size else name


def _wrong_shape(name: str, found: tuple[int, ...], expected: tuple[int, ...]) -> NoReturn:
    mend = ""
    if found == expected[::-1] or sorted(found) == sorted(expected):
        mend = ": two axes are exchanged"
    elif len(found) > len(expected) and found[-len(expected) :] == expected:
        mend = ": the axes before these, the batch, must be summed over"
    elif found[: len(expected) - 1] == expected[:-1] and len(found) == len(expected) - 1:
        mend = ": the last axis is gone (keepdims=True keeps an axis that is summed over)"
    raise Wrong(f"{name} has shape {found}, and should have {expected}{mend}")


def _worst(name: str, found: Array, expected: Array) -> NoReturn:
    difference = abs(found - expected)
    place = np.array(np.unravel_index(difference.argmax(), difference.shape), int)
    here = tuple(place)
    right = int((difference <= 1e-6 * abs(expected).max()).sum())
    some = f"; {right:,} of {expected.size:,} entries are right" if right else ""
    raise Wrong(
        f"{_entry(name, place)} is {found[here]:.6g}, and should be {expected[here]:.6g}{some}"
    )
