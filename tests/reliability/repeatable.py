"""What a seed decides, in one line: ``python -m tests.reliability.repeatable``.

The digests of what is trained, learned and written with fixed seeds, which no process, no seed of
Python's hashes and no display may change.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

import numpy as np

import minigpt as mg
from minigpt.models import LSTMConfig, LSTMLanguageModel
from minigpt.nn import add_lora
from minigpt.training import Trainer
from tests.reliability.saves import TEXT
from tests.training.tiny import VOCAB, config, tiny_gpt, tokens

MODERN = {"normalization": "rms", "positions": "rotary", "mlp": "gated", "n_kv_head": 1}


def adapted() -> mg.GPT:
    model = tiny_gpt(dropout=0.1)
    add_lora(model, rank=2, seed=3)
    return model


def lstm() -> LSTMLanguageModel:
    return LSTMLanguageModel(
        LSTMConfig(vocab_size=VOCAB, n_embd=8, n_hidden=8, dropout=0.2), seed=0
    )


RUNS: dict[str, tuple[Any, dict[str, Any]]] = {
    "GPT with dropout, accumulation, two workers": (
        lambda: tiny_gpt(dropout=0.2), {"workers": 2, "gradient_accumulation": 2},
    ),
    "modern GPT with Muon": (lambda: tiny_gpt(**MODERN), {"optimizer": "muon"}),
    "LSTM": (lstm, {"block_size": 8}),
    "adapters": (adapted, {}),
}  # fmt: skip


def train(name: str, callbacks: Any = (), **changes: Any) -> Trainer:
    """One of the runs, to its end."""
    make, settings = RUNS[name]
    how = config(**{"max_steps": 5, **settings, **changes})
    trainer = Trainer(make(), tokens()[:500], tokens()[500:], how, callbacks=callbacks)
    trainer.fit()
    return trainer


def bits(trainer: Trainer) -> str:
    """The digest of a model's parameters and an optimizer's state, by their names."""
    digest = hashlib.sha256()
    states = (trainer.model.state_dict(), trainer.optimizer.state_dict())
    for name, value in (pair for state in states for pair in sorted(state.items())):
        digest.update(f"{name} {np.asarray(value).dtype}".encode() + np.asarray(value).tobytes())
    return digest.hexdigest()


def everything() -> dict[str, Any]:
    learned = mg.BPETokenizer.train(TEXT * 9, 290, ["<|a|>", "<|b|>"], progress=False)
    characters = mg.CharTokenizer("abcdefghijk")
    sampler = mg.Sampler(tiny_gpt(), characters)
    return {
        **{name: bits(train(name)) for name in RUNS},
        "tokenizer": learned.to_dict(),
        "ids": learned.encode(TEXT + "<|b|>", allowed_special="all"),
        "text": sampler.generate("ab", 20, temperature=0.9, top_k=8, top_p=0.9, seed=5),
        "beams": sampler.generate("ab", 6, num_beams=3),
    }


if __name__ == "__main__":
    print(json.dumps(everything(), sort_keys=True))
