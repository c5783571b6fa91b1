"""The primitives: small operations with their derivatives, from which anything can be composed.

Reading order of the ground floor: :mod:`~minigpt.autograd` (what an operation records, and the walk
back), :mod:`~minigpt.operations.elementwise` (value, derivative below), then ``reductions``,
``shaping``, ``indexing``, ``matmul``; :mod:`~minigpt.tensor`, which makes methods of them; and
:mod:`~minigpt.functional.plain`, where the models' equations are composed of them. ``operands`` has
the rule for types, and :mod:`~minigpt.checks` the words of all errors.
"""

# A Tensor is made of these operations, and some of them make Tensors. Loaded from there, each finds
# what it needs of the other, whichever a program imports first.
from minigpt import tensor  # noqa: F401
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
