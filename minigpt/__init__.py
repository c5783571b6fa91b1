"""GPT from scratch in NumPy: every equation is readable code, and it really trains and writes."""

from minigpt import functional, nn
from minigpt.autograd import no_grad
from minigpt.gradcheck import gradcheck
from minigpt.models import GPT, GPTConfig
from minigpt.tensor import Tensor

__version__ = "0.1.0"
__all__ = ["GPT", "GPTConfig", "Tensor", "functional", "gradcheck", "nn", "no_grad"]
