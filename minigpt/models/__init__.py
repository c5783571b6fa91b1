"""Models: whole networks, made of the modules of ``minigpt.nn``."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigpt.models.config import GPTConfig
from minigpt.models.gpt import GPT

MODELS = {"GPT": (GPT, GPTConfig)}


def build_model(name: str, config: dict[str, Any], seed: int | np.random.Generator = 0) -> GPT:
    """A model from the name of its class and the fields of its configuration, as files hold them.

    Raises:
        ValueError: no model of that name, or fields that its configuration does not have.
    """
    if name not in MODELS:
        raise ValueError(f"model {name!r} is not known: choose one of {', '.join(MODELS)}")
    model_class, config_class = MODELS[name]
    try:
        return model_class(config_class(**config), seed=seed)
    except TypeError as error:
        raise ValueError(f"the configuration does not fit {name}: {error}") from None


__all__ = ["GPT", "MODELS", "GPTConfig", "build_model"]
