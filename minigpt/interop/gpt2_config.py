"""config.json of a Hugging Face GPT-2, to and from the fields of a GPTConfig.

What GPT-2's own code in Transformers never reads is ignored: ids of special tokens
(``bos_token_id``, ``eos_token_id``, …), ``n_ctx`` (an old name for ``n_positions``), ``use_cache``,
``dtype``, ``transformers_version``, ``task_specific_params``, the ``summary_*`` of other heads, and
whatever people have added. ``reorder_and_upcast_attn`` is ignored too: it guards float16 against
overflow, and the arithmetic here is float32.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from minigpt.interop.errors import PretrainedError, refusing
from minigpt.interop.safetensors import MAX_BYTES
from minigpt.json_files import read_object

# GPTConfig's field -> GPT-2's key, and its value where the file has no such key.
FIELDS: dict[str, tuple[str, Any]] = {
    "vocab_size": ("vocab_size", 50257),
    "block_size": ("n_positions", 1024),
    "n_layer": ("n_layer", 12),
    "n_head": ("n_head", 12),
    "n_embd": ("n_embd", 768),
    "n_inner": ("n_inner", None),
    "layer_norm_eps": ("layer_norm_epsilon", 1e-5),
    "init_std": ("initializer_range", 0.02),
    "tie_head": ("tie_word_embeddings", True),
    "scale_attention": ("scale_attn_weights", True),
    "scale_attention_by_layer": ("scale_attn_by_inverse_layer_idx", False),
}
# Other names that Transformers takes for the same keys.
ALIASES = {
    "hidden_size": "n_embd",
    "max_position_embeddings": "n_positions",
    "num_attention_heads": "n_head",
    "num_hidden_layers": "n_layer",
}
DROPOUTS = ("resid_pdrop", "embd_pdrop", "attn_pdrop")
DROPOUT_DEFAULT = 0.1
ACTIVATION_DEFAULT = "gelu_new"
# GPT-2's name of an activation -> GPTConfig's. The first one of each is written.
ACTIVATIONS = {
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu_python_tanh": "gelu_tanh",
    "gelu_fast": "gelu_tanh",
    "gelu": "gelu_erf",
    "gelu_python": "gelu_erf",
    "relu": "relu",
    "silu": "silu",
    "swish": "silu",
    "tanh": "tanh",
}
# What would change the numbers in a way that a minigpt.GPT cannot: the only value it accepts.
REQUIRED: dict[str, Any] = {
    "add_cross_attention": False,
    "is_encoder_decoder": False,
    "pruned_heads": {},
    "quantization_config": None,
}
ARCHITECTURES = ("GPT2LMHeadModel", "GPT2Model")
# Options of GPTConfig that GPT-2 does not have: the only value that can be written.
GPT2_OPTIONS: dict[str, Any] = {
    "bias": True,
    "norm": "pre",
    "positions": "learned",
    "causal": True,
    "residual": True,
    "normalization": "layer",
    "mlp": "plain",
    "n_kv_head": None,
    "head_width": None,
    "qk_norm": False,
    "qkv_bias": None,
}


def read_gpt2_config(path: Path, dropout: float | None = None) -> dict[str, Any]:
    """The fields of a GPTConfig that say the same as a ``config.json``.

    Args:
        path: the file.
        dropout: in place of the file's three, which must be equal otherwise.

    Raises:
        FileNotFoundError: there is no such file.
        PretrainedError: it is damaged, or of a model that no GPTConfig describes; names the key.
    """
    with refusing(path):
        keys = _canonical(path, read_object(path, MAX_BYTES))
    _check_architecture(path, keys)
    for key, value in REQUIRED.items():
        if keys.get(key, value) not in (value, None):
            raise PretrainedError(
                path, f"{key}={keys[key]!r:.80} is not supported: a minigpt.GPT only has {value!r}"
            )
    fields = {name: keys.get(key, default) for name, (key, default) in FIELDS.items()}
    activation = keys.get("activation_function", ACTIVATION_DEFAULT)
    if not isinstance(activation, str) or activation not in ACTIVATIONS:
        known = ", ".join(ACTIVATIONS)
        raise PretrainedError(
            path, f"activation_function={activation!r:.80} is not supported: known are {known}"
        )
    fields["activation"] = ACTIVATIONS[activation]
    fields["dropout"] = _one_dropout(path, keys) if dropout is None else dropout
    return fields


def gpt2_config(
    fields: Mapping[str, Any], dtype: str, end_of_text: int | None = None
) -> dict[str, Any]:
    """The ``config.json`` that says the same as the fields of a GPTConfig.

    Args:
        fields: of a GPTConfig, all of them.
        dtype: "float32" or "float64", how the weights are stored.
        end_of_text: the id of the token that ends a text, where the tokenizer has one.

    Raises:
        ValueError: names an option that GPT-2 does not have.
    """
    spelt_out = {  # what None means
        "n_kv_head": fields["n_head"],
        "head_width": fields["n_embd"] / fields["n_head"],
        "qkv_bias": fields["bias"],
    }
    for name, only in GPT2_OPTIONS.items():
        if fields[name] not in (only, spelt_out.get(name, only)):
            raise ValueError(
                f"{name}={fields[name]!r} cannot be saved as a GPT-2, which only has "
                f"{name}={only!r}: save a checkpoint with minigpt.Trainer"
            )
    written = {ours: theirs for theirs, ours in reversed(ACTIVATIONS.items())}
    if fields["activation"] not in written:
        raise ValueError(
            f"activation={fields['activation']!r} cannot be saved as a GPT-2, which only has "
            f"{', '.join(written)}: save a checkpoint with minigpt.Trainer"
        )
    return {
        "architectures": [ARCHITECTURES[0]],
        "model_type": "gpt2",
        "dtype": dtype,
        **{key: fields[name] for name, (key, _) in FIELDS.items()},
        "activation_function": written[fields["activation"]],
        **dict.fromkeys(DROPOUTS, fields["dropout"]),
        **{key: value for key, value in REQUIRED.items() if key.startswith("add")},
        "bos_token_id": end_of_text,
        "eos_token_id": end_of_text,
    }


def _canonical(path: Path, keys: dict[str, Any]) -> dict[str, Any]:
    """The file's keys, each alias under its proper name."""
    for alias, key in ALIASES.items():
        if alias in keys:
            value = keys.pop(alias)
            if keys.setdefault(key, value) != value:
                raise PretrainedError(path, f"{key}={keys[key]!r:.40} and {alias}={value!r:.40}")
    return keys


def _check_architecture(path: Path, keys: Mapping[str, Any]) -> None:
    model_type = keys.get("model_type")
    if model_type != "gpt2":
        came = f"model_type={model_type!r:.80}" if model_type is not None else "no model_type"
        raise PretrainedError(path, f'{came}: minigpt only reads model_type="gpt2"')
    architectures = keys.get("architectures") or [ARCHITECTURES[0]]
    if not isinstance(architectures, list) or not set(ARCHITECTURES) & {*map(str, architectures)}:
        raise PretrainedError(
            path,
            f"architectures={architectures!r:.80} is not supported: known are "
            f"{', '.join(ARCHITECTURES)}",
        )


def _one_dropout(path: Path, keys: Mapping[str, Any]) -> Any:
    values = {key: keys.get(key, DROPOUT_DEFAULT) for key in DROPOUTS}
    if len(set(map(repr, values.values()))) > 1:
        given = ", ".join(f"{key}={value!r:.40}" for key, value in values.items())
        raise PretrainedError(
            path, f"{given}: a minigpt.GPT has one dropout for all, so choose it: dropout=0.1"
        )
    return values[DROPOUTS[0]]
