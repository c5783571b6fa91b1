"""config.json of a Transformers folder: what the keys of every family have in common.

Ignored is what the family's own code in Transformers never reads: ids of special tokens
(``bos_token_id``, ``eos_token_id``, …), ``use_cache``, ``dtype``, ``transformers_version``,
``task_specific_params``, and whatever people have added. What would change the numbers is read, or
refused by its name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from minigpt.interop.errors import PretrainedError, refusing
from minigpt.interop.safetensors import MAX_BYTES
from minigpt.json_files import read_object

# Transformers' name of an activation -> GPTConfig's. The first one of each is written.
ACTIVATIONS = {
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu_python_tanh": "gelu_tanh",
    "gelu_fast": "gelu_tanh",
    "gelu": "gelu_erf",
    "gelu_python": "gelu_erf",
    "relu": "relu",
    "relu2": "relu_squared",
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


def read_keys(path: Path) -> dict[str, Any]:
    """What a config.json says, if no key makes it a model that a minigpt.GPT cannot be.

    Raises:
        FileNotFoundError: there is no such file.
        PretrainedError: it is damaged, or names what is not supported.
    """
    with refusing(path):
        keys = read_object(path, MAX_BYTES)
    for key, value in REQUIRED.items():
        refuse_other(path, keys, key, value, None)
    return keys


def refuse_other(path: Path, keys: Mapping[str, Any], key: str, *supported: Any) -> None:
    """Raise unless a key is absent or has one of the values that are supported."""
    value = keys.get(key, supported[0])
    if value not in supported:
        raise PretrainedError(
            path, f"{key}={value!r:.80} is not supported: a minigpt.GPT only has {supported[0]!r}"
        )


def check_architectures(path: Path, keys: Mapping[str, Any], known: Sequence[str]) -> None:
    """Raise unless the file is that of a language model, or of what is below its head."""
    architectures = keys.get("architectures") or [known[0]]
    if not isinstance(architectures, list) or not {*known} & {*map(str, architectures)}:
        raise PretrainedError(
            path,
            f"architectures={architectures!r:.80} is not supported: known are {', '.join(known)}",
        )


def check_own_context(path: Path, context: Any, wanted: int | None) -> None:
    """Raise unless the context that is wanted is a file's own."""
    if wanted not in (None, context):
        raise PretrainedError(
            path, f"block_size={wanted} is for models with rotary positions: this one has an "
            f"embedding for each of {context!r:.40} places"
        )  # fmt: skip


def activation(path: Path, key: str, value: Any) -> str:
    """GPTConfig's name of an activation."""
    if not isinstance(value, str) or value not in ACTIVATIONS:
        known = ", ".join(ACTIVATIONS)
        raise PretrainedError(path, f"{key}={value!r:.80} is not supported: known are {known}")
    return ACTIVATIONS[value]


def name_of_activation(ours: str) -> str:
    """Transformers' name of one of GPTConfig's activations."""
    return next(theirs for theirs, known in ACTIVATIONS.items() if known == ours)


def refuse_option(fields: Mapping[str, Any], only: Mapping[str, Any], family: str) -> None:
    """Raise for the first option of a GPTConfig that a family does not have.

    Raises:
        ValueError: names the option, its value and the one that could be written.
    """
    for name, value in only.items():
        if fields[name] != value:
            raise ValueError(
                f"{name}={fields[name]!r} cannot be saved as a {family}, which only has "
                f"{name}={value!r}: save a checkpoint with minigpt.Trainer"
            )
