"""An LSTM language model on ``torch.nn.LSTM``, as the reference that minigpt's is compared with."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason='torch is not installed: pip install -e ".[parity]"')

import torch
import torch.nn.functional as F
from torch import nn


class ReferenceLSTM(nn.Module):
    """Embedding, LSTM layers with dropout between them, and a head.

    PyTorch keeps matrices transposed, and a second bias, which here is 0 and not learned.
    """

    def __init__(self, vocab_size, n_embd, n_hidden, n_layer):
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, n_embd)
        self.lstm = nn.LSTM(n_embd, n_hidden, n_layer, batch_first=True)
        self.head = nn.Linear(n_hidden, vocab_size)
        for name, p in self.lstm.named_parameters():
            if name.startswith("bias_hh"):
                nn.init.zeros_(p)
                p.requires_grad_(False)

    @classmethod
    def like(cls, ours):
        """With the sizes, the dtype and the parameters of one of minigpt's models."""
        c, arrays = ours.config, ours.state_dict()
        theirs = cls(c.vocab_size, c.n_embd, c.n_hidden, c.n_layer)
        theirs.to(getattr(torch, str(next(iter(arrays.values())).dtype)))
        with torch.no_grad():
            for name, (p, transposed) in theirs.counterparts().items():
                array = torch.from_numpy(arrays[name])
                p.copy_(array.T if transposed else array)
        return theirs

    def counterparts(self):
        """By minigpt's names: the parameter here, and whether it is transposed."""
        found = {
            "token_embedding.weight": (self.embedding.weight, False),
            "head.weight": (self.head.weight, True),
            "head.bias": (self.head.bias, False),
        }
        for n in range(self.lstm.num_layers):
            for name in ("weight_ih", "weight_hh"):
                found[f"layers.{n}.{name}"] = (getattr(self.lstm, f"{name}_l{n}"), True)
            found[f"layers.{n}.bias"] = (getattr(self.lstm, f"bias_ih_l{n}"), False)
        return found

    def forward(self, ids, state=None):
        h, state = self.lstm(self.embedding(ids), state)
        return self.head(h), state

    def loss(self, ids, targets, state=None):
        """The mean cross-entropy, and the state for the next batch, cut from the graph."""
        logits, (h, c) = self(ids, state)
        loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=-1)
        return loss, (h.detach(), c.detach())

    def gradients(self):
        """By minigpt's names, as minigpt has them."""
        return {
            name: (p.grad.T if transposed else p.grad).numpy()
            for name, (p, transposed) in self.counterparts().items()
        }
