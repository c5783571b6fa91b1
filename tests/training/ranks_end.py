"""A run on several ranks that ends badly: ``python -m tests.training.ranks_end FOLDER HOW STEPS``.

The first rank prints the processes of all, and then a line a step. It goes on from the folder's
newest checkpoint, if there is one.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from minigpt.training import Callback, Trainer
from minigpt.training.ranks import Ranks
from tests.training.tiny import config, tiny_gpt, tokens


class Lines(Callback):
    def on_step(self, trainer, record):
        print(trainer.step, flush=True)


def run(folder: Path | None, steps: int, callbacks=()) -> Trainer:
    train, val = tokens()[:500], tokens()[500:]
    if folder is not None and any(folder.glob("step-*.npz")):
        return Trainer.resume(folder, train, val, callbacks=callbacks, max_steps=steps)
    settings = config(
        max_steps=steps, warmup_steps=2, gradient_accumulation=2, checkpoint_interval=3,
        eval_interval=5, schedule="constant", checkpoint_dir=folder,
    )  # fmt: skip
    return Trainer(tiny_gpt(dropout=0.2), train, val, settings, callbacks=callbacks)


def fails_at(trainer: Trainer, step: int, error: BaseException) -> None:
    """Let the last rank's loss raise an error in a step."""
    loss = trainer._objective.loss

    def failing(batch, rng):
        if trainer.step == step:
            raise error
        return loss(batch, rng)

    if trainer.ranks.rank == trainer.ranks.count - 1:
        trainer._objective.loss = failing  # type: ignore[method-assign]


def main() -> None:
    folder, how, steps = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    is_last = int(os.environ["PMI_RANK"]) == int(os.environ["PMI_SIZE"]) - 1
    if how == "damaged" and is_last:
        raise ValueError("this file is damaged")
    if how == "exits early" and is_last:
        sys.exit("there is nothing to read here")
    trainer = run(folder, steps, [Lines()])
    pids = trainer.ranks.gathered(os.getpid())
    if trainer.ranks.is_first:
        print(*pids, flush=True)
    if how == "leaves" and is_last:
        return
    errors: dict[str, BaseException] = {
        "memory": MemoryError("no room"),
        "exits": SystemExit(3),
        "caught": KeyError("mine"),
    }
    if how in errors:
        fails_at(trainer, 4, errors[how])
    try:
        trainer.fit()
    except KeyError:
        trainer.fit()  # as if nothing had happened
    if Ranks.of_this_job().is_first:
        print("end", trainer.step, flush=True)


if __name__ == "__main__":
    main()
