"""A curriculum that moves on: when, what it is told of, and after a run that was cut short."""

from __future__ import annotations

from typing import Any

import pytest

import minigpt as mg
from minigpt.datasets import Completion, CompletionBatches, Curriculum
from minigpt.grad_mode import is_evaluating, is_grad_enabled
from minigpt.training import Mastery
from tests.training.tiny import tiny_gpt, trainer


def curriculum() -> Curriculum:
    def stage(n: int) -> CompletionBatches:
        return CompletionBatches([Completion((n, n), (False, True))], 1, seed=0)

    return Curriculum([(stage(0), 6), (stage(1), 6), (stage(2), 4)])


def run(mastery: Mastery, **settings: Any) -> mg.Trainer:
    config = mg.TrainerConfig(16, batch_size=1, eval_interval=100, progress=False, **settings)
    return mg.Trainer(tiny_gpt(), curriculum(), None, config, callbacks=[mastery])


def test_a_stage_ends_when_it_is_mastered_or_over():
    known = {4: 0.9}  # of the first stage after 4 steps; of the second never
    step = 0

    def measure(stage: int) -> float:
        nonlocal step
        step += 2
        assert is_evaluating() and not is_grad_enabled()
        return known.get(step, 0.1)

    mastery = Mastery(measure, level=0.9, interval=2)
    trained = run(mastery)
    trained.fit()
    assert trained.batches.ends == [4, 10, 16] and trained.step == 16
    assert mastery.measured == [(2, 0, 0.1), (4, 0, 0.9), (6, 1, 0.1), (8, 1, 0.1)]


def test_a_resumed_run_is_in_the_same_stage(tmp_path):
    class Stop(mg.training.Callback):
        def on_step(self, trainer: mg.Trainer, record: Any) -> None:
            if trainer.step == 3:
                trainer.stop()

    def measure(stage: int) -> float:
        return float(stage == 0)

    whole = run(Mastery(measure, interval=2))
    whole.fit()
    config = mg.TrainerConfig(16, batch_size=1, eval_interval=100, progress=False)
    callbacks = [Mastery(measure, interval=2), Stop()]
    cut = mg.Trainer(tiny_gpt(), curriculum(), None, config, callbacks=callbacks)
    cut.fit()
    cut.save(tmp_path / "cut.npz")
    again = mg.Trainer.resume(
        tmp_path / "cut.npz", curriculum(), callbacks=[Mastery(measure, interval=2)]
    )
    assert again.batches.ends == [2, 8, 16]
    again.fit()
    assert again.history.column("loss") == whole.history.column("loss")


def test_it_is_for_a_curriculum():
    with pytest.raises(TypeError, match=r"trainer's batches must be .*pass Curriculum"):
        trainer(callbacks=[Mastery(lambda stage: 1.0)]).fit()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"measure": 0.5}, "measure must be a function of the stage's number: got 0.5"),
        ({"measure": float, "level": 1.5}, "level"),
        ({"measure": float, "interval": 0}, "interval"),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises((TypeError, ValueError), match=message):
        Mastery(**arguments)
