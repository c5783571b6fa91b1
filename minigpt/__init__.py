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

from typing import TYPE_CHECKING

from minigpt import functional, models, nn, optim
from minigpt import launcher as _launcher
from minigpt.first_use import on_first_use
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
else:
    __getattr__, __dir__ = on_first_use(
        __name__,
        {
            "checkpoints": ["load_model"],
            "datasets": [],
            "interop": [],
            "metrics": [],
            "models.published_tokenizer": ["load_tokenizer"],
            "sampling": ["Sampler"],
            "tasks": [],
            "tokenizers": ["BPETokenizer", "CharTokenizer", "Tokenizer"],
            "training": ["History", "Trainer", "TrainerConfig"],
            "viz": [],
        },
    )

__version__ = "0.1.0"
_launcher.end_together()

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
