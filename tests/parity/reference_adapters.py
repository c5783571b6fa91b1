"""Linear layers that ReferenceGPT does without: with a low-rank adapter, and in several parts."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch", reason='torch is not installed: pip install -e ".[parity]"')

import torch
import torch.nn.functional as F
from torch import nn


class AdaptedLinear(nn.Module):
    """y = W x + b + (α/r) B A x, where A and B learn (Hu et al. 2021, §4.1)."""

    def __init__(self, linear: nn.Linear, rank: int, alpha: float) -> None:
        super().__init__()
        self.linear, self.scale = linear.requires_grad_(False), alpha / rank
        self.a = nn.Parameter(torch.randn(rank, linear.in_features) / linear.in_features**0.5)
        self.b = nn.Parameter(torch.zeros(linear.out_features, rank))

    def forward(self, x):
        return self.linear(x) + F.linear(self.scale * F.linear(x, self.a), self.b)


def adapt(model, rank, state=None):
    """Freeze a ReferenceGPT, and put adapters beside the matrices of attention.

    ``state`` holds minigpt's adapters by name.
    """
    model.requires_grad_(False)
    for i, block in enumerate(model.blocks):
        for ours, theirs in (("qkv_proj", "qkv"), ("out_proj", "attention_out")):
            adapted = AdaptedLinear(getattr(block, theirs), rank, rank)
            setattr(block, theirs, adapted)
            if state is not None:
                name = f"blocks.{i}.attention.{ours}.lora_"
                with torch.no_grad():
                    adapted.a.copy_(torch.from_numpy(np.ascontiguousarray(state[f"{name}a"].T)))
                    adapted.b.copy_(torch.from_numpy(np.ascontiguousarray(state[f"{name}b"].T)))
    return model


class LinearInParts(nn.Module):
    """A linear layer whose matrix is kept in parts, as those of Q, K and V: each one parameter."""

    def __init__(self, linear: nn.Linear, parts: int) -> None:
        super().__init__()
        self.parts = nn.ParameterList(w.clone() for w in linear.weight.detach().chunk(parts))

    def forward(self, x):
        return F.linear(x, torch.cat(list(self.parts)))
