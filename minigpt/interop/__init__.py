"""Hugging Face's GPT-2: its files and its names, in and out.

In reading order: ``safetensors`` (the format of the weights), ``sharded`` (several files of it),
``gpt2_config`` (``config.json``), ``gpt2_names`` (the table of parameters), ``gpt2_weights`` (both
ways), ``hub`` (a folder, or a name to fetch), ``model_folder`` (written whole or not at all).
``GPT.from_pretrained`` and ``save_pretrained`` put them together. ``generation_config``: how the
publishers of a model would have it write.

And GGUF: ``quantization`` (weights in a few bits each), ``gguf_values`` and ``gguf`` (the file that
holds them), ``smollm2`` (a published one).
"""

from minigpt.interop.errors import HubError, PretrainedError
from minigpt.interop.generation_config import read_generation_config
from minigpt.interop.gguf import GGUFFile
from minigpt.interop.hub import pretrained_folder
from minigpt.interop.quantization import dequantize, quantize
from minigpt.interop.safetensors import SafetensorsFile, write_safetensors
from minigpt.interop.smollm2 import find_smollm2

__all__ = [
    "GGUFFile",
    "HubError",
    "PretrainedError",
    "SafetensorsFile",
    "dequantize",
    "find_smollm2",
    "pretrained_folder",
    "quantize",
    "read_generation_config",
    "write_safetensors",
]
