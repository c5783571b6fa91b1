"""Modules: the parts of a network, each with what it learns.

In reading order: ``module`` (and how it describes itself, ``description``), ``initial_weights``,
``layers``, ``positions``; a transformer's block: ``config``, ``block_config``, ``cache``,
``short_convolution``, ``attention``, ``mlp``, ``block``; for an encoder–decoder: ``decoder_cache``,
``cross_attention``, ``decoder_block``; the ``lstm``; for fine-tuning: ``freezing``, ``replacing``,
``lora_layer``, ``lora``, ``lora_merging``.
"""

from typing import TYPE_CHECKING

from minigpt.first_use import on_first_use
from minigpt.functional.rotary import RotaryScaling
from minigpt.nn.attention import CausalSelfAttention
from minigpt.nn.block import Block
from minigpt.nn.cache import KeyValueCache
from minigpt.nn.layers import Dropout, Embedding, Identity, LayerNorm, Linear, RMSNorm
from minigpt.nn.mlp import MLP, GatedMLP
from minigpt.nn.module import Module, Parameter
from minigpt.nn.positions import LearnedPositions, NoPositions, SinusoidalPositions
from minigpt.nn.short_convolution import ConvolutionCache, ShortConvolution

if TYPE_CHECKING:
    from minigpt.nn.block_config import BlockConfig
    from minigpt.nn.cross_attention import CrossAttention
    from minigpt.nn.decoder_block import DecoderBlock
    from minigpt.nn.decoder_cache import DecoderCache
    from minigpt.nn.freezing import (
        freeze,
        freeze_all_but_last,
        freeze_parts,
        frozen,
        num_trainable,
        trainable,
        unfreeze,
    )
    from minigpt.nn.lora import add_lora, load_lora_state_dict, lora_parameters, lora_state_dict
    from minigpt.nn.lora_layer import LoRALinear
    from minigpt.nn.lora_merging import Adapter, merge_lora, unmerge_lora
    from minigpt.nn.lstm import LSTM
else:
    __getattr__, __dir__ = on_first_use(
        __name__,
        {
            "block_config": ["BlockConfig"],
            "cross_attention": ["CrossAttention"],
            "decoder_block": ["DecoderBlock"],
            "decoder_cache": ["DecoderCache"],
            "freezing": [
                "freeze", "freeze_all_but_last", "freeze_parts", "frozen", "num_trainable",
                "trainable", "unfreeze",
            ],
            "lora": ["add_lora", "load_lora_state_dict", "lora_parameters", "lora_state_dict"],
            "lora_layer": ["LoRALinear"],
            "lora_merging": ["Adapter", "merge_lora", "unmerge_lora"],
            "lstm": ["LSTM"],
        },
    )  # fmt: skip

__all__ = [
    "LSTM",
    "MLP",
    "Adapter",
    "Block",
    "BlockConfig",
    "CausalSelfAttention",
    "ConvolutionCache",
    "CrossAttention",
    "DecoderBlock",
    "DecoderCache",
    "Dropout",
    "Embedding",
    "GatedMLP",
    "Identity",
    "KeyValueCache",
    "LayerNorm",
    "LearnedPositions",
    "Linear",
    "LoRALinear",
    "Module",
    "NoPositions",
    "Parameter",
    "RMSNorm",
    "RotaryScaling",
    "ShortConvolution",
    "SinusoidalPositions",
    "add_lora",
    "freeze",
    "freeze_all_but_last",
    "freeze_parts",
    "frozen",
    "load_lora_state_dict",
    "lora_parameters",
    "lora_state_dict",
    "merge_lora",
    "num_trainable",
    "trainable",
    "unfreeze",
    "unmerge_lora",
]
