"""Llama's architecture in plain PyTorch: RMS norm, rotary positions, gated units, grouped queries.

Written from the papers (Touvron et al. 2023, §2.2; Su et al. 2021; Shazeer 2020; Ainslie et al.
2023) on PyTorch's own layers. Rotary pairs are the halves of a head, as in minigpt's models.
"""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("torch", reason='torch is not installed: pip install -e ".[parity]"')

import torch
import torch.nn.functional as F
from torch import nn

from tests.parity.reference_layers import Named, linear, plain


class ReferenceLlamaBlock(nn.Module):
    """x + Attention(RMS(x)), then x + MLP(RMS(x))."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        c, width = config, config.n_embd // config.n_head
        self.heads = (c.n_head, c.n_kv_head, c.n_kv_head)
        self.attention_norm = nn.RMSNorm(c.n_embd, c.layer_norm_eps)
        self.qkv = nn.Linear(c.n_embd, sum(self.heads) * width, bias=False)
        self.out = nn.Linear(c.n_embd, c.n_embd, bias=False)
        self.mlp_norm = nn.RMSNorm(c.n_embd, c.layer_norm_eps)
        self.gate = nn.Linear(c.n_embd, c.n_inner, bias=False)
        self.up = nn.Linear(c.n_embd, c.n_inner, bias=False)
        self.down = nn.Linear(c.n_inner, c.n_embd, bias=False)

    def forward(self, x, cos, sin):
        b, t, c = x.shape
        qkv = self.qkv(self.attention_norm(x)).view(b, t, sum(self.heads), -1).transpose(1, 2)
        q, k, v = qkv.split(self.heads, dim=1)
        q, k = turned(q, cos, sin), turned(k, cos, sin)
        heads = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
        x = x + self.out(heads.transpose(1, 2).reshape(b, t, c))
        y = self.mlp_norm(x)
        return x + self.down(F.silu(self.gate(y)) * self.up(y))


class ReferenceLlama(nn.Module):
    """Token embeddings, blocks, a last norm, and a head of its own."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        c = config
        self.tokens = nn.Embedding(c.vocab_size, c.n_embd)
        self.blocks = nn.ModuleList(ReferenceLlamaBlock(c) for _ in range(c.n_layer))
        self.last_norm = nn.RMSNorm(c.n_embd, c.layer_norm_eps)
        self.head = nn.Linear(c.n_embd, c.vocab_size, bias=False)
        d = c.n_embd // c.n_head
        frequencies = c.rotary_base ** (-torch.arange(0, d, 2, dtype=torch.float64) / d)
        angles = torch.arange(c.block_size, dtype=torch.float64)[:, None] * frequencies
        angles = torch.cat([angles, angles], dim=1)
        self.register_buffer("cos", angles.cos().float())
        self.register_buffer("sin", angles.sin().float())

    def forward(self, ids):
        x, t = self.tokens(ids), ids.shape[1]
        for block in self.blocks:
            x = block(x, self.cos[:t], self.sin[:t])
        return self.head(self.last_norm(x))

    def loss(self, ids, targets):
        return F.cross_entropy(self(ids).flatten(0, 1), targets.flatten(), ignore_index=-1)

    def named(self) -> Named:
        yield from plain("token_embedding", self.tokens)
        for i, block in enumerate(self.blocks):
            name = f"blocks.{i}."
            yield from plain(f"{name}attention_norm", block.attention_norm)
            yield from linear(f"{name}attention.qkv_proj", block.qkv)
            yield from linear(f"{name}attention.out_proj", block.out)
            yield from plain(f"{name}mlp_norm", block.mlp_norm)
            yield from linear(f"{name}mlp.gate_proj", block.gate)
            yield from linear(f"{name}mlp.up_proj", block.up)
            yield from linear(f"{name}mlp.down_proj", block.down)
        yield from plain("final_norm", self.last_norm)
        yield from linear("head", self.head)


def turned(x, cos, sin):
    """Each pair of features turned by the angle of its token's place."""
    a, b = x.chunk(2, dim=-1)
    return x * cos + torch.cat([-b, a], dim=-1) * sin
