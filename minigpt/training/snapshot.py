"""Everything a run needs to go on as if it had never stopped, as arrays and JSON, and back.

Dropout's generators are not among it: they are made anew for every step, from the seed and the
number of the step.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from minigpt import checks
from minigpt.autograd import Array
from minigpt.checkpoints import Checkpoint, CheckpointError
from minigpt.checkpoints.checkpoint import under
from minigpt.checkpoints.loading import FORMAT, VERSION
from minigpt.checkpoints.rebuilding import PREFIX, describe_model
from minigpt.optim.optimizer import Optimizer
from minigpt.training.batches import Batches, FixedBatches
from minigpt.training.config import LARGEST
from minigpt.training.history import History
from minigpt.training.run import Best, Run

_OPTIMIZER, _BATCHES, _HISTORY = "optimizer/", "batches/", "history/"


def take_snapshot(
    run: Run,
    model: Any,
    optimizer: Mapping[str, Any],
    batches: Mapping[str, Any],
    splits: Mapping[str, FixedBatches],
    texts: Mapping[str, Any],
    tokenizer: Any,
) -> tuple[dict[str, Array], dict[str, Any]]:
    """The arrays and the metadata of a run's checkpoint, from the state of its parts."""
    arrays = {PREFIX + name: array for name, array in model.state_dict().items()}
    columns, history = run.history.to_arrays()
    arrays |= {_HISTORY + name: array for name, array in columns.items()}
    metadata = {
        "format": FORMAT,
        "version": VERSION,
        "step": run.step,
        "elapsed": run.elapsed,
        "run": run.id,
        "best": run.best.to_dict(),
        "model": describe_model(model),
        "optimizer": _split(optimizer, _OPTIMIZER, arrays),
        "batches": _split(batches, _BATCHES, arrays),
        "evaluation_batches": {name: fixed.start for name, fixed in splits.items()},
        "texts": dict(texts),
        "config": run.config.to_dict(),
        "tokenizer": None if tokenizer is None else tokenizer.to_dict(),
        "history": history,
    }
    return arrays, metadata


def put_back(
    path: Path,
    checkpoint: Checkpoint,
    run: Run,
    optimizer: Optimizer,
    batches: Batches,
    splits: Mapping[str, FixedBatches],
) -> None:
    """Bring a new trainer, whose model has its parameters already, to where the snapshot was taken.

    Raises:
        CheckpointError: the parts of the checkpoint do not fit.
    """
    stored, arrays = checkpoint.metadata, checkpoint.arrays
    try:
        for name, value in stored["optimizer"].items():
            if isinstance(value, int):
                checks.integer(f"optimizer[{name!r}]", value, least=0, most=LARGEST)
        optimizer.load_state_dict(_joined(stored["optimizer"], _OPTIMIZER, arrays))
        place = _joined(stored["batches"], _BATCHES, arrays)
        now, then = run.config, stored["config"]
        if now.batch_size != then["batch_size"]:
            place = _in_batches_of(now.batch_size, place, batches)
        elif now.eval_batches == then["eval_batches"]:
            for name, fixed in splits.items():
                fixed.start = stored["evaluation_batches"].get(name, fixed.start)
        batches.load_state_dict(place)
        run.history = History.from_arrays(under(_HISTORY, arrays), stored["history"])
        run.step = checks.integer("step", stored["step"], least=0, most=LARGEST)
        run.elapsed = checks.number("elapsed", stored["elapsed"], least=0)
        run.id = checks.text("run", stored["run"])
        run.best = Best.from_dict(stored["best"])
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise CheckpointError(path, f"the run cannot go on from it: {error}") from error


def _in_batches_of(size: int, place: Mapping[str, Any], batches: Batches) -> dict[str, Any]:
    """The same place in a text that is drawn from at random, counted in batches of another size."""
    position = place["position"] * place["batch_size"] // size
    last = batches.batches_per_epoch - 1
    return {**place, "batch_size": size, "position": min(position, last)}


def _split(state: Mapping[str, Any], prefix: str, arrays: dict[str, Array]) -> dict[str, Any]:
    """What of a state goes to JSON; its arrays are put among ``arrays``, under the prefix."""
    arrays |= {prefix + name: v for name, v in state.items() if isinstance(v, np.ndarray)}
    return {name: v for name, v in state.items() if not isinstance(v, np.ndarray)}


def _joined(state: dict[str, Any], prefix: str, arrays: Mapping[str, Array]) -> dict[str, Any]:
    """A state with its arrays again."""
    return state | under(prefix, arrays)
