from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from minigpt.training import TrainerConfig


def test_two_settings_are_enough() -> None:
    config = TrainerConfig(max_steps=1000, batch_size=12)
    assert (config.optimizer, config.schedule, config.workers) == ("adamw", "cosine", "auto")


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"max_steps": None}, ValueError, "give max_steps or epochs, one of them: got none"),
        ({"epochs": 2}, ValueError, "got both"),
        ({"max_steps": 0}, ValueError, "max_steps=0 must be an integer of at least 1"),
        ({"max_steps": 1.5}, TypeError, "max_steps=1.5 must be an integer"),
        ({"max_steps": True}, TypeError, "max_steps=True"),
        ({"max_steps": None, "epochs": 0}, ValueError, "epochs=0"),
        ({"batch_size": 0}, ValueError, "batch_size=0"),
        ({"batch_size": "12"}, TypeError, "batch_size='12'"),
        ({"batch_size": None}, TypeError, "batch_size=None"),
        ({"block_size": -1}, ValueError, "block_size=-1"),
        ({"gradient_accumulation": 0}, ValueError, "gradient_accumulation=0"),
        ({"optimizer": "lion"}, ValueError, "'lion' is not known: choose one of 'adamw'"),
        ({"schedule": None}, ValueError, "schedule=None is not known"),
        ({"learning_rate": 0}, ValueError, "learning_rate=0.0 must be a number above 0"),
        ({"learning_rate": float("nan")}, ValueError, "learning_rate=nan"),
        ({"learning_rate": float("inf")}, ValueError, "learning_rate=inf"),
        ({"learning_rate": "1e-3"}, TypeError, "learning_rate='1e-3'"),
        ({"learning_rate": True}, TypeError, "learning_rate=True"),
        ({"learning_rate": np.bool_(True)}, TypeError, "learning_rate"),
        ({"min_learning_rate": -1e-3}, ValueError, "min_learning_rate=-0.001"),
        ({"min_learning_rate": 1.0}, ValueError, "above learning_rate=0.001: choose"),
        ({"warmup_steps": -1}, ValueError, "warmup_steps=-1"),
        ({"warmup_steps": 101}, ValueError, "more than max_steps=100: choose warmup_steps=10"),
        ({"betas": 0.9}, TypeError, "betas=0.9 must be two numbers"),
        ({"betas": (0.9, 1.0)}, ValueError, "below 1"),
        ({"betas": (0.9, float("nan"))}, ValueError, "below 1"),
        ({"betas": (0.9, "x")}, ValueError, "below 1"),
        ({"eps": 0}, ValueError, "eps=0.0"),
        ({"momentum": 1}, ValueError, "momentum=1.0 must be a number of at least 0 and below 1"),
        ({"weight_decay": -0.1}, ValueError, "weight_decay=-0.1"),
        ({"grad_clip": 0}, ValueError, "grad_clip=0.0 must be a number above 0 or None"),
        ({"eval_interval": 0}, ValueError, "eval_interval=0"),
        ({"eval_batches": 0}, ValueError, "eval_batches=0"),
        ({"early_stopping_patience": 0}, ValueError, "early_stopping_patience=0"),
        ({"log_interval": 0}, ValueError, "log_interval=0"),
        ({"checkpoint_dir": 3}, TypeError, "checkpoint_dir must name a folder: got 3"),
        ({"checkpoint_interval": 0}, ValueError, "checkpoint_interval=0"),
        ({"keep_checkpoints": 0}, ValueError, "keep_checkpoints=0"),
        ({"keep_best": 1}, TypeError, "keep_best must be True or False"),
        ({"overwrite": "no"}, TypeError, "overwrite must be True or False"),
        ({"workers": 0}, ValueError, "workers=0 must be an integer of at least 1 or 'auto'"),
        ({"workers": "all"}, TypeError, "workers='all'"),
        ({"seed": -1}, ValueError, "seed=-1"),
        ({"seed": None}, TypeError, "seed=None"),
        ({"progress": None}, TypeError, "progress must be True or False"),
        ({"carry_state": 1}, TypeError, "carry_state must be True or False"),
        ({"learning_rate_scales": 0.1}, TypeError, "learning_rate_scales=0.1 must be a dict"),
        ({"learning_rate_scales": {1: 0.1}}, TypeError, "beginning of a parameter's name"),
        ({"learning_rate_scales": {"a.": "1"}}, TypeError, "['a.']='1' must be a number above 0"),
        ({"learning_rate_scales": {"a.": True}}, TypeError, "['a.']=True must be a number"),
        ({"learning_rate_scales": {"a.": 0}}, ValueError, "is frozen with minigpt.nn.freeze"),
        ({"learning_rate_scales": {"a.": float("nan")}}, ValueError, "['a.']=nan must be a number"),
    ],
)
def test_wrong_settings_are_named(settings, error, message) -> None:
    with pytest.raises(error) as caught:
        TrainerConfig(**{"max_steps": 100, **settings})
    assert message in str(caught.value)


def test_every_setting_is_tested_above() -> None:
    marks = test_wrong_settings_are_named.pytestmark[0].args[1]
    tested = {name for settings, *_ in marks for name in settings}
    assert tested == {field.name for field in dataclasses.fields(TrainerConfig)}


def test_unknown_settings_and_positions_are_refused() -> None:
    with pytest.raises(TypeError, match="batchsize"):
        TrainerConfig(max_steps=1, batchsize=3)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="positional"):
        TrainerConfig(*range(1, 17))  # type: ignore[call-arg, arg-type]
    with pytest.raises(dataclasses.FrozenInstanceError):
        TrainerConfig(max_steps=1).seed = 3  # type: ignore[misc]


def test_it_goes_through_json() -> None:
    config = TrainerConfig(
        max_steps=np.int64(7),  # type: ignore[arg-type]
        learning_rate=np.float32(0.5),  # type: ignore[arg-type]
        betas=[0.8, 0.9],  # type: ignore[arg-type]
        checkpoint_dir=Path("runs") / "a",
    )
    assert TrainerConfig(**json.loads(json.dumps(config.to_dict()))) == config
