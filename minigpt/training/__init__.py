"""Training: the Trainer, its checkpoints, and a batch on several cores.

Reading order: ``trainer`` (the loop), ``config`` (its settings), ``trainable`` (what it asks of a
model), ``batches`` and ``evaluation``, ``parallel``, ``history`` and ``callbacks``; then
``snapshot``, ``checkpoint``, ``archive`` and ``folder`` (how a run survives being killed).
"""

from minigpt.training.archive import CheckpointError
from minigpt.training.callbacks import Callback
from minigpt.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from minigpt.training.config import TrainerConfig
from minigpt.training.diverged import TrainingDiverged
from minigpt.training.evaluation import evaluate
from minigpt.training.folder import latest_checkpoint
from minigpt.training.history import History
from minigpt.training.loading import load_model
from minigpt.training.plots import plot_history
from minigpt.training.trainable import Trainable
from minigpt.training.trainer import Trainer

__all__ = [
    "Callback",
    "Checkpoint",
    "CheckpointError",
    "History",
    "Trainable",
    "Trainer",
    "TrainerConfig",
    "TrainingDiverged",
    "evaluate",
    "latest_checkpoint",
    "load_checkpoint",
    "load_model",
    "plot_history",
    "save_checkpoint",
]
