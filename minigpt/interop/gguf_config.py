"""What the metadata of a GGUF file say of a model, as the fields of a GPTConfig.

Their keys begin with the architecture's name: ``llama.block_count``. Mistral's files say ``llama``
too. Every such key is read, is known to change no number, or is refused by its name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from minigpt import checks
from minigpt.functional.rotary import RotaryScaling, rotary_frequencies
from minigpt.interop.config_json import check_own_context
from minigpt.interop.errors import PretrainedError, refusing
from minigpt.interop.gguf import GGUFFile
from minigpt.interop.llama_config import OPTIONS, check_window, shorter, without_repetition
from minigpt.interop.names import GGUF, GGUF_BY_ARCHITECTURE
from minigpt.interop.rotary_config import ROTARY_BASE

ARCHITECTURE = "general.architecture"
ROTARY_FACTORS = "rope_freqs.weight"  # the tensor with Llama 3's factors
# GPTConfig's field -> the key, without the architecture.
FIELDS = {
    "block_size": "context_length",
    "n_layer": "block_count",
    "n_head": "attention.head_count",
    "n_embd": "embedding_length",
    "n_inner": "feed_forward_length",
}
FIELDS_OF_GPT2 = {**FIELDS, "layer_norm_eps": "attention.layer_norm_epsilon"}
FIELDS_OF_LLAMA = {
    **FIELDS,
    "n_kv_head": "attention.head_count_kv",
    "layer_norm_eps": "attention.layer_norm_rms_epsilon",
}
OPTIONAL = {"vocab_size", "attention.head_count_kv"}  # which a file may leave out, as all these:
ROTARY = {
    "rope.freq_base", "rope.dimension_count", "rope.scaling.type", "rope.scaling.factor",
    "rope.scale_linear", "attention.key_length", "attention.value_length",
    "attention.sliding_window",
}  # fmt: skip
# What changes no number, and what changes none as long as it has this value.
WITHOUT_EFFECT = {
    "tensor_data_layout",
    "rope.scaling.finetuned",
    "rope.scaling.original_context_length",
}
NEUTRAL: dict[str, Any] = {
    "expert_count": 0,
    "expert_used_count": 0,
    "attention.causal": True,
    "rope.scaling.attn_factor": 1.0,
    "logit_scale": 1.0,
}
# The scaling of the published Llamas 3: what it makes of each frequency is compared with the file.
LLAMA3: dict[str, Any] = {
    "low_frequency_factor": 1.0,
    "high_frequency_factor": 4.0,
    "original_context": 8192,
}


def gguf_fields(
    file: GGUFFile, dropout: float | None = None, block_size: int | None = None
) -> dict[str, Any]:
    """The fields of a GPTConfig that say the same as a file's metadata.

    Args:
        file: the file; of its tensors the names and shapes are looked at, and the factors of the
            rotary frequencies.
        dropout: the file has none.
        block_size: the context that is wanted, if it is not the file's.

    Raises:
        PretrainedError: it is a model that no GPTConfig describes; names the key.
    """
    architecture = file.metadata.get(ARCHITECTURE)
    if not isinstance(architecture, str) or architecture not in GGUF_BY_ARCHITECTURE:
        known = ", ".join(GGUF_BY_ARCHITECTURE)
        raise PretrainedError(
            file.path, f"{ARCHITECTURE}={architecture!r:.80} is not supported: known are {known}"
        )
    is_gpt2 = architecture == "gpt2"
    keys = FIELDS_OF_GPT2 if is_gpt2 else FIELDS_OF_LLAMA
    read = {"vocab_size", *keys.values(), *(() if is_gpt2 else ROTARY)}
    said = _said(file, f"{architecture}.", read)
    fields = {field: said.get(key) for field, key in keys.items()}
    context = fields["block_size"]
    if is_gpt2:
        check_own_context(file.path, context, block_size)
    elif block_size is not None:
        fields["block_size"] = shorter(file.path, context, block_size)
    embedding = file.tensors.get(f"{GGUF.token_embedding}.weight")
    rows = embedding.shape if embedding else ()
    fields |= {
        "vocab_size": said.get("vocab_size", rows[0] if rows else None),
        "tie_head": f"{GGUF.head}.weight" not in file.tensors,
        "bias": "blk.0.attn_output.bias" in file.tensors,
        "dropout": 0.0 if dropout is None else dropout,
    }
    if is_gpt2:
        return fields
    return without_repetition(fields | _fields_of_llama(file, said, fields, architecture))


def _said(file: GGUFFile, prefix: str, read: set[str]) -> dict[str, Any]:
    """What the keys of an architecture say, each of them known, in single values."""
    said = {}
    for name, value in file.metadata.items():
        if not name.startswith(prefix):
            continue
        key = name.removeprefix(prefix)
        said[key] = value = _of_all_layers(file, name, value)
        if key not in read | WITHOUT_EFFECT and value != NEUTRAL.get(key, object):
            raise PretrainedError(file.path, f"{name}={value!r:.40} is not supported")
    if missing := [key for key in read - ROTARY - OPTIONAL if key not in said]:
        raise PretrainedError(file.path, f"its metadata do not say {prefix}{min(missing)}")
    return said


def _of_all_layers(file: GGUFFile, name: str, value: Any) -> Any:
    """A value that may be given as an array with the same number for each layer."""
    if isinstance(value, np.ndarray) and value.size and (value == value[0]).all():
        return value[0].item()
    if isinstance(value, (np.ndarray, list)):
        raise PretrainedError(
            file.path, f"{name}={value!r:.40} is not supported: it differs from layer to layer"
        )
    return value


def _fields_of_llama(
    file: GGUFFile, said: Mapping[str, Any], fields: Mapping[str, Any], architecture: str
) -> dict[str, Any]:
    """What only models with rotary positions have."""
    check_window(file.path, said.get("attention.sliding_window") or None, fields["block_size"])
    width = _head_width(file, said, fields["n_embd"], fields["n_head"])
    return {
        **OPTIONS,
        "activation": "silu",
        "head_width": width,
        "qkv_bias": "blk.0.attn_q.bias" in file.tensors,
        "qk_norm": architecture == "qwen3",
        "rotary_base": said.get("rope.freq_base", ROTARY_BASE),
        "rotary_scaling": _scaling(file, said, width),
    }


def _head_width(file: GGUFFile, said: Mapping[str, Any], n_embd: Any, n_head: Any) -> int:
    """The width of a head, of which all has to be rotated."""
    with refusing(file.path):
        own = checks.size("embedding_length", n_embd) // checks.size("attention.head_count", n_head)
    width: int = said.get("attention.key_length", own)
    for key in ("attention.value_length", "rope.dimension_count"):
        if said.get(key, width) != width:
            raise PretrainedError(
                file.path,
                f"{key}={said[key]!r:.40} is not supported: a minigpt.GPT only has the width of a "
                f"head, {width!r:.40}",
            )
    return width


def _scaling(file: GGUFFile, said: Mapping[str, Any], width: int) -> RotaryScaling | None:
    """How the frequencies of the rotary positions are changed."""
    kind = said.get("rope.scaling.type", "linear")  # as llama.cpp takes it
    factor = said.get("rope.scaling.factor") or said.get("rope.scale_linear") or 1.0
    if kind not in ("none", "linear"):
        raise PretrainedError(
            file.path, f"rope.scaling.type={kind!r:.40} is not supported: known are none, linear"
        )
    linear = kind == "linear" and factor != 1
    if ROTARY_FACTORS in file.tensors:
        if linear:
            raise PretrainedError(file.path, f"it has rope.scaling.factor and {ROTARY_FACTORS}")
        return _llama3(file, said.get("rope.freq_base", ROTARY_BASE), width)
    with refusing(file.path, "rope.scaling: "):
        return RotaryScaling("linear", factor) if linear else None


def _llama3(file: GGUFFile, base: float, width: int) -> RotaryScaling | None:
    """Llama 3's scaling, if it makes the same factors as the file has."""
    if file.tensors[ROTARY_FACTORS].shape != (width // 2,):
        shape = file.tensors[ROTARY_FACTORS].shape
        raise PretrainedError(file.path, f"{ROTARY_FACTORS} is {shape}: expected ({width // 2},)")
    factors = file.read(ROTARY_FACTORS)
    if (factors == 1).all():
        return None
    with refusing(file.path, f"{ROTARY_FACTORS}: "):
        scaling = RotaryScaling("llama3", float(factors.max()), **LLAMA3)
        expected = rotary_frequencies(width, base) / rotary_frequencies(width, base, scaling)
    if not np.allclose(factors, expected, rtol=1e-4):
        raise PretrainedError(
            file.path,
            f"{ROTARY_FACTORS} is not what Llama 3's scaling makes of the frequencies: other "
            "factors are not supported",
        )
    return scaling
