"""Checkpoints of before still load, and their runs go on as they would have then."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minigpt as mg
from minigpt.datasets import LabelledBatches
from minigpt.nn import lora_parameters, trainable

FOLDER = Path(__file__).parent / "written_by_0_1_0"

# The losses of steps 4, 5 and 6, as they were when the checkpoints were written.
LOSSES = {
    "gpt": [2.3006913661956787, 2.3037984371185303, 2.3000648021698],
    "lstm": [2.4400768280029297, 2.4223928451538086, 2.348470449447632],
    "classifier": [1.1126102209091187, 1.094882607460022, 1.0972732305526733],
}


def text() -> str:
    return "".join(np.random.default_rng(0).choice(list("abcdefgh \n"), 4000))


def texts(name: str) -> tuple[Any, Any]:
    """The training and the validation text that the run of a checkpoint was started with."""
    tokenizer = mg.CharTokenizer.train(text())
    ids = tokenizer.encode_array(text())
    if name != "classifier":
        return ids[:900], ids[900:1100]
    rows = [ids[i : i + 8 + i % 5].astype(np.int64) for i in range(0, 400, 10)]
    labels = [i % 3 for i in range(len(rows))]
    return LabelledBatches(rows, labels, 8, pad_id=tokenizer.vocab_size, seed=3), None


@pytest.mark.parametrize("name", LOSSES)
def test_its_run_goes_on(name: str) -> None:
    trainer = mg.Trainer.resume(FOLDER / f"{name}.npz", *texts(name), progress=False)
    assert (trainer.step, trainer.total_steps) == (3, 6)
    assert len(trainer.history.steps) == 3
    losses = [trainer.train_step() for _ in range(3)]
    assert losses == pytest.approx(LOSSES[name], rel=1e-6)


@pytest.mark.parametrize("name", LOSSES)
def test_its_model_and_tokenizer_are_loaded(name: str) -> None:
    model, tokenizer = mg.load_model(FOLDER / f"{name}.npz")
    assert not model.training
    assert tokenizer.decode(tokenizer.encode("abba")) == "abba"
    resumed = mg.Trainer.resume(FOLDER / f"{name}.npz", *texts(name), progress=False)
    for parameter, array in resumed.model.state_dict().items():
        np.testing.assert_array_equal(model.state_dict()[parameter], array)


def test_its_adapters_are_the_only_ones_that_learn() -> None:
    model, _ = mg.load_model(FOLDER / "classifier.npz")
    adapters = list(lora_parameters(model))
    assert adapters
    assert set(adapters) <= set(trainable(model))
