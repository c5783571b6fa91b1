"""More tokens for a trained model: the old ones stay, the new ones begin in the middle."""

from __future__ import annotations

import numpy as np
import pytest

from minigpt import GPT, GPTConfig
from minigpt.models import (
    ClassifierConfig,
    Encoder,
    EncoderConfig,
    LSTMConfig,
    LSTMLanguageModel,
    TextClassifier,
    grow_vocabulary,
)
from minigpt.nn import add_lora, freeze

SIZES = {"block_size": 8, "n_layer": 1, "n_head": 2, "n_embd": 8, "init_std": 0.3}
IDS = np.array([[3, 1, 4, 1, 5]])
MODELS = {
    "GPT": lambda: GPT(GPTConfig(9, **SIZES), seed=1),
    "untied": lambda: GPT(GPTConfig(9, tie_head=False, **SIZES), seed=1),
    "encoder": lambda: Encoder(EncoderConfig(9, **SIZES), seed=1),
    "LSTM": lambda: LSTMLanguageModel(LSTMConfig(9, 8, 12), seed=1),
    "tied LSTM": lambda: LSTMLanguageModel(LSTMConfig(9, 8, 8, tie_head=True), seed=1),
}


@pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_old_tokens_stay_and_new_ones_can_be_read_and_predicted(make, dtype):
    model = make().astype(dtype).eval()
    before = model.state_dict()
    grown = grow_vocabulary(model, 12, seed=2)
    assert type(grown) is type(model) and grown.config.vocab_size == 12 and not grown.training
    logits = grown(IDS).data
    assert logits.dtype == dtype and logits.shape == (1, 5, 12)
    np.testing.assert_allclose(logits[..., :9], model(IDS).data, rtol=1e-5, atol=1e-6)
    grown.train().loss(np.array([[3, 9, 11]]), np.array([[9, 10, 2]])).backward()
    for name, array in model.state_dict().items():  # it is left as it was
        np.testing.assert_array_equal(array, before[name])


def test_a_new_token_is_as_likely_as_the_others_on_average():
    model = MODELS["GPT"]().eval()
    logits = grow_vocabulary(model, 200).eval()(IDS).data
    mean = logits[..., :9].mean(axis=-1, keepdims=True)
    spread = logits[..., :9].std(axis=-1, keepdims=True)
    assert (np.abs(logits[..., 9:] - mean) < 0.2 * spread).all()
    assert len(np.unique(logits[0, 0, 9:])) > 150


def test_what_is_frozen_stays_frozen_and_the_same_size_is_a_copy():
    model = MODELS["GPT"]()
    freeze(model)
    same = grow_vocabulary(model, 9)
    assert not any(p.requires_grad for p in same.parameters())
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(same.state_dict()[name], array)


@pytest.mark.parametrize(
    ("model", "vocab_size", "error", "message"),
    [
        (MODELS["GPT"](), 8, ValueError, "vocab_size must be an integer of at least 9: got 8; a v"),
        (MODELS["GPT"](), 9.5, TypeError, "vocab_size must be an integer"),
        (None, 10, TypeError, "model must be a Predictor: got None"),
        (TextClassifier(ClassifierConfig(EncoderConfig(9, **SIZES), 2)), 10, TypeError,
         r"model must be a GPT, an Encoder or .*: got a TextClassifier; .* from_model"),
    ],
)  # fmt: skip
def test_what_is_refused(model, vocab_size, error, message):
    with pytest.raises(error, match=message):
        grow_vocabulary(model, vocab_size)


def test_adapters_are_merged_first():
    model = MODELS["GPT"]()
    add_lora(model, rank=2)
    with pytest.raises(ValueError, match="merge_lora"):
        grow_vocabulary(model, 10)
