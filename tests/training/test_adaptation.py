"""Adapters, frozen parameters and learning-rate scales in training and in checkpoints."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minigpt.nn import add_lora, freeze, freeze_all_but_last, frozen, lora_parameters, trainable
from minigpt.training import CheckpointError, Trainer, load_model
from minigpt.training.checkpoint import load_checkpoint, save_checkpoint
from tests.training.tiny import (
    Bigram,
    assert_same_run,
    config,
    resume,
    tiny_gpt,
    tokens,
    trainer,
)


def with_adapters(**changes: Any) -> Any:
    model = tiny_gpt(n_layer=2, **changes)
    add_lora(model, rank=2, alpha=4, targets=["qkv_proj"], seed=3)
    return model


# ── learning-rate scales ──────────────────────────────────────────────────────────────────────


def test_each_parameter_has_the_scale_of_the_longest_name_that_fits() -> None:
    scales = {"blocks.": 0.5, "blocks.1.": 0.25, "blocks.1.mlp.up": 2.0}
    run = trainer(tiny_gpt(n_layer=2), learning_rate_scales=scales)
    found = {slot.name: slot.lr_scale for slot in run.optimizer.slots}
    for name, scale in found.items():
        expected = 1.0
        for prefix, value in scales.items():  # they are in the order of their lengths
            expected = value if name.startswith(prefix) else expected
        assert scale == expected, name
    assert set(found.values()) == {0.5, 0.25, 2.0, 1.0}


def test_a_scaled_step_is_that_much_smaller() -> None:
    models = []
    for scales in (None, {"token_embedding.": 0.5}):
        model = tiny_gpt()
        run = trainer(
            model, learning_rate_scales=scales, optimizer="sgd", schedule="constant", momentum=0,
            grad_clip=None,
        )  # fmt: skip
        before = model.state_dict()
        run.train_step()
        models.append({n: a - before[n] for n, a in model.state_dict().items()})
    plain, scaled = models
    for name in plain:
        factor = 0.5 if name.startswith("token_embedding.") else 1
        np.testing.assert_allclose(scaled[name], factor * plain[name], rtol=1e-3, atol=1e-7)


def test_scales_of_one_change_nothing() -> None:
    runs = [trainer(learning_rate_scales=scales, max_steps=3) for scales in (None, {"table": 1})]
    for run in runs:
        run.fit()
    assert_same_run(*runs)


def test_a_scale_for_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match=r"names 'blcks\.', with which no.*begin with blocks, f"):
        trainer(tiny_gpt(), learning_rate_scales={"blcks.": 0.1})
    model = tiny_gpt()
    freeze(model.blocks[0])
    with pytest.raises(ValueError, match=r"names 'blocks\.'"):
        trainer(model, learning_rate_scales={"blocks.": 0.1})


def test_scales_are_kept_in_the_checkpoint(tmp_path: Path) -> None:
    scales = {"token_embedding.": 0.1, "blocks.0.": 3.0}
    settings = {"learning_rate_scales": scales, "max_steps": 8}
    whole = trainer(tiny_gpt(), **settings)
    whole.fit()
    half = trainer(tiny_gpt(), **settings)
    for _ in range(4):
        half.train_step()
    half.save(tmp_path / "a.npz")
    again = resume(tmp_path / "a.npz", model=None)
    assert again.config.learning_rate_scales == scales
    again.fit()
    for name, array in whole.model.state_dict().items():
        np.testing.assert_array_equal(again.model.state_dict()[name], array)
    with pytest.raises(ValueError, match="learning_rate_scales=… cannot change"):
        resume(tmp_path / "a.npz", model=None, learning_rate_scales=None)


# ── adapters and frozen parameters ────────────────────────────────────────────────────────────


@pytest.mark.parametrize("given", ["none", "plain", "adapted"])
def test_a_run_with_adapters_goes_on(given: str, tmp_path: Path) -> None:
    whole = trainer(with_adapters(), max_steps=8, checkpoint_dir=tmp_path, checkpoint_interval=4)
    whole.fit()
    model = {"none": None, "plain": tiny_gpt(seed=9, n_layer=2), "adapted": with_adapters(seed=9)}
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
