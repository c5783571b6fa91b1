"""Sequences that a model reads in part and says in part: prompts with answers, dialogues."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from minigpt import checks
from minigpt.autograd import Array
from minigpt.datasets.batches.examples import ExampleBatches
from minigpt.datasets.batches.sequences import Sequences
from minigpt.datasets.token_stream import check_id, check_size, check_stream


@dataclass(frozen=True)
class Completion:
    """A sequence of tokens, and of each whether the model is to learn to say it.

    Pieces that are read and pieces that are said add up, in any number and order: a prompt and its
    answer, or a dialogue of many turns.

    Attributes:
        ids: the tokens.
        said: as many booleans. The first token of a sequence is always read: nothing comes
            before it that it could be predicted from.

    Raises:
        ValueError: there are not as many ``said`` as ids, or an id is negative.

    Example:
        >>> completion = Completion.read([5, 6]) + Completion.say([7, 2])
        >>> completion.ids, completion.said
        ((5, 6, 7, 2), (False, False, True, True))
    """

    ids: tuple[int, ...]
    said: tuple[bool, ...]

    def __post_init__(self) -> None:
        ids = check_stream("ids", self.ids)
        if ids.size and ids.min() < 0:
            raise ValueError(f"ids hold {ids.min()}: an id is 0 or more")
        said = checks.regular("said", self.said, "booleans")
        if said.size:  # an empty tuple has no type of its own
            said = checks.booleans("said", said)
        if said.shape != ids.shape:
            raise ValueError(
                f"there are {ids.size} ids and said has shape {said.shape}: "
                "give one boolean for each token"
            )
        object.__setattr__(self, "ids", tuple(ids.tolist()))
        object.__setattr__(self, "said", tuple(said.tolist()))

    @classmethod
    def read(cls, ids: Iterable[int]) -> Completion:
        """The ids of tokens that the model reads."""
        ids = tuple(checks.items("ids", ids, "a list of integers"))
        return cls(ids, (False,) * len(ids))

    @classmethod
    def say(cls, ids: Iterable[int]) -> Completion:
        """The ids of tokens that the model is to say."""
        ids = tuple(checks.items("ids", ids, "a list of integers"))
        return cls(ids, (True,) * len(ids))

    def __add__(self, other: Completion) -> Completion:
        if not isinstance(other, Completion):
            return NotImplemented
        return Completion(self.ids + other.ids, self.said + other.said)

    def __len__(self) -> int:
        return len(self.ids)


class CompletionBatches(ExampleBatches):
    """Batches (ids, targets) for a GPT, whose loss runs over the tokens that it is to say.

    Of a completion z₁ … zₙ the model reads z₁ … zₙ₋₁, and is asked for

        targetₜ = zₜ₊₁ where zₜ₊₁ is to be said, −1 elsewhere

    so that the loss is −ln p(answer | prompt) by the chain rule (E6), divided by the number of
    tokens said. Rows are padded at their right, where the causal mask hides the padding.

    Args:
        completions: the examples.
        batch_size: examples in a batch.
        seed: of the order.
        pad_id: fills up the rows; no token of an example sees it.
        block_size: the context of the model, so that an example too long for it is found here.

    Attributes:
        longest: the most tokens that the model reads.

    Shapes:
        ids, targets: (B, T) int64, with T + 1 the longest completion of the batch

    Raises:
        ValueError: there are no completions, nothing is to be said in one, or one does not fit
            ``block_size``.

    Example:
        >>> prompt, answer = [5, 6], [7, 2]
        >>> batches = CompletionBatches(
        ...     [Completion.read(prompt) + Completion.say(answer)], batch_size=1, seed=0
        ... )
        >>> ids, targets = batches.next_batch()
        >>> ids.tolist(), targets.tolist()
        ([[5, 6, 7]], [[-1, 7, 2]])
    """

    kind = "completions"

    def __init__(
        self,
        completions: Sequence[Completion],
        batch_size: int,
        seed: int | np.random.Generator,
        *,
        pad_id: int = 0,
        block_size: int | None = None,
    ) -> None:
        completions = checks.items("completions", completions, "a list of Completion")
        for i, completion in enumerate(completions):
            mend = "pass Completion.read(prompt_ids) + Completion.say(answer_ids)"
            checks.instance(f"completions[{i}]", completion, Completion, mend)
            if not any(completion.said[1:]):
                raise ValueError(
                    f"completions[{i}] has nothing to say after its first token: "
                    "add an answer, with Completion.say(ids)"
                )
        self._ids = Sequences([completion.ids for completion in completions], "completions")
        said = [np.array(completion.said, np.int64) for completion in completions]
        self._said = Sequences(said, "said")
        self.pad_id = check_id("pad_id", pad_id)
        lengths = self._ids.lengths - 1
        self.longest = int(lengths.max())
        if block_size is not None and self.longest > check_size("block_size", block_size):
            raise ValueError(
                f"completions[{lengths.argmax()}] has the model read {self.longest} tokens, more "
                f"than block_size={block_size}: leave it out, or make the model with "
                f"block_size={self.longest}"
            )
        super().__init__(lengths, batch_size, seed)
        self._fingerprint = f"{self._ids.fingerprint()}-{self._said.fingerprint()}"

    def _batch_of(self, rows: Array, rng: np.random.Generator) -> tuple[Array, ...]:
        ids, mask = self._ids.padded(rows, self.pad_id)
        said, _ = self._said.padded(rows, 0)
        followed = mask[:, 1:]  # (B, T): the last token of a completion is not read
        read = np.where(followed, ids[:, :-1], self.pad_id)  # (B, T + 1) -> (B, T)
        return read, np.where(said[:, 1:] == 1, ids[:, 1:], -1)

    def _identity(self) -> dict[str, Any]:
        return {**super()._identity(), "pad_id": self.pad_id, "sha256": self._fingerprint}
