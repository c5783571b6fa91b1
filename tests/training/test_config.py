from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from minigpt import checks
from minigpt.training import TrainerConfig


def test_two_settings_are_enough() -> None:
    config = TrainerConfig(max_steps=1000, batch_size=12)
    assert (config.optimizer, config.schedule, config.workers) == ("adamw", "cosine", "auto")


COUNT = "an integer of at least 1"
RATE = "a number above 0"
NOT_NEGATIVE = "a number of at least 0"
BELOW_1 = "a number of at least 0 and below 1"
FLAG = "True or False"

# A setting, what came, and what the error says that it must be.
WRONG_TYPES = [
    ("max_steps", 1.5, COUNT),
    ("max_steps", True, COUNT),
    ("batch_size", "12", COUNT),
    ("batch_size", None, COUNT),
    ("schedule", None, '"cosine", "linear", "trapezoid" or "constant"'),
    ("learning_rate", "1e-3", RATE),
    ("learning_rate", True, RATE),
    ("learning_rate", np.bool_(True), RATE),
    ("learning_rate", 1e-3 + 0j, RATE),
    ("betas", 0.9, "two numbers, such as (0.9, 0.99)"),
    ("checkpoint_dir", 3, "the name of a folder, or None"),
    ("keep_best", 1, FLAG),
    ("overwrite", "no", FLAG),
    ("workers", "all", f"{COUNT} or 'auto'"),
    ("seed", None, "an integer of at least 0"),
    ("seed", np.random.default_rng(0), "an integer of at least 0"),
    ("progress", None, FLAG),
    ("carry_state", 1, FLAG),
    ("learning_rate_scales", 0.1, "a dict of factors by the beginning of a parameter's name"),
    ("learning_rate_scales", {1: 0.1}, "a dict of factors by the beginning of a parameter's name"),
]
WRONG_VALUES = [
    ("max_steps", 0, COUNT),
    ("batch_size", 0, COUNT),
    ("block_size", -1, f"{COUNT} or None"),
    ("gradient_accumulation", 0, "an integer from 1 to 1000000"),
    ("gradient_accumulation", 10**30, "an integer from 1 to 1000000"),
    ("max_steps", 10**400, "at most 9007199254740992"),
    ("weight_decay", 10**400, f"{NOT_NEGATIVE} or None"),
    ("optimizer", "lion", '"adamw", "adam", "sgd" or "muon"'),
    ("learning_rate", 0, RATE),
    ("learning_rate", float("nan"), RATE),
    ("learning_rate", float("inf"), RATE),
    ("learning_rate", 10**400, RATE),
    ("min_learning_rate", -1e-3, f"{NOT_NEGATIVE} or None"),
    ("warmup_steps", -1, "an integer of at least 0 or None"),
    ("decay_steps", -1, "an integer of at least 0 or None"),
    ("checkpoint_dir", "", "the name of a folder, or None"),
    ("eps", 0, RATE),
    ("momentum", 1, f"{BELOW_1} or None"),
    ("weight_decay", -0.1, f"{NOT_NEGATIVE} or None"),
    ("grad_clip", 0, f"{RATE} or None"),
    ("eval_interval", 0, COUNT),
    ("eval_batches", 0, f"{COUNT} or None"),
    ("early_stopping_patience", 0, f"{COUNT} or None"),
    ("log_interval", 0, COUNT),
    ("checkpoint_interval", 0, COUNT),
    ("keep_checkpoints", 0, COUNT),
    ("workers", 0, f"{COUNT} or 'auto'"),
    ("seed", -1, "an integer of at least 0"),
]


@pytest.mark.parametrize(
    ("name", "value", "expected", "error"),
    [(*case, TypeError) for case in WRONG_TYPES] + [(*case, ValueError) for case in WRONG_VALUES],
)
def test_wrong_settings_are_named(name, value, expected, error) -> None:
    with pytest.raises(error) as caught:
        TrainerConfig(**{"max_steps": 100, name: value})
    assert str(caught.value).startswith(f"{name} must be {expected}: got {checks.shown(value)}")


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"max_steps": None}, ValueError, "give max_steps or epochs, one of them: got none"),
        ({"epochs": 2}, ValueError, "got both"),
        ({"max_steps": None, "epochs": 0}, ValueError, f"epochs must be {COUNT}: got 0"),
        ({"min_learning_rate": 1.0}, ValueError, "above learning_rate=0.001: choose"),
        ({"warmup_steps": 101}, ValueError, "more than max_steps=100: choose warmup_steps=10"),
        ({"decay_steps": 9}, ValueError, 'add schedule="trapezoid", or leave it out'),
        (
            {"schedule": "trapezoid", "warmup_steps": 60, "decay_steps": 41},
            ValueError,
            "warmup_steps=60 are more than the run's 100 steps: choose decay_steps=20",
        ),
        ({"betas": (0.9, 1.0)}, ValueError, f"betas[1] must be {BELOW_1}: got 1.0"),
        ({"betas": (float("nan"), 0.9)}, ValueError, f"betas[0] must be {BELOW_1}: got nan"),
        ({"betas": (0.9, "x")}, TypeError, f"betas[1] must be {BELOW_1}: got 'x'"),
        ({"betas": [None, None]}, TypeError, f"betas[0] must be {BELOW_1}: got None"),
        ({"seed": np.random.default_rng(0)}, TypeError, "a checkpoint keeps an integer"),
        ({"learning_rate_scales": {"a.": "1"}}, TypeError, f"['a.'] must be {RATE}: got '1'"),
        ({"learning_rate_scales": {"a.": True}}, TypeError, f"['a.'] must be {RATE}: got True"),
        ({"learning_rate_scales": {"a.": 0}}, ValueError, "are frozen with minigpt.nn.freeze"),
        ({"learning_rate_scales": {"a.": float("nan")}}, ValueError, f"must be {RATE}: got nan"),
    ],
)
def test_settings_that_are_wrong_in_part_or_together(settings, error, message) -> None:
    with pytest.raises(error) as caught:
        TrainerConfig(**{"max_steps": 100, **settings})
    assert message in str(caught.value)


def test_every_setting_is_tested_above() -> None:
    tested = {name for name, *_ in WRONG_TYPES + WRONG_VALUES} | {"epochs"}
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
