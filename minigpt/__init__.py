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

from minigpt import (
    checkpoints,
    datasets,
    functional,
    interop,
    metrics,
    models,
    nn,
    optim,
    sampling,
    tasks,
    tokenizers,
    training,
)
from minigpt.checkpoints import load_model
from minigpt.grad_mode import no_grad
from minigpt.gradcheck import gradcheck
from minigpt.models import GPT, GPTConfig
from minigpt.optim import SGD, Adam, AdamW, clip_grad_norm
from minigpt.sampling import Sampler
from minigpt.tensor import Tensor
from minigpt.tokenizers import BPETokenizer, CharTokenizer, Tokenizer, load_tokenizer
from minigpt.training import History, Trainer, TrainerConfig

__version__ = "0.1.0"

__all__ = [
    "GPT",
    "SGD",
    "Adam",
    "AdamW",
    "BPETokenizer",
    "CharTokenizer",
    "GPTConfig",
    "History",
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
]
