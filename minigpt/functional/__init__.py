"""The equations as functions on Tensors, each with its derivative beside it.

Reading order: :mod:`~minigpt.functional.plain` (all of them on one page, up to the whole GPT,
composed from primitives, with the table of the labels E1 to E15) and ``plain_llama`` (what has
taken the places of its parts since), then the fast forms that the models use, each with its
derivative by hand: ``linear``, ``softmax``, ``activations`` (with ``erf``), ``normalization``,
``dropout`` (with ``row_draws``), ``embedding``, ``positions``, ``rotary``, ``short_convolution``,
``attention_blocks``
(with ``attention_options``), ``attention`` and ``multi_head``, ``lstm``, ``loss``. What lies below
them is in :mod:`minigpt.operations`; its primitives are here too.
"""

from minigpt.functional import plain, plain_llama
from minigpt.functional.activations import ACTIVATIONS, gated_unit, gelu, relu_squared, silu
from minigpt.functional.attention import attention_weights, scaled_dot_product_attention
from minigpt.functional.dropout import dropout
from minigpt.functional.embedding import embedding
from minigpt.functional.erf import erf
from minigpt.functional.linear import linear
from minigpt.functional.loss import cross_entropy, log_likelihood
from minigpt.functional.lstm import lstm
from minigpt.functional.multi_head import multi_head_attention, multi_head_cross_attention
from minigpt.functional.normalization import layer_norm, qk_norm, rms_norm
from minigpt.functional.positions import alibi_slopes, sinusoidal_positions
from minigpt.functional.rotary import RotaryScaling, rotary, rotary_frequencies, rotation_at
from minigpt.functional.short_convolution import short_convolution
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
    "RotaryScaling",
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
    "gated_unit",
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
    "plain_llama",
    "qk_norm",
    "relu",
    "relu_squared",
    "rms_norm",
    "rotary",
    "rotary_frequencies",
    "rotation_at",
    "scaled_dot_product_attention",
    "short_convolution",
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
