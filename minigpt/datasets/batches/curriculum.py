"""Batches from easy to hard, one stage after the other."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from itertools import accumulate
from typing import Any

from minigpt import checks
from minigpt.autograd import Array
from minigpt.datasets.batches.resumable import ResumableBatches


class Curriculum(ResumableBatches):
    """So many batches of each stage, in order: what comes first makes the rest learnable.

    Bengio et al. 2009, "Curriculum Learning". An epoch is all stages once. A stage that asks for
    more batches than its own epoch has goes on with its next epoch.

    A stage that is mastered sooner can be left (:meth:`move_on`, which
    :class:`minigpt.training.Mastery` calls): the last one gets the batches that are saved.

    Args:
        stages: (batches, how many of them at most), the easy ones first.

    Attributes:
        stage: the number, from 0, of the stage that the next batch is of.
        ends: after how many batches of an epoch each stage ends.

    Raises:
        ValueError: there are no stages, or a number is below 1.

    Example:
        >>> from minigpt.datasets import Completion, CompletionBatches
        >>> def copies(n: int) -> CompletionBatches:  # of n letters
        ...     lesson = Completion.read([*range(n), 9]) + Completion.say([*range(n)])
        ...     return CompletionBatches([lesson], batch_size=1, seed=0)
        >>> batches = Curriculum([(copies(1), 2), (copies(4), 1)])
        >>> [ids.shape for ids, targets in batches]
        [(1, 2), (1, 2), (1, 8)]
    """

    kind = "curriculum"

    def __init__(self, stages: Iterable[tuple[ResumableBatches, int]]) -> None:
        super().__init__()
        self._stages: list[ResumableBatches] = []
        counts = []
        expected = "a list of (batches, how many)"
        for i, stage in enumerate(checks.items("stages", stages, expected)):
            if not (isinstance(stage, tuple) and len(stage) == 2):
                raise checks.wrong_type(f"stages[{i}]", "(batches, how many)", stage)
            batches, count = stage
            if not isinstance(batches, ResumableBatches):
                raise checks.wrong_type(
                    f"the first of stages[{i}]", "batches, such as CompletionBatches", batches
                )
            self._stages.append(batches)
            counts.append(checks.integer(f"the number of stages[{i}]", count, least=1))
        if not counts:
            raise ValueError("stages is empty: pass at least one, as (batches, how many)")
        self._counts, self.ends = counts, list(accumulate(counts))

    @property
    def batches_per_epoch(self) -> int:
        """Batches of all stages together."""
        return self.ends[-1]

    @property
    def stage(self) -> int:
        """The number, from 0, of the stage that the next batch is of."""
        return bisect_right(self.ends, self.position)

    def move_on(self) -> None:
        """End the present stage here, in this epoch and those after it.

        The stages after it are as long as before, but for the last, which gets what is left over.

        Raises:
            ValueError: it is the last stage.

        Example:
            >>> from minigpt.datasets import RandomBatches
            >>> def letters(seed: int) -> RandomBatches:
            ...     return RandomBatches([0, 1, 2], block_size=1, batch_size=1, seed=seed)
            >>> batches = Curriculum([(letters(0), 5), (letters(1), 2), (letters(2), 1)])
            >>> _ = batches.next_batch()
            >>> batches.move_on()
            >>> batches.stage, batches.ends
            (1, [1, 3, 8])
        """
        stage = self.stage
        if stage == len(self.ends) - 1:
            raise ValueError(f"stage {stage} is the last one: there is nothing to move on to")
        saved = self.ends[stage] - self.position
        self.ends[stage:-1] = [end - saved for end in self.ends[stage:-1]]

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on exactly where ``state_dict()`` gave this state; on an error nothing has changed.

        Raises:
            ValueError: it is damaged, or of other stages.
        """
        if isinstance(state, Mapping):  # those of version 0.1.0 have no ends: all were as planned
            state = {"ends": list(accumulate(self._counts)), **state}
        super().load_state_dict(state)

    def __repr__(self) -> str:
        stages = (f"{n:,} of {b!r}" for n, b in zip(self._counts, self._stages, strict=True))
        return f"{type(self).__name__}({', '.join(stages)})"

    def _batch_at(self, position: int) -> tuple[Array, ...]:
        return self._stages[bisect_right(self.ends, position)].next_batch()

    def _identity(self) -> dict[str, Any]:
        return {"kind": self.kind, "counts": self._counts}

    def _random_state(self) -> dict[str, Any]:
        return {"ends": list(self.ends), "stages": [own.state_dict() for own in self._stages]}

    def _load_random_state(self, state: Mapping[str, Any]) -> None:
        ends, stages = self._checked_ends(state["ends"]), state["stages"]
        if not (isinstance(stages, list) and len(stages) == len(self._stages)):
            raise ValueError(f"stages of the state must be a list of {len(self._stages)} states")
        before = [batches.state_dict() for batches in self._stages]
        try:
            for batches, own in zip(self._stages, stages, strict=True):
                batches.load_state_dict(own)
        except (TypeError, ValueError):
            for batches, own in zip(self._stages, before, strict=True):
                batches.load_state_dict(own)
            raise
        self.ends = ends

    def _checked_ends(self, ends: Any) -> list[int]:
        """The ends of a state: ascending, none later than planned, the last one as planned."""
        latest = list(accumulate(self._counts))
        is_list = isinstance(ends, list) and all(type(end) is int for end in ends)
        if not (
            is_list
            and len(ends) == len(latest)
            and all(0 <= end <= planned for end, planned in zip(ends, latest, strict=True))
            and ends == sorted(ends)
            and ends[-1] == latest[-1]
        ):
            expected = f"an ascending list up to {latest[-1]}, with none above {latest}"
            raise checks.wrong_value("ends of the state", expected, ends)
        return list(ends)
