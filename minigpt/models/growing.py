"""More tokens for a trained model."""

from __future__ import annotations

import dataclasses
from typing import Any, TypeVar

import numpy as np

from minigpt import checks
from minigpt.autograd import Array
from minigpt.checks import Seed
from minigpt.models.predictor import Predictor
from minigpt.nn.lora import lora_parameters

ModelType = TypeVar("ModelType", bound=Predictor)

NOISE = 0.01  # of a new token around the mean, in standard deviations of the old ones


def grow_vocabulary(model: ModelType, vocab_size: int, seed: Seed = 0) -> ModelType:
    """A copy of a trained model that knows more tokens: the old ones as they were, and new ones.

    A new token begins as the mean of all old ones, with a little noise: any other beginning gives
    it a logit that the model has never seen, and so the old tokens a smaller probability than they
    had (Hewitt 2021, "Initializing new word embeddings for pretrained language models"). The new
    ids come after the old. Fine-tune afterwards, with a new Trainer.

    Args:
        model: a GPT, an Encoder or an LSTMLanguageModel; it is left as it is.
        vocab_size: how many tokens there are to be, at least as many as there are.
        seed: of the noise.

    Raises:
        ValueError: fewer tokens than there are, or the model has low-rank adapters.
        TypeError: a model whose configuration has no ``vocab_size`` of its own.

    Example:
        >>> from minigpt.models import GPT, GPTConfig
        >>> model = GPT(GPTConfig(vocab_size=9, block_size=8, n_layer=1, n_head=1, n_embd=4))
        >>> larger = grow_vocabulary(model, 11)
        >>> ids = np.array([[3, 1, 4]])
        >>> bool((larger(ids).data[..., :9] == model(ids).data).all())
        True
    """
    config = _check(model, vocab_size)
    rng = np.random.default_rng(checks.seed(seed))
    old = dict(model.named_parameters())
    make: Any = type(model)
    grown: ModelType = make(dataclasses.replace(config, vocab_size=int(vocab_size)), rng)
    for name, parameter in grown.named_parameters():
        parameter.data = _grown(old[name].data, parameter.shape, rng)
        parameter.requires_grad = old[name].requires_grad
    return grown.train(model.training)


def _grown(old: Array, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """The old numbers, and along the axis that is longer now means with noise."""
    axis = next((i for i in range(old.ndim) if shape[i] != old.shape[i]), None)
    if axis is None:
        return old.copy()
    mean, std = old.mean(axis=axis, keepdims=True), old.std(axis=axis, keepdims=True)
    count = [n - m for n, m in zip(shape, old.shape, strict=True)]
    new_shape = tuple(c or n for c, n in zip(count, shape, strict=True))
    new = mean + NOISE * std * rng.standard_normal(new_shape)
    return np.concatenate([old, new.astype(old.dtype)], axis=axis)


def _check(model: Any, vocab_size: int) -> Any:
    checks.instance("model", model, Predictor)
    names = [field.name for field in dataclasses.fields(model.config)]
    if "vocab_size" not in names:
        kinds = "a GPT, an Encoder or an LSTMLanguageModel"
        raise checks.wrong_type("model", kinds, model, "a classifier begins anew: from_model(…)")
    mend = "a vocabulary cannot shrink: its ids would mean other tokens"
    checks.integer("vocab_size", vocab_size, least=model.config.vocab_size, mend=mend)
    if lora_parameters(model):
        raise ValueError(
            "the model has low-rank adapters: fold them into its matrices first, merge_lora(model)"
        )
    return model.config
