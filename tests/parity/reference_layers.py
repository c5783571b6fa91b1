"""PyTorch's own transformer layers under minigpt's names: what parameters and gradients are called.

A weight of a linear layer is (out, in) in PyTorch and (in, out) in minigpt; PyTorch keeps the
projections of query, key and value in one matrix, whose rows are cut here as minigpt cuts them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason='torch is not installed: pip install -e ".[parity]"')

import torch
from torch import nn

Named = Iterator[tuple[str, Any, Callable[[Any], Any]]]  # minigpt's name, the parameter, its view


def same(x):
    return x


def transposed(x):
    return x.T


def linear(name: str, module: nn.Linear) -> Named:
    yield f"{name}.weight", module.weight, transposed
    if module.bias is not None:
        yield f"{name}.bias", module.bias, same


def plain(name: str, module: Any) -> Named:
    """Layer norms and embeddings are laid out alike."""
    yield f"{name}.weight", module.weight, same
    if getattr(module, "bias", None) is not None:
        yield f"{name}.bias", module.bias, same


def rows(name: str, attention: nn.MultiheadAttention, first: int, last: int) -> Named:
    """Of the joint projection, the parts from the first to before the last of Q, K, V."""
    c = attention.embed_dim
    here = slice(first * c, last * c)
    yield f"{name}.weight", attention.in_proj_weight, lambda x: x[here].T
    if attention.in_proj_bias is not None:
        yield f"{name}.bias", attention.in_proj_bias, lambda x: x[here]


def encoder_layer(name: str, layer: nn.TransformerEncoderLayer) -> Named:
    yield from plain(f"{name}attention_norm", layer.norm1)
    yield from rows(f"{name}attention.qkv_proj", layer.self_attn, 0, 3)
    yield from linear(f"{name}attention.out_proj", layer.self_attn.out_proj)
    yield from plain(f"{name}mlp_norm", layer.norm2)
    yield from linear(f"{name}mlp.up_proj", layer.linear1)
    yield from linear(f"{name}mlp.down_proj", layer.linear2)


def decoder_layer(name: str, layer: nn.TransformerDecoderLayer) -> Named:
    yield from plain(f"{name}attention_norm", layer.norm1)
    yield from rows(f"{name}attention.qkv_proj", layer.self_attn, 0, 3)
    yield from linear(f"{name}attention.out_proj", layer.self_attn.out_proj)
    yield from plain(f"{name}cross_attention_norm", layer.norm2)
    yield from rows(f"{name}cross_attention.q_proj", layer.multihead_attn, 0, 1)
    yield from rows(f"{name}cross_attention.kv_proj", layer.multihead_attn, 1, 3)
    yield from linear(f"{name}cross_attention.out_proj", layer.multihead_attn.out_proj)
    yield from plain(f"{name}mlp_norm", layer.norm3)
    yield from linear(f"{name}mlp.up_proj", layer.linear1)
    yield from linear(f"{name}mlp.down_proj", layer.linear2)


def cross_attention(name: str, attention: nn.MultiheadAttention) -> Named:
    yield from rows(f"{name}q_proj", attention, 0, 1)
    yield from rows(f"{name}kv_proj", attention, 1, 3)
    yield from linear(f"{name}out_proj", attention.out_proj)


@torch.no_grad()
def load(named: Named, state: dict[str, np.ndarray]) -> None:
    """Take over the parameters of a minigpt module: all of them, and no other."""
    left = dict(state)
    for name, parameter, view in named:
        own = view(parameter.data)
        assert tuple(own.shape) == left[name].shape, name
        own.copy_(torch.from_numpy(np.ascontiguousarray(left.pop(name))))
    assert not left, f"PyTorch has no {sorted(left)}"


def assert_same_gradients(ours: Any, named: Named, tolerance: float) -> None:
    """Every parameter's gradient, relative to its largest."""
    expected = {name: view(parameter.grad).numpy() for name, parameter, view in named}
    found = {name: p.grad for name, p in ours.named_parameters()}
    assert found.keys() == expected.keys()
    for name, gradient in expected.items():
        scale = max(np.abs(gradient).max(), 1e-3)
        error = np.abs(found[name] - gradient).max() / scale
        assert error < tolerance, f"{name}: {error:.1e}"


class Translator(nn.Module):
    """Vaswani's transformer out of PyTorch's encoder and decoder stacks."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        c = config
        sizes = {"dropout": 0.0, "batch_first": True, "norm_first": c.norm == "pre"}
        layers = (c.n_embd, c.n_head, 4 * c.n_embd)
        norms = [nn.LayerNorm(c.n_embd) if c.norm == "pre" else None for _ in range(2)]
        self.source = nn.Embedding(c.source_vocab_size, c.n_embd)
        self.target = self.source
        if not c.share_embeddings:
            self.target = nn.Embedding(c.target_vocab_size, c.n_embd)
        self.encoder = nn.TransformerEncoder(
            nn.TransformerEncoderLayer(*layers, **sizes), c.n_layer, norms[0],
            enable_nested_tensor=False,
        )  # fmt: skip
        self.decoder = nn.TransformerDecoder(
            nn.TransformerDecoderLayer(*layers, **sizes), c.n_decoder_layer, norms[1]
        )
        self.width, self.norm = c.n_embd, c.norm

    def positioned(self, x):
        """√d·E[id] + PE, the sine and the cosine of a pair side by side."""
        place = torch.arange(x.shape[1], dtype=torch.float64)[:, None]
        feature = torch.arange(self.width)
        angle = place / 10000 ** ((feature - feature % 2) / self.width)
        table = torch.where(feature % 2 == 0, angle.sin(), angle.cos())
        return x * self.width**0.5 + table.to(x.dtype)

    def forward(self, source_ids, target_ids, source_mask):
        hidden = ~source_mask
        future = ~torch.ones(2 * target_ids.shape[-1:], dtype=torch.bool).tril()
        memory = self.encoder(self.positioned(self.source(source_ids)), src_key_padding_mask=hidden)
        y = self.decoder(
            self.positioned(self.target(target_ids)), memory, tgt_mask=future,
            memory_key_padding_mask=hidden,
        )  # fmt: skip
        return y @ self.target.weight.T

    def loss(self, source_ids, target_in, target_out, source_mask):
        logits = self(source_ids, target_in, source_mask)
        return nn.functional.cross_entropy(
            logits.flatten(0, 1), target_out.flatten(), ignore_index=-1
        )

    def named(self):
        yield from plain("encoder.embeddings.token_embedding", self.source)
        if self.target is not self.source:
            yield from plain("decoder.embeddings.token_embedding", self.target)
        for i, layer in enumerate(self.encoder.layers):
            yield from encoder_layer(f"encoder.blocks.{i}.", layer)
        for i, layer in enumerate(self.decoder.layers):
            yield from decoder_layer(f"decoder.blocks.{i}.", layer)
        if self.norm == "pre":
            yield from plain("encoder.final_norm", self.encoder.norm)
            yield from plain("decoder.final_norm", self.decoder.norm)
