"""A factor on the learning rate of some parameters."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from minigpt.nn import freeze
from tests.training.tiny import assert_same_run, resume, tiny_gpt, trainer


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
    other = resume(tmp_path / "a.npz", model=None, learning_rate_scales=None)
    assert {slot.lr_scale for slot in other.optimizer.slots} == {1.0}
