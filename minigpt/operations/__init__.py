"""The primitives: small operations with their derivatives, from which anything can be composed.

In reading order: ``operands`` (what an operation accepts, and the rule for types), ``elementwise``,
``reductions``, ``shaping``, ``indexing``, ``matmul``.
"""

from minigpt.operations.elementwise import (
    absolute,
    add,
    astype,
    divide,
    exp,
    log,
    masked_fill,
    maximum,
    multiply,
    negative,
    power,
    relu,
    sigmoid,
    sqrt,
    subtract,
    tanh,
    where,
)
from minigpt.operations.indexing import getitem
from minigpt.operations.matmul import matmul
from minigpt.operations.reductions import max, mean, sum, var
from minigpt.operations.shaping import (
    broadcast_to,
    concatenate,
    reshape,
    split,
    stack,
    swapaxes,
    transpose,
)

__all__ = [
    "absolute",
    "add",
    "astype",
    "broadcast_to",
    "concatenate",
    "divide",
    "exp",
    "getitem",
    "log",
    "masked_fill",
    "matmul",
    "max",
    "maximum",
    "mean",
    "multiply",
    "negative",
    "power",
    "relu",
    "reshape",
    "sigmoid",
    "split",
    "sqrt",
    "stack",
    "subtract",
    "sum",
    "swapaxes",
    "tanh",
    "transpose",
    "var",
    "where",
]
