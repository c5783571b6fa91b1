"""Models: whole networks, made of the modules of ``minigpt.nn``."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigpt.models.classifier import TextClassifier
from minigpt.models.classifier_config import ClassifierConfig
from minigpt.models.config import GPTConfig
from minigpt.models.encoder import Encoder
from minigpt.models.encoder_config import EncoderConfig
from minigpt.models.gpt import GPT
from minigpt.models.lstm import LSTMLanguageModel
from minigpt.models.lstm_config import LSTMConfig
from minigpt.models.seq2seq import EncoderDecoder
from minigpt.models.seq2seq_config import Seq2SeqConfig

MODELS: dict[str, tuple[Any, Any]] = {
    "GPT": (GPT, GPTConfig),
    "Encoder": (Encoder, EncoderConfig),
    "LSTMLanguageModel": (LSTMLanguageModel, LSTMConfig),
    "EncoderDecoder": (EncoderDecoder, Seq2SeqConfig),
    "TextClassifier": (TextClassifier, ClassifierConfig),
}


def build_model(name: str, config: dict[str, Any], seed: int | np.random.Generator = 0) -> Any:
    """A model from the name of its class and the fields of its configuration, as files hold them.

    Raises:
        ValueError: no model of that name, fields that its configuration does not have, or a
            negative seed.
        TypeError: the seed is neither an integer nor a Generator.
    """
    if name not in MODELS:
        raise ValueError(f"model {name!r} is not known: choose one of {', '.join(MODELS)}")
    model_class, config_class = MODELS[name]
    try:
        checked = config_class(**config)
    except TypeError as error:
        raise ValueError(f"the configuration does not fit {name}: {error}") from None
    return model_class(checked, seed=seed)


__all__ = [
    "GPT",
    "MODELS",
    "ClassifierConfig",
    "Encoder",
    "EncoderConfig",
    "EncoderDecoder",
    "GPTConfig",
    "LSTMConfig",
    "LSTMLanguageModel",
    "Seq2SeqConfig",
    "TextClassifier",
    "build_model",
]
