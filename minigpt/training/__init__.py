"""Training: the Trainer, its settings, its history, and a batch on several cores or machines.

Reading order: ``plain`` (the loop on one page), ``trainer`` (the same loop, and what goes with it)
and ``descent`` (one step of it), ``config`` (its settings), ``run`` (where it stands),
``trainable`` (what it asks of a model), ``batches`` and ``evaluation``, ``parallel`` (threads),
``ranks`` and ``distributed`` (processes, on many machines), ``history``, ``callbacks`` and
``mastery`` (a curriculum that moves on when a stage is known); then ``logbook``, ``files``,
``snapshot`` and ``resuming`` (how a run survives being killed; see ``minigpt.checkpoints``).
"""

from typing import TYPE_CHECKING

from minigpt.first_use import on_first_use
from minigpt.training.callbacks import Callback
from minigpt.training.config import TrainerConfig
from minigpt.training.diverged import TrainingDiverged
from minigpt.training.evaluation import evaluate
from minigpt.training.history import History
from minigpt.training.mastery import Mastery
from minigpt.training.ranks import Ranks
from minigpt.training.trainable import Trainable
from minigpt.training.trainer import Trainer

if TYPE_CHECKING:
    from minigpt.training.plots import plot_losses
else:
    __getattr__, __dir__ = on_first_use(__name__, {"plots": ["plot_losses"]})

__all__ = [
    "Callback",
    "History",
    "Mastery",
    "Ranks",
    "Trainable",
    "Trainer",
    "TrainerConfig",
    "TrainingDiverged",
    "evaluate",
    "plot_losses",
]
