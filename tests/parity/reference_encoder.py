"""A masked language model and a classifier on ``torch.nn.TransformerEncoder``, as references."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("torch", reason='torch is not installed: pip install -e ".[parity]"')

import torch
import torch.nn.functional as F
from torch import nn

from tests.parity.reference_layers import Named, encoder_layer, linear, plain


class ReferenceEncoder(nn.Module):
    """Token and position embeddings, PyTorch's pre-norm layers, and a last norm."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        c = config
        assert (c.norm, c.activation, c.embedding_norm) == ("pre", "gelu_erf", False)
        self.tokens = nn.Embedding(c.vocab_size, c.n_embd)
        self.places = nn.Embedding(c.block_size, c.n_embd)
        layer = nn.TransformerEncoderLayer(
            c.n_embd, c.n_head, 4 * c.n_embd, c.dropout, "gelu", batch_first=True, norm_first=True
        )
        norm = nn.LayerNorm(c.n_embd)
        self.layers = nn.TransformerEncoder(layer, c.n_layer, norm, enable_nested_tensor=False)

    def forward(self, ids, mask):
        x = self.tokens(ids) + self.places(torch.arange(ids.shape[1]))
        return self.layers(x, src_key_padding_mask=~mask)

    def named(self, prefix: str) -> Named:
        yield from plain(f"{prefix}embeddings.token_embedding", self.tokens)
        yield from plain(f"{prefix}embeddings.position_embedding", self.places)
        for i, layer in enumerate(self.layers.layers):
            yield from encoder_layer(f"{prefix}blocks.{i}.", layer)
        yield from plain(f"{prefix}final_norm", self.layers.norm)


class ReferenceMaskedModel(nn.Module):
    """The encoder with BERT's head, which looks at the masked places only."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.stack = ReferenceEncoder(config)
        self.dense = nn.Linear(config.n_embd, config.n_embd)
        self.norm = nn.LayerNorm(config.n_embd)
        self.bias = nn.Parameter(torch.zeros(config.vocab_size))

    def loss(self, ids, targets, mask):
        asked = targets != -1
        x = self.norm(F.gelu(self.dense(self.stack(ids, mask)[asked])))
        return F.cross_entropy(F.linear(x, self.stack.tokens.weight, self.bias), targets[asked])

    def named(self) -> Named:
        yield from self.stack.named("stack.")
        yield from linear("head.dense", self.dense)
        yield from plain("head.norm", self.norm)
        yield "head.bias", self.bias, lambda x: x


class ReferenceClassifier(nn.Module):
    """The encoder, the mean of a text's hidden states, and a linear layer."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        assert config.pooling == "mean"
        self.stack = ReferenceEncoder(config.backbone)
        self.head = nn.Linear(config.backbone.n_embd, config.n_classes)

    def loss(self, ids, labels, mask):
        hidden = self.stack(ids, mask) * mask[..., None]
        pooled = hidden.sum(1) / mask.sum(1, keepdim=True)
        return F.cross_entropy(self.head(pooled), labels)

    def named(self) -> Named:
        yield from self.stack.named("backbone.")
        yield from linear("head", self.head)
