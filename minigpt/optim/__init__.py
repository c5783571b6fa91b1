"""Optimizers, gradient clipping and learning-rate schedules.

Reading order: :mod:`~minigpt.optim.sgd` and :mod:`~minigpt.optim.adam` (the equations),
:mod:`~minigpt.optim.optimizer` (what they share), :mod:`~minigpt.chunks` (what makes them
quick), :mod:`~minigpt.optim.clipping`, :mod:`~minigpt.optim.schedules`.
"""

from minigpt.optim.adam import Adam, AdamW, adam_reference, adamw_reference
from minigpt.optim.clipping import clip_grad_norm, gradient_norm
from minigpt.optim.optimizer import Optimizer
from minigpt.optim.schedules import constant, warmup_cosine, warmup_linear
from minigpt.optim.sgd import SGD, sgd_reference

__all__ = [
    "SGD",
    "Adam",
    "AdamW",
    "Optimizer",
    "adam_reference",
    "adamw_reference",
    "clip_grad_norm",
    "constant",
    "gradient_norm",
    "sgd_reference",
    "warmup_cosine",
    "warmup_linear",
]
