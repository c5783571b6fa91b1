"""Models and runs that take milliseconds, for the tests of the Trainer."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

import minigpt.functional as F
from minigpt.autograd import Array
from minigpt.models import GPT, GPTConfig
from minigpt.nn import Embedding, Module
from minigpt.tensor import Tensor
from minigpt.training import History, Trainer, TrainerConfig

VOCAB = 11
TIMES = {"elapsed", "tokens_per_second"}


@dataclasses.dataclass(frozen=True)
class BigramConfig:
    vocab_size: int = VOCAB
    block_size: int = 8


class Bigram(Module):
    """The next token from the present one only: a table of logits. No rng, weights or metrics."""

    def __init__(self, seed: int = 0, config: BigramConfig | None = None) -> None:
        super().__init__()
        self.config = config or BigramConfig()
        self.table = Embedding(self.config.vocab_size, self.config.vocab_size, seed=seed)

    def loss(self, ids: Array, targets: Array) -> Tensor:
        return F.cross_entropy(self.table(ids), targets)


def tokens(count: int = 600, seed: int = 1) -> Array:
    """A text with something to learn: each token is mostly the one before plus three."""
    rng = np.random.default_rng(seed)
    jumps = np.where(rng.random(count) < 0.8, 3, rng.integers(0, VOCAB, count))
    return (np.cumsum(jumps) % VOCAB).astype(np.uint16)


def tiny_gpt(seed: int = 0, **changes: Any) -> GPT:
    sizes = {"vocab_size": VOCAB, "block_size": 8, "n_layer": 1, "n_head": 2, "n_embd": 8}
    return GPT(GPTConfig(**{**sizes, **changes}), seed=seed)


def config(**changes: Any) -> TrainerConfig:
    quiet = {
        "batch_size": 4,
        "learning_rate": 0.01,
        "eval_interval": 4,
        "eval_batches": 2,
        "progress": False,
        "workers": 1,
    }
    settings = {**quiet, **changes}
    return TrainerConfig(**({} if "epochs" in settings else {"max_steps": 10}) | settings)


def trainer(model: Any = None, callbacks: Any = (), **changes: Any) -> Trainer:
    model = Bigram() if model is None else model
    return Trainer(model, tokens()[:500], tokens()[500:], config(**changes), callbacks=callbacks)


def resume(path: Any, model: Any = "Bigram", **changes: Any) -> Trainer:
    model = Bigram(seed=99) if model == "Bigram" else model
    return Trainer.resume(path, tokens()[:500], tokens()[500:], model=model, **changes)


def without_times(history: History) -> dict[str, list[dict[str, float]]]:
    return {
        kind: [{k: v for k, v in record.items() if k not in TIMES} for record in records]
        for kind, records in history.to_dict().items()
    }


def assert_same_run(one: Trainer, other: Trainer) -> None:
    """The same parameters, optimizer state and history, to the last bit."""
    ours, theirs = one.model.state_dict(), other.model.state_dict()
    assert ours.keys() == theirs.keys()
    for name in ours:
        np.testing.assert_array_equal(ours[name], theirs[name], err_msg=name, strict=True)
    ours, theirs = one.optimizer.state_dict(), other.optimizer.state_dict()
    assert ours.keys() == theirs.keys()
    for name in ours:
        np.testing.assert_array_equal(ours[name], theirs[name], err_msg=name)
    assert without_times(one.history) == without_times(other.history)
    assert one.step == other.step
    assert one.best.to_dict() == other.best.to_dict()
    np.testing.assert_equal(one.batches.state_dict(), other.batches.state_dict())
