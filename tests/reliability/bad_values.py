"""What nobody should pass, and what each kind of argument may be all the same."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np

from minigpt import Tensor
from minigpt.nn import Module

MISSING = Path("no", "such", "file")
BAD_VALUES: dict[str, Any] = {
    "None": None, "True": True, "0": 0, "-1": -1, "2**63": 2**63, "10**400": 10**400,
    "1.5": 1.5, "nan": math.nan, "inf": math.inf, "-inf": -math.inf, "1j": 1j,
    "an empty str": "", "a str": "wrong", "a long str": "x" * 1000, "bytes": b"x",
    "[]": [], "[1, 2]": [1, 2], "a ragged list": [[1], [1, 2]], "[None]": [None], "()": (),
    "{}": {}, "a dict": {"a": 1}, "a set": {1}, "an object": object(), "a class": dict,
    "a function": len, "a slice": slice(None),
    "a missing file": MISSING, "a folder": Path("a_folder"),
    "an empty array": np.ones(0, np.float32), "an array of objects": np.array([[None, 1]]),
    "an array of complex": np.ones((2, 3), complex), "an array of str": np.array([["a", "b"]]),
    "an array of dates": np.array(["2020-01-01"], "datetime64[D]"),
    "an array of booleans": np.ones((2, 3), bool), "an array of float16": np.ones(2, np.float16),
    "a masked array": np.ma.masked_array([1.0, 2.0], [True, False]),
    "an array of 6 axes": np.ones((1, 1, 1, 1, 1, 1), np.float32),
    "an array of no axes": np.array(1.0), "an array of nan": np.full((2, 3), math.nan, np.float32),
    "an array of -1": np.full((1, 4), -1), "an array of 2**62": np.full((1, 4), 2**62),
    "np.float32(2)": np.float32(2), "a date": np.datetime64("2020-01-01"),
    "a Tensor": Tensor(np.ones((2, 3), np.float32)), "an empty Tensor": Tensor(np.ones((2, 0))),
    "a Tensor with a gradient": Tensor(np.ones(2, np.float32), requires_grad=True),
}  # fmt: skip

NUMBERS = "biuf"  # kinds of arrays that are numbers


def is_integer(value: object) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def is_number(value: object) -> bool:
    """A finite one."""
    real = isinstance(value, Real) and not isinstance(value, (bool, np.bool_))
    return real and (not isinstance(value, float) or math.isfinite(value))


def may_be_an_array(value: object) -> bool:
    """Numbers in any form that NumPy takes; whether they fit is the function's own matter."""
    if isinstance(value, (np.ma.MaskedArray, str, bytes, type, dict, set, slice, Path)):
        return False
    if isinstance(value, Tensor):
        return not value.requires_grad
    try:
        return np.asarray(value).dtype.kind in NUMBERS
    except ValueError:
        return False


# A word of an annotation -> whether a value is of that kind.
KINDS: dict[str, Callable[[Any], bool]] = {
    "None": lambda value: value is None,
    "int": is_integer,
    "float": is_number,
    "bool": lambda value: isinstance(value, (bool, np.bool_)),
    "str": lambda value: isinstance(value, str),
    "Tensor": lambda value: isinstance(value, Tensor),
    "Array": may_be_an_array,
    "Operand": lambda value: isinstance(value, Tensor) or may_be_an_array(value),
    "Seed": lambda value: is_integer(value) or isinstance(value, np.random.Generator),
    "Generator": lambda value: isinstance(value, np.random.Generator),
    "PathLike": lambda value: isinstance(value, (str, os.PathLike)),
    "Path": lambda value: isinstance(value, (str, os.PathLike)),
    "Callable": callable,
    "Mapping": lambda value: isinstance(value, Mapping),
    "dict": lambda value: isinstance(value, Mapping),
    "Iterable": lambda value: isinstance(value, Iterable) and not isinstance(value, (str, bytes)),
    "Sequence": lambda value: (
        isinstance(value, (Sequence, np.ndarray, Iterable)) and not isinstance(value, (str, bytes))
    ),
    "Module": lambda value: isinstance(value, Module),
    "ModuleType": lambda value: isinstance(value, Module),
    "GPT": lambda value: isinstance(value, Module),
}


def must_be_refused(annotation: str, value: object) -> bool:
    """Whether no kind that an annotation names could be meant; of other words nothing is known."""
    words = [word.split("[")[0].split(".")[-1] for word in _alternatives(annotation)]
    return all(word in KINDS and not KINDS[word](value) for word in words)


def _alternatives(annotation: str) -> list[str]:
    """The parts of a union; bars inside of brackets belong to a part."""
    parts, depth = [""], 0
    for letter in annotation:
        depth += (letter == "[") - (letter == "]")
        if letter == "|" and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return [part.strip() for part in parts]
