"""The equations as functions on Tensors, each with its derivative beside it.

Reading order: :mod:`~minigpt.functional.plain` (all of them on one page, up to the whole GPT,
composed from primitives, with the table of the labels E1 to E15), then the fast forms that the
models use, each with its derivative by hand: ``linear``, ``softmax``, ``activations`` (with
``erf``), ``normalization``, ``dropout`` (with ``row_draws``), ``embedding``, ``positions``,
``attention_blocks`` and ``attention``, ``lstm``, ``loss``. What lies below them is in
:mod:`minigpt.operations`; its primitives are here too.
"""

from minigpt.functional import plain
from minigpt.functional.activations import ACTIVATIONS, gelu, silu
from minigpt.functional.attention import (
    attention_weights,
    multi_head_attention,
    multi_head_cross_attention,
    scaled_dot_product_attention,
)
from minigpt.functional.dropout import dropout
from minigpt.functional.embedding import embedding
from minigpt.functional.erf import erf
from minigpt.functional.linear import linear
from minigpt.functional.loss import cross_entropy, log_likelihood
from minigpt.functional.lstm import lstm
from minigpt.functional.normalization import layer_norm
from minigpt.functional.positions import alibi_slopes, sinusoidal_positions
from minigpt.functional.softmax import log_softmax, softmax
from minigpt.operations import (
    absolute,
    broadcast_to,
    concatenate,
    exp,
    log,
    masked_fill,
    matmul,
    max,
    maximum,
    mean,
    relu,
    sigmoid,
    split,
    sqrt,
    stack,
    sum,
    tanh,
    var,
    where,
)

__all__ = [
    "ACTIVATIONS",
    "absolute",
    "alibi_slopes",
    "attention_weights",
    "broadcast_to",
    "concatenate",
    "cross_entropy",
    "dropout",
    "embedding",
    "erf",
    "exp",
    "gelu",
    "layer_norm",
    "linear",
    "log",
    "log_likelihood",
    "log_softmax",
    "lstm",
    "masked_fill",
    "matmul",
    "max",
    "maximum",
    "mean",
    "multi_head_attention",
    "multi_head_cross_attention",
    "plain",
    "relu",
    "scaled_dot_product_attention",
    "sigmoid",
    "silu",
    "sinusoidal_positions",
    "softmax",
    "split",
    "sqrt",
    "stack",
    "sum",
    "tanh",
    "var",
    "where",
]
