"""What was done to a model for fine-tuning, in its checkpoints: adapters, and frozen parameters."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from minigpt.autograd import Array
from minigpt.checkpoints.archive import CheckpointError
from minigpt.nn import Linear, Module
from minigpt.nn.freezing import frozen
from minigpt.nn.lora import AdapterSettings, lora_layers, put_adapters, settings_of
from minigpt.nn.lora_layer import LoRALinear


def describe_adaptation(model: Any) -> dict[str, Any]:
    """``lora``: rank, α and dropout by layer; ``frozen``: names; each only where there are any."""
    if not isinstance(model, Module):
        return {}
    lora = {
        name: {key: value for key, value in settings_of(layer)._asdict().items() if value}
        for name, layer in lora_layers(model).items()
    }
    kept = frozen(model)
    return ({"lora": lora} if lora else {}) | ({"frozen": kept} if kept else {})


def read_settings(stored: Mapping[str, Any]) -> AdapterSettings:
    """What :func:`describe_adaptation` said of a layer; put_adapters checks the values.

    Raises:
        KeyError, TypeError, AttributeError: it is not such a description.
    """
    return AdapterSettings(stored["rank"], stored["alpha"], stored.get("dropout", 0.0))


def put_stored_adapters(
    path: Path, model: Any, description: Mapping[str, Any], parameters: Mapping[str, Array]
) -> None:
    """Give a model that has none the adapters of the stored one, to be filled.

    Raises:
        CheckpointError: they do not fit the model, or claim more memory than the file holds.
    """
    stored = description.get("lora")
    if stored is None or not isinstance(model, Module):
        return
    layers = dict(model.named_modules())
    try:
        settings = {name: read_settings(each) for name, each in stored.items()}
        missing = {n: s for n, s in settings.items() if not isinstance(layers.get(n), LoRALinear)}
        for name, each in missing.items():  # before memory is taken
            layer, a = layers.get(name), parameters.get(f"{name}.lora_a")
            if isinstance(layer, Linear) and (a is None or a.shape[1:] != (each.rank,)):
                raise ValueError(f"the adapter of {name!r:.80} is not of rank={each.rank!r:.20}")
        put_adapters(model, missing)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise CheckpointError(path, f"its low-rank adapters are not sound: {error}") from error


def freeze_as_stored(path: Path, model: Any, description: Mapping[str, Any]) -> None:
    """Freeze what was frozen in the stored model.

    Raises:
        CheckpointError: names that are not parameters of the model.
    """
    stored = description.get("frozen", [])
    own = dict(model.named_parameters())
    if not isinstance(stored, list) or any(type(n) is not str or n not in own for n in stored):
        raise CheckpointError(path, "its frozen parameters are not the model's")
    for name in stored:
        own[name].requires_grad = False
