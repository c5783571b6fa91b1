"""What a run leaves on the disk, and models made from it again.

Reading order: ``archive`` (a sealed file of arrays), ``checkpoint`` (arrays and metadata),
``folder`` (the checkpoints of a run), ``rebuilding`` and ``adaptation`` (the model of a
checkpoint), ``adapters`` (those of LoRA without their model), ``loading``.
"""

from minigpt.checkpoints.adapters import load_lora, save_lora
from minigpt.checkpoints.archive import CheckpointError
from minigpt.checkpoints.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from minigpt.checkpoints.folder import latest_checkpoint
from minigpt.checkpoints.loading import LoadedModel, load_model

__all__ = [
    "Checkpoint",
    "CheckpointError",
    "LoadedModel",
    "latest_checkpoint",
    "load_checkpoint",
    "load_lora",
    "load_model",
    "save_checkpoint",
    "save_lora",
]
