"""Optimizers, gradient clipping and learning-rate schedules.

Reading order: :mod:`~minigpt.optim.plain` (the equations on one page), :mod:`~minigpt.optim.sgd`,
:mod:`~minigpt.optim.adam` and :mod:`~minigpt.optim.muon` (the fast forms),
:mod:`~minigpt.optim.optimizer` (what they share), :mod:`~minigpt.chunks` (what makes them quick),
:mod:`~minigpt.optim.clipping`, :mod:`~minigpt.optim.schedules`.
"""

from minigpt.optim import plain
from minigpt.optim.adam import Adam, AdamW
from minigpt.optim.clipping import clip_grad_norm, gradient_norm
from minigpt.optim.muon import Muon
from minigpt.optim.optimizer import Optimizer
from minigpt.optim.schedules import constant, trapezoid, warmup_cosine, warmup_linear
from minigpt.optim.sgd import SGD

__all__ = [
    "SGD",
    "Adam",
    "AdamW",
    "Muon",
    "Optimizer",
    "clip_grad_norm",
    "constant",
    "gradient_norm",
    "plain",
    "trapezoid",
    "warmup_cosine",
    "warmup_linear",
]
