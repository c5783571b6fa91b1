"""GPT-2's architecture in plain PyTorch, as the reference that minigpt's GPT is compared with.

Written from the papers (Radford et al. 2018 and 2019, Vaswani et al. 2017) on top of PyTorch's own
layers and autograd: nothing of minigpt is in it but the names that `load` and `gradients` take.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

pytest.importorskip("torch", reason='torch is not installed: pip install -e ".[parity]"')

import torch
import torch.nn.functional as F
from torch import nn


class ReferenceBlock(nn.Module):
    """Pre-norm: x + Attention(LN(x)), then x + MLP(LN(x))."""

    def __init__(self, n_embd, n_head, bias, activation, dropout):
        super().__init__()
        self.n_head = n_head
        self.activation = activation
        self.attention_norm = nn.LayerNorm(n_embd, bias=bias)
        self.qkv = nn.Linear(n_embd, 3 * n_embd, bias=bias)
        self.attention_out = nn.Linear(n_embd, n_embd, bias=bias)
        self.mlp_norm = nn.LayerNorm(n_embd, bias=bias)
        self.mlp_up = nn.Linear(n_embd, 4 * n_embd, bias=bias)
        self.mlp_down = nn.Linear(4 * n_embd, n_embd, bias=bias)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x):
        b, t, c = x.shape
        q, k, v = (
            part.view(b, t, self.n_head, c // self.n_head).transpose(1, 2)
            for part in self.qkv(self.attention_norm(x)).split(c, dim=-1)
        )
        p = self.dropout.p if self.training else 0.0
        heads = F.scaled_dot_product_attention(q, k, v, dropout_p=p, is_causal=True)
        x = x + self.dropout(self.attention_out(heads.transpose(1, 2).reshape(b, t, c)))
        hidden = self.mlp_up(self.mlp_norm(x))
        if self.activation == "relu":
            hidden = F.relu(hidden)
        else:
            hidden = F.gelu(
                hidden, approximate="tanh" if self.activation == "gelu_tanh" else "none"
            )
        return x + self.dropout(self.mlp_down(hidden))


class ReferenceGPT(nn.Module):
    """Token and position embeddings, blocks, a last norm, and a head that may be tied."""

    def __init__(
        self, vocab_size, block_size, n_layer, n_head, n_embd, bias=True, activation="gelu_tanh",
        tie_head=True, dropout=0.0,
    ):  # fmt: skip
        super().__init__()
        self.tokens = nn.Embedding(vocab_size, n_embd)
        self.positions = nn.Embedding(block_size, n_embd)
        self.blocks = nn.ModuleList(
            ReferenceBlock(n_embd, n_head, bias, activation, dropout) for _ in range(n_layer)
        )
        self.last_norm = nn.LayerNorm(n_embd, bias=bias)
        self.head = nn.Linear(n_embd, vocab_size, bias=False)
        self.is_tied = tie_head
        self.dropout = nn.Dropout(dropout)
        if tie_head:
            self.head.weight = self.tokens.weight

    def forward(self, ids):
        x = self.dropout(self.tokens(ids) + self.positions(torch.arange(ids.shape[1])))
        for block in self.blocks:
            x = block(x)
        return self.head(self.last_norm(x))

    def loss(self, ids, targets):
        logits = self(ids)
        return F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=-1)

    # ── minigpt's names ───────────────────────────────────────────────────────────────────────

    def modules_by_name(self):
        """minigpt's name of each module that learns something -> the module here."""
        modules = {
            "token_embedding": self.tokens,
            "position_embedding": self.positions,
            "final_norm": self.last_norm,
        }
        if not self.is_tied:
            modules["head"] = self.head
        for i, block in enumerate(self.blocks):
            modules |= {
                f"blocks.{i}.attention_norm": block.attention_norm,
                f"blocks.{i}.attention.qkv_proj": block.qkv,
                f"blocks.{i}.attention.out_proj": block.attention_out,
                f"blocks.{i}.mlp_norm": block.mlp_norm,
                f"blocks.{i}.mlp.up_proj": block.mlp_up,
                f"blocks.{i}.mlp.down_proj": block.mlp_down,
            }
        return modules

    def named_arrays(self, of):
        """minigpt's name of each parameter -> ``of(parameter)`` as minigpt lays it out.

        A weight of a linear layer is (out, in) in PyTorch and (in, out) in minigpt.
        """
        arrays = {}
        for name, module in self.modules_by_name().items():
            weight = of(module.weight)
            arrays[f"{name}.weight"] = weight.T if isinstance(module, nn.Linear) else weight
            if getattr(module, "bias", None) is not None:
                arrays[f"{name}.bias"] = of(module.bias)
        return arrays

    @torch.no_grad()
    def load(self, state):
        """Take over the parameters of a minigpt GPT: all of them, and no other."""
        own = self.named_arrays(lambda parameter: parameter.data)
        assert own.keys() == state.keys()
        for name, array in state.items():
            assert tuple(own[name].shape) == array.shape, name
            own[name].copy_(torch.from_numpy(np.ascontiguousarray(array)))
        return self

    def gradients(self):
        return self.named_arrays(lambda parameter: parameter.grad.numpy())

    def arrays(self):
        return self.named_arrays(lambda parameter: parameter.detach().numpy())


def reference_adamw(model, weight_decay, betas):
    """AdamW that decays matrices and embeddings, and leaves biases and norms alone."""
    matrices = [p for p in model.parameters() if p.dim() >= 2]
    vectors = [p for p in model.parameters() if p.dim() < 2]
    groups = [
        {"params": matrices, "weight_decay": weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, betas=betas)


def reference_learning_rate(step, peak, floor, warmup_steps, max_steps):
    """A linear rise, then half a cosine down to ``floor``."""
    if step < warmup_steps:
        return peak * (step + 1) / (warmup_steps + 1)
    progress = (step - warmup_steps) / (max_steps - warmup_steps)
    return floor + (peak - floor) * (1 + math.cos(math.pi * progress)) / 2
