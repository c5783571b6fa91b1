"""A curriculum whose stages end when they are mastered, not after a number of steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from minigpt import checks
from minigpt.datasets import Curriculum
from minigpt.grad_mode import evaluation
from minigpt.training.callbacks import Callback
from minigpt.training.records import Record

if TYPE_CHECKING:
    from minigpt.training.trainer import Trainer


class Mastery(Callback):
    """Goes on to the next stage of a :class:`~minigpt.datasets.Curriculum` once this one is known.

        stage k ends at the first step t = interval, 2·interval, … with measure(k) ≥ level

    or after its own number of batches, whichever comes first. What is saved goes to the last stage.
    When a skill comes is luck: so a run that has it early need not wait, and one that has it late
    is not taken further before (Bloom 1968, "Learning for Mastery").

    Args:
        measure: how much of the stage of that number the model has mastered, from 0 to 1, with
            dropout off. It should ask what is neither trained on nor tested.
        level: what is enough.
        interval: steps between two measurements.

    Attributes:
        measured: (step, stage, how much was mastered) of each measurement.

    Raises:
        ValueError: a number is out of its range; several ranks train, of which only the first
            would move on.
        TypeError: the trainer's batches are not a curriculum.

    Example:
        >>> import minigpt as mg
        >>> from minigpt.datasets import Completion, CompletionBatches, Curriculum
        >>> from minigpt.training import Mastery
        >>> stages = [
        ...     (CompletionBatches([Completion((n, n), (False, True))], 1, seed=0), 40)
        ...     for n in (1, 2)
        ... ]
        >>> model = mg.GPT(mg.GPTConfig(3, block_size=1, n_layer=1, n_head=1, n_embd=8), seed=0)
        >>> def measure(stage: int) -> float:
        ...     return float(model([[stage + 1]]).data.argmax() == stage + 1)
        >>> config = mg.TrainerConfig(80, batch_size=1, learning_rate=0.03, progress=False)
        >>> batches, mastery = Curriculum(stages), Mastery(measure, interval=10)
        >>> _ = mg.Trainer(model, batches, None, config, callbacks=[mastery]).fit()
        >>> mastery.measured[-1], batches.ends
        ((10, 0, 1.0), [10, 80])
    """

    def __init__(
        self, measure: Callable[[int], float], level: float = 0.95, interval: int = 50
    ) -> None:
        if not callable(measure):
            raise checks.wrong_type("measure", "a function of the stage's number", measure)
        self._measure = measure
        self._level = checks.number("level", level, least=0, most=1)
        self._interval = checks.integer("interval", interval, least=1)
        self.measured: list[tuple[int, int, float]] = []

    def on_step(self, trainer: Trainer, record: Record) -> None:
        """Measure, if it is time, and move on if that is enough.

        Raises:
            TypeError, ValueError: the trainer is not one that a curriculum can end stages of.
        """
        batches = _checked_curriculum(trainer)
        stage = batches.stage
        is_last = stage == len(batches.ends) - 1
        if is_last or trainer.finished or trainer.step % self._interval:
            return
        with evaluation():
            mastered = self._measure(stage)
        self.measured.append((trainer.step, stage, mastered))
        if mastered >= self._level:
            batches.move_on()


def _checked_curriculum(trainer: Trainer) -> Curriculum:
    if trainer.ranks.count > 1:
        raise ValueError("Mastery is for one process: several ranks would not move on together")
    return checks.instance(
        "the trainer's batches", trainer.batches, Curriculum, "pass Curriculum([…])"
    )
