"""Hugging Face's GPT-2: its files and its names, in and out.

In reading order: ``safetensors`` (the format of the weights), ``sharded`` (several files of it),
``gpt2_config`` (``config.json``), ``gpt2_names`` (the table of parameters), ``gpt2_weights`` (both
ways), ``hub`` (a folder, or a name to fetch). ``GPT.from_pretrained`` and ``save_pretrained`` put
them together.
"""

from minigpt.interop.errors import HubError, PretrainedError
from minigpt.interop.hub import pretrained_folder
from minigpt.interop.safetensors import SafetensorsFile, write_safetensors

__all__ = [
    "HubError",
    "PretrainedError",
    "SafetensorsFile",
    "pretrained_folder",
    "write_safetensors",
]
