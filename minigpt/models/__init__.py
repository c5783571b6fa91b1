"""Models: whole networks, made of the modules of ``minigpt.nn``; each with its configuration.

In reading order: ``gpt`` with its ``gpt_config``, on top of ``embeddings`` (what a model is given),
``config`` (what the configurations share) and ``predictor`` (what training asks for);
``pretrained`` (published weights) and ``published_weights`` (the work of it), and
``published_tokenizer`` (what reads texts for them); ``encoder``; ``decoder_stack``, ``seq2seq`` and
``given_source`` (a translator, and how a Sampler writes with it); ``lstm``; ``classifier``;
``growing`` (more tokens for a trained model).
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from minigpt import checks
from minigpt.checks import Seed
from minigpt.first_use import on_first_use
from minigpt.models.gpt import GPT
from minigpt.models.gpt_config import GPTConfig
from minigpt.models.predictor import Predictor

if TYPE_CHECKING:
    from minigpt.models.classifier import ClassifierConfig, TextClassifier
    from minigpt.models.encoder import Encoder, EncoderConfig
    from minigpt.models.growing import grow_vocabulary
    from minigpt.models.lstm import LSTMConfig, LSTMLanguageModel
    from minigpt.models.seq2seq import EncoderDecoder, Seq2SeqConfig
else:
    __getattr__, __dir__ = on_first_use(
        __name__,
        {
            "classifier": ["ClassifierConfig", "TextClassifier"],
            "encoder": ["Encoder", "EncoderConfig"],
            "growing": ["grow_vocabulary"],
            "lstm": ["LSTMConfig", "LSTMLanguageModel"],
            "seq2seq": ["EncoderDecoder", "Seq2SeqConfig"],
        },
    )

MODELS = ("GPT", "Encoder", "LSTMLanguageModel", "EncoderDecoder", "TextClassifier")


def build_model(name: str, config: dict[str, Any], seed: Seed = 0) -> Any:
    """A model from the name of its class and the fields of its configuration, as files hold them.

    Args:
        name: of the class, one of :data:`MODELS`.
        config: the fields of its configuration.
        seed: of the initial weights, a number or a Generator.

    Raises:
        ValueError: no model has that name, its configuration does not have these fields, or the
            seed is negative.

    Example:
        >>> model = build_model("LSTMLanguageModel", {"vocab_size": 9, "n_embd": 4, "n_hidden": 8})
        >>> type(model).__name__, model.config.n_layer
        ('LSTMLanguageModel', 1)
    """
    model: Any = getattr(sys.modules[__name__], checks.one_of("name", name, MODELS))
    try:
        checked = model.CONFIG(**_checked_fields(config))
    except TypeError as error:
        raise ValueError(f"the configuration does not fit {name}: {error}") from None
    return model(checked, seed=seed)


def _checked_fields(config: object) -> Mapping[str, Any]:
    """The fields of a configuration, by name."""
    if not isinstance(config, Mapping):
        raise checks.wrong_value("config", "a dict of fields by name", config)
    return config


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
    "Predictor",
    "Seq2SeqConfig",
    "TextClassifier",
    "build_model",
    "grow_vocabulary",
]
