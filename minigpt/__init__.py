"""GPT from scratch in NumPy: every equation is readable code, and it really trains and writes.

Example:
    >>> import minigpt as mg
    >>> text = "to be or not to be, that is the question. " * 50
    >>> tokenizer = mg.CharTokenizer.train(text)
    >>> model = mg.GPT(
    ...     mg.GPTConfig(tokenizer.vocab_size, block_size=16, n_layer=1, n_head=2, n_embd=32)
    ... )
    >>> config = mg.TrainerConfig(max_steps=200, batch_size=8, learning_rate=1e-2, progress=False)
    >>> history = mg.Trainer(model, tokenizer.encode_array(text), None, config).fit()
    >>> mg.Sampler(model, tokenizer).generate("to be or", max_new_tokens=10, temperature=0)
    ['to be or not to be']
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from minigpt import functional, nn, optim
from minigpt import launcher as _launcher
from minigpt.grad_mode import no_grad
from minigpt.gradcheck import gradcheck
from minigpt.models.gpt import GPT
from minigpt.models.gpt_config import GPTConfig
from minigpt.optim import SGD, Adam, AdamW, Muon, clip_grad_norm
from minigpt.tensor import Tensor

if TYPE_CHECKING:
    from minigpt import (
        checkpoints,
        datasets,
        interop,
        metrics,
        models,
        sampling,
        tasks,
        tokenizers,
        training,
        viz,
    )
    from minigpt.checkpoints import load_model
    from minigpt.models.published_tokenizer import load_tokenizer
    from minigpt.sampling import Sampler
    from minigpt.tokenizers import BPETokenizer, CharTokenizer, Tokenizer
    from minigpt.training import History, Trainer, TrainerConfig

__version__ = "0.1.0"
_launcher.end_together()

# Rooms that are not needed to make a model are loaded when they are first asked for.
_ROOM_OF = {
    "load_model": "checkpoints",
    "Sampler": "sampling",
    "BPETokenizer": "tokenizers",
    "CharTokenizer": "tokenizers",
    "Tokenizer": "tokenizers",
    "load_tokenizer": "models.published_tokenizer",
    "History": "training",
    "Trainer": "training",
    "TrainerConfig": "training",
}
_ROOMS = {
    "checkpoints", "datasets", "interop", "metrics", "models", "sampling", "tasks", "tokenizers",
    "training", "viz",
}  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return importlib.import_module(f"minigpt.{name}")
    if name in _ROOM_OF:
        return getattr(importlib.import_module(f"minigpt.{_ROOM_OF[name]}"), name)
    raise AttributeError(f"module 'minigpt' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


__all__ = [
    "GPT",
    "SGD",
    "Adam",
    "AdamW",
    "BPETokenizer",
    "CharTokenizer",
    "GPTConfig",
    "History",
    "Muon",
    "Sampler",
    "Tensor",
    "Tokenizer",
    "Trainer",
    "TrainerConfig",
    "checkpoints",
    "clip_grad_norm",
    "datasets",
    "functional",
    "gradcheck",
    "interop",
    "load_model",
    "load_tokenizer",
    "metrics",
    "models",
    "nn",
    "no_grad",
    "optim",
    "sampling",
    "tasks",
    "tokenizers",
    "training",
    "viz",
]
