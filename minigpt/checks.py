"""What arguments may be: every check says it in one voice.

A check returns the value it has checked, as a plain Python value where that is what is meant (a
NumPy number is as good as any, but does not go to JSON). A value of the wrong type raises a
TypeError, one out of range a ValueError, an id outside its vocabulary an IndexError. Checks that
only one room needs are made of the sentences of ``wording``, which are here too.
"""

from __future__ import annotations

import math
import operator
import os
from collections.abc import Iterable, Mapping
from numbers import Real
from pathlib import Path
from typing import Any, TypeGuard, TypeVar

import numpy as np

from minigpt.autograd import Array
from minigpt.masked_arrays import is_masked
from minigpt.wording import article as article
from minigpt.wording import sentence
from minigpt.wording import shown as shown
from minigpt.wording import wrong_type as wrong_type
from minigpt.wording import wrong_value as wrong_value

T = TypeVar("T")
Seed = int | np.random.Generator

LARGEST = 2**53  # of sizes: beyond, floats do not hold every integer
LONGEST_NAME = 255  # of a file, in bytes

# ── numbers ───────────────────────────────────────────────────────────────────────────────────


def integer(
    name: str,
    value: object,
    least: int | None = None,
    most: int | None = None,
    mend: str = "",
    also: str = "",
) -> int:
    """``value`` as an int from ``least`` to ``most``; NumPy's integers too, True and False not.

    ``also`` is what would have been as good and was looked for before, such as "None".

    Example:
        >>> integer("n_layer", np.int64(3), least=1)
        3
        >>> integer("n_layer", 2.0, least=1)
        Traceback (most recent call last):
        ...
        TypeError: n_layer must be an integer of at least 1: got 2.0
    """
    expected = "an integer"
    if least is not None and most is not None:
        expected += f" from {least} to {most}"
    elif least is not None:
        expected += f" of at least {least}"
    elif most is not None:
        expected += f" of at most {most}"
    expected += f" or {also}" if also else ""
    if isinstance(value, (bool, np.bool_)):
        raise wrong_type(name, expected, value, mend)
    try:
        number = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        raise wrong_type(name, expected, value, mend) from None
    if (least is not None and number < least) or (most is not None and number > most):
        raise wrong_value(name, expected, number, mend)
    return number


def size(name: str, value: object) -> int:
    """``value`` as an integer of 1 or more, such as an axis could have."""
    if (n := integer(name, value, least=1)) > LARGEST:  # nothing could be computed with it
        raise wrong_value(name, f"at most {LARGEST:,}", n)
    return n


def sizes(**named: object) -> None:
    """Every value, given by its name, is a :func:`size`."""
    for name, value in named.items():
        size(name, value)


def number(
    name: str,
    value: object,
    *,
    least: float = -math.inf,
    above: float = -math.inf,
    most: float = math.inf,
    below: float = math.inf,
    mend: str = "",
    also: str = "",
) -> float:
    """``value`` as a finite float within the bounds; NumPy's numbers too, True and False not.

    ``also`` is what would have been as good and was looked for before, such as "None".

    Example:
        >>> number("lr", 1e-3, above=0)
        0.001
        >>> number("lr", -1, above=0)
        Traceback (most recent call last):
        ...
        ValueError: lr must be a number above 0: got -1
    """
    fits = type(value) is float and least <= value <= most and above < value < below
    if fits and math.isfinite(value):  # type: ignore[arg-type]  # nearly always: no words needed
        return value  # type: ignore[return-value]
    bounds = [f"of at least {least:g}"] * (least > -math.inf)
    bounds += [f"above {above:g}"] * (above > -math.inf)
    bounds += [f"of at most {most:g}"] * (most < math.inf)
    bounds += [f"below {below:g}"] * (below < math.inf)
    expected = f"a number {' and '.join(bounds)}" if bounds else "a finite number"
    expected += f" or {also}" if also else ""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, Real):
        raise wrong_type(name, expected, value, mend)
    try:
        x = float(value)
    except OverflowError:  # an integer that no float can hold
        x = math.inf
    if not (math.isfinite(x) and least <= x <= most and above < x < below):
        raise wrong_value(name, expected, value, mend)
    return x


def probability(name: str, value: object, mend: str = "") -> float:
    """``value`` as a probability below 1, such as that of dropout."""
    expected = f"a probability, 0 <= {name.split()[-1]} < 1"
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, Real):
        raise wrong_type(name, expected, value, mend)
    if not 0 <= value < 1:  # type: ignore[operator]
        raise wrong_value(name, expected, value, mend)
    return float(value)


def seed(value: object, name: str = "seed") -> Seed:
    """``value`` as a seed: an integer of 0 or more, or a ``numpy.random.Generator``."""
    if isinstance(value, np.random.Generator):
        return value
    return integer(name, value, least=0, mend="or pass a numpy.random.Generator")


def generator(value: object, name: str = "rng") -> np.random.Generator:
    """``value`` as a ``numpy.random.Generator``, which is what draws come from."""
    if not isinstance(value, np.random.Generator):
        mend = f"pass {name}=np.random.default_rng(seed)"
        raise wrong_type(name, "a numpy.random.Generator", value, mend)
    return value


# ── other plain values ────────────────────────────────────────────────────────────────────────


def flag(name: str, value: object, mend: str = "") -> bool:
    """``value`` as a bool."""
    if not isinstance(value, (bool, np.bool_)):
        raise wrong_type(name, "True or False", value, mend)
    return bool(value)


def text(name: str, value: object, mend: str = "") -> str:
    """``value`` as a str."""
    if not isinstance(value, str):
        raise wrong_type(name, "a str", value, mend)
    return value


def path(name: str, value: object) -> Path:
    """``value`` as a path that a file system can hold.

    Example:
        >>> path("folder", "")
        Traceback (most recent call last):
        ...
        ValueError: folder must be a path: got ''
    """
    if not isinstance(value, (str, os.PathLike)):
        raise wrong_type(name, "a str or a path", value)
    text = os.fsdecode(value)
    if not text or "\0" in text:
        raise wrong_value(name, "a path without NUL characters" if text else "a path", text)
    try:
        longest = max(len(os.fsencode(part)) for part in Path(text).parts or ".")
    except UnicodeEncodeError:
        raise wrong_value(name, "a path without lone surrogates", text) from None
    if longest > LONGEST_NAME:
        raise wrong_value(name, f"a path of names of at most {LONGEST_NAME} bytes", text)
    return Path(text)


def items(name: str, value: object, expected: str) -> list[Any]:
    """The items of ``value``, which is a list or something else to iterate over, and not a text."""
    if isinstance(value, (str, bytes)) or is_masked(value) or not iterates(value):
        raise wrong_type(name, expected, value)
    return list(value)


def iterates(value: object) -> TypeGuard[Iterable[Any]]:
    """Whether a value gives its items one by one; an array without axes says so, and does not."""
    return isinstance(value, Iterable) and getattr(value, "ndim", 1) != 0


def one_of(name: str, value: object, choices: Iterable[str] | Mapping[str, str]) -> str:
    """``value`` as one of some words; of a mapping, with what each of them means.

    Example:
        >>> one_of("norm", "batch", {"pre": "GPT-2", "post": "GPT-1"})
        Traceback (most recent call last):
        ...
        ValueError: norm must be "pre" (GPT-2) or "post" (GPT-1): got 'batch'
    """
    words = list(choices)
    if isinstance(value, str) and value in words:
        return value
    meaning = choices if isinstance(choices, Mapping) else {}
    described = [f'"{w}" ({meaning[w]})' if meaning.get(w) else f'"{w}"' for w in words]
    expected = " or ".join(filter(None, [", ".join(described[:-1]), described[-1]]))
    raise (wrong_value if isinstance(value, str) else wrong_type)(name, expected, value)


def instance(name: str, value: object, kind: type[T], mend: str = "") -> T:
    """``value`` as an object of a class; says so where the class itself came in its place."""
    if not isinstance(value, kind):
        if isinstance(value, type) and issubclass(value, kind):
            mend = f"make an object of it: {value.__name__}(…)"
        raise wrong_type(name, article(kind.__name__), value, mend)
    return value


# ── arrays and tensors ────────────────────────────────────────────────────────────────────────


def tensors(function: str, **arguments: object) -> None:
    """Every argument of a function, given by its name, is a Tensor.

    A Tensor is known by its node: that takes one look, and no import from a floor up.
    """
    for name, value in arguments.items():
        if not hasattr(value, "node"):
            mend = f"wrap it: mg.Tensor({name})"
            raise wrong_type(f"{function}: {name}", "a Tensor", value, mend)


def same_dtype(function: str, **arguments: Any) -> None:
    """All arguments that are not None have the dtype of the first one."""
    first = None
    for name, other in arguments.items():
        if other is None:
            continue
        if first is None:
            first, dtype = name, other.dtype
        elif other.dtype != dtype:
            raise TypeError(
                f"{function}: {name} must have the dtype of {first}, {dtype}: got "
                f"{other.dtype}; convert one of them with .astype(…)"
            )


def axis(value: object, ndim: int, name: str = "axis") -> int:
    """``value`` as one of ``ndim`` dimensions, counted from either end."""
    i = integer(name, value)
    if not -ndim <= i < ndim:
        raise wrong_value(name, f"from {-ndim} to {ndim - 1}, as there are {ndim} axes", i)
    return i


def integers(name: str, value: object) -> Array:
    """``value`` as an array of integers."""
    array = regular(name, value, "an array of integers")
    if array.dtype.kind not in "iu":
        mend = f"convert them: {name}.astype(np.int64)" if array.dtype.kind in "bf" else ""
        raise wrong_type(name, "integers", array, mend)
    return array


def ids(name: str, value: object, n: int, *, keep_dtype: bool = False) -> Array:
    """``value`` as an array of integers from 0 to n − 1, in int64 unless their type is kept.

    Example:
        >>> ids("ids", [3, 7], 5)
        Traceback (most recent call last):
        ...
        IndexError: ids must be from 0 to 4, as the vocabulary has 5 entries: got 7; was the text
        encoded with another tokenizer?
    """
    array = integers(name, value)
    if array.size and (int(array.min()) < 0 or int(array.max()) >= n):
        wrong = int(array[(array < 0) | (array >= n)].flat[0])
        expected = f"from 0 to {n - 1}, as the vocabulary has {n} entries"
        expected = expected if n else "none at all, as the vocabulary is empty"
        mend = "was the text encoded with another tokenizer?"
        raise IndexError(sentence(name, expected, wrong, mend))
    return array if keep_dtype else array.astype(np.int64, copy=False)


def booleans(name: str, value: object) -> Array:
    """``value`` as an array of booleans, such as a mask."""
    array = regular(name, value, "an array of booleans")
    if array.dtype != np.bool_:
        raise wrong_type(name, "an array of booleans", array, f"compare first: {name} == 1")
    return array


def regular(name: str, value: object, expected: str = "an array") -> Array:
    """``value`` as an array; rows of different lengths make none."""
    if is_masked(value):
        raise wrong_type(name, f"{expected} without a mask of its own", value, "fill it first")
    if getattr(value, "requires_grad", False) is True:  # NumPy would lose it
        raise wrong_type(name, f"{expected} without a gradient", value, "pass .detach()")
    try:
        return np.asarray(value)
    except ValueError:
        raise wrong_value(name, f"{expected} with rows of one length", value) from None


def same_shape(name: str, value: Any, expected: tuple[int, ...], why: str = "") -> None:
    """``value`` has the shape that is expected; ``why`` says what it is expected by."""
    if tuple(value.shape) != expected:
        raise ValueError(f"{name} must have shape {expected}: got {tuple(value.shape)}{why}")
