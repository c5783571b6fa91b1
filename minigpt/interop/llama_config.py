"""The keys of the config.json of a Llama, Mistral, Qwen 2 or Qwen 3, to and from a GPTConfig's.

They are one model with small differences: Qwen 2 has biases on Q, K and V, Qwen 3 norms the heads
of Q and K, and Mistral and both Qwens may look at only a window of the last tokens. No GPTConfig
has windows, and as long as the context is no longer than the window there is no difference. A key
that a file does not have stands for what Transformers takes in its place, which is not the same in
each family.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from minigpt.interop.config_json import (
    activation,
    check_architectures,
    name_of_activation,
    refuse_option,
)
from minigpt.interop.errors import PretrainedError
from minigpt.interop.rotary_config import rotary_fields, rotary_keys

# GPTConfig's field -> the key of every family.
FIELDS = {
    "vocab_size": "vocab_size",
    "block_size": "max_position_embeddings",
    "n_layer": "num_hidden_layers",
    "n_head": "num_attention_heads",
    "n_kv_head": "num_key_value_heads",
    "n_embd": "hidden_size",
    "n_inner": "intermediate_size",
    "head_width": "head_dim",
    "layer_norm_eps": "rms_norm_eps",
    "init_std": "initializer_range",
    "tie_head": "tie_word_embeddings",
}
# Every key that a family's code reads, with its value where the file has no such key.
EVERY: dict[str, Any] = {
    "vocab_size": 32000,
    "hidden_size": 4096,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "head_dim": None,
    "hidden_act": "silu",
    "rms_norm_eps": 1e-6,
    "initializer_range": 0.02,
    "tie_word_embeddings": False,
    "attention_dropout": 0.0,
}
_QWEN: dict[str, Any] = {
    **EVERY,
    "vocab_size": 151936,
    "intermediate_size": 22016,
    "num_key_value_heads": 32,
    "max_position_embeddings": 32768,
    "use_sliding_window": False,
    "sliding_window": 4096,
    "max_window_layers": 28,
    "layer_types": None,
}
FAMILIES: dict[str, dict[str, Any]] = {
    "llama": {
        **EVERY,
        "intermediate_size": 11008,
        "num_key_value_heads": None,
        "max_position_embeddings": 2048,
        "attention_bias": False,
        "mlp_bias": False,
    },
    "mistral": {
        **EVERY,
        "intermediate_size": 14336,
        "num_key_value_heads": 8,
        "max_position_embeddings": 131072,
        "sliding_window": 4096,
    },
    "qwen2": _QWEN,
    "qwen3": {**_QWEN, "head_dim": 128, "attention_bias": False},
}
ARCHITECTURES = {"llama": "Llama", "mistral": "Mistral", "qwen2": "Qwen2", "qwen3": "Qwen3"}
# What all four have in common: fields of a GPTConfig that are the same in each of them.
OPTIONS: dict[str, Any] = {
    "normalization": "rms",
    "positions": "rotary",
    "mlp": "gated",
    "norm": "pre",
    "causal": True,
    "residual": True,
    "scale_attention": True,
    "scale_attention_by_layer": False,
    "short_convolution": None,
}


def llama_fields(
    path: Path, keys: Mapping[str, Any], dropout: float | None = None, block_size: int | None = None
) -> dict[str, Any]:
    """The fields of a GPTConfig that say the same as the keys of a ``config.json``.

    Args:
        path: the file, for errors.
        keys: what it says.
        dropout: in place of the file's ``attention_dropout``, which must be 0 otherwise: that of a
            GPT is everywhere.
        block_size: the context that is wanted, if it is not the file's.

    Raises:
        PretrainedError: they are of a model that no GPTConfig describes; names the key.
    """
    family: str = keys["model_type"]
    known = [f"{ARCHITECTURES[family]}{kind}" for kind in ("ForCausalLM", "Model")]
    check_architectures(path, keys, known)
    said = {key: keys.get(key, default) for key, default in FAMILIES[family].items()}
    fields = {field: said[key] for field, key in FIELDS.items()}
    if block_size is not None:
        fields["block_size"] = shorter(path, said["max_position_embeddings"], block_size)
    check_window(path, _window(path, said), fields["block_size"])
    bias, qkv_bias = _biases(path, family, said)
    return without_repetition(
        {
            **fields,
            **OPTIONS,
            "activation": activation(path, "hidden_act", said["hidden_act"]),
            "bias": bias,
            "qkv_bias": qkv_bias,
            "qk_norm": family == "qwen3",
            "dropout": _dropout(path, said) if dropout is None else dropout,
            **rotary_fields(path, keys, said["max_position_embeddings"]),
        }
    )


def llama_config(
    fields: Mapping[str, Any], dtype: str, end_of_text: int | None = None
) -> dict[str, Any]:
    """The ``config.json`` that says the same as the fields of a GPTConfig.

    The family is Llama, or the one that has the options which Llama lacks. Dropout, which acts only
    in training, is not written: in these models it would only be that of the attention weights.

    Args:
        fields: of a GPTConfig, all of them.
        dtype: "float32" or "float64", how the weights are stored.
        end_of_text: the id of the token that ends a text, where the tokenizer has one.

    Raises:
        ValueError: names an option that none of the families has.
    """
    family = _family_of(fields)
    refuse_option(fields, OPTIONS, family)
    bias = fields["bias"]
    written = {key: fields[field] for field, key in FIELDS.items()}
    for key, value in (("num_key_value_heads", fields["n_head"]),
                       ("head_dim", fields["n_embd"] // fields["n_head"])):  # fmt: skip
        written[key] = value if written[key] is None else written[key]
    return {
        "architectures": [f"{ARCHITECTURES[family]}ForCausalLM"],
        "model_type": family,
        "dtype": dtype,
        **written,
        "hidden_act": name_of_activation(fields["activation"]),
        **({"attention_bias": bias, "mlp_bias": bias} if family == "llama" else {}),
        **({"sliding_window": None} if family == "mistral" else {}),
        "attention_dropout": 0.0,
        **rotary_keys(fields),
        "bos_token_id": end_of_text,
        "eos_token_id": end_of_text,
    }


def without_repetition(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The same fields of a GPTConfig, with None for each that says what None would."""
    h, width = fields["n_head"], fields["head_width"]
    said_by_others = {
        "n_kv_head": fields["n_kv_head"] == h,
        "head_width": type(h) is type(width) is int and h * width == fields["n_embd"],
        "qkv_bias": fields["qkv_bias"] == fields["bias"],
    }
    return {name: None if said_by_others.get(name) else value for name, value in fields.items()}


def shorter(path: Path, context: Any, wanted: int) -> int:
    """A context of so many tokens, in place of the longer one that a file tells of."""
    if isinstance(context, int) and wanted > context:
        raise PretrainedError(
            path, f"block_size={wanted} is longer than the context of this model, {context} tokens"
        )
    return wanted


def check_window(path: Path, window: Any, block_size: Any) -> None:
    """Raise unless every token of the context sees all tokens before it, window or not."""
    if window is None:
        return
    if not isinstance(window, int) or not isinstance(block_size, int) or window < block_size:
        raise PretrainedError(
            path,
            f"sliding_window={window!r:.40} is shorter than the context of {block_size!r:.40} "
            "tokens, and a minigpt.GPT sees all of it: within the window there is no difference, "
            f"block_size={window!r:.40}",
        )


# ── in ────────────────────────────────────────────────────────────────────────────────────────


def _biases(path: Path, family: str, said: Mapping[str, Any]) -> tuple[Any, bool | None]:
    """``bias`` and ``qkv_bias``."""
    if family == "qwen2":
        return False, True
    attention, mlp = said.get("attention_bias", False), said.get("mlp_bias", False)
    if attention != mlp:
        raise PretrainedError(
            path,
            f"attention_bias={attention!r:.40} with "
            + (f"mlp_bias={mlp!r:.40}" if "mlp_bias" in said else "no biases in the MLP")
            + " is not supported: a minigpt.GPT has both or neither",
        )
    return attention, None


def _dropout(path: Path, said: Mapping[str, Any]) -> float:
    if said["attention_dropout"] not in (0, None):
        raise PretrainedError(
            path,
            f"attention_dropout={said['attention_dropout']!r:.40}: a minigpt.GPT has one dropout, "
            "on embeddings and residual branches too, so choose it: dropout=0.0",
        )
    return 0.0


def _window(path: Path, said: Mapping[str, Any]) -> Any:
    """How many tokens some layer sees at most; None: all."""
    kinds = said.get("layer_types")
    if kinds is None:
        first, n_layer = said.get("max_window_layers", 0), said["num_hidden_layers"]
        some = not (isinstance(first, int) and isinstance(n_layer, int)) or first < n_layer
        slides = some and said.get("use_sliding_window", True) is not False
    else:
        known = ("full_attention", "sliding_attention")
        if not isinstance(kinds, list) or not all(kind in known for kind in kinds):
            raise PretrainedError(
                path, f"layer_types={kinds!r:.80} is not supported: known are {', '.join(known)}"
            )
        slides = "sliding_attention" in kinds
    return said.get("sliding_window") if slides else None


# ── out ───────────────────────────────────────────────────────────────────────────────────────


def _family_of(fields: Mapping[str, Any]) -> str:
    """Which family has the options of a GPTConfig.

    Raises:
        ValueError: none has all of them.
    """
    bias, qkv_bias = fields["bias"], fields["qkv_bias"]
    qkv_bias = bias if qkv_bias is None else qkv_bias
    if fields["qk_norm"]:
        refuse_option({"bias": bias, "qkv_bias": qkv_bias}, {"bias": False, "qkv_bias": False},
                      "model with qk_norm, a Qwen 3")  # fmt: skip
        return "qwen3"
    if qkv_bias != bias:
        refuse_option({"bias": bias}, {"bias": False}, "model with a qkv_bias, a Qwen 2")
        return "qwen2"
    if fields["n_embd"] % fields["n_head"]:  # which Transformers wants of a Llama, for no reason
        refuse_option({"bias": bias}, {"bias": False}, "model whose n_head does not divide n_embd")
        return "mistral"
    return "llama"
