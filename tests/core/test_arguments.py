"""Arguments that a function does not have: the one that was meant is named."""

from __future__ import annotations

import dataclasses

import pytest

import minigpt as mg
from minigpt.tasks import Chat


@pytest.mark.parametrize(
    "called, args, options, said",
    [
        (mg.TrainerConfig, (), {"lr": 1e-3}, "TrainerConfig .* lr: did you mean learning_rate?"),
        (mg.TrainerConfig, (), {"steps": 3}, "TrainerConfig .* steps: did you mean max_steps?"),
        (mg.GPTConfig, (5, 4), {"n_layers": 3}, "GPTConfig .* n_layers: did you mean n_layer?"),
        (mg.GPTConfig, (5, 4), {"zzz": 3}, "GPTConfig .* zzz: it has vocab_size, block_size, "),
        (mg.GPTConfig.llama, (5, 4, 1, 1, 8), {"n_kv_heads": 1}, "did you mean n_kv_head?"),
        (Chat, (None,), {"temprature": 1}, "Chat .* temprature: did you mean temperature?"),
        (
            Chat,
            (None, None),
            {},
            r"takes 1 positional argument: got 2; .*Chat\(Sampler\(",
        ),
        (Chat.reply, (None, "Hi"), {"max_tokens": 3}, r"max_tokens: the options .*Chat\(sampler"),
    ],
)
def test_an_unknown_argument_is_refused_with_the_nearest(called, args, options, said):
    with pytest.raises(TypeError, match=said):
        called(*args, **options)


def test_what_is_known_is_as_before():
    config = mg.TrainerConfig(7, learning_rate=0.1)
    assert config.max_steps == 7 and dataclasses.replace(config, max_steps=8).max_steps == 8
    with pytest.raises(TypeError, match="missing 4 required"):
        mg.GPTConfig(5)
