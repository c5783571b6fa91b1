"""Modules: the parts of a network, each with what it learns.

In reading order: ``module``, ``layers``, ``positions``, ``attention``, ``mlp``, ``block``,
``cache``.
"""

from minigpt.nn.attention import CausalSelfAttention
from minigpt.nn.block import Block
from minigpt.nn.cache import KeyValueCache
from minigpt.nn.layers import Dropout, Embedding, LayerNorm, Linear
from minigpt.nn.mlp import MLP
from minigpt.nn.module import Module, Parameter
from minigpt.nn.positions import LearnedPositions, SinusoidalPositions

__all__ = [
    "MLP",
    "Block",
    "CausalSelfAttention",
    "Dropout",
    "Embedding",
    "KeyValueCache",
    "LayerNorm",
    "LearnedPositions",
    "Linear",
    "Module",
    "Parameter",
    "SinusoidalPositions",
]
