"""The keys of a GPT-2's config.json, to and from the fields of a GPTConfig.

Of what is ignored (see ``config_json``), GPT-2 has ``n_ctx``, an old name for ``n_positions``, and
the ``summary_*`` of other heads; and ``reorder_and_upcast_attn``, which guards float16 against
overflow, where the arithmetic here is float32.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from minigpt.interop.config_json import (
    activation,
    check_architectures,
    check_own_context,
    name_of_activation,
    refuse_option,
)
from minigpt.interop.errors import PretrainedError

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
    "short_convolution": None,
}


def gpt2_fields(
    path: Path, keys: dict[str, Any], dropout: float | None = None, block_size: int | None = None
) -> dict[str, Any]:
    """The fields of a GPTConfig that say the same as the keys of a ``config.json``.

    Args:
        path: the file, for errors.
        keys: what it says.
        dropout: in place of the file's three, which must be equal otherwise.
        block_size: the context that is wanted, which has to be the file's.

    Raises:
        PretrainedError: they are of a model that no GPTConfig describes; names the key.
    """
    check_architectures(path, keys, ARCHITECTURES)
    keys = _canonical(path, keys)
    fields = {name: keys.get(key, default) for name, (key, default) in FIELDS.items()}
    check_own_context(path, fields["block_size"], block_size)
    function = keys.get("activation_function", ACTIVATION_DEFAULT)
    fields["activation"] = activation(path, "activation_function", function)
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
    refuse_option(fields, GPT2_OPTIONS, "GPT-2")
    return {
        "architectures": [ARCHITECTURES[0]],
        "model_type": "gpt2",
        "dtype": dtype,
        **{key: fields[name] for name, (key, _) in FIELDS.items()},
        "activation_function": name_of_activation(fields["activation"]),
        **dict.fromkeys(DROPOUTS, fields["dropout"]),
        "add_cross_attention": False,
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


def _one_dropout(path: Path, keys: Mapping[str, Any]) -> Any:
    values = {key: keys.get(key, DROPOUT_DEFAULT) for key in DROPOUTS}
    if len(set(map(repr, values.values()))) > 1:
        given = ", ".join(f"{key}={value!r:.40}" for key, value in values.items())
        raise PretrainedError(
            path, f"{given}: a minigpt.GPT has one dropout for all, so choose it: dropout=0.1"
        )
    return values[DROPOUTS[0]]
