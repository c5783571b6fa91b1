"""Published models: the files of Transformers and of llama.cpp, and the names in them.

In reading order: ``array_file`` (numbers out of a file, a piece at a time), ``safetensors`` and
``sharded`` (the weights in a folder), ``quantization`` (weights in a few bits each),
``gguf_values`` and ``gguf`` (a whole model in one file). What a model is: ``config_json``,
``gpt2_config``, ``llama_config`` with ``rotary_config``, and ``gguf_config``. What its parameters
are called: ``names``. Both put together: ``weights`` (every tensor accounted for) and
``published``, which ``GPT.from_pretrained`` and ``save_pretrained`` ask.

Beside them ``hub`` (a folder, or a name to fetch), ``generation_config`` (how the publishers of a
model would have it write) and ``smollm2`` (a published model that comes as a package).
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
