"""Models and tokenizers that make mistakes visible, and the plain loops they are compared with."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from minigpt.grad_mode import is_evaluating
from minigpt.tensor import Tensor


class HashModel:
    """Its logits are a hash of exactly the tokens it may see, and of where they stand.

    One token too many, too few or at another position, and they are altogether different.
    """

    def __init__(self, vocab_size=11, block_size=6, sharpness=3.0):
        self.config = SimpleNamespace(vocab_size=vocab_size, block_size=block_size)
        self.sharpness = sharpness
        self.training = True
        self.calls = []  # (rows, tokens) of each call
        self.training_in_calls = set()
        self.fail_at_call = None

    def named_modules(self):
        yield "", self

    def new_cache(self, batch_size, capacity=None):
        return TokenCache(batch_size, capacity)

    def __call__(self, ids, attention_mask=None, positions=None, cache=None):
        self.calls.append(ids.shape)
        self.training_in_calls.add(self.training and not is_evaluating())
        if len(self.calls) == self.fail_at_call:
            raise KeyboardInterrupt
        n_rows, n_new = ids.shape
        n_past = 0 if cache is None else cache.length
        if positions is None:
            positions = np.broadcast_to(np.arange(n_past, n_past + n_new), ids.shape)
        tokens = np.stack([ids, positions], axis=-1)
        if cache is not None:
            tokens = cache.extend(tokens)
        n_seen = tokens.shape[1]
        assert n_seen == n_past + n_new
        assert self.config.block_size is None or n_seen <= self.config.block_size
        mask = np.ones((n_rows, n_seen), bool) if attention_mask is None else attention_mask
        assert mask.shape == (n_rows, n_seen)
        logits = np.zeros((n_rows, n_new, self.config.vocab_size), np.float32)
        for row in range(n_rows):
            for t in range(n_new):
                end = n_past + t + 1
                seen = tokens[row, :end][mask[row, :end]].ravel()
                noise = np.random.default_rng([7, len(seen), *seen])
                logits[row, t] = self.sharpness * noise.standard_normal(logits.shape[-1])
        return Tensor(logits)


class TokenCache:
    def __init__(self, batch_size, capacity):
        self.capacity = capacity
        self.clear(batch_size)

    def clear(self, batch_size=None):
        batch_size = len(self.tokens) if batch_size is None else batch_size
        self.tokens = np.zeros((batch_size, 0, 2), int)

    @property
    def length(self):
        return self.tokens.shape[1]

    def extend(self, tokens):
        self.tokens = np.concatenate([self.tokens, tokens], axis=1)
        assert self.capacity is None or self.length <= self.capacity
        return self.tokens

    def reorder(self, rows):
        self.tokens = self.tokens[rows]


class ScriptedModel:
    """Writes given ids, whatever it is given; row by row as they stand in the batch."""

    def __init__(self, *scripts, vocab_size, n_prompt):
        self.config = SimpleNamespace(vocab_size=vocab_size, block_size=None)
        self.scripts, self.n_prompt = scripts, n_prompt

    def __call__(self, ids, attention_mask=None, positions=None):
        logits = np.zeros((*ids.shape, self.config.vocab_size), np.float32)
        step = ids.shape[1] - self.n_prompt
        for row in range(len(ids)):
            script = self.scripts[int(ids[row, self.n_prompt - 1]) % len(self.scripts)]
            logits[row, -1, script[min(step, len(script) - 1)]] = 9.0
        return Tensor(logits)


class PieceTokenizer:
    """Its tokens are given pieces of bytes; characters may be cut anywhere."""

    def __init__(self, *pieces):
        self.pieces = [p if isinstance(p, bytes) else p.encode() for p in pieces]
        self.vocab_size = len(self.pieces)

    def encode(self, text):
        data, ids = text.encode(), []
        while data:
            fits = [i for i, piece in enumerate(self.pieces) if data.startswith(piece)]
            best = max(fits, key=lambda i: len(self.pieces[i]))
            ids.append(best)
            data = data[len(self.pieces[best]) :]
        return ids

    def decode(self, ids):
        return b"".join(self.pieces[i] for i in ids).decode(errors="replace")


def byte_tokenizer():
    return PieceTokenizer(*(bytes([i]) for i in range(256)))


def write_one_by_one(model, ids, n_new, choose=np.argmax, shift=1):
    """The plain loop: the last ``block_size`` tokens in, one token out, nothing remembered."""
    ids, block_size = list(ids), model.config.block_size
    window = ids[-block_size:] if block_size else list(ids)
    for _ in range(n_new):
        if block_size and len(window) > block_size:
            window = window[shift:]
        token = int(choose(model(np.array([window])).data[0, -1]))
        ids.append(token)
        window.append(token)
    return ids


@pytest.fixture(scope="session")
def fakes():
    """Everything above, as names."""
    return SimpleNamespace(
        HashModel=HashModel,
        ScriptedModel=ScriptedModel,
        PieceTokenizer=PieceTokenizer,
        byte_tokenizer=byte_tokenizer,
        write_one_by_one=write_one_by_one,
    )
