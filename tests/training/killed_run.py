"""A run to be killed: ``python -m tests.training.killed_run FOLDER STEPS``.

It goes on from the folder's newest checkpoint, if there is one, and prints a line a step.
"""

from __future__ import annotations

import sys
from pathlib import Path

from minigpt.training import Callback, Trainer
from tests.training.tiny import config, tiny_gpt, tokens


class Lines(Callback):
    def on_step(self, trainer, record):
        print(trainer.step, flush=True)


def run(folder: Path | None, steps: int, callbacks=(), progress: bool = False) -> Trainer:
    """Everything a run can have: dropout, accumulation, two workers, the best kept."""
    train, val = tokens()[:500], tokens()[500:]
    if folder is not None and any(folder.glob("step-*.npz")):
        return Trainer.resume(folder, train, val, callbacks=callbacks)
    settings = config(
        max_steps=steps, gradient_accumulation=2, workers=2, checkpoint_interval=3,
        eval_interval=5, checkpoint_dir=folder, progress=progress,
    )  # fmt: skip
    return Trainer(tiny_gpt(dropout=0.2), train, val, settings, callbacks=callbacks)


if __name__ == "__main__":
    run(Path(sys.argv[1]), int(sys.argv[2]), [Lines()]).fit()
