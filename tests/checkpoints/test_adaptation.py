"""Adapters and frozen parameters in training and in checkpoints."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minigpt.checkpoints import CheckpointError, load_checkpoint, load_model, save_checkpoint
from minigpt.nn import add_lora, freeze, freeze_all_but_last, frozen, lora_parameters, trainable
from minigpt.training import Trainer
from tests.training.tiny import (
    Bigram,
    assert_same_run,
    config,
    resume,
    tiny_gpt,
    tokens,
    trainer,
)


def with_adapters(lora_dropout: float = 0.0, **changes: Any) -> Any:
    model = tiny_gpt(n_layer=2, **changes)
    add_lora(model, rank=2, alpha=4, targets=["qkv_proj"], seed=3, dropout=lora_dropout)
    return model


@pytest.mark.parametrize("dropout", [0.0, 0.3])
@pytest.mark.parametrize("given", ["none", "plain", "adapted"])
def test_a_run_with_adapters_goes_on(given: str, dropout: float, tmp_path: Path) -> None:
    whole = trainer(
        with_adapters(lora_dropout=dropout),
        max_steps=8,
        checkpoint_dir=tmp_path,
        checkpoint_interval=4,
    )
    whole.fit()
    model = {
        "none": None,
        "plain": tiny_gpt(seed=9, n_layer=2),
        "adapted": with_adapters(seed=9, lora_dropout=dropout),
    }
    again = resume(tmp_path / "step-00000004.npz", model=model[given], checkpoint_dir=None)
    assert trainable(again.model) == trainable(whole.model) == list(lora_parameters(whole.model))
    again.fit()
    assert_same_run(again, whole)


def test_a_model_with_adapters_is_loaded_with_them(tmp_path: Path) -> None:
    model = with_adapters()
    run = trainer(model, max_steps=3)
    run.fit()
    run.save(tmp_path / "a.npz")
    loaded, _ = load_model(tmp_path / "a.npz")
    layer = loaded.blocks[1].attention.qkv_proj
    assert (layer.rank, layer.alpha) == (2, 4.0)
    ids = np.array([[1, 2, 3]])
    np.testing.assert_array_equal(loaded(ids).data, model(ids).data)
    with_adapters(seed=4).load_state_dict(loaded.state_dict())


@pytest.mark.parametrize("n_blocks", [1, 0])
def test_frozen_parameters_stay_frozen(n_blocks: int, tmp_path: Path) -> None:
    model = tiny_gpt(n_layer=2, tie_head=False)
    freeze_all_but_last(model, n_blocks)
    model.head.weight.requires_grad = True  # type: ignore[union-attr]
    whole = trainer(model, max_steps=8, checkpoint_dir=tmp_path, checkpoint_interval=4)
    whole.fit()
    again = resume(tmp_path / "step-00000004.npz", model=None, checkpoint_dir=None)
    assert frozen(again.model) == frozen(model) != []
    again.fit()
    assert_same_run(again, whole)


def test_a_model_of_the_caller_s_own_class_is_frozen_as_it_was(tmp_path: Path) -> None:
    class Two(Bigram):
        def __init__(self) -> None:
            super().__init__()
            self.other = Bigram(seed=1)

    model = Two()
    freeze(model.other)
    run = trainer(model, max_steps=3)
    run.fit()
    run.save(tmp_path / "a.npz")
    assert frozen(resume(tmp_path / "a.npz", model=Two()).model) == ["other.table.weight"]


def test_checkpoints_of_plain_models_say_nothing_of_it(tmp_path: Path) -> None:
    trainer(tiny_gpt()).save(tmp_path / "a.npz")
    assert set(load_checkpoint(tmp_path / "a.npz").metadata["model"]) == {"class", "config"}


@pytest.mark.parametrize(
    ("part", "value", "message"),
    [
        ("lora", 3, "its low-rank adapters are not sound"),
        ("lora", {"x": {"rank": 2, "alpha": 1}}, "'x' is not a linear layer"),
        ("lora", {"blocks.0.attention.qkv_proj": {"rank": 2}}, "its low-rank adapters are not so"),
        ("lora", {"blocks.0.attention.qkv_proj": {"rank": 4, "alpha": 1}}, "is not of rank=4"),
        (
            "lora",
            {"blocks.0.attention.qkv_proj": {"rank": 2, "alpha": -1}},
            "alpha must be a number above 0: got -1",
        ),
        ("lora", {"blocks.0.mlp.up_proj": {"rank": 10**9, "alpha": 1}}, "is not of rank=10000000"),
        ("lora", {}, "its parameters do not fit this model"),
        ("frozen", ["nothing"], "its frozen parameters are not the model's"),
        ("frozen", "all", "its frozen parameters are not the model's"),
        ("frozen", [["table"]], "its frozen parameters are not the model's"),
    ],
)
def test_an_altered_description_is_refused(
    part: str, value: Any, message: str, tmp_path: Path
) -> None:
    trainer(with_adapters()).save(tmp_path / "a.npz")
    stored = load_checkpoint(tmp_path / "a.npz")
    metadata = json.loads(json.dumps(stored.metadata))
    metadata["model"][part] = value
    save_checkpoint(tmp_path / "a.npz", stored.arrays, metadata)
    with pytest.raises(CheckpointError, match=message):
        load_model(tmp_path / "a.npz")


def test_only_the_adapters_are_in_the_optimizer(tmp_path: Path) -> None:
    run = Trainer(with_adapters(), tokens(), None, config())
    assert [slot.name for slot in run.optimizer.slots] == list(lora_parameters(run.model))
